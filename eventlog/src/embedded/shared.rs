//! What the handles, lanes and readers of one file share in this process.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use super::EmbeddedOptions;
use super::group::Groups;
use super::queue::{Budget, Control, Job};
use super::topics::{Topic, Topics};
use super::{schema, writer};
use crate::LogError;

/// The files that are open in this process. Who opens one again shares its writer and its groups.
static OPEN: LazyLock<Mutex<HashMap<PathBuf, Weak<Shared>>>> = LazyLock::new(Mutex::default);

/// One file, opened.
pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) topics: Arc<Topics>,
    pub(super) groups: Groups,
    pub(super) budget: Arc<Budget>,
    jobs: mpsc::UnboundedSender<Job>,
    /// Whether the writer has had something to do.
    writing: Arc<AtomicBool>,
    /// Handles that are neither closed nor dropped.
    handles: AtomicUsize,
    closed: AtomicBool,
    /// Kept between questions.
    reading: tokio::sync::Mutex<Option<SqliteConnection>>,
}

impl Shared {
    /// The file under its canonical path, with one handle more. Options count for who opens it first.
    pub(super) fn open(path: &Path, options: &EmbeddedOptions) -> Result<Arc<Self>, LogError> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, shared| shared.strong_count() > 0);
        if let Some(shared) = open.get(path).and_then(Weak::upgrade)
            && !shared.is_closed()
        {
            shared.handles.fetch_add(1, Ordering::AcqRel);
            return Ok(shared);
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        let topics = Arc::new(Topics::default());
        let writing = Arc::new(AtomicBool::new(false));
        writer::spawn(writer::Parts {
            path: path.to_owned(),
            topics: Arc::clone(&topics),
            jobs: receiver,
            started: Arc::clone(&writing),
            pace: options.commit_interval,
            retention_interval: options.retention_interval,
        })?;
        let shared = Arc::new(Self {
            path: path.to_owned(),
            topics,
            groups: Groups::default(),
            budget: Arc::new(Budget::new(options.queue_bytes)),
            jobs: sender,
            writing,
            handles: AtomicUsize::new(1),
            closed: AtomicBool::new(false),
            reading: tokio::sync::Mutex::new(None),
        });
        open.insert(path.to_owned(), Arc::downgrade(&shared));
        Ok(shared)
    }

    /// Whether the last handle was closed.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether this process has written; else its file may belong to another one.
    pub(super) fn is_writing(&self) -> bool {
        self.writing.load(Ordering::Acquire)
    }

    /// Takes one handle away. Whether it was the last.
    pub(super) fn let_go(&self) -> bool {
        // Under the same lock as opening, so that nobody shares what is about to be closed.
        let _open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        self.handles.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Nothing is accepted any more.
    pub(super) fn shut(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Queues a job; hands it back when the writer has ended. Appends are bounded by the budget, the rest by one a caller.
    pub(super) fn queue(&self, job: Job) -> Result<(), Job> {
        self.jobs.send(job).map_err(|refused| refused.0)
    }

    /// Queues a rare job and waits for its answer.
    pub(super) async fn ask<T>(
        &self,
        what: &str,
        timeout: Duration,
        control: impl FnOnce(oneshot::Sender<T>) -> Control,
    ) -> Result<T, LogError> {
        let (reply, answer) = oneshot::channel();
        let closed = || LogError::Failed {
            what: what.to_owned(),
            reason: "the log is closed".to_owned(),
        };
        self.queue(Job::Control(control(reply))).map_err(|_| closed())?;
        match tokio::time::timeout(timeout, answer).await {
            Ok(answer) => answer.map_err(|_| closed()),
            Err(_) => Err(self.timed_out(what, timeout)),
        }
    }

    /// Runs short, single statements on the shared connection.
    pub(super) async fn read<T>(
        &self,
        what: &str,
        timeout: Duration,
        question: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, LogError> {
        let answer = async {
            let mut slot = self.reading.lock().await;
            // Taken out while it is used: who stops waiting in the middle leaves no connection in an unknown state behind.
            let mut connection = match slot.take() {
                Some(connection) => connection,
                None => schema::connect_reading(&self.path).await?,
            };
            let answer = question(&mut connection).await?;
            *slot = Some(connection);
            Ok::<T, sqlx::Error>(answer)
        };
        match tokio::time::timeout(timeout, answer).await {
            Ok(answer) => answer.map_err(|error| self.failed(what, &error)),
            Err(_) => Err(self.timed_out(what, timeout)),
        }
    }

    /// A topic that must exist.
    pub(super) async fn topic(&self, name: &str, timeout: Duration) -> Result<Arc<Topic>, LogError> {
        if let Some(topic) = self.topics.get(name) {
            return Ok(topic);
        }
        self.read("looking up a topic", timeout, async |connection| {
            self.topics.find(connection, name).await
        })
        .await?
        .ok_or_else(|| LogError::UnknownTopic { topic: name.to_owned() })
    }

    /// The error for a statement that failed.
    pub(super) fn failed(&self, what: &str, error: &sqlx::Error) -> LogError {
        LogError::Failed {
            what: format!("{what} in {}", self.path.display()),
            reason: error.to_string(),
        }
    }

    fn timed_out(&self, what: &str, timeout: Duration) -> LogError {
        LogError::Timeout {
            what: what.to_owned(),
            timeout,
            address: self.path.display().to_string(),
        }
    }
}
