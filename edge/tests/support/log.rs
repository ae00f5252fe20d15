//! A log in memory: one partition a topic, and faults that a real one shows only when it is broken.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use gosight_eventlog::{
    AppendError, Durable, EventLog, Job, Lane, LaneOptions, LogError, NewRecord, PartitionBounds, Position, Reader,
    TopicCreation, TopicInfo, TopicSpec,
};
use gosight_schemas::{RawBatch, decode_raw_batch, topics};
use tokio::sync::watch;

pub struct MemoryLog {
    records: Mutex<BTreeMap<String, Vec<NewRecord>>>,
    fault: Mutex<Option<AppendError>>,
    /// Offsets below it are durable.
    durable: watch::Sender<i64>,
}

impl MemoryLog {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            records: Mutex::default(),
            fault: Mutex::default(),
            durable: watch::channel(i64::MAX).0,
        })
    }

    /// From now on appends fail.
    pub fn fail_with(&self, error: AppendError) {
        *self.fault.lock().unwrap() = Some(error);
    }

    /// Only the first `count` records of a topic are durable; the others wait until more are.
    pub fn hold_after(&self, count: i64) {
        self.durable.send_replace(count);
    }

    pub fn records(&self, topic: &str) -> Vec<NewRecord> {
        self.records.lock().unwrap().get(topic).cloned().unwrap_or_default()
    }

    pub fn staged(&self) -> Vec<RawBatch> {
        let records = self.records(topics::STAGING);
        records
            .iter()
            .map(|record| decode_raw_batch(&record.value).unwrap())
            .collect()
    }

    /// Waits until so many records stand on the topic.
    pub async fn reaches(&self, topic: &str, count: usize) {
        let reached = async {
            while self.records(topic).len() < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let within = tokio::time::timeout(super::DEADLINE, reached).await;
        within.unwrap_or_else(|_| panic!("{} of {count} records on {topic}", self.records(topic).len()));
    }
}

fn unused<T>() -> Result<T, LogError> {
    Err(LogError::Failed {
        what: "a call that the edge does not make".to_owned(),
        reason: "not there".to_owned(),
    })
}

#[async_trait]
impl EventLog for MemoryLog {
    fn append(&self, record: NewRecord) -> Durable {
        if let Some(error) = self.fault.lock().unwrap().clone() {
            return Box::pin(async { Err(error) });
        }
        let mut topics = self.records.lock().unwrap();
        let records = topics.entry(record.topic.to_string()).or_default();
        let position = Position {
            topic: Arc::clone(&record.topic),
            partition: 0,
            offset: i64::try_from(records.len()).unwrap(),
        };
        records.push(record);
        let mut durable = self.durable.subscribe();
        Box::pin(async move {
            let reached = durable.wait_for(|durable| *durable > position.offset).await;
            reached.map_err(|_| AppendError::Closed)?;
            Ok(position)
        })
    }

    async fn lane(&self, _options: LaneOptions) -> Result<Box<dyn Lane>, LogError> {
        unused()
    }

    async fn job(&self, _transactional_id: &str) -> Result<Box<dyn Job>, LogError> {
        unused()
    }

    async fn reader(&self, _topic: &str, _starts: &[(i32, i64)]) -> Result<Box<dyn Reader>, LogError> {
        unused()
    }

    async fn bounds(&self, _topic: &str) -> Result<Vec<PartitionBounds>, LogError> {
        unused()
    }

    async fn offsets_at(&self, _topic: &str, _time_ms: i64) -> Result<Vec<(i32, i64)>, LogError> {
        unused()
    }

    async fn committed(&self, _group: &str, _topic: &str) -> Result<Vec<(i32, i64)>, LogError> {
        unused()
    }

    async fn create_topics(&self, _topics: &[TopicSpec]) -> Result<Vec<TopicCreation>, LogError> {
        unused()
    }

    async fn describe(&self, _topic: &str) -> Result<Option<TopicInfo>, LogError> {
        unused()
    }

    async fn health(&self, _timeout: Duration) -> Result<(), LogError> {
        if self.fault.lock().unwrap().is_some() {
            unused()
        } else {
            Ok(())
        }
    }

    async fn close(&self, _timeout: Duration) -> Result<(), LogError> {
        Ok(())
    }
}
