//! Topics: what is asked for and what stands.

use std::time::Duration;

/// Which clock stamps the records of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampSource {
    /// The log, when it appends: the staging topic, whose dedupe window rests on it.
    LogAppendTime,
    /// The producer.
    CreateTime,
}

/// What may go from a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// Records older than the retention.
    Delete,
    /// Records whose key came again later; the last one of each key stays for ever, whatever the retention says. The embedded engine
    /// deletes nothing from such a topic: they are ledgers, small beside the events, and its readers take a gap for a loss.
    Compact,
}

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// The topic's name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// Records older than this may go, unless the topic is compacted.
    pub retention: Duration,
    /// What may go from it.
    pub cleanup: Cleanup,
    /// The largest record, bytes (Kafka: max.message.bytes).
    pub max_message_bytes: u32,
    /// Which clock stamps its records.
    pub timestamps: TimestampSource,
}

/// What became of one topic of [`crate::EventLog::create_topics`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicCreation {
    /// It is new.
    Created(String),
    /// It was there and is as it was.
    Existed(String),
}

/// What a topic is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// The topic's name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// Copies of each partition; 1 in the embedded engine.
    pub replication: i32,
    /// Brokers that could have a copy; 1 in the embedded engine.
    pub brokers: i32,
    /// Copies that must have a record before it counts as durable (Kafka: min.insync.replicas).
    pub min_insync: i32,
    /// Records older than this may go; `None` for ever.
    pub retention: Option<Duration>,
    /// What may go from it.
    pub cleanup: Cleanup,
    /// The largest record, bytes.
    pub max_message_bytes: u32,
    /// Which clock stamps its records.
    pub timestamps: TimestampSource,
}

/// The offsets that one partition holds: `earliest <= offset < end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionBounds {
    /// The partition, from 0.
    pub partition: i32,
    /// The oldest offset that is still there.
    pub earliest: i64,
    /// The offset after the last committed record.
    pub end: i64,
}
