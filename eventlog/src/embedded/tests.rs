//! The engine by its public door: what the suite for both engines can't show.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::{FutureExt, poll};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

use super::{EmbeddedLog, EmbeddedOptions};
use crate::{
    AppendError, Cleanup, EventLog, Lane, LaneError, LaneOptions, NewRecord, PollLimit, Polled, TimestampSource,
    TopicSpec,
};

/// Longer than anything may take.
const PATIENCE: Duration = Duration::from_secs(30);
const LIMIT: PollLimit = PollLimit {
    max_records: 1_000,
    max_bytes: 1 << 20,
    max_weight: usize::MAX,
    weight: |_| 0,
    max_wait: Duration::ZERO,
};

async fn open(directory: &Path) -> Arc<dyn EventLog> {
    open_with(directory, EmbeddedOptions::default()).await
}

async fn open_with(directory: &Path, options: EmbeddedOptions) -> Arc<dyn EventLog> {
    let log = EmbeddedLog::open(directory, options).await.unwrap();
    log.create_topics(&[
        spec("in", Duration::from_secs(3_600)),
        spec("out", Duration::from_secs(3_600)),
    ])
    .await
    .unwrap();
    log
}

fn spec(name: &str, retention: Duration) -> TopicSpec {
    TopicSpec {
        name: name.to_owned(),
        partitions: 2,
        retention,
        cleanup: Cleanup::Delete,
        max_message_bytes: 1 << 20,
        timestamps: TimestampSource::LogAppendTime,
    }
}

fn record(topic: &str, key: usize, value: impl Into<Vec<u8>>) -> NewRecord {
    NewRecord {
        topic: topic.into(),
        key: key.to_string().into_bytes().into(),
        value: value.into().into(),
        headers: Vec::new(),
    }
}

async fn append(log: &Arc<dyn EventLog>, topic: &str, count: usize, bytes: usize) {
    let queued: Vec<_> = (0..count)
        .map(|number| log.append(record(topic, number, vec![7; bytes])))
        .collect();
    for result in join_all(queued).await {
        result.unwrap();
    }
}

async fn lane(log: &Arc<dyn EventLog>, id: &str, session_timeout: Duration) -> Box<dyn Lane> {
    log.lane(LaneOptions {
        group: "group".to_owned(),
        topic: "in".to_owned(),
        transactional_id: id.to_owned(),
        session_timeout,
        transaction_timeout: Duration::from_secs(5),
    })
    .await
    .unwrap()
}

/// The next poll that brings records.
async fn records(lane: &mut Box<dyn Lane>) -> Polled {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let max_wait = Duration::from_millis(500);
        let polled = lane.poll(PollLimit { max_wait, ..LIMIT }).await.unwrap();
        if !polled.records.is_empty() {
            return polled;
        }
        assert!(Instant::now() < deadline, "no records came");
    }
}

async fn ends(log: &Arc<dyn EventLog>, topic: &str) -> i64 {
    log.bounds(topic).await.unwrap().iter().map(|bounds| bounds.end).sum()
}

