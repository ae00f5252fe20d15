//! What lanes do in tests: poll with patience, pass records on.

use std::sync::Arc;
use std::time::Duration;

use gosight_eventlog::{Assigned, Lane, LaneError, LogRecord, NewRecord, PollLimit, Polled};
use tokio::time::Instant;

use crate::bench::PATIENCE;

pub(crate) fn limit(max_records: usize) -> PollLimit {
    PollLimit {
        max_records,
        max_bytes: 16 << 20,
        max_weight: usize::MAX,
        weight: |_| 0,
        max_wait: Duration::from_millis(100),
    }
}

/// Polls, and asserts that changes come alone.
pub(crate) async fn poll(lane: &mut Box<dyn Lane>, limit: PollLimit) -> Result<Polled, LaneError> {
    let polled = lane.poll(limit).await?;
    assert!(
        polled.records.is_empty() || (polled.assigned.is_empty() && polled.revoked.is_empty()),
        "records came together with a change of the assignment"
    );
    Ok(polled)
}

/// Polls until the lane has been given so many partitions.
pub(crate) async fn await_assigned(lane: &mut Box<dyn Lane>, partitions: usize) -> Vec<Assigned> {
    let mut assigned: Vec<Assigned> = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while assigned.len() < partitions {
        assert!(
            Instant::now() < deadline,
            "only {assigned:?} of {partitions} partitions came"
        );
        let polled = poll(lane, limit(1)).await.unwrap();
        assert!(polled.records.is_empty(), "records came before all partitions did");
        assigned.retain(|held| !polled.revoked.contains(&held.partition));
        assigned.extend(polled.assigned);
    }
    assigned
}

/// How many records of those partitions are before the lane's positions.
pub(crate) fn done(assigned: &[Assigned]) -> usize {
    let done: i64 = assigned.iter().map(|assigned| assigned.next_offset).sum();
    usize::try_from(done).unwrap()
}

/// Polls until records come.
pub(crate) async fn await_records(lane: &mut Box<dyn Lane>, limit: PollLimit) -> Vec<LogRecord> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let polled = poll(lane, limit).await.unwrap();
        if !polled.records.is_empty() {
            return polled.records;
        }
        assert!(Instant::now() < deadline, "no records came");
    }
}

/// The same record for another topic.
pub(crate) fn passed_on(record: &LogRecord, topic: &Arc<str>) -> NewRecord {
    NewRecord {
        topic: Arc::clone(topic),
        key: record.key.clone().unwrap(),
        value: record.value.clone(),
        headers: record.headers.clone(),
    }
}

/// Polls once and passes on what comes; tells how many were committed. An aborted transaction counts as none.
pub(crate) async fn pass_on_once(lane: &mut Box<dyn Lane>, output: &Arc<str>, max_records: usize) -> (Polled, usize) {
    let polled = match poll(lane, limit(max_records)).await {
        Ok(polled) => polled,
        Err(error) => panic!("the lane could not poll: {error}"),
    };
    if polled.records.is_empty() {
        return (polled, 0);
    }
    let outputs = polled.records.iter().map(|record| passed_on(record, output)).collect();
    match lane.commit(outputs).await {
        Ok(()) => {
            let count = polled.records.len();
            (polled, count)
        }
        Err(LaneError::Aborted { .. }) => (polled, 0),
        Err(error) => panic!("the lane could not commit: {error}"),
    }
}

/// Passes on records until so many have been committed.
pub(crate) async fn pass_on(lane: &mut Box<dyn Lane>, output: &Arc<str>, count: usize) {
    let mut done = 0;
    let deadline = Instant::now() + PATIENCE;
    while done < count {
        assert!(
            Instant::now() < deadline,
            "only {done} of {count} records were passed on"
        );
        done += pass_on_once(lane, output, 500).await.1;
    }
}
