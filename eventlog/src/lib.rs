//! The log behind one narrow interface, with two engines: `kafka` (rdkafka) for many machines and `embedded` (SQLite) for
//! one process with no services. [`EventLog`] appends and awaits durability, opens [`Lane`]s that poll and then commit outputs
//! and consumed positions together, opens [`Job`]s that commit outputs alone, opens [`Reader`]s over ranges, and administers topics. Both engines pass one conformance
//! suite (`tests/`). May depend on `schemas` and `config`; knows nothing of events, keys or transports.

mod error;
mod job;
mod lane;
mod reader;
mod record;
mod topic;
mod work;

pub mod embedded;
pub mod kafka;

use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;

pub use error::{AppendError, LaneError, LogError};
pub use job::{Job, JobError};
pub use lane::{Assigned, Lane, LaneOptions, PollLimit, Polled};
pub use reader::Reader;
pub use record::{Header, LogRecord, NewRecord, Position};
pub use topic::{Cleanup, PartitionBounds, TimestampSource, TopicCreation, TopicInfo, TopicSpec};
pub use work::{Doomed, Ended, Output, Outputs, Verdict, Work};

/// How long a job's transaction may take until the log aborts it.
pub(crate) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// What [`EventLog::append`] hands back: resolves when the record is durable, or to the reason why it may not be.
pub type Durable = BoxFuture<'static, Result<Position, AppendError>>;

/// A partitioned, durable log of records. One handle serves a whole process; clones of the `Arc` share it.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Queues a record in call order and returns at once; the result resolves only after the log has it (Kafka: acks=all by an
    /// idempotent producer; embedded: committed and synced). Records of one key keep their call order. A full queue or a record
    /// over the topic's limit resolves to an error without waiting.
    fn append(&self, record: NewRecord) -> Durable;

    /// Joins a consumer group as one member with its own transactional producer.
    async fn lane(&self, options: LaneOptions) -> Result<Box<dyn Lane>, LogError>;

    /// Opens the job of that transactional id: fences an older holder, whose next commit fails, and ends what it left open.
    async fn job(&self, transactional_id: &str) -> Result<Box<dyn Job>, LogError>;

    /// Opens a reader over committed records of a topic, from the given `(partition, offset)` of each partition to read.
    async fn reader(&self, topic: &str, starts: &[(i32, i64)]) -> Result<Box<dyn Reader>, LogError>;

    /// Earliest and end offset of each partition of a topic. The end is that of committed records (Kafka: last stable offset).
    async fn bounds(&self, topic: &str) -> Result<Vec<PartitionBounds>, LogError>;

    /// For each partition the offset of the first record whose timestamp is at or after `time_ms` (Unix ms); the end offset
    /// where there is none.
    async fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<Vec<(i32, i64)>, LogError>;

    /// The positions that a consumer group has committed on a topic: `(partition, next offset)`, partitions without one left out.
    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<(i32, i64)>, LogError>;

    /// Creates the topics that do not exist; leaves existing ones as they are. Replication is min(3, brokers).
    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<Vec<TopicCreation>, LogError>;

    /// What a topic is now, or `None` where it does not exist.
    async fn describe(&self, topic: &str) -> Result<Option<TopicInfo>, LogError>;

    /// Asks the log whether it can serve, within `timeout`.
    async fn health(&self, timeout: Duration) -> Result<(), LogError>;

    /// Waits until everything queued is durable or failed, within `timeout`, and gives the resources back. Later appends fail.
    async fn close(&self, timeout: Duration) -> Result<(), LogError>;
}