async fn until_all_is_deleted(log: &Arc<dyn EventLog>, topic: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let bounds = log.bounds(topic).await.unwrap();
        if bounds.iter().all(|bounds| bounds.earliest == bounds.end) {
            return;
        }
        assert!(Instant::now() < deadline, "records stay: {bounds:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn soon() -> EmbeddedOptions {
    EmbeddedOptions {
        retention_interval: Duration::from_millis(20),
        ..EmbeddedOptions::default()
    }
}

async fn connect(directory: &TempDir) -> SqliteConnection {
    SqliteConnection::connect(directory.path().join("log.db").to_str().unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_file_stops_growing_and_offsets_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let log = open_with(directory.path(), soon()).await;
    log.create_topics(&[spec("short", Duration::from_millis(1))])
        .await
        .unwrap();
    let file = directory.path().join("log.db");
    let mut sizes = Vec::new();
    for _ in 0..6 {
        append(&log, "short", 2_000, 4_000).await;
        until_all_is_deleted(&log, "short").await;
        let mut connection = connect(&directory).await;
        sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
            .execute(&mut connection)
            .await
            .unwrap();
        sizes.push(std::fs::metadata(&file).unwrap().len());
    }
    let one_round = 2_000 * 4_000;
    assert!(sizes[0] > one_round / 2, "the rounds are too small to tell: {sizes:?}");
    assert!(sizes[5] < sizes[1] + one_round / 2, "the file grows on: {sizes:?}");
    assert_eq!(ends(&log, "short").await, 12_000);

    log.close(PATIENCE).await.unwrap();
    let log = open(directory.path()).await;
    append(&log, "short", 1, 1).await;
    assert_eq!(ends(&log, "short").await, 12_001);
}

#[tokio::test]
async fn a_reader_below_the_earliest_offset_begins_there() {
    let directory = tempfile::tempdir().unwrap();
    let log = open_with(directory.path(), soon()).await;
    log.create_topics(&[spec("short", Duration::from_millis(1))])
        .await
        .unwrap();
    append(&log, "short", 10, 1).await;
    until_all_is_deleted(&log, "short").await;
    let reader = log.reader("short", &[(0, 0), (1, 0)]).await.unwrap();
    let positions: i64 = reader.positions().iter().map(|(_, offset)| offset).sum();
    assert_eq!(positions, 10);
}

#[tokio::test]
async fn records_deleted_before_they_were_consumed_stop_the_lane_and_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).await;
    append(&log, "in", 10, 1).await;
    let mut first = lane(&log, "a", PATIENCE).await;
    let consumed = records(&mut first).await.records.len();
    first.commit(Vec::new()).await.unwrap();
    first.close().await.unwrap();
    append(&log, "in", 10, 1).await;
    let mut connection = connect(&directory).await;
    sqlx::query("UPDATE topics SET retention_ms = 0 WHERE name = 'in'")
        .execute(&mut connection)
        .await
        .unwrap();
    log.close(PATIENCE).await.unwrap();

    let log = open_with(directory.path(), soon()).await;
    until_all_is_deleted(&log, "in").await;
    let mut second = lane(&log, "a", PATIENCE).await;
    for _ in 0..2 {
        let error = second.poll(LIMIT).await.unwrap_err();
        let LaneError::OffsetsLost {
            topic, next, earliest, ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!(topic, "in");
        assert!(next < earliest, "{next}..{earliest}");
    }
    assert_eq!(consumed, 10);
}

#[tokio::test]
async fn a_lane_whose_epoch_was_outdated_in_the_file_commits_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).await;
    append(&log, "in", 10, 1).await;
    let mut zombie = lane(&log, "a", PATIENCE).await;
    records(&mut zombie).await;
    // As another process does it.
    let mut connection = connect(&directory).await;
    sqlx::query("UPDATE transactional_ids SET epoch = epoch + 1 WHERE id = 'a'")
        .execute(&mut connection)
        .await
        .unwrap();
    let error = zombie.commit(vec![record("out", 1, "x")]).await.unwrap_err();
    assert!(matches!(error, LaneError::Fenced { .. }), "{error}");
    assert_eq!(ends(&log, "out").await, 0);
    assert_eq!(log.committed("group", "in").await.unwrap(), []);
}

#[tokio::test]
async fn a_second_handle_on_the_directory_fences_and_takes_over() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).await;
    let other = open(directory.path()).await;
    append(&log, "in", 10, 1).await;
    let mut zombie = lane(&log, "a", PATIENCE).await;
    records(&mut zombie).await;
    let mut heir = lane(&other, "a", PATIENCE).await;
    let polled = records(&mut heir).await;
    assert!(matches!(
        zombie.commit(vec![record("out", 1, "zombie")]).await,
        Err(LaneError::Fenced { .. })
    ));
    heir.commit(vec![record("out", 1, "heir")]).await.unwrap();
    assert_eq!((polled.records.len(), ends(&log, "out").await), (10, 1));
    // One handle's end is not the other's.
    log.close(PATIENCE).await.unwrap();
    append(&other, "in", 1, 1).await;
    assert!(matches!(
        log.append(record("in", 1, "x")).await,
        Err(AppendError::Closed)
    ));
}

#[tokio::test]
async fn a_silent_lane_loses_its_partitions_and_commits_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).await;
    append(&log, "in", 10, 1).await;
    let mut silent = lane(&log, "a", Duration::from_millis(100)).await;
    assert_eq!(records(&mut silent).await.records.len(), 10);
    let mut other = lane(&log, "b", PATIENCE).await;
    assert_eq!(records(&mut other).await.records.len(), 10);

    let error = silent.commit(vec![record("out", 1, "silent")]).await.unwrap_err();
    assert!(matches!(error, LaneError::Aborted { .. }), "{error}");
    assert_eq!(ends(&log, "out").await, 0);
    other.commit(vec![record("out", 1, "other")]).await.unwrap();
    assert_eq!(ends(&log, "out").await, 1);
    // It may come back, and is told what it lost.
    let polled = silent.poll(LIMIT).await.unwrap();
    assert_eq!(polled.revoked, [0, 1]);
    assert!(polled.records.is_empty());
}

