//! `gosight audit` on both engines: the books of a sound pipeline balance, and what is lost, doubled or invented is named. And `gosight
//! tail`, which shows what the audit counts.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use gosight_eventlog::{EventLog, LaneOptions, LogRecord, NewRecord, PollLimit};
use gosight_schemas::headers;
use gosight_tests::events::{batch, now_ms, numbered_click, page_view};
use gosight_tests::load::Load;
use gosight_tests::site::{Answer, Site};
use gosight_tests::{staging, topic, wait};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);

/// Good events, an invalid one and a batch that comes twice; all of them are consumed.
async fn fill(site: &Site) {
    let load = Load {
        edges: vec![site.http.clone()],
        key: site.key.clone(),
        sessions: 6,
        batches: 5,
        events: 70,
    };
    load.run(Arc::default()).await;
    let bad = json!({ "type": "no_such_type", "timestamp": now_ms() });
    let repeated = batch(&site.key, "session-0", &[numbered_click(0), page_view(), bad]);
    site.send(&repeated).await;
    site.send(&repeated).await;
    site.consumed().await;
}

async fn audit(site: &Site) -> (Answer, Value) {
    let config = site.enricher_config();
    let mut arguments = vec!["audit", "--from", "start", "--format", "json"];
    arguments.extend(config.iter().map(String::as_str));
    let answer = site.gosight(&arguments).await;
    let report = answer.json();
    (answer, report)
}

/// A record once more, under another origin where one is given.
async fn append_again(log: &dyn EventLog, record: &LogRecord, origin: Option<&str>) -> String {
    let mut copy = record.headers.clone();
    if let (Some(origin), Some(header)) = (origin, copy.iter_mut().find(|header| header.name == headers::ORIGIN)) {
        header.value = origin.to_owned().into();
    }
    let again = NewRecord {
        topic: Arc::clone(&record.position.topic),
        key: record.key.clone().unwrap(),
        value: record.value.clone(),
        headers: copy,
    };
    log.append(again).await.unwrap().to_string()
}

/// An enricher with a defect: moves the group past everything and writes nothing.
async fn swallow(site: &Site, log: &dyn EventLog) {
    let options = LaneOptions {
        group: site.group.clone(),
        topic: site.staging.clone(),
        transactional_id: format!("{}-swallow", site.group),
        session_timeout: Duration::from_secs(8),
        transaction_timeout: Duration::from_secs(10),
    };
    let mut lane = log.lane(options).await.unwrap();
    let limit = PollLimit {
        max_records: 100,
        max_bytes: 1 << 20,
        max_weight: usize::MAX,
        weight: |_| 0,
        max_wait: Duration::from_millis(100),
    };
    let started = std::time::Instant::now();
    while lane.poll(limit).await.unwrap().records.is_empty() {
        assert!(started.elapsed() < DEADLINE, "the staged batch never came");
    }
    lane.commit(Vec::new()).await.unwrap();
    lane.close().await.unwrap();
}

