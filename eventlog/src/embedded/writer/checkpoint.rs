//! Copying the write-ahead log back into the file, beside the writer's work. SQLite's own way, inside whichever commit crosses a
//! threshold, made acknowledgements wait for it: tens of milliseconds on a busy disk.
//!
//! A pass beside the writer copies nearly everything. What was written meanwhile is a little, which the writer then copies itself
//! between two transactions: only when nothing is left does the next transaction begin the write-ahead log from its start.

use std::path::PathBuf;

use sqlx::sqlite::SqliteConnection;
use tokio::task::JoinHandle;

use super::super::schema;

/// A pass begins when about so much was written since the last one, bytes: the write-ahead log stays at a few times that.
const PASS_BYTES: usize = 16 << 20;
const COPY: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// When to copy, and the pass under way.
pub(super) struct Checkpoints {
    path: PathBuf,
    written: usize,
    pass: Option<JoinHandle<Result<(), sqlx::Error>>>,
}

impl Checkpoints {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            written: 0,
            pass: None,
        }
    }

    /// Notes about how much a transaction wrote, bytes.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes);
    }

    /// Begins a pass if it is time, or ends one that is done. Call it between transactions.
    pub(super) async fn step(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        match self.pass.take() {
            None if self.written >= PASS_BYTES => {
                self.written = 0;
                let path = self.path.clone();
                self.pass = Some(tokio::spawn(async move {
                    let mut connection = schema::connect_writing(&path).await?;
                    sqlx::query(COPY).execute(&mut connection).await?;
                    Ok(())
                }));
            }
            Some(pass) if pass.is_finished() => {
                // A pass that failed has copied less; the writer's own then copies more, or says what is wrong.
                if let Ok(Err(error)) = pass.await {
                    tracing::warn!(%error, "a checkpoint of the log failed; it is tried again");
                }
                sqlx::query(COPY).execute(connection).await?;
            }
            under_way => self.pass = under_way,
        }
        Ok(())
    }
}
