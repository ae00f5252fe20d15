//! Topics as a downstream service reads them: committed records only.

use std::collections::BTreeMap;
use std::time::Duration;

use gosight_eventlog::{EventLog, LogRecord};
use serde_json::Value;

use crate::wait;

/// How long one read waits: only for the end of what stands there.
const READ: Duration = Duration::from_secs(5);

/// Every record that stands on a topic now, in offset order per partition.
pub async fn all(log: &dyn EventLog, topic: &str) -> Vec<LogRecord> {
    let mut records = Vec::new();
    each(log, topic, |record| records.push(record)).await;
    records
}

/// The same, one after the other, where there are too many to hold.
pub async fn each(log: &dyn EventLog, topic: &str, mut take: impl FnMut(LogRecord)) {
    let bounds = log.bounds(topic).await.expect("the topic exists");
    let starts: Vec<(i32, i64)> = bounds.iter().map(|at| (at.partition, at.earliest)).collect();
    let ends: BTreeMap<i32, i64> = bounds.iter().map(|at| (at.partition, at.end)).collect();
    let mut reader = log.reader(topic, &starts).await.expect("the topic can be read");
    while reader
        .positions()
        .iter()
        .any(|(partition, offset)| *offset < ends[partition])
    {
        let some = reader.next(10_000, READ).await.expect("the topic can be read");
        some.into_iter()
            .filter(|record| record.position.offset < ends[&record.position.partition])
            .for_each(&mut take);
    }
}

/// Waits until a topic holds at least `count` records, and gives them all.
pub async fn at_least(log: &dyn EventLog, topic: &str, count: usize, deadline: Duration) -> Vec<LogRecord> {
    let what = format!("{topic} holds {count} records");
    wait::until(&what, deadline, || async {
        let records = all(log, topic).await;
        (records.len() >= count).then_some(records)
    })
    .await
}

/// A record's value as JSON.
pub fn json(record: &LogRecord) -> Value {
    serde_json::from_slice(&record.value).expect("the record is JSON")
}

/// A record's header as text.
pub fn header(record: &LogRecord, name: &str) -> String {
    let value = record
        .header(name)
        .unwrap_or_else(|| panic!("header {name} is missing"));
    String::from_utf8(value.to_vec()).expect("headers are text")
}