async fn balances_until_it_is_broken(mut site: Site) {
    fill(&site).await;
    let (answer, report) = audit(&site).await;
    assert_eq!((answer.code, &report["balanced"]), (0, &json!(true)), "{answer:?}");
    let total = &report["total"];
    let expected = [
        ("staged", 2106),
        ("raw", 2102),
        ("errors", 2),
        ("duplicates", 2),
        ("in_flight", 0),
        ("lost", 0),
    ];
    for (name, count) in expected {
        assert_eq!(total[name], count, "{name} in {report}");
    }
    assert_eq!(report["projects"][0]["project"], site.project.as_str());

    site.stop().await;
    let log = site.log().await;
    let event = numbered_click(0);
    let lost = staging::record(&site, "lost-session", std::slice::from_ref(&event));
    let lost_at = log.append(lost).await.unwrap().to_string();
    let (answer, report) = audit(&site).await;
    assert_eq!(
        (answer.code, &report["total"]["in_flight"]),
        (0, &json!(1)),
        "{answer:?}"
    );

    swallow(&site, &*log).await;
    let raw = topic::all(&*log, &site.raw).await;
    let doubled = append_again(&*log, &raw[0], None).await;
    let nowhere = format!("{}:0:0:5000", site.staging);
    let invented = append_again(&*log, &raw[1], Some(&nowhere)).await;
    // Kafka's readers see the last record a moment later.
    wait::until("the forged records stand", DEADLINE, || async {
        (topic::all(&*log, &site.raw).await.len() == raw.len() + 2).then_some(())
    })
    .await;
    let (answer, report) = audit(&site).await;
    assert_eq!((answer.code, &report["balanced"]), (1, &json!(false)), "{answer:?}");
    assert!(answer.stderr.contains("1 lost, 1 doubled, 1 invented"), "{answer:?}");
    let named = |kind: &str| {
        let breaks = report["breaks"].as_array().unwrap();
        let named: Vec<&Value> = breaks.iter().filter(|named| named["kind"] == kind).collect();
        assert_eq!(named.len(), 1, "{kind} in {report}");
        named[0].clone()
    };
    assert_eq!(named("lost")["origin"], format!("{lost_at}:0"));
    assert_eq!(named("lost")["event"]["event_id"], event["event_id"]);
    assert_eq!(named("doubled")["record"], doubled);
    assert_eq!(named("doubled")["origin"], topic::header(&raw[0], headers::ORIGIN));
    assert_eq!(
        (&named("invented")["record"], &named("invented")["origin"]),
        (&json!(invented), &json!(nowhere))
    );

    let config = site.enricher_config();
    let mut arguments = vec!["audit", "--from", "start"];
    arguments.extend(config.iter().map(String::as_str));
    let table = site.gosight(&arguments).await;
    assert_eq!(table.code, 1, "{table:?}");
    assert!(
        table.stdout.contains(&invented) && table.stdout.contains(" NO"),
        "{table:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_books_balance_until_an_event_is_lost_doubled_or_invented() {
    balances_until_it_is_broken(Site::embedded(&[]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_books_balance_until_an_event_is_lost_doubled_or_invented() {
    balances_until_it_is_broken(Site::kafka("").await).await;
}

async fn tail_shows_what_is_asked_for(site: Site) {
    let bad = json!({ "type": "no_such_type", "timestamp": now_ms() });
    for session in ["one", "two"] {
        let events = [numbered_click(0), page_view(), bad.clone()];
        site.send(&batch(&site.key, session, &events)).await;
    }
    site.consumed().await;
    let tail = async |more: &[&str]| {
        let mut arguments = vec!["tail", "--from", "start"];
        arguments.extend_from_slice(more);
        let answer = site.gosight(&arguments).await;
        assert_eq!(answer.code, 0, "{answer:?}");
        answer.stdout
    };
    let one: Vec<Value> = tail(&["--session", "one", "--limit", "2", "--format", "json"])
        .await
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(one.iter().all(|event| event["session_id"] == "one"), "{one:?}");
    let options = [
        "--type",
        "EVENT_TYPE_PAGE_VIEW",
        "--project",
        &site.project,
        "--session",
        "two",
        "--limit",
        "1",
    ];
    let pretty = tail(&options).await;
    assert!(
        pretty.contains("\"type\": \"page_view\"") && pretty.contains("\"session_id\": \"two\""),
        "{pretty}"
    );
    assert!(
        pretty.find("event_id") < pretty.find("city"),
        "keys keep their order: {pretty}"
    );
    let options = [
        "--topic",
        "errors",
        "--code",
        "unknown_type",
        "--session",
        "two",
        "--limit",
        "1",
    ];
    let reject = tail(&options).await;
    assert!(
        reject.contains("code=unknown_type") && reject.contains("no_such_type"),
        "{reject}"
    );
    let answer = site.gosight(&["tail", "--code", "unknown_type"]).await;
    assert_eq!(answer.code, 64, "{answer:?}");
    assert!(answer.stderr.contains("--topic errors"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_filters_on_the_embedded_log() {
    tail_shows_what_is_asked_for(Site::embedded(&[]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_filters_on_kafka() {
    tail_shows_what_is_asked_for(Site::kafka("").await).await;
}
