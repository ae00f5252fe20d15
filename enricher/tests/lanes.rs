//! The enricher through its public door, on the embedded log.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "lanes/failing.rs"]
mod failing;
#[path = "lanes/pipeline.rs"]
mod pipeline;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gosight_enricher::EnricherError;
use gosight_eventlog::LaneError;
use gosight_schemas::{headers, topics};
use serde_json::{Value, json};

use failing::{FailingLog, Failures};
use pipeline::{PROJECT, Pipeline, Running, click, settings, until};

const SESSIONS: usize = 20;

/// Stages `batches` batches of five numbered events, round the sessions; returns them by session for a retry.
async fn stage_many(pipeline: &Pipeline, batches: std::ops::Range<usize>) -> Vec<(String, Vec<Value>)> {
    let mut staged = Vec::new();
    for batch in batches {
        let session = format!("session-{}", batch % SESSIONS);
        let first = i64::try_from(batch / SESSIONS * 5).unwrap();
        let events: Vec<Value> = (first..first + 5).map(click).collect();
        pipeline.stage(&session, &events).await;
        staged.push((session, events));
    }
    staged
}

/// What raw must hold after so many batches of [`stage_many`].
fn each_once(batches: usize) -> BTreeMap<String, Vec<i64>> {
    let mut expected: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for batch in 0..batches {
        let first = i64::try_from(batch / SESSIONS * 5).unwrap();
        expected
            .entry(format!("session-{}", batch % SESSIONS))
            .or_default()
            .extend(first..first + 5);
    }
    expected
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_becomes_an_event_a_reject_or_nothing_for_a_repeated_one() {
    let pipeline = Pipeline::new().await;
    let settings = settings();
    let (first, second) = (click(1), click(2));
    let bad = json!({"type": "no_such_type", "timestamp": 1_790_000_000_000_i64});
    pipeline.stage("s", &[first.clone(), bad, Value::Null, second]).await;
    pipeline.stage("s", &[first, click(3)]).await;
    let running = pipeline.start(&settings);
    pipeline.consumed(&settings).await;
    running.ready().await;
    running.stop().await;

    assert_eq!(
        pipeline.events().await,
        BTreeMap::from([("s".to_owned(), vec![1, 2, 3])])
    );
    assert_eq!(pipeline.codes().await, ["unknown_type", "not_an_object"]);
    let raw = pipeline.read(topics::RAW).await;
    let event: Value = serde_json::from_slice(&raw[0].value).unwrap();
    assert_eq!(event["browser"], "Firefox");
    assert_eq!(event["os"], "Linux");
    assert_eq!(event["device_type"], "desktop");
    assert_eq!(event["project_id"], PROJECT);
    assert_eq!(raw[0].key.as_deref(), Some(format!("{PROJECT}:s").as_bytes()));
    let origin = |record: &gosight_eventlog::LogRecord| {
        let text = String::from_utf8(record.header(headers::ORIGIN).unwrap().to_vec()).unwrap();
        text.rsplit_once(':').unwrap().1.to_owned()
    };
    assert_eq!(raw.iter().map(origin).collect::<Vec<_>>(), ["0", "3", "1"]);
    let errors = pipeline.read(topics::ERRORS).await;
    assert_eq!(errors.iter().map(origin).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(errors[0].key.as_deref(), Some(PROJECT.as_bytes()));
    assert_eq!(errors[0].header(headers::ATTEMPT).unwrap().as_ref(), b"1");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_or_killed_in_the_middle_each_event_stands_there_once_and_in_order() {
    let pipeline = Pipeline::new().await;
    let settings = settings();
    let staged = stage_many(&pipeline, 0..400).await;
    let some = |than: usize| {
        let pipeline = &pipeline;
        until("some more are on raw", move || async move {
            (pipeline.read(topics::RAW).await.len() > than).then_some(())
        })
    };
    let running = pipeline.start(&settings);
    some(0).await;
    running.stop().await;
    let after_stop = pipeline.read(topics::RAW).await.len();
    assert!(after_stop < 2000, "it was stopped in the middle");

    let running = pipeline.start(&settings);
    some(after_stop).await;
    running.kill().await;
    // Clients that got no answer send again what was staged, in another batch.
    for (session, events) in &staged[..100] {
        pipeline.stage(session, events).await;
    }
    stage_many(&pipeline, 400..440).await;

    let running = pipeline.start(&settings);
    pipeline.consumed(&settings).await;
    running.stop().await;
    assert_eq!(pipeline.events().await, each_once(440));
    assert!(pipeline.codes().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_a_restart_is_known_by_the_log_alone() {
    let pipeline = Pipeline::new().await;
    let settings = settings();
    let staged = stage_many(&pipeline, 0..40).await;
    let running = pipeline.start(&settings);
    pipeline.consumed(&settings).await;
    running.stop().await;

    for (session, events) in &staged {
        pipeline.stage(session, events).await;
    }
    let running = pipeline.start(&settings);
    pipeline.consumed(&settings).await;
    running.stop().await;
    assert_eq!(pipeline.events().await, each_once(40));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_can_t_be_read_is_never_guessed() {
    let pipeline = Pipeline::new().await;
    let mut settings = settings();
    settings.consumer.lanes = 1;
    let staged = stage_many(&pipeline, 0..40).await;
    let running = pipeline.start(&settings);
    pipeline.consumed(&settings).await;
    running.stop().await;

    for (session, events) in &staged {
        pipeline.stage(session, events).await;
    }
    let failures = Arc::new(Failures::default());
    failures.empty_reads.store(2, Ordering::Relaxed);
    let log = FailingLog {
        inner: Arc::clone(&pipeline.log),
        failures: Arc::clone(&failures),
    };
    let running = Running::start(&settings, Arc::new(log));
    running.complains_of("reading gosight.events.staging partition").await;
    pipeline.consumed(&settings).await;
    running.stop().await;
    assert_eq!(pipeline.events().await, each_once(40));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_the_partitions_and_one_takes_over_from_the_other() {
    let pipeline = Pipeline::new().await;
    let (mut one, mut two) = (settings(), settings());
    one.consumer.instance_id = "one".to_owned();
    two.consumer.instance_id = "two".to_owned();
    let first = pipeline.start(&one);
    first.ready().await;
    stage_many(&pipeline, 0..200).await;
    let second = pipeline.start(&two);
    second.ready().await;
    stage_many(&pipeline, 200..300).await;
    first.stop().await;
    stage_many(&pipeline, 300..400).await;
    pipeline.consumed(&two).await;
    second.stop().await;
    assert_eq!(pipeline.events().await, each_once(400));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_transaction_is_repeated_and_its_ids_are_no_duplicates() {
    let pipeline = Pipeline::new().await;
    let settings = settings();
    stage_many(&pipeline, 0..100).await;
    let failures = Arc::new(Failures::default());
    let aborted = LaneError::Aborted {
        reason: "told to".to_owned(),
    };
    failures.commits.lock().unwrap().extend(vec![aborted; 5]);
    let log = FailingLog {
        inner: Arc::clone(&pipeline.log),
        failures: Arc::clone(&failures),
    };
    let running = Running::start(&settings, Arc::new(log));
    pipeline.consumed(&settings).await;
    running.stop().await;
    assert!(failures.commits.lock().unwrap().is_empty(), "all failures were met");
    assert_eq!(pipeline.events().await, each_once(100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_whose_every_transaction_is_aborted_is_not_ready_until_one_is_committed() {
    let pipeline = Pipeline::new().await;
    let mut settings = settings();
    settings.consumer.lanes = 1;
    stage_many(&pipeline, 0..20).await;
    let failures = Arc::new(Failures::default());
    let aborted = LaneError::Aborted {
        reason: "topic gosight.events.raw is not there".to_owned(),
    };
    failures.commits.lock().unwrap().extend(vec![aborted; 6]);
    let log = FailingLog {
        inner: Arc::clone(&pipeline.log),
        failures: Arc::clone(&failures),
    };
    let running = Running::start(&settings, Arc::new(log));
    running
        .complains_of("transactions in a row were aborted: topic gosight.events.raw is not there")
        .await;
    assert!(!running.readiness.report().ready);
    pipeline.consumed(&settings).await;
    running.ready().await;
    running.stop().await;
    assert_eq!(pipeline.events().await, each_once(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_lane_is_opened_anew_and_lost_offsets_are_named() {
    let pipeline = Pipeline::new().await;
    let mut settings = settings();
    settings.consumer.lanes = 1;
    stage_many(&pipeline, 0..20).await;
    let failures = Arc::new(Failures::default());
    let broken = LaneError::Broken {
        reason: "told to".to_owned(),
    };
    failures.commits.lock().unwrap().push_back(broken);
    let log = Arc::new(FailingLog {
        inner: Arc::clone(&pipeline.log),
        failures: Arc::clone(&failures),
    });
    let running = Running::start(&settings, Arc::clone(&log) as _);
    pipeline.consumed(&settings).await;
    running.ready().await;

    failures.polls.lock().unwrap().push_back(LaneError::OffsetsLost {
        topic: topics::STAGING.to_owned(),
        partition: 3,
        next: 17,
        earliest: 4711,
    });
    running.complains_of("partition 3: offsets 17..4711 were deleted").await;
    running.stop().await;
    assert_eq!(pipeline.events().await, each_once(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_grow_under_backlog_up_to_their_limit_and_are_small_without() {
    let pipeline = Pipeline::new().await;
    let mut settings = settings();
    settings.consumer.lanes = 1;
    settings.transaction.max_events = 200;
    stage_many(&pipeline, 0..400).await;
    let failures = Arc::new(Failures::default());
    let log = FailingLog {
        inner: Arc::clone(&pipeline.log),
        failures: Arc::clone(&failures),
    };
    let running = Running::start(&settings, Arc::new(log));
    pipeline.consumed(&settings).await;
    let under_backlog = std::mem::take(&mut *failures.committed.lock().unwrap());
    assert_eq!(under_backlog.iter().sum::<usize>(), 2_000);
    // The batch that reaches the limit is the last.
    assert!(under_backlog.iter().all(|outputs| *outputs < 205), "{under_backlog:?}");
    assert!(under_backlog.contains(&200), "{under_backlog:?}");
    assert!(under_backlog.len() < 40, "{under_backlog:?}");

    stage_many(&pipeline, 400..401).await;
    pipeline.consumed(&settings).await;
    assert_eq!(*failures.committed.lock().unwrap(), [5]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_waits_and_does_not_move_makes_the_process_unhealthy() {
    let pipeline = Pipeline::new().await;
    let mut settings = settings();
    settings.consumer.stalled_after = Duration::from_secs(1);
    pipeline.stage("s", &[click(1)]).await;
    let failures = Arc::new(Failures::default());
    failures.holds_commits.store(true, Ordering::Relaxed);
    let log = FailingLog {
        inner: Arc::clone(&pipeline.log),
        failures: Arc::clone(&failures),
    };
    let running = Running::start(&settings, Arc::new(log));
    running.complains_of("has stood at offset 0 for").await;
    assert!(
        running
            .readiness
            .report()
            .stuck()
            .is_some_and(|component| component.name == "progress")
    );

    failures.holds_commits.store(false, Ordering::Relaxed);
    pipeline.consumed(&settings).await;
    running.ready().await;
    assert_eq!(running.readiness.report().stuck(), None);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_identity_was_taken_over_ends() {
    let pipeline = Pipeline::new().await;
    let settings = settings();
    let first = pipeline.start(&settings);
    first.ready().await;
    let second = pipeline.start(&settings);
    let error = first.ended().await.unwrap_err();
    assert!(matches!(error, EnricherError::Fenced(_)), "{error}");
    stage_many(&pipeline, 0..40).await;
    pipeline.consumed(&settings).await;
    second.stop().await;
    assert_eq!(pipeline.events().await, each_once(40));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_no_edge_wrote_becomes_a_reject_and_the_rest_goes_on() {
    let pipeline = Pipeline::new().await;
    let settings = settings();
    pipeline.stage("s", &[click(1)]).await;
    pipeline.stage_bytes("s", &b"no Avro at all"[..]).await;
    pipeline.stage_bytes("s", &b""[..]).await;
    pipeline.stage_bytes("s", &b"\xC3\x01another\0"[..]).await;
    pipeline.stage("s", &[click(2)]).await;
    let running = pipeline.start(&settings);
    pipeline.consumed(&settings).await;
    running.ready().await;
    running.stop().await;
    assert_eq!(pipeline.events().await, BTreeMap::from([("s".to_owned(), vec![1, 2])]));
    assert_eq!(
        pipeline.codes().await,
        ["undecodable_record", "undecodable_record", "unknown_schema"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_faults_of_ours_is_held_back_and_shown() {
    let pipeline = Pipeline::new().await;
    let mut settings = settings();
    settings.transaction.max_events = 2000;
    pipeline.stage("s", &[click(1)]).await;
    for _ in 0..200 {
        pipeline.stage_bytes("s", &b"\xC3\x01another\0"[..]).await;
    }
    let running = pipeline.start(&settings);
    running.complains_of("can't be processed (unknown_schema)").await;
    until("the allowance is used up", || async {
        (pipeline.codes().await.len() >= 19).then_some(())
    })
    .await;
    assert!(!running.readiness.report().ready);
    running.stop().await;
    let rejected = pipeline.codes().await.len();
    assert!(rejected < 30, "{rejected} of 200 became rejects");
    assert_eq!(pipeline.events().await, BTreeMap::from([("s".to_owned(), vec![1])]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_over_its_topics_real_limit_becomes_a_reject() {
    let pipeline = Pipeline::with_raw_limit(8 << 10).await;
    let settings = settings();
    let mut large = click(2);
    large["payload"]["text"] = "x".repeat(20_000).into();
    pipeline.stage("s", &[click(1), large, click(3)]).await;
    let running = pipeline.start(&settings);
    pipeline.consumed(&settings).await;
    running.complains_of("larger outputs become rejects").await;
    running.stop().await;
    assert_eq!(pipeline.events().await, BTreeMap::from([("s".to_owned(), vec![1, 3])]));
    assert_eq!(pipeline.codes().await, ["output_too_large"]);
}
