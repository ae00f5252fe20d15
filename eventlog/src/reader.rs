//! Reading ranges of a topic, apart from any group.

use std::time::Duration;

use async_trait::async_trait;

use crate::{LogError, LogRecord};

/// Reads committed records of one topic in offset order per partition. Needs no group and commits nothing.
#[async_trait]
pub trait Reader: Send {
    /// Up to `max_records` records. Waits at most `max_wait` for the first one; an empty result says that none came.
    async fn next(&mut self, max_records: usize, max_wait: Duration) -> Result<Vec<LogRecord>, LogError>;

    /// For each partition the next offset to be read: past every record handed out, and past markers that are no records
    /// (Kafka writes some at each commit), so that it reaches the partition's end. `(partition, offset)`.
    fn positions(&self) -> Vec<(i32, i64)>;
}
