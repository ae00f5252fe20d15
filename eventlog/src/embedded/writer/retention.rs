//! Deleting what is older than its topic keeps it, in steps so small that nobody notices.

use std::collections::VecDeque;
use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Executor, Row};
use tokio::time::{Instant, sleep_until};

use super::super::ids::{last_id, offset_of, record_id};
use super::super::now_ms;

/// Records of one step at the most.
const STEP_RECORDS: i64 = 512;
/// Bytes of one step at the most, but one record: freeing a page of a large value costs like writing it.
const STEP_BYTES: i64 = 2 << 20;

/// When to look, and what is still to be looked at.
pub(super) struct Retention {
    interval: Duration,
    next_round: Instant,
    round: VecDeque<Kept>,
}

/// A partition and how long its records are kept, ms.
#[derive(Debug, Clone, Copy)]
struct Kept {
    log: i64,
    retention_ms: i64,
}

/// A record that may have to go.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    id: i64,
    timestamp: i64,
    bytes: i64,
}

impl Retention {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            next_round: Instant::now(),
            round: VecDeque::new(),
        }
    }

    /// Whether a round has begun and not ended.
    pub(super) fn is_under_way(&self) -> bool {
        !self.round.is_empty()
    }

    /// Resolves when there is something to do.
    pub(super) async fn due(&self) {
        if !self.is_under_way() {
            sleep_until(self.next_round).await;
        }
    }

    /// Ends the round; the next one comes in its time.
    pub(super) fn postpone(&mut self) {
        self.round.clear();
        self.next_round = Instant::now() + self.interval;
    }

    /// Begins a round, or does a little of the one under way. After an error the caller must roll back.
    pub(super) async fn step(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let Some(kept) = self.round.front().copied() else {
            self.round = kept_logs(connection).await?;
            self.next_round = Instant::now() + self.interval;
            return Ok(());
        };
        let cutoff = now_ms().saturating_sub(kept.retention_ms);
        let deleted = delete_some(connection, kept.log, cutoff).await?;
        if deleted == 0 {
            self.round.pop_front();
        }
        Ok(())
    }
}

async fn kept_logs(connection: &mut SqliteConnection) -> Result<VecDeque<Kept>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT l.id, t.retention_ms FROM logs l JOIN topics t ON t.id = l.topic WHERE t.retention_ms IS NOT NULL",
    )
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Kept {
                log: row.try_get(0)?,
                retention_ms: row.try_get(1)?,
            })
        })
        .collect()
}

async fn delete_some(connection: &mut SqliteConnection, log: i64, cutoff: i64) -> Result<usize, sqlx::Error> {
    // Only the writer deletes, so what is found before the transaction is still there in it.
    let candidates = candidates(connection, log).await?;
    let count = expired(&candidates, cutoff);
    let Some(last) = count.checked_sub(1).and_then(|index| candidates.get(index)) else {
        return Ok(0);
    };
    connection.execute("BEGIN IMMEDIATE").await?;
    sqlx::query("DELETE FROM records WHERE id BETWEEN ? AND ?")
        .bind(record_id(log, 0))
        .bind(last.id)
        .execute(&mut *connection)
        .await?;
    sqlx::query("UPDATE logs SET floor = ?, floor_timestamp = ? WHERE id = ?")
        .bind(offset_of(last.id) + 1)
        .bind(last.timestamp)
        .bind(log)
        .execute(&mut *connection)
        .await?;
    connection.execute("COMMIT").await?;
    Ok(count)
}

async fn candidates(connection: &mut SqliteConnection, log: i64) -> Result<Vec<Candidate>, sqlx::Error> {
    let rows =
        sqlx::query("SELECT id, timestamp, length(value) FROM records WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?")
            .bind(record_id(log, 0))
            .bind(last_id(log))
            .bind(STEP_RECORDS)
            .fetch_all(connection)
            .await?;
    rows.iter()
        .map(|row| {
            Ok(Candidate {
                id: row.try_get(0)?,
                timestamp: row.try_get(1)?,
                bytes: row.try_get(2)?,
            })
        })
        .collect()
}

/// How many of the oldest records go in this step.
fn expired(candidates: &[Candidate], cutoff: i64) -> usize {
    let mut bytes = 0;
    candidates
        .iter()
        .enumerate()
        .take_while(|(index, candidate)| {
            bytes += candidate.bytes;
            candidate.timestamp < cutoff && (*index == 0 || bytes <= STEP_BYTES)
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::{Candidate, STEP_BYTES, expired};

    fn candidates(of: &[(i64, i64)]) -> Vec<Candidate> {
        of.iter()
            .map(|&(timestamp, bytes)| Candidate {
                id: 0,
                timestamp,
                bytes,
            })
            .collect()
    }

    #[test]
    fn only_the_front_that_is_old_enough_goes() {
        assert_eq!(expired(&candidates(&[(1, 1), (2, 1), (3, 1)]), 3), 2);
        assert_eq!(expired(&candidates(&[(5, 1), (2, 1)]), 3), 0);
        assert_eq!(expired(&[], 3), 0);
    }

    #[test]
    fn a_step_is_small_but_a_large_record_goes_too() {
        assert_eq!(expired(&candidates(&[(1, STEP_BYTES * 2), (1, 1)]), 3), 1);
        assert_eq!(expired(&candidates(&[(1, STEP_BYTES), (1, 1)]), 3), 1);
    }
}