#[tokio::test]
async fn a_commit_that_nobody_waits_for_counts_once() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).await;
    append(&log, "in", 10, 1).await;
    let mut lane = lane(&log, "a", PATIENCE).await;
    assert_eq!(records(&mut lane).await.records.len(), 10);
    // The outputs' topic is known and another process writes: the first step queues the commit, and there it stays.
    log.describe("out").await.unwrap();
    let mut connection = connect(&directory).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    {
        let mut commit = lane.commit(vec![record("out", 1, "x")]).boxed();
        assert!(poll!(&mut commit).is_pending());
    }
    let (polled, unblocked) = tokio::join!(lane.poll(LIMIT), sqlx::query("ROLLBACK").execute(&mut connection));
    unblocked.unwrap();
    assert!(polled.unwrap().records.is_empty());
    append(&log, "in", 1, 1).await;
    assert_eq!(records(&mut lane).await.records.len(), 1);
    assert_eq!(ends(&log, "out").await, 1);
}

#[tokio::test]
async fn a_waiting_poll_ends_when_records_come() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).await;
    let mut lane = lane(&log, "a", PATIENCE).await;
    assert_eq!(lane.poll(LIMIT).await.unwrap().assigned.len(), 2);
    let max_wait = PATIENCE;
    let (polled, ()) = tokio::join!(lane.poll(PollLimit { max_wait, ..LIMIT }), append(&log, "in", 1, 1));
    assert_eq!(polled.unwrap().records.len(), 1);
}

#[tokio::test]
async fn an_output_that_is_too_large_leaves_the_rest_to_be_committed() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).await;
    append(&log, "in", 10, 1).await;
    let mut lane = lane(&log, "a", PATIENCE).await;
    records(&mut lane).await;
    let outputs = vec![record("out", 1, "x"), record("out", 22, vec![0; 1 << 20])];
    let error = lane.commit(outputs).await.unwrap_err();
    let LaneError::OutputTooLarge { topic, size, limit } = error else {
        panic!("{error}");
    };
    assert_eq!((topic.as_str(), size, limit), ("out", (1 << 20) + 2, 1 << 20));
    assert_eq!(ends(&log, "out").await, 0);
    lane.commit(vec![record("out", 1, "cut")]).await.unwrap();
    let committed = log.committed("group", "in").await.unwrap();
    assert_eq!(committed.iter().map(|(_, next)| next).sum::<i64>(), 10);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        queue_bytes: 200_000,
        ..EmbeddedOptions::default()
    };
    let log = open_with(directory.path(), options).await;
    // Another process writes, so that ours waits.
    let mut connection = connect(&directory).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    let waiting = log.append(record("in", 1, vec![0; 150_000]));
    let refused = log.append(record("in", 1, vec![0; 100_000])).now_or_never();
    assert!(
        matches!(refused, Some(Err(AppendError::QueueFull { in_flight_bytes })) if in_flight_bytes > 150_000),
        "{refused:?}"
    );
    sqlx::query("ROLLBACK").execute(&mut connection).await.unwrap();
    waiting.await.unwrap();
    log.append(record("in", 1, vec![0; 100_000])).await.unwrap();
}

#[tokio::test]
async fn reading_leaves_the_file_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).await;
    log.create_topics(&[spec("short", Duration::from_millis(1))])
        .await
        .unwrap();
    log.close(PATIENCE).await.unwrap();
    let mut connection = connect(&directory).await;
    let version = async |connection: &mut SqliteConnection| -> i64 {
        sqlx::query_scalar("PRAGMA data_version")
            .fetch_one(connection)
            .await
            .unwrap()
    };
    let before = version(&mut connection).await;

    let log = EmbeddedLog::open(directory.path(), soon()).await.unwrap();
    let mut reader = log.reader("short", &[(0, 0)]).await.unwrap();
    // Longer than the retention's interval: a writer that had begun would have begun by now.
    reader.next(10, Duration::from_millis(100)).await.unwrap();
    log.bounds("short").await.unwrap();
    log.committed("group", "short").await.unwrap();
    log.offsets_at("short", 0).await.unwrap();
    log.health(PATIENCE).await.unwrap();
    assert_eq!(version(&mut connection).await, before);
    let shared = super::Shared::open(
        &directory.path().join("log.db").canonicalize().unwrap(),
        &EmbeddedOptions::default(),
    )
    .unwrap();
    assert!(!shared.is_writing());
    append(&log, "in", 1, 1).await;
    assert!(shared.is_writing());
    assert_ne!(version(&mut connection).await, before);
}

#[tokio::test]
async fn a_file_of_something_else_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.db");
    std::fs::write(&path, "").unwrap();
    let mut connection = connect(&directory).await;
    sqlx::raw_sql("CREATE TABLE notes (text TEXT); PRAGMA user_version = 7")
        .execute(&mut connection)
        .await
        .unwrap();
    let opened = EmbeddedLog::open(directory.path(), EmbeddedOptions::default()).await;
    let error = opened.err().map(|error| error.to_string()).unwrap();
    assert!(error.contains("log.db") && error.contains("version 7"), "{error}");
}
