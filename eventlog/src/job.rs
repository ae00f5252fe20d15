//! A job: work that reads by itself and writes what it makes, together with how far it has come, in transactions.

use async_trait::async_trait;

use crate::NewRecord;

/// A transactional producer without a group, for work that one process at a time may do: a redrive, a replay. It holds no
/// positions: a job's progress is a record among its outputs, so that it moves with them or not at all.
///
/// Opening a job fences every older holder of the same transactional id and ends its open transaction, so whoever opens one and
/// then reads a topic sees everything that the older holder will ever have committed there.
#[async_trait]
pub trait Job: Send {
    /// Appends `outputs`, all or nothing: readers of committed records see either every one of them or none. Records of one key
    /// keep their order, over the commits of one job too. No outputs are no transaction. The outputs are held in memory and must be
    /// committed within ten seconds, so the caller chooses how many go together: thousands of small records are fine.
    /// Readers see what was committed a moment later.
    ///
    /// On [`JobError::Aborted`] and [`JobError::OutputTooLarge`] nothing happened, and the job can go on. After any other error, or
    /// a commit that was not waited for, it must be opened anew.
    async fn commit(&mut self, outputs: Vec<NewRecord>) -> Result<(), JobError>;
}

/// Why a job's outputs were not committed, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// The transaction did not happen.
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
    /// Another holder has taken over the transactional id; nothing was committed, and this one must end.
    #[error("another process has taken over {transactional_id}: only one at a time may do this work")]
    Fenced {
        /// The identity that was taken over.
        transactional_id: String,
    },
    /// The transaction may or may not have happened: open the job anew, and read from its outputs how far it has come.
    #[error("it is not known whether the transaction happened: {reason}")]
    InDoubt {
        /// What the log said.
        reason: String,
    },
}
