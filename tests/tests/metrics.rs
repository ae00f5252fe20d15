//! docs/metrics.md and `/metrics` say the same, both ways.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gosight_proto::ingest_service_client::IngestServiceClient;
use gosight_proto::{EventBatch, SessionMeta};
use gosight_tests::dev::Dev;
use gosight_tests::events::{batch, chunk, page_view};
use gosight_tests::stack::Stack;
use gosight_tests::wait;
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(30);

/// A family as the page or `/metrics` has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Family {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

type Families = BTreeMap<String, Family>;

/// The rows of the page, by the heading that they stand under.
fn documented() -> BTreeMap<&'static str, Families> {
    let mut sections: BTreeMap<&str, Families> = BTreeMap::new();
    let mut heading = "";
    for line in include_str!("../../docs/metrics.md").lines() {
        if let Some(title) = line.strip_prefix("## ") {
            heading = title;
        }
        let Some(row) = line.strip_prefix("| `") else { continue };
        let cells: Vec<&str> = row.trim_end_matches('|').split('|').map(str::trim).collect();
        let [name, kind, unit, labels, help] = cells[..] else {
            panic!("five cells, not {}: {line}", cells.len())
        };
        assert!(!unit.is_empty(), "{line}");
        let family = Family {
            kind: kind.to_owned(),
            help: help.replace('`', ""),
            labels: labels
                .split(", ")
                .filter(|label| !label.is_empty())
                .map(str::to_owned)
                .collect(),
        };
        let name = name.trim_end_matches('`').to_owned();
        assert!(
            sections.entry(heading).or_default().insert(name, family).is_none(),
            "twice: {line}"
        );
    }
    sections
}

/// What `/metrics` shows.
fn exported(text: &str) -> Families {
    let mut families = Families::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            families.entry(name.to_owned()).or_default().help = help.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            families.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else {
            let (series, _value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap_or((series, ""));
            let family = ["_bucket", "_sum", "_count", ""].iter().find_map(|suffix| {
                let name = name.strip_suffix(suffix)?;
                families.contains_key(name).then(|| name.to_owned())
            });
            let family = families
                .get_mut(&family.unwrap_or_else(|| panic!("no TYPE before {line}")))
                .unwrap();
            let names = labels.split("\",").filter_map(|label| label.split_once("=\""));
            family
                .labels
                .extend(names.map(|(name, _)| name.to_owned()).filter(|name| name != "le"));
        }
    }
    families
}

fn check(exported: &Families, documented: &Families) {
    for (name, family) in exported {
        let row = documented
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not in docs/metrics.md: {family:?}"));
        assert_eq!(row, family, "{name}: left docs/metrics.md, right /metrics");
    }
}

async fn scrape(admin: &str) -> String {
    let response = reqwest::get(format!("{admin}/metrics")).await.unwrap();
    response.text().await.unwrap()
}

/// Good and bad, over each transport that a test can speak easily.
async fn traffic(http: &str, grpc: &str, key: &str) {
    let client = Client::new();
    let event = page_view();
    let mut with_id = page_view();
    with_id["event_id"] = "0197b0a0-0000-7000-8000-000000000001".into();
    let bodies: [(&str, Value); 6] = [
        (
            "/v1/events",
            batch(key, "s", &[event.clone(), with_id.clone(), with_id]),
        ),
        (
            "/v1/events",
            batch(key, "s", &[json!({ "type": "no_such_type" }), Value::Null]),
        ),
        ("/v1/events", batch("gs_unknown", "s", &[event])),
        ("/v1/events", json!("no batch")),
        ("/v1/replay", chunk(key, "s", &[])),
        ("/v1/nowhere", json!({})),
    ];
    for (path, body) in bodies {
        client.post(format!("{http}{path}")).json(&body).send().await.unwrap();
    }
    let mut client = IngestServiceClient::connect(format!("http://{grpc}")).await.unwrap();
    let sent = EventBatch {
        project_key: key.to_owned(),
        session: Some(SessionMeta::default()),
        ..EventBatch::default()
    };
    client.send_batch(sent).await.unwrap();
}

#[tokio::test]
async fn the_page_and_a_running_pipeline_say_the_same() {
    let data = TempDir::new().unwrap();
    let dev = Dev::start(data.path()).await;
    traffic(&dev.http, &dev.grpc, "gs_test_key").await;
    let text = wait::until("everything is enriched", DEADLINE, || async {
        let text = scrape(&dev.admin).await;
        let done = |line: &str| text.lines().any(|have| have == line);
        let shown = ["edge_bytes_in_flight ", "enricher_lag_records{"];
        (done("enricher_batches_total 3") && shown.iter().all(|gauge| text.contains(gauge))).then_some(text)
    })
    .await;

    let mut sections = documented();
    let mut elsewhere = sections.remove("Edge, with Redis").unwrap();
    elsewhere.extend(sections.remove("Enricher, with GeoIP files").unwrap());
    elsewhere.extend(sections.remove("Edge, with a configuration of its own").unwrap());
    let rows: Families = sections.into_values().flatten().collect();
    let exported = exported(&text);
    check(&exported, &rows);
    let missing: Vec<&String> = rows.keys().filter(|name| !exported.contains_key(*name)).collect();
    assert!(missing.is_empty(), "documented and not shown: {missing:?}");
    assert!(elsewhere.keys().all(|name| !exported.contains_key(name)));

    for line in [
        "edge_requests_total{transport=\"http\",outcome=\"accepted\"} 3",
        "edge_requests_total{transport=\"grpc\",outcome=\"accepted\"} 1",
        "edge_events_total{transport=\"http\",outcome=\"accepted\"} 5",
        "edge_events_total{transport=\"http\",outcome=\"invalid_key\"} 1",
        "edge_append_seconds_count 4",
        "edge_key_usage_lost_total 0",
        "enricher_duplicates_total 1",
        "component_ready{component=\"log\"} 1",
    ] {
        assert!(text.lines().any(|have| have == line), "{line} is missing:\n{text}");
    }
    let bytes = text
        .lines()
        .find_map(|line| line.strip_prefix("edge_bytes_total{transport=\"http\",outcome=\"accepted\"} "));
    let bytes: u64 = bytes.unwrap().parse().unwrap();
    assert!((400..2_000).contains(&bytes), "{bytes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_an_edge_with_redis() {
    let stack = Stack::new().await;
    let edge = stack.edge().await;
    traffic(&edge.http, &edge.grpc, &stack.key).await;
    let rows: Families = documented().into_values().flatten().collect();
    let exported = exported(&scrape(&edge.admin).await);
    check(&exported, &rows);
    assert!(exported.contains_key("edge_limiter_leases_total"), "{exported:?}");
}
