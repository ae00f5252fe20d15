//! The engine for one machine: a SQLite file, with nothing else to start. Records, positions and identities stand in the file;
//! who is a member of a group stands in memory, because one process owns a directory. Other processes may read it meanwhile.
//!
//! Everything that writes goes through one thread (`writer`), which gathers what waits into one synced transaction.

mod assignment;
mod bounds;
mod fetch;
mod group;
mod headers;
mod ids;
mod job;
mod lane;
mod murmur2;
mod place;
mod queue;
mod reader;
mod schema;
mod shared;
mod topics;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio::sync::oneshot;

use self::job::EmbeddedJob;
use self::lane::EmbeddedLane;
use self::queue::{Append, Control, Job as Queued, Placed, Unresolved};
use self::reader::EmbeddedReader;
use self::shared::Shared;
use crate::{
    AppendError, Durable, EventLog, Job, Lane, LaneOptions, LogError, NewRecord, PartitionBounds, Position, Reader,
    TopicCreation, TopicInfo, TopicSpec,
};

/// How long one question to the file may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a record may wait for the disk until it counts as in doubt.
const APPEND_TIMEOUT: Duration = Duration::from_secs(30);

/// How an embedded log works. While a directory is open twice in one process, the first opener's options count.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Bytes of records that may wait for the disk; more are refused at once.
    pub queue_bytes: usize,
    /// Between two transactions at least so long, so that each one syncs more records. The first after a pause begins at once.
    pub commit_interval: Duration,
    /// How often records past their topic's retention are looked for.
    pub retention_interval: Duration,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            queue_bytes: 64 << 20,
            commit_interval: Duration::from_millis(2),
            retention_interval: Duration::from_secs(60),
        }
    }
}

/// A log in a directory.
pub struct EmbeddedLog {
    shared: Arc<Shared>,
    closed: AtomicBool,
}

impl EmbeddedLog {
    /// Opens the log in a directory; creates what is missing. Until something is appended, created or consumed, the file is only
    /// read: records past their retention stay, and the process that owns the directory is not disturbed.
    pub async fn open(directory: &Path, options: EmbeddedOptions) -> Result<Arc<dyn EventLog>, LogError> {
        let path = schema::prepare(directory).await?;
        Ok(Arc::new(Self {
            shared: Shared::open(&path, &options)?,
            closed: AtomicBool::new(false),
        }))
    }

    /// Queues the record and hands back where the answer will come, or why it is not queued.
    fn enqueue(&self, record: NewRecord) -> Result<oneshot::Receiver<Result<Position, AppendError>>, AppendError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(AppendError::Closed);
        }
        let claim = self.shared.budget.claim(&record)?;
        let record = match self.shared.topics.get(&record.topic) {
            None => Unresolved::Unknown(record),
            Some(topic) => {
                let limit = topic.limit();
                let placed = Placed::new(record, Arc::clone(&topic)).map_err(|size| AppendError::TooLarge {
                    topic: topic.name.to_string(),
                    size,
                    limit,
                })?;
                Unresolved::Placed(placed)
            }
        };
        let (reply, answer) = oneshot::channel();
        let job = Queued::Append(Append {
            record,
            created_ms: now_ms(),
            claim,
            reply,
        });
        self.shared.queue(job).map_err(|_| AppendError::Closed)?;
        Ok(answer)
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        // What is queued is still written: the writer ends when the last lane and reader are gone too, and its queue is empty.
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.shared.let_go();
        }
    }
}

#[async_trait]
impl EventLog for EmbeddedLog {
    fn append(&self, record: NewRecord) -> Durable {
        let queued = self.enqueue(record);
        Box::pin(async move {
            let in_doubt = |reason: String| AppendError::InDoubt { reason };
            match tokio::time::timeout(APPEND_TIMEOUT, queued?).await {
                Ok(answer) => answer.unwrap_or_else(|_| Err(in_doubt("the log was closed meanwhile".to_owned()))),
                Err(_) => Err(in_doubt(format!("no answer from the disk within {APPEND_TIMEOUT:?}"))),
            }
        })
    }

    async fn lane(&self, options: LaneOptions) -> Result<Box<dyn Lane>, LogError> {
        let topic = self.shared.topic(&options.topic, ASK_TIMEOUT).await?;
        let lane = EmbeddedLane::open(Arc::clone(&self.shared), topic, options).await?;
        Ok(Box::new(lane))
    }

    async fn job(&self, transactional_id: &str) -> Result<Box<dyn Job>, LogError> {
        let job = EmbeddedJob::open(Arc::clone(&self.shared), transactional_id).await?;
        Ok(Box::new(job))
    }

    async fn reader(&self, topic: &str, starts: &[(i32, i64)]) -> Result<Box<dyn Reader>, LogError> {
        let topic = self.shared.topic(topic, ASK_TIMEOUT).await?;
        let reader = EmbeddedReader::open(Arc::clone(&self.shared), topic, starts).await?;
        Ok(Box::new(reader))
    }

    async fn bounds(&self, topic: &str) -> Result<Vec<PartitionBounds>, LogError> {
        let topic = self.shared.topic(topic, ASK_TIMEOUT).await?;
        let extents = self
            .shared
            .read("reading a topic's bounds", ASK_TIMEOUT, async |connection| {
                bounds::extents(connection, Some(topic.id)).await
            })
            .await?;
        Ok(extents
            .into_iter()
            .map(|extent| PartitionBounds {
                partition: extent.partition,
                earliest: extent.earliest,
                end: extent.end,
            })
            .collect())
    }

    async fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<Vec<(i32, i64)>, LogError> {
        let topic = self.shared.topic(topic, ASK_TIMEOUT).await?;
        self.shared
            .read("looking up a time", ASK_TIMEOUT, async |connection| {
                let mut offsets = Vec::with_capacity(topic.logs.len());
                for (partition, log) in (0..).zip(&topic.logs) {
                    offsets.push((partition, bounds::offset_at(connection, log.id, time_ms).await?));
                }
                Ok(offsets)
            })
            .await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<(i32, i64)>, LogError> {
        let topic = self.shared.topic(topic, ASK_TIMEOUT).await?;
        self.shared
            .read("reading a group's positions", ASK_TIMEOUT, async |connection| {
                bounds::committed(connection, group, topic.id).await
            })
            .await
    }

    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<Vec<TopicCreation>, LogError> {
        let topics = topics.to_vec();
        self.shared
            .ask("creating topics", ASK_TIMEOUT, |reply| Control::CreateTopics {
                topics,
                reply,
            })
            .await?
    }

    async fn describe(&self, topic: &str) -> Result<Option<TopicInfo>, LogError> {
        match self.shared.topic(topic, ASK_TIMEOUT).await {
            Ok(topic) => Ok(Some(topic.info())),
            Err(LogError::UnknownTopic { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn health(&self, timeout: Duration) -> Result<(), LogError> {
        if self.shared.is_writing() {
            return self
                .shared
                .ask("asking the log", timeout, |reply| Control::Ping { reply })
                .await?;
        }
        self.shared
            .read("asking the log", timeout, async |connection| {
                sqlx::query("SELECT 1 FROM topics").fetch_optional(connection).await
            })
            .await
            .map(|_| ())
    }

    async fn close(&self, timeout: Duration) -> Result<(), LogError> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        if !self.shared.let_go() {
            return self
                .shared
                .ask("closing the log", timeout, |reply| Control::Ping { reply })
                .await?;
        }
        self.shared.shut();
        self.shared
            .ask("closing the log", timeout, |reply| Control::Stop { reply })
            .await
    }
}

/// This process' clock, Unix ms.
fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
