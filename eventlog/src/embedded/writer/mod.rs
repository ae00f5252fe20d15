//! The one writer: a thread that takes what waits, writes it in one SQL transaction, and answers when that is synced. Everything
//! that changes the file goes through it, so nothing in this process ever waits for SQLite's lock.

mod checkpoint;
mod control;
mod insert;
mod retention;
mod tails;
mod transaction;
mod waiting;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnection;
use tokio::sync::mpsc;

use self::checkpoint::Checkpoints;
use self::control::Next;
use self::retention::Retention;
use self::tails::Tails;
use self::transaction::{Ready, write};
use self::waiting::{Batch, Waiting};
use super::queue::{Append, Commit, CommitFailure, Job, Placed, Unresolved};
use super::schema;
use super::topics::Topics;
use crate::{AppendError, LogError};

/// What the writer works with.
pub(super) struct Parts {
    pub(super) path: PathBuf,
    pub(super) topics: Arc<Topics>,
    pub(super) jobs: mpsc::UnboundedReceiver<Job>,
    /// Set with the first job: until then this process only reads, and the file is left as it is.
    pub(super) started: Arc<AtomicBool>,
    /// Between transactions at least so long, so that under load each one takes more records; the first after a pause begins at once.
    pub(super) pace: Duration,
    pub(super) retention_interval: Duration,
}

/// Starts the thread. It ends with [`super::queue::Control::Stop`] or when nobody can queue any more.
pub(super) fn spawn(parts: Parts) -> Result<(), LogError> {
    let failed = |error: std::io::Error| LogError::Failed {
        what: "starting the log's writer".to_owned(),
        reason: error.to_string(),
    };
    // Its own small runtime: the writer must not wait behind the process' other tasks for a thread to run on.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(failed)?;
    thread::Builder::new()
        .name("gosight-log".to_owned())
        .spawn(move || runtime.block_on(Writer::new(parts).run()))
        .map_err(failed)?;
    Ok(())
}

struct Writer {
    path: PathBuf,
    topics: Arc<Topics>,
    jobs: mpsc::UnboundedReceiver<Job>,
    started: Arc<AtomicBool>,
    pace: Duration,
    waiting: Waiting,
    connection: Option<SqliteConnection>,
    tails: Tails,
    retention: Retention,
    checkpoints: Checkpoints,
    last_transaction: Option<Instant>,
}

enum Wake {
    Job(Job),
    Retention,
    End,
}

impl Writer {
    fn new(parts: Parts) -> Self {
        Self {
            checkpoints: Checkpoints::new(parts.path.clone()),
            path: parts.path,
            topics: parts.topics,
            jobs: parts.jobs,
            started: parts.started,
            pace: parts.pace,
            waiting: Waiting::default(),
            connection: None,
            tails: Tails::default(),
            retention: Retention::new(parts.retention_interval),
            last_transaction: None,
        }
    }

    async fn run(mut self) {
        loop {
            if self.waiting.is_empty() {
                match self.wake().await {
                    Wake::Job(job) => self.waiting.push(job),
                    Wake::Retention => {
                        self.retain().await;
                        continue;
                    }
                    Wake::End => return,
                }
            }
            self.keep_pace();
            self.waiting.gather(&mut self.jobs);
            if let Some(batch) = self.waiting.next_batch() {
                self.serve(batch).await;
                self.checkpoint().await;
                self.last_transaction = Some(Instant::now());
            } else if let Some(control) = self.waiting.take_control() {
                match self.control(control).await {
                    Next::GoOn => {}
                    Next::Stop => return,
                }
            }
            if self.retention.is_under_way() {
                self.retain().await;
            }
        }
    }

    async fn wake(&mut self) -> Wake {
        tokio::select! {
            biased;
            job = self.jobs.recv() => job.map_or(Wake::End, Wake::Job),
            () = self.retention.due(), if self.connection.is_some() => Wake::Retention,
        }
    }

    /// Sleeps the thread, which has nothing else to do, since the runtime's timer knows whole milliseconds only.
    fn keep_pace(&self) {
        if let Some(last) = self.last_transaction {
            thread::sleep(self.pace.saturating_sub(last.elapsed()));
        }
    }

    async fn retain(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        if let Err(error) = self.retention.step(connection).await {
            tracing::warn!(%error, "records past their retention could not be deleted; it is tried again");
            self.retention.postpone();
            self.recover().await;
        }
    }

