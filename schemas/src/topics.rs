//! Names, sizes and keys of the topics.

use std::time::Duration;

/// Raw batches, Avro, keyed by session.
pub const STAGING: &str = "gosight.events.staging";
/// Enriched events, JSON, keyed by session.
pub const RAW: &str = "gosight.events.raw";
/// Rejects, JSON, keyed by project.
pub const ERRORS: &str = "gosight.events.errors";
/// Replay chunks, JSON, keyed by session id.
pub const REPLAY: &str = "gosight.replay.chunks";

/// What operators did: entries of [`crate::ledger`], JSON, keyed by what they are about.
pub const LEDGER: &str = "gosight.ops.ledger";

/// How many partitions a topic has and how long it keeps a record: the contract's, whatever the topic is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Partitions.
    pub partitions: i32,
    /// Retention by time.
    pub retention: Duration,
}

const DAY: u64 = 86_400;

/// Shape of the staging topic.
pub const STAGING_SHAPE: Shape = Shape {
    partitions: 12,
    retention: Duration::from_secs(3 * DAY),
};
/// Shape of the raw topic.
pub const RAW_SHAPE: Shape = Shape {
    partitions: 12,
    retention: Duration::from_secs(7 * DAY),
};
/// Shape of the errors topic.
pub const ERRORS_SHAPE: Shape = Shape {
    partitions: 3,
    retention: Duration::from_secs(30 * DAY),
};
/// Shape of the replay topic.
pub const REPLAY_SHAPE: Shape = Shape {
    partitions: 6,
    retention: Duration::from_secs(3 * DAY),
};

/// Shape of the ledger. One partition, so that its entries have one order; it is compacted, so its retention counts for nothing.
pub const LEDGER_SHAPE: Shape = Shape {
    partitions: 1,
    retention: Duration::from_secs(365 * DAY),
};

/// Key of staging and raw records: the events of a session share a partition. A batch without a session goes by its batch id, so
/// that such batches spread.
pub fn session_key(project_id: &str, session_or_batch_id: &str) -> String {
    format!("{project_id}:{session_or_batch_id}")
}
