//! The pipeline on real Kafka, PostgreSQL and Redis: what is acknowledged comes out once and in order, whoever is killed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gosight_eventlog::{EventLog, LogRecord, TimestampSource};
use gosight_tests::events::{batch, page_view};
use gosight_tests::load::{Acknowledged, Load};
use gosight_tests::stack::Stack;
use gosight_tests::{topic, wait};
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(120);

/// Every acknowledged event stands on raw exactly once, and the events of a session in the order in which they were sent.
fn check(acknowledged: &Acknowledged, raw: &[LogRecord]) {
    let mut by_session: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in raw {
        let event = topic::json(record);
        let session = event["session_id"].as_str().unwrap().to_owned();
        by_session
            .entry(session)
            .or_default()
            .push(event["event_id"].as_str().unwrap().to_owned());
    }
    for (session, sent) in &acknowledged.sessions {
        let stands = by_session.remove(session).unwrap_or_default();
        let distinct: BTreeSet<&String> = stands.iter().collect();
        assert_eq!(distinct.len(), stands.len(), "{session}: events are doubled");
        let missing: Vec<&String> = sent.iter().filter(|id| !distinct.contains(id)).collect();
        assert!(
            missing.is_empty(),
            "{session}: {} of {} events are lost: {missing:?}",
            missing.len(),
            sent.len()
        );
        assert_eq!(&stands, sent, "{session}: events are out of order");
    }
    assert!(
        by_session.is_empty(),
        "sessions that nobody sent: {:?}",
        by_session.keys()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enricher_killed_in_the_middle_of_200_000_events_loses_and_doubles_none() {
    let stack = Stack::new().await;
    let (edge, first, _second) = tokio::join!(stack.edge(), stack.enricher("first"), stack.enricher("second"));
    let load = Load {
        edges: vec![edge.http.clone()],
        key: stack.key.clone(),
        sessions: 40,
        batches: 100,
        events: 50,
    };
    let total = 200_000;
    let progress = Arc::new(AtomicU64::new(0));
    let sending = tokio::spawn({
        let progress = Arc::clone(&progress);
        async move { load.run(progress).await }
    });
    wait::until("a third is acknowledged", DEADLINE, || {
        std::future::ready((progress.load(Ordering::Relaxed) > total / 3).then_some(()))
    })
    .await;
    first.kill().await;
    let acknowledged = sending.await.unwrap();

    let log = stack.log();
    let raw = topic::at_least(&*log, &stack.topic("raw"), usize::try_from(total).unwrap(), DEADLINE).await;
    check(&acknowledged, &raw);
    let errors = topic::all(&*log, &stack.topic("errors")).await;
    assert!(errors.is_empty(), "{:?}", topic::json(&errors[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_enricher_hands_its_partitions_over_at_once() {
    let stack = Stack::new().await;
    let (edge, mut first, _second) = tokio::join!(stack.edge(), stack.enricher("first"), stack.enricher("second"));
    let load = Load {
        edges: vec![edge.http.clone()],
        key: stack.key.clone(),
        sessions: 24,
        batches: 20,
        events: 10,
    };
    let before = load.run(Arc::default()).await;
    let log = stack.log();
    topic::at_least(&*log, &stack.topic("raw"), 4_800, DEADLINE).await;
    first.signal("TERM");
    let status = first.ended(Duration::from_secs(20)).await;
    assert!(status.success(), "{status}: {}", first.output());

    let after = load.run(Arc::default()).await;
    let raw = topic::at_least(&*log, &stack.topic("raw"), 9_600, Duration::from_secs(20)).await;
    let sessions = before.sessions.into_iter().zip(after.sessions);
    let both = sessions.map(|((session, mut ids), (_, more))| {
        ids.extend(more);
        (session, ids)
    });
    check(
        &Acknowledged {
            sessions: both.collect(),
        },
        &raw,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reject_carries_its_reason_and_origin_in_headers_and_value() {
    let stack = Stack::new().await;
    let (edge, _enricher) = tokio::join!(stack.edge(), stack.enricher("only"));
    let mut bad = page_view();
    bad["type"] = json!("no_such_type");
    let body = batch(&stack.key, "session", &[bad, page_view()]);
    let url = format!("{}/v1/events", edge.http);
    let response = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);

    let log = stack.log();
    let errors = topic::at_least(&*log, &stack.topic("errors"), 1, DEADLINE).await;
    let raw = topic::at_least(&*log, &stack.topic("raw"), 1, DEADLINE).await;
    let staged = topic::all(&*log, &stack.topic("staging")).await;
    let reject = topic::json(&errors[0]);
    let origin = format!("{}:0", staged[0].position);
    assert_eq!(reject["code"], "unknown_type");
    assert_eq!(reject["field"], "/type");
    assert_eq!(reject["origin"], origin);
    assert_eq!(topic::header(&errors[0], "origin"), origin);
    assert_eq!(topic::header(&errors[0], "code"), "unknown_type");
    assert_eq!(topic::header(&errors[0], "project-id"), stack.project);
    assert_eq!(topic::header(&errors[0], "attempt"), "1");
    assert_eq!(
        topic::header(&errors[0], "batch-id"),
        topic::header(&raw[0], "batch-id")
    );
    assert_eq!(topic::header(&raw[0], "origin"), format!("{}:1", staged[0].position));
    assert_eq!(
        raw[0].key.as_deref(),
        Some(format!("{}:session", stack.project).as_bytes())
    );
    assert_eq!(errors[0].key.as_deref(), Some(stack.project.as_bytes()));
}

#[tokio::test]
async fn topics_are_made_as_the_contract_says() {
    let stack = Stack::new().await;
    let log = stack.log();
    let days = |days: u64| Some(Duration::from_secs(days * 86_400));
    for (which, partitions, retention, timestamps) in [
        ("staging", 12, days(3), TimestampSource::LogAppendTime),
        ("raw", 12, days(7), TimestampSource::CreateTime),
        ("errors", 3, days(30), TimestampSource::CreateTime),
        ("replay", 6, days(3), TimestampSource::CreateTime),
    ] {
        let info = log.describe(&stack.topic(which)).await.unwrap().unwrap();
        assert_eq!(
            (info.partitions, info.retention, info.timestamps),
            (partitions, retention, timestamps),
            "{which}"
        );
        // One broker: one copy, and it must have the record.
        assert_eq!((info.replication, info.min_insync), (1, 1), "{which}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_sent_again_comes_out_once() {
    let stack = Stack::new().await;
    let (edge, other, _enricher) = tokio::join!(stack.edge(), stack.edge(), stack.enricher("only"));
    let client = reqwest::Client::new();
    // One event with an id and one without: a client's retry has the same bytes.
    let mut named = page_view();
    named["event_id"] = json!(uuid::Uuid::new_v4().to_string());
    let body = batch(&stack.key, "session", &[named, page_view()]);
    for edge in [&edge, &other, &edge] {
        let response = client
            .post(format!("{}/v1/events", edge.http))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
    }
    // It is in the same partition, so it comes out after whatever the three batches became.
    let last = batch(&stack.key, "session", &[page_view()]);
    client
        .post(format!("{}/v1/events", edge.http))
        .json(&last)
        .send()
        .await
        .unwrap();

    let log = stack.log();
    let raw = topic::at_least(&*log, &stack.topic("raw"), 3, DEADLINE).await;
    let staged = topic::all(&*log, &stack.topic("staging")).await;
    assert_eq!(staged.len(), 4);
    let origins: Vec<String> = raw.iter().map(|record| topic::header(record, "origin")).collect();
    let expected = [
        format!("{}:0", staged[0].position),
        format!("{}:1", staged[0].position),
        format!("{}:0", staged[3].position),
    ];
    assert_eq!(origins, expected);
}
