//! A job's transactions: its identity has an epoch in the file, which every commit checks within its own SQL transaction.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::place::{Unplaced, place};
use super::queue::{Commit, CommitFailure, Control, Job as Queued};
use super::shared::Shared;
use super::{ASK_TIMEOUT, now_ms};
use crate::{Job, JobError, LogError, NewRecord, TRANSACTION_TIMEOUT};

/// See [`Job`].
pub(super) struct EmbeddedJob {
    shared: Arc<Shared>,
    transactional_id: Arc<str>,
    epoch: i64,
    standing: Standing,
}

/// Whether the job may commit.
enum Standing {
    /// It may.
    Sound,
    /// A commit was begun, and how it ended was not heard.
    Unheard,
    Ended(JobError),
}

impl EmbeddedJob {
    /// Takes over the transactional id.
    pub(super) async fn open(shared: Arc<Shared>, transactional_id: &str) -> Result<Self, LogError> {
        let what = format!("opening job {transactional_id}");
        let epoch = shared
            .ask(&what, ASK_TIMEOUT, |reply| Control::Identify {
                transactional_id: transactional_id.to_owned(),
                reply,
            })
            .await??;
        Ok(Self {
            shared,
            transactional_id: transactional_id.into(),
            epoch,
            standing: Standing::Sound,
        })
    }

    fn end(&mut self, error: JobError) -> JobError {
        self.standing = Standing::Ended(error.clone());
        error
    }
}

#[async_trait]
impl Job for EmbeddedJob {
    async fn commit(&mut self, outputs: Vec<NewRecord>) -> Result<(), JobError> {
        match &self.standing {
            Standing::Sound => {}
            Standing::Unheard => {
                return Err(JobError::InDoubt {
                    reason: "an earlier commit was not waited for".to_owned(),
                });
            }
            Standing::Ended(error) => return Err(error.clone()),
        }
        if outputs.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + TRANSACTION_TIMEOUT;
        let outputs = place(&self.shared, outputs).await.map_err(|unplaced| match unplaced {
            Unplaced::Topic(error) => JobError::Aborted {
                reason: error.to_string(),
            },
            Unplaced::TooLarge { topic, size, limit } => JobError::OutputTooLarge { topic, size, limit },
        })?;
        let (reply, answer) = oneshot::channel();
        let commit = Commit {
            outputs,
            created_ms: now_ms(),
            transactional_id: Arc::clone(&self.transactional_id),
            epoch: self.epoch,
            group: Arc::default(),
            positions: Vec::new(),
            deadline,
            committing: None,
            reply,
        };
        self.standing = Standing::Unheard;
        if self.shared.queue(Queued::Commit(commit)).is_err() {
            return Err(self.end(JobError::InDoubt {
                reason: "the log is closed".to_owned(),
            }));
        }
        // The writer answers: it begins nothing after the deadline, and what it has begun is bounded by SQLite's own timeouts.
        match answer.await {
            Ok(Ok(())) => {
                self.standing = Standing::Sound;
                Ok(())
            }
            Ok(Err(CommitFailure::Aborted(reason))) => {
                self.standing = Standing::Sound;
                Err(JobError::Aborted { reason })
            }
            Ok(Err(CommitFailure::Fenced)) => {
                let transactional_id = self.transactional_id.to_string();
                Err(self.end(JobError::Fenced { transactional_id }))
            }
            Err(_) => Err(self.end(JobError::InDoubt {
                reason: "the log's writer went away during a commit".to_owned(),
            })),
        }
    }
}
