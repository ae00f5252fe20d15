//! `gosight dlq` on both engines: an SDK release floods errors, is found as one group, tried with a patch, redriven, killed in the middle
//! and resumed, and in the end each event stands on raw once and the books balance.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gosight_schemas::headers;
use gosight_tests::events::{batch, now_ms, page_view};
use gosight_tests::site::{Answer, Site};
use gosight_tests::topic;
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);
const SESSIONS: u64 = 5;
const EVENTS: u64 = 200;
const FLOOD: u64 = SESSIONS * EVENTS;

/// What the bad release sends: a click that says where, but not when.
fn without_time(number: u64) -> Value {
    json!({ "event_id": uuid::Uuid::now_v7().to_string(), "type": "click", "payload": { "x": 1, "y": 2, "number": number } })
}

async fn dlq(site: &Site, arguments: &[&str]) -> Answer {
    let mut all = vec!["dlq"];
    all.extend_from_slice(arguments);
    let config = site.enricher_config();
    if matches!(arguments[0], "test" | "redrive") {
        all.extend(config.iter().map(String::as_str));
    }
    site.gosight(&all).await
}

fn lines(answer: &Answer) -> Vec<Value> {
    answer
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn waiting(site: &Site) -> Vec<Value> {
    let answer = dlq(site, &["ls", "--format", "json"]).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    lines(&answer)
}

async fn a_flood_is_found_patched_and_redriven_once(site: Site) {
    for session in 0..SESSIONS {
        let events: Vec<Value> = (0..EVENTS)
            .map(|number| without_time(session * EVENTS + number))
            .collect();
        site.send(&batch(&site.key, &format!("session-{session}"), &events))
            .await;
    }
    site.send(&batch(&site.key, "sound", &[page_view()])).await;
    site.consumed().await;

    let groups = waiting(&site).await;
    assert_eq!(groups.len(), 1, "{groups:?}");
    assert_eq!(
        (&groups[0]["code"], &groups[0]["count"]),
        (&json!("missing_field"), &json!(FLOOD))
    );
    assert_eq!(groups[0]["project_id"], site.project.as_str());
    let sample = groups[0]["sample_id"].as_str().unwrap();
    let shown = dlq(&site, &["show", sample]).await;
    assert!(shown.code == 0 && shown.stdout.contains("/timestamp"), "{shown:?}");

    let patch = json!({ "timestamp": now_ms() }).to_string();
    let as_it_is = dlq(&site, &["test", "--code", "missing_field"]).await;
    assert_eq!(as_it_is.code, 1, "{as_it_is:?}");
    let patched = dlq(&site, &["test", "--code", "missing_field", "--patch", &patch]).await;
    assert_eq!(patched.code, 0, "{patched:?}");
    let rehearsed = dlq(&site, &["redrive", "--code", "missing_field", "--patch", &patch]).await;
    assert!(
        rehearsed.code == 0 && rehearsed.stderr.contains("dry run"),
        "{rehearsed:?}"
    );
    let log = site.log().await;
    assert_eq!(topic::all(&*log, &site.raw).await.len(), 1, "a dry run writes nothing");

    // Slow enough to be killed in the middle.
    let config = site.enricher_config();
    let mut redrive = vec![
        "dlq",
        "redrive",
        "--code",
        "missing_field",
        "--patch",
        &patch,
        "--rate",
        "100",
        "--yes",
    ];
    redrive.extend(config.iter().map(String::as_str));
    let runs = site.start_gosight(&redrive);
    topic::at_least(&*log, &site.raw, 50, DEADLINE).await;
    runs.kill().await;
    let before = topic::all(&*log, &site.raw).await.len() - 1;
    assert!(before < usize::try_from(FLOOD).unwrap(), "it was killed in the middle");
    let jobs = lines(&dlq(&site, &["ledger", "--format", "json"]).await);
    assert_eq!((jobs.len(), &jobs[0]["state"]), (1, &json!("running")), "{jobs:?}");
    let job = jobs[0]["job_id"].as_str().unwrap();

    let resumed = dlq(
        &site,
        &[
            "redrive", "--resume", job, "--rate", "100000", "--yes", "--format", "json",
        ],
    )
    .await;
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert_eq!(lines(&resumed)[0]["counts"]["redriven"], FLOOD, "{resumed:?}");
    assert_eq!(waiting(&site).await, Vec::<Value>::new());
    let again = dlq(
        &site,
        &["redrive", "--code", "missing_field", "--patch", &patch, "--yes"],
    )
    .await;
    assert_eq!(again.code, 0, "{again:?}");

    let mut by_session: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    let raw = topic::all(&*log, &site.raw).await;
    assert_eq!(raw.len() as u64, FLOOD + 1, "each once");
    for record in raw.iter().filter(|record| record.header(headers::REDRIVE_OF).is_some()) {
        let event: Value = serde_json::from_slice(&record.value).unwrap();
        let number = event["payload"]["number"].as_u64().unwrap();
        let session = event["session_id"].as_str().unwrap().to_owned();
        assert!(by_session.entry(session).or_default().insert(number), "{number} twice");
    }
    for session in 0..SESSIONS {
        let numbers: BTreeSet<u64> = (session * EVENTS..(session + 1) * EVENTS).collect();
        assert_eq!(by_session[&format!("session-{session}")], numbers);
    }
    let mut audit = vec!["audit", "--from", "start", "--format", "json"];
    audit.extend(config.iter().map(String::as_str));
    let audit = site.gosight(&audit).await;
    assert_eq!(audit.code, 0, "{audit:?}");
    assert_eq!(audit.json()["total"]["redriven"], FLOOD);
}

/// A reject that is put right equals what the enricher would have written, had the event been sound.
async fn what_is_redriven_equals_a_sound_twin(site: Site) {
    let timestamp = now_ms();
    let event = |timestamp: Value| {
        let mut event = json!({
            "event_id": "0197b0a0-0000-7000-8000-000000000001", "type": "click",
            "page": { "url": "https://shop.example/?utm_source=mail", "path": "/", "referrer": "https://www.google.com/" },
            "payload": { "x": 1, "y": 2, "big": 12_345_678_901_234_567_890_u64 }, "own": { "kept": true }
        });
        event["timestamp"] = timestamp;
        event
    };
    let sent = |session: &str, event: Value| {
        let mut body = batch(&site.key, session, &[event]);
        body["device"] = json!({ "screen_width": 1920, "gpu": "none" });
        body["user_id"] = "user-7".into();
        body["sdk"] = json!({ "name": "web" });
        body
    };
    site.send(&sent("twin", event("soon".into()))).await;
    site.consumed().await;
    let patch = json!({ "timestamp": timestamp }).to_string();
    let redriven = dlq(&site, &["redrive", "--patch", &patch, "--yes"]).await;
    assert_eq!(redriven.code, 0, "{redriven:?}");
    // The window knows no rejects, and a redrive tells it nothing: the twin is published, too.
    site.send(&sent("twin", event(timestamp.into()))).await;
    site.consumed().await;
    let log = site.log().await;
    let raw = topic::at_least(&*log, &site.raw, 2, DEADLINE).await;
    let values: Vec<Value> = raw
        .iter()
        .map(|record| {
            let mut value: Value = serde_json::from_slice(&record.value).unwrap();
            value["server_timestamp"] = Value::Null;
            value
        })
        .collect();
    assert_eq!(values[0], values[1]);
}

/// What nobody needs is discarded with a reason and listed no more; an export holds it all the same, and hides who people are.
async fn what_is_discarded_is_listed_no_more_and_can_be_exported(site: Site) {
    let mut body = batch(
        &site.key,
        "s",
        &[
            without_time(1),
            without_time(2),
            json!({ "type": "no_such_type", "timestamp": now_ms() }),
        ],
    );
    body["user_id"] = "user-7".into();
    site.send(&body).await;
    site.consumed().await;
    assert_eq!(waiting(&site).await.len(), 2);

    let without_reason = dlq(&site, &["discard", "--code", "missing_field"]).await;
    assert_eq!(without_reason.code, 64, "{without_reason:?}");
    let discard = ["discard", "--code", "missing_field", "--reason", "load test"];
    let rehearsed = dlq(&site, &discard).await;
    assert!(
        rehearsed.code == 0 && rehearsed.stderr.contains("dry run"),
        "{rehearsed:?}"
    );
    assert_eq!(waiting(&site).await.len(), 2, "a dry run writes nothing");
    let done = dlq(&site, &[&discard[..], &["--yes", "--who", "someone"]].concat()).await;
    assert_eq!(done.code, 0, "{done:?}");
    let left = waiting(&site).await;
    assert_eq!((left.len(), &left[0]["code"]), (1, &json!("unknown_type")), "{left:?}");
    let jobs = lines(&dlq(&site, &["ledger", "--format", "json"]).await);
    assert_eq!(
        (&jobs[0]["who"], &jobs[0]["reason"]),
        (&json!("someone"), &json!("load test")),
        "{jobs:?}"
    );
    assert_eq!(jobs[0]["counts"]["discarded"], 2, "{jobs:?}");

    let exported = dlq(&site, &["export", "--all"]).await;
    assert_eq!(lines(&exported).len(), 3, "{exported:?}");
    assert!(!exported.stdout.contains("user-7"), "{exported:?}");
    let revealed = dlq(&site, &["export", "--all", "--reveal"]).await;
    assert!(revealed.stdout.contains("user-7"), "{revealed:?}");
    let log = site.log().await;
    let standing: BTreeSet<String> = topic::all(&*log, &site.errors)
        .await
        .iter()
        .map(topic::json)
        .map(sorted)
        .collect();
    assert_eq!(
        lines(&revealed).into_iter().map(sorted).collect::<BTreeSet<_>>(),
        standing
    );
}

/// A value as a text that can stand in a set; its fields are sorted.
fn sorted(value: Value) -> String {
    value.to_string()
}

/// Ctrl-C ends a redrive between two transactions, and it says how to go on.
async fn a_redrive_that_is_stopped_goes_on(site: Site) {
    let events: Vec<Value> = (0..EVENTS).map(without_time).collect();
    site.send(&batch(&site.key, "s", &events)).await;
    site.consumed().await;
    let patch = json!({ "timestamp": now_ms() }).to_string();
    let config = site.enricher_config();
    let mut redrive = vec!["dlq", "redrive", "--patch", &patch, "--rate", "50", "--yes"];
    redrive.extend(config.iter().map(String::as_str));
    let mut runs = site.start_gosight(&redrive);
    let log = site.log().await;
    topic::at_least(&*log, &site.raw, 10, DEADLINE).await;
    runs.signal("INT");
    assert_eq!(runs.ended(DEADLINE).await.code(), Some(1), "{}", runs.output());
    let output = runs.output();
    let job = output
        .split("--resume ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap();
    assert!(
        topic::all(&*log, &site.raw).await.len() < events.len(),
        "it was stopped in the middle"
    );
    let resumed = dlq(&site, &["redrive", "--resume", job, "--rate", "100000", "--yes"]).await;
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert_eq!(topic::all(&*log, &site.raw).await.len(), events.len());
    let again = dlq(&site, &["redrive", "--resume", job, "--yes"]).await;
    assert!(again.code == 64 && again.stderr.contains("is done"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_discarded_is_listed_no_more_on_the_embedded_log() {
    what_is_discarded_is_listed_no_more_and_can_be_exported(Site::embedded(&[]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_discarded_is_listed_no_more_on_kafka() {
    what_is_discarded_is_listed_no_more_and_can_be_exported(Site::kafka("").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_that_is_stopped_goes_on_on_the_embedded_log() {
    a_redrive_that_is_stopped_goes_on(Site::embedded(&[]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_that_is_stopped_goes_on_on_kafka() {
    a_redrive_that_is_stopped_goes_on(Site::kafka("").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_put_right_on_the_embedded_log() {
    a_flood_is_found_patched_and_redriven_once(Site::embedded(&[]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_put_right_on_kafka() {
    a_flood_is_found_patched_and_redriven_once(Site::kafka("").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_redriven_equals_a_sound_twin_on_the_embedded_log() {
    what_is_redriven_equals_a_sound_twin(Site::embedded(&[]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_redriven_equals_a_sound_twin_on_kafka() {
    what_is_redriven_equals_a_sound_twin(Site::kafka("").await).await;
}
