//! A lane: one group member that consumes, produces and commits in transactions.

use std::time::Duration;

use async_trait::async_trait;

use crate::work::handing_over;
use crate::{Ended, LaneError, LogRecord, NewRecord, Work};

/// How a lane joins its group.
#[derive(Debug, Clone)]
pub struct LaneOptions {
    /// The consumer group. A new group starts at the earliest offset.
    pub group: String,
    /// The topic to consume.
    pub topic: String,
    /// Stable identity of this lane's producer: a second lane that opens with the same one fences the first.
    pub transactional_id: String,
    /// A member that is silent for so long loses its partitions.
    pub session_timeout: Duration,
    /// A transaction that is open for longer is aborted by the log. At most 10 s.
    pub transaction_timeout: Duration,
}

/// How much one poll gathers at the most. It returns when any of the limits is reached.
#[derive(Debug, Clone, Copy)]
pub struct PollLimit {
    /// Records at the most.
    pub max_records: usize,
    /// Bytes of keys, values and headers at the most; one record is always taken, however large.
    pub max_bytes: usize,
    /// What `weight` counts in the records, at the most; the record that reaches it is the last one.
    pub max_weight: usize,
    /// How much a record counts for: its caller's measure of work.
    pub weight: fn(&LogRecord) -> usize,
    /// How long to wait for the first record. What is there already is gathered without waiting.
    pub max_wait: Duration,
}

/// A partition that this lane has been given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assigned {
    /// The partition, from 0.
    pub partition: i32,
    /// The offset from which records will come: the group's committed position, or the earliest offset for a new group.
    pub next_offset: i64,
}

/// What a poll brought. Changes of the assignment come alone: when `revoked` or `assigned` is not empty, `records` is empty, so
/// that the caller can settle its state per partition before the first record of a new one.
#[derive(Debug, Default)]
pub struct Polled {
    /// Partitions that are no longer this lane's.
    pub revoked: Vec<i32>,
    /// Partitions that are new to this lane.
    pub assigned: Vec<Assigned>,
    /// Records in offset order per partition.
    pub records: Vec<LogRecord>,
}

/// One member of a consumer group with its own transactional producer. Strictly: poll, then commit or rewind, then poll again.
#[async_trait]
pub trait Lane: Send {
    /// Gathers records from this lane's partitions. Must not be called while records of an earlier poll are neither committed nor
    /// rewound: they would be committed with the next outputs.
    async fn poll(&mut self, limit: PollLimit) -> Result<Polled, LaneError>;

    /// Runs `work`, appends the outputs that it makes and moves this group's positions past everything polled since the last commit,
    /// all or nothing. On [`LaneError::Aborted`] nothing happened and the lane stands at the committed positions again. On
    /// [`LaneError::OutputTooLarge`] nothing happened either, and what was polled can be committed with other outputs, or rewound.
    /// A lane that can't go on may not run the work at all. Readers see what was committed a moment later.
    async fn transact(&mut self, work: Work) -> Result<Ended, LaneError>;

    /// The same with outputs that are there already.
    async fn commit(&mut self, outputs: Vec<NewRecord>) -> Result<(), LaneError> {
        self.transact(handing_over(outputs)).await.map(|_| ())
    }

    /// Tells the group that this lane is alive, while its caller is busy for long between a poll that brought a change of the assignment
    /// and the next poll. Hands nothing out.
    ///
    /// # Errors
    /// The lane can't go on, as the next poll would say.
    async fn stay(&mut self) -> Result<(), LaneError>;

    /// Gives back what was polled and not committed: the next poll starts at the committed positions again.
    async fn rewind(&mut self) -> Result<(), LaneError>;

    /// Leaves the group, so that others take over at once.
    async fn close(self: Box<Self>) -> Result<(), LaneError>;
}
