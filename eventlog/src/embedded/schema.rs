//! The file: how it is opened and what tables stand in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor};
use tokio::sync::Mutex;

use crate::LogError;

/// The database file inside the data directory.
pub(super) const FILE: &str = "log.db";

/// Marks the file as a log of ours ("GSLG").
const APPLICATION_ID: i32 = 0x4753_4c47;
/// Counts changes of the tables below.
const VERSION: i32 = 1;
/// How long a statement waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The write-ahead log is copied back into the file after so many pages (4 KiB each), which keeps each copying short.
const CHECKPOINT_PAGES: &str = "1000";
/// The write-ahead log is cut back to this after it had to grow because of a long read, bytes.
const WAL_BYTES: &str = "67108864";
/// Rows that SQLite reads ahead of us at the most: each may be as large as a topic allows.
const ROWS_AHEAD: usize = 32;
/// Prepared statements per connection: every shape that we use.
const STATEMENTS: usize = 256;
/// Pages that the writer keeps in memory, KiB (negative: SQLite's way to say that it is not a count of pages).
const WRITER_CACHE: &str = "-16384";

/// `logs`: one row a partition. `floor` is the offset below which everything was deleted, so that offsets never go back even when
/// retention has deleted all; the end follows from the last record. `positions.next` is the next offset that a group will consume.
///
/// No auto-vacuum: what retention frees is used again by the next records, so the file stops growing at its fullest; giving pages
/// back to the file system would cost writes to move them, for space that tomorrow's load takes again.
const TABLES: &str = "
    CREATE TABLE topics (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        retention_ms INTEGER,
        max_message_bytes INTEGER NOT NULL,
        log_append_time INTEGER NOT NULL
    );
    CREATE TABLE logs (
        id INTEGER PRIMARY KEY,
        topic INTEGER NOT NULL REFERENCES topics (id),
        partition INTEGER NOT NULL,
        floor INTEGER NOT NULL DEFAULT 0,
        floor_timestamp INTEGER NOT NULL DEFAULT 0,
        UNIQUE (topic, partition)
    );
    CREATE TABLE records (
        id INTEGER PRIMARY KEY,
        timestamp INTEGER NOT NULL,
        key BLOB NOT NULL,
        headers BLOB NOT NULL,
        value BLOB NOT NULL
    );
    CREATE TABLE positions (
        consumer_group TEXT NOT NULL,
        log INTEGER NOT NULL REFERENCES logs (id),
        next INTEGER NOT NULL,
        PRIMARY KEY (consumer_group, log)
    ) WITHOUT ROWID;
    CREATE TABLE transactional_ids (
        id TEXT PRIMARY KEY,
        epoch INTEGER NOT NULL
    ) WITHOUT ROWID;
    PRAGMA application_id = 1196641351;
    PRAGMA user_version = 1;
";

/// One opening at a time in a process: two that turn the same new file to WAL would meet a lock that does not wait.
static PREPARING: Mutex<()> = Mutex::const_new(());

/// Creates the directory, the file and the tables where they are missing; writes nothing where they stand. The file's path.
pub(super) async fn prepare(directory: &Path) -> Result<PathBuf, LogError> {
    let path = directory.join(FILE);
    let failed = |reason: String| LogError::Failed {
        what: format!("opening {}", path.display()),
        reason,
    };
    let _turn = PREPARING.lock().await;
    tokio::fs::create_dir_all(directory)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let mut connection = options(&path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .connect()
        .await
        .map_err(|error| failed(error.to_string()))?;
    let found = create_tables(&mut connection)
        .await
        .map_err(|error| failed(error.to_string()))?;
    // Closing is tidiness: the work is done.
    let _ = connection.close().await;
    if found != (APPLICATION_ID, VERSION) {
        return Err(LogError::Settings {
            reason: format!(
                "{} is no log of this version (id {}, version {}; expected {APPLICATION_ID}, {VERSION}); use another directory",
                path.display(),
                found.0,
                found.1
            ),
        });
    }
    let canonical = path.canonicalize().map_err(|error| failed(error.to_string()))?;
    Ok(canonical)
}

async fn create_tables(connection: &mut SqliteConnection) -> Result<(i32, i32), sqlx::Error> {
    let found = marks(connection).await?;
    if found != (0, 0) {
        return Ok(found);
    }
    connection.execute("BEGIN IMMEDIATE").await?;
    // Another process may have been first.
    let found = marks(connection).await?;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut *connection)
        .await?;
    if found == (0, 0) && tables == 0 {
        sqlx::raw_sql(TABLES).execute(&mut *connection).await?;
    }
    connection.execute("COMMIT").await?;
    marks(connection).await
}

async fn marks(connection: &mut SqliteConnection) -> Result<(i32, i32), sqlx::Error> {
    let application = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(&mut *connection)
        .await?;
    let version = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await?;
    Ok((application, version))
}

/// A connection that may only read.
pub(super) async fn connect_reading(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    options(path).pragma("query_only", "ON").connect().await
}

/// The writer's connection.
pub(super) async fn connect_writing(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    options(path).pragma("cache_size", WRITER_CACHE).connect().await
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(false)
        .statement_cache_capacity(STATEMENTS)
        .row_buffer_size(ROWS_AHEAD)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", WAL_BYTES)
        .disable_statement_logging()
}
