//! A log whose lanes and readers fail when they are told to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use gosight_eventlog::{
    Durable, Ended, EventLog, Job, Lane, LaneError, LaneOptions, LogError, LogRecord, NewRecord, PartitionBounds,
    PollLimit, Polled, Reader, TopicCreation, TopicInfo, TopicSpec, Verdict, Work,
};

/// The errors that the next polls and commits give, over all lanes.
#[derive(Default)]
pub(crate) struct Failures {
    pub(crate) polls: Mutex<VecDeque<LaneError>>,
    pub(crate) commits: Mutex<VecDeque<LaneError>>,
    /// So many reads bring nothing, as when the log does not answer in time.
    pub(crate) empty_reads: AtomicUsize,
    /// Outputs of each commit, in their order.
    pub(crate) committed: Mutex<Vec<usize>>,
    /// Commits wait while it is set.
    pub(crate) holds_commits: AtomicBool,
}

pub(crate) struct FailingLog {
    pub(crate) inner: Arc<dyn EventLog>,
    pub(crate) failures: Arc<Failures>,
}

struct FailingLane {
    inner: Box<dyn Lane>,
    failures: Arc<Failures>,
}

struct FailingReader {
    inner: Box<dyn Reader>,
    failures: Arc<Failures>,
}

#[async_trait]
impl Reader for FailingReader {
    async fn next(&mut self, max_records: usize, max_wait: Duration) -> Result<Vec<LogRecord>, LogError> {
        let empty = &self.failures.empty_reads;
        let fails = empty.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match fails {
            Ok(_) => Ok(Vec::new()),
            Err(_) => self.inner.next(max_records, max_wait).await,
        }
    }

    fn positions(&self) -> Vec<(i32, i64)> {
        self.inner.positions()
    }
}

#[async_trait]
impl Lane for FailingLane {
    async fn poll(&mut self, limit: PollLimit) -> Result<Polled, LaneError> {
        let failure = self.failures.polls.lock().unwrap().pop_front();
        match failure {
            Some(error) => Err(error),
            None => self.inner.poll(limit).await,
        }
    }

    async fn transact(&mut self, work: Work) -> Result<Ended, LaneError> {
        while self.failures.holds_commits.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let failure = self.failures.commits.lock().unwrap().pop_front();
        let mut outputs = Vec::new();
        let verdict = work(&mut outputs);
        match failure {
            Some(error) => {
                if matches!(error, LaneError::Aborted { .. }) {
                    self.inner.rewind().await?;
                }
                Err(error)
            }
            None if verdict == Verdict::GiveBack => self.inner.transact(Box::new(move |_| verdict)).await,
            None => {
                self.failures.committed.lock().unwrap().push(outputs.len());
                self.inner.commit(outputs).await.map(|()| Ended::Committed)
            }
        }
    }

    async fn stay(&mut self) -> Result<(), LaneError> {
        self.inner.stay().await
    }

    async fn rewind(&mut self) -> Result<(), LaneError> {
        self.inner.rewind().await
    }

    async fn close(self: Box<Self>) -> Result<(), LaneError> {
        self.inner.close().await
    }
}

#[async_trait]
impl EventLog for FailingLog {
    fn append(&self, record: NewRecord) -> Durable {
        self.inner.append(record)
    }

    async fn lane(&self, options: LaneOptions) -> Result<Box<dyn Lane>, LogError> {
        Ok(Box::new(FailingLane {
            inner: self.inner.lane(options).await?,
            failures: Arc::clone(&self.failures),
        }))
    }

    async fn job(&self, transactional_id: &str) -> Result<Box<dyn Job>, LogError> {
        self.inner.job(transactional_id).await
    }

    async fn reader(&self, topic: &str, starts: &[(i32, i64)]) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(FailingReader {
            inner: self.inner.reader(topic, starts).await?,
            failures: Arc::clone(&self.failures),
        }))
    }

    async fn bounds(&self, topic: &str) -> Result<Vec<PartitionBounds>, LogError> {
        self.inner.bounds(topic).await
    }

    async fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<Vec<(i32, i64)>, LogError> {
        self.inner.offsets_at(topic, time_ms).await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<(i32, i64)>, LogError> {
        self.inner.committed(group, topic).await
    }

    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<Vec<TopicCreation>, LogError> {
        self.inner.create_topics(topics).await
    }

    async fn describe(&self, topic: &str) -> Result<Option<TopicInfo>, LogError> {
        self.inner.describe(topic).await
    }

    async fn health(&self, timeout: Duration) -> Result<(), LogError> {
        self.inner.health(timeout).await
    }

    async fn close(&self, timeout: Duration) -> Result<(), LogError> {
        self.inner.close(timeout).await
    }
}
