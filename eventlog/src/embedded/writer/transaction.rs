//! One SQL transaction: appends, and lanes' outputs with their positions.

use std::fmt::Write as _;
use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Executor};
use tokio::sync::oneshot;

use super::super::ids::record_id;
use super::super::now_ms;
use super::super::queue::{Claim, Commit, CommitFailure, Placed};
use super::super::topics::Topic;
use super::insert::{Row, insert};
use super::tails::Tails;
use crate::{AppendError, Position, TimestampSource};

/// Pages are written whole; a record's share of one that others fill, too, bytes.
const PAGE_SHARE: usize = 1_024;

/// What can be written.
#[derive(Default)]
pub(super) struct Ready {
    pub(super) appends: Vec<ReadyAppend>,
    pub(super) commits: Vec<Commit>,
}

/// A record that waits for its place. Its room in the queue is free before it is answered for: who has the answer may append again.
pub(super) struct ReadyAppend {
    pub(super) placed: Placed,
    pub(super) created_ms: i64,
    pub(super) claim: Claim,
    pub(super) reply: oneshot::Sender<Result<Position, AppendError>>,
}

/// What was written: the offset of each append, and how each commit ended.
pub(super) struct Written {
    offsets: Vec<i64>,
    commits: Vec<Result<(), CommitFailure>>,
}

impl Ready {
    pub(super) fn is_empty(&self) -> bool {
        self.appends.is_empty() && self.commits.is_empty()
    }

    /// About how much the write-ahead log grows by it, bytes.
    pub(super) fn written_bytes(&self) -> usize {
        let appends = self.appends.iter().map(|append| &append.placed);
        let outputs = self.commits.iter().flat_map(|commit| &commit.outputs);
        appends
            .chain(outputs)
            .map(|placed| placed.record.size() + PAGE_SHARE)
            .sum()
    }

    /// Answers everything after the transaction is durable.
    pub(super) fn succeed(self, written: Written) {
        for (append, offset) in self.appends.into_iter().zip(written.offsets) {
            let position = Position {
                topic: Arc::clone(&append.placed.topic.name),
                partition: i32::try_from(append.placed.index).unwrap_or(i32::MAX),
                offset,
            };
            drop(append.claim);
            // Whoever does not wait any more does not need the answer.
            let _ = append.reply.send(Ok(position));
        }
        for (commit, result) in self.commits.into_iter().zip(written.commits) {
            commit.answer(result);
        }
    }

    /// Answers everything after the transaction was rolled back.
    pub(super) fn fail(self, reason: &str) {
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

/// Writes everything in one transaction and returns when it is synced. After an error the caller must roll back.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    tails: &mut Tails,
    ready: &Ready,
) -> Result<Written, sqlx::Error> {
    begin(connection, tails).await?;
    let mut rows = Rows {
        tails,
        now_ms: now_ms(),
        rows: Vec::with_capacity(ready.appends.len()),
        touched: Vec::new(),
    };
    let mut offsets = Vec::with_capacity(ready.appends.len());
    for append in &ready.appends {
        offsets.push(rows.push(&append.placed, append.created_ms)?);
    }
    let mut positions = Vec::new();
    let mut commits = Vec::with_capacity(ready.commits.len());
    for commit in &ready.commits {
        let result = check_epoch(connection, commit).await?;
        if result.is_ok() {
            for output in &commit.outputs {
                rows.push(output, commit.created_ms)?;
            }
            positions.extend(commit.positions.iter().map(|position| (&*commit.group, *position)));
        }
        commits.push(result);
    }
    let Rows { rows, touched, .. } = rows;
    insert(connection, &rows).await?;
    move_positions(connection, &positions).await?;
    connection.execute("COMMIT").await?;
    announce(&touched);
    Ok(Written { offsets, commits })
}

/// Begins a transaction that may write, and learns whether others have written since the last one.
pub(super) async fn begin(connection: &mut SqliteConnection, tails: &mut Tails) -> Result<(), sqlx::Error> {
    let version = sqlx::query_scalar("BEGIN IMMEDIATE; PRAGMA data_version")
        .fetch_one(&mut *connection)
        .await?;
    tails.refresh(connection, version).await
}

/// Rows of the transaction, and how far partitions will reach.
struct Rows<'a> {
    tails: &'a mut Tails,
    now_ms: i64,
    rows: Vec<Row<'a>>,
    touched: Vec<(&'a Arc<Topic>, usize, i64)>,
}

impl<'a> Rows<'a> {
    fn push(&mut self, placed: &'a Placed, created_ms: i64) -> Result<i64, sqlx::Error> {
        let Placed { record, topic, index } = placed;
        let clock = match topic.timestamps {
            TimestampSource::LogAppendTime => self.now_ms,
            TimestampSource::CreateTime => created_ms,
        };
        let log = topic.logs.get(*index).ok_or(sqlx::Error::RowNotFound)?.id;
        let (offset, timestamp) = self.tails.append(log, clock)?;
        self.rows.push(Row {
            id: record_id(log, offset),
            timestamp,
            record,
        });
        let end = offset + 1;
        match self.touched.last_mut() {
            Some((last, at, reached)) if Arc::ptr_eq(last, topic) && at == index => *reached = end,
            _ => self.touched.push((topic, *index, end)),
        }
        Ok(offset)
    }
}

async fn check_epoch(
    connection: &mut SqliteConnection,
    commit: &Commit,
) -> Result<Result<(), CommitFailure>, sqlx::Error> {
    let epoch: Option<i64> = sqlx::query_scalar("SELECT epoch FROM transactional_ids WHERE id = ?")
        .bind(&*commit.transactional_id)
        .fetch_optional(connection)
        .await?;
    Ok(if epoch == Some(commit.epoch) {
        Ok(())
    } else {
        Err(CommitFailure::Fenced)
    })
}

async fn move_positions(
    connection: &mut SqliteConnection,
    positions: &[(&str, (i64, i64))],
) -> Result<(), sqlx::Error> {
    // As many rows a statement as a topic may well have partitions: the number of shapes is bounded.
    for chunk in positions.chunks(32) {
        let mut statement = "INSERT INTO positions (consumer_group, log, next) VALUES (?,?,?)".to_owned();
        for _ in 1..chunk.len() {
            // Writing to a string can't fail.
            let _ = statement.write_str(",(?,?,?)");
        }
        statement.push_str(" ON CONFLICT DO UPDATE SET next = excluded.next");
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for (group, (log, next)) in chunk {
            query = query.bind(*group).bind(log).bind(next);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Tells readers and lanes of this process how far they can read now.
fn announce(touched: &[(&Arc<Topic>, usize, i64)]) {
    let mut topics: Vec<&Arc<Topic>> = Vec::new();
    for (topic, index, end) in touched {
        if let Some(log) = topic.logs.get(*index) {
            log.reached(*end);
        }
        if !topics.iter().any(|known| Arc::ptr_eq(known, topic)) {
            topics.push(topic);
        }
    }
    for topic in topics {
        topic.announce();
    }
}
