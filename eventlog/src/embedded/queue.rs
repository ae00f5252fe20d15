//! What waits for the writer: the jobs, and the bytes that appends may hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::oneshot;

use super::group::Committing;
use super::topics::Topic;
use crate::{AppendError, LogError, NewRecord, Position, TopicCreation, TopicSpec};

/// What a record costs in memory beside its own bytes, so that many tiny ones are bounded too.
const OVERHEAD: usize = 256;

/// Bytes that may wait for the writer.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicUsize,
    capacity: usize,
}

impl Budget {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            capacity,
        }
    }

    /// Takes room for a record. A record alone is always taken: its size has a limit of its own.
    pub(super) fn claim(self: &Arc<Self>, record: &NewRecord) -> Result<Claim, AppendError> {
        let bytes = record.size() + OVERHEAD;
        let claimed = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            let sum = used.saturating_add(bytes);
            (used == 0 || sum <= self.capacity).then_some(sum)
        });
        match claimed {
            Ok(_) => Ok(Claim {
                budget: Arc::clone(self),
                bytes,
            }),
            Err(in_flight_bytes) => Err(AppendError::QueueFull { in_flight_bytes }),
        }
    }
}

/// Room that a record holds until it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// A record with its place worked out as far as it can be without the file.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) record: NewRecord,
    pub(super) topic: Arc<Topic>,
    /// Index into the topic's logs.
    pub(super) index: usize,
}

impl Placed {
    /// Finds the partition; hands back the size of a record that is over the topic's limit.
    pub(super) fn new(record: NewRecord, topic: Arc<Topic>) -> Result<Self, usize> {
        let size = record.size();
        if size > topic.limit() {
            return Err(size);
        }
        let index = topic.index_of(&record.key);
        Ok(Self { record, topic, index })
    }
}

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    Append(Append),
    Commit(Commit),
    Control(Control),
}

/// A record to append by itself.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) record: Unresolved,
    /// The producer's clock when it was appended, Unix ms.
    pub(super) created_ms: i64,
    pub(super) claim: Claim,
    pub(super) reply: oneshot::Sender<Result<Position, AppendError>>,
}

/// A record whose topic this process may not have met yet.
#[derive(Debug)]
pub(super) enum Unresolved {
    Placed(Placed),
    Unknown(NewRecord),
}

/// A lane's outputs and positions, or a job's outputs.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) outputs: Vec<Placed>,
    pub(super) created_ms: i64,
    pub(super) transactional_id: Arc<str>,
    pub(super) epoch: i64,
    pub(super) group: Arc<str>,
    /// `(log, next offset)`
    pub(super) positions: Vec<(i64, i64)>,
    /// Not begun after this.
    pub(super) deadline: Instant,
    /// Holds a lane's partitions until the job is done with or dropped.
    pub(super) committing: Option<Committing>,
    pub(super) reply: oneshot::Sender<Result<(), CommitFailure>>,
}

/// Why a commit did not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CommitFailure {
    Fenced,
    Aborted(String),
}

/// Rare jobs; each is done after everything that was queued before it.
#[derive(Debug)]
pub(super) enum Control {
    /// Outdates every earlier lane or job of the transactional id; answers the new epoch.
    Identify {
        transactional_id: String,
        reply: oneshot::Sender<Result<i64, LogError>>,
    },
    CreateTopics {
        topics: Vec<TopicSpec>,
        reply: oneshot::Sender<Result<Vec<TopicCreation>, LogError>>,
    },
    /// Answers when everything before it is done, and whether the file can be written to.
    Ping {
        reply: oneshot::Sender<Result<(), LogError>>,
    },
    /// The writer's last job.
    Stop { reply: oneshot::Sender<()> },
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Budget, OVERHEAD};
    use crate::{AppendError, NewRecord};

    fn record(bytes: usize) -> NewRecord {
        NewRecord {
            topic: "t".into(),
            key: bytes::Bytes::new(),
            value: vec![0; bytes].into(),
            headers: Vec::new(),
        }
    }

    #[test]
    fn the_budget_refuses_what_does_not_fit_and_gives_back_what_is_done() {
        let budget = Arc::new(Budget::new(2 * (OVERHEAD + 100)));
        let first = budget.claim(&record(100)).unwrap();
        let _second = budget.claim(&record(100)).unwrap();
        let Err(AppendError::QueueFull { in_flight_bytes }) = budget.claim(&record(0)) else {
            panic!("the budget is full");
        };
        assert_eq!(in_flight_bytes, 2 * (OVERHEAD + 100));
        drop(first);
        assert!(budget.claim(&record(100)).is_ok());
    }

    #[test]
    fn a_record_alone_is_taken_even_when_it_is_larger_than_the_budget() {
        let budget = Arc::new(Budget::new(10));
        let _first = budget.claim(&record(100)).unwrap();
        assert!(budget.claim(&record(0)).is_err());
    }
}
