//! What can go wrong with the log, in words for a person and kinds for a caller.

use std::time::Duration;

/// Why a record may not be on the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The record is over the topic's limit; it is not on the log.
    #[error("a record of {size} bytes is over the limit of {limit} bytes of topic {topic}")]
    TooLarge {
        /// The topic's name.
        topic: String,
        /// Bytes of the record.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The queue in front of the log is full; the record is not on the log.
    #[error("the queue in front of the log is full ({in_flight_bytes} bytes in flight)")]
    QueueFull {
        /// Bytes that wait for the log.
        in_flight_bytes: usize,
    },
    /// The topic does not exist.
    #[error("topic {topic} does not exist; create it with `gosight topics create`")]
    UnknownTopic {
        /// The topic's name.
        topic: String,
    },
    /// The log did not answer in time or refused; the record may or may not be on it.
    #[error("the log did not confirm the record: {reason}")]
    InDoubt {
        /// What the log said.
        reason: String,
    },
    /// The log was closed; the record is not on it.
    #[error("the log is closed")]
    Closed,
}

/// What ends or interrupts a lane's work.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LaneError {
    /// The transaction did not happen; the lane stands at the committed positions and can poll again.
    #[error("the transaction was aborted: {reason}")]
    Aborted {
        /// What the log said.
        reason: String,
    },
    /// An output is over the limit; nothing was committed. Committing the same outputs would fail for ever.
    #[error("an output of {size} bytes is over the limit of {limit} bytes of topic {topic}")]
    OutputTooLarge {
        /// The topic's name.
        topic: String,
        /// Bytes of the record.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Another lane has taken over the transactional id; this one must end.
    #[error("another instance runs under transactional id {transactional_id}; give each process its own instance id")]
    Fenced {
        /// The identity that was taken over.
        transactional_id: String,
    },
    /// Records that the group has not consumed are gone. The lane stops rather than skip them.
    #[error(
        "topic {topic} partition {partition}: offsets {next}..{earliest} were deleted before they were consumed; \
         reset the group's offset to {earliest} to go on without them"
    )]
    OffsetsLost {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset that the group wanted next.
        next: i64,
        /// The oldest offset that is still there.
        earliest: i64,
    },
    /// The lane is unusable and must be opened anew.
    #[error("the lane failed: {reason}")]
    Broken {
        /// What the log said.
        reason: String,
    },
}

/// What can go wrong with everything else.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The log did not answer within the time.
    #[error("{what}: no answer within {timeout:?}; is {address} up and reachable?")]
    Timeout {
        /// What was asked.
        what: String,
        /// How long it was waited for.
        timeout: Duration,
        /// Where the log should be.
        address: String,
    },
    /// The topic does not exist.
    #[error("topic {topic} does not exist; create it with `gosight topics create`")]
    UnknownTopic {
        /// The topic's name.
        topic: String,
    },
    /// A setting that the engine refuses.
    #[error("the log's settings were refused: {reason}")]
    Settings {
        /// What the engine said.
        reason: String,
    },
    /// Anything else.
    #[error("{what}: {reason}")]
    Failed {
        /// What was asked.
        what: String,
        /// What the engine said.
        reason: String,
    },
}