    async fn checkpoint(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        if let Err(error) = self.checkpoints.step(connection).await {
            tracing::warn!(%error, "a checkpoint of the log failed; it is tried again");
        }
    }

    async fn connect(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        if self.connection.is_none() {
            self.started.store(true, Ordering::Release);
            self.tails.forget();
            self.connection = Some(schema::connect_writing(&self.path).await?);
        }
        self.connection.as_mut().ok_or(sqlx::Error::WorkerCrashed)
    }

    /// After a failure: nothing of the transaction may stay, and what is known of the file is read anew.
    async fn recover(&mut self) {
        self.tails.forget();
        if let Some(connection) = &mut self.connection {
            // A failed COMMIT or BEGIN may have ended it already, and then this fails harmlessly.
            let rolled_back = sqlx::query("ROLLBACK").execute(&mut *connection).await;
            if let Err(error) = rolled_back
                && !matches!(&error, sqlx::Error::Database(reason) if reason.message().contains("no transaction"))
            {
                self.connection = None;
            }
        }
    }

    async fn serve(&mut self, batch: Batch) {
        let ready = match self.ready(batch).await {
            Ok(ready) => ready,
            Err(()) => return,
        };
        if ready.is_empty() {
            return;
        }
        let Some(connection) = &mut self.connection else { return };
        match write(connection, &mut self.tails, &ready).await {
            Ok(written) => {
                self.checkpoints.wrote(ready.written_bytes());
                ready.succeed(written);
            }
            Err(error) => {
                self.recover().await;
                let reason = error.to_string();
                tracing::error!(reason, "a transaction of the log failed");
                ready.fail(&reason);
            }
        }
    }

    /// Sorts out what can't be written; when the file can't be opened, everything is answered so.
    async fn ready(&mut self, batch: Batch) -> Result<Ready, ()> {
        if let Err(error) = self.connect().await {
            let reason = format!("opening {}: {error}", self.path.display());
            tracing::error!(reason, "the log can't be written to");
            batch.fail(&reason);
            return Err(());
        }
        let mut ready = Ready::default();
        for append in batch.appends {
            let Append {
                record,
                created_ms,
                claim,
                reply,
            } = append;
            match self.place(record).await {
                Ok(placed) => ready.appends.push(transaction::ReadyAppend {
                    placed,
                    created_ms,
                    claim,
                    reply,
                }),
                // Whoever does not wait for the answer any more does not need it.
                Err(error) => {
                    drop(claim);
                    drop(reply.send(Err(error)));
                }
            }
        }
        let now = Instant::now();
        for commit in batch.commits {
            if commit.deadline < now {
                let late = "the log was too busy to begin it within the transaction's time".to_owned();
                Commit::answer(commit, Err(CommitFailure::Aborted(late)));
            } else {
                ready.commits.push(commit);
            }
        }
        Ok(ready)
    }

    async fn place(&mut self, record: Unresolved) -> Result<Placed, AppendError> {
        let record = match record {
            Unresolved::Placed(placed) => return Ok(placed),
            Unresolved::Unknown(record) => record,
        };
        let in_doubt = |error: sqlx::Error| AppendError::InDoubt {
            reason: error.to_string(),
        };
        let topics = Arc::clone(&self.topics);
        let name = Arc::clone(&record.topic);
        let connection = self.connect().await.map_err(in_doubt)?;
        let topic =
            topics
                .find(connection, &name)
                .await
                .map_err(in_doubt)?
                .ok_or_else(|| AppendError::UnknownTopic {
                    topic: name.to_string(),
                })?;
        let limit = topic.limit();
        Placed::new(record, topic).map_err(|size| AppendError::TooLarge {
            topic: name.to_string(),
            size,
            limit,
        })
    }
}

impl Commit {
    /// Ends the commit: first the partitions are free to move, then the lane knows.
    fn answer(self, result: Result<(), CommitFailure>) {
        drop(self.committing);
        // A lane that does not wait any more reads from the file how it ended.
        let _ = self.reply.send(result);
    }
}

impl Batch {
    fn fail(self, reason: &str) {
        for append in self.appends {
            drop(append.claim);
            let _ = append.reply.send(Err(AppendError::InDoubt {
                reason: reason.to_owned(),
            }));
        }
        for commit in self.commits {
            commit.answer(Err(CommitFailure::Aborted(reason.to_owned())));
        }
    }
}
