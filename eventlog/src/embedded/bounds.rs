//! Questions about where partitions begin and end, and when.

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::ids::{last_id, offset_of, record_id};

/// What one partition holds: `earliest <= offset < end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) log: i64,
    pub(super) partition: i32,
    pub(super) earliest: i64,
    pub(super) end: i64,
    /// Unix ms of the last record, also of one that retention has deleted.
    pub(super) last_timestamp: i64,
}

/// Of every partition of a topic, or of all topics, in the order of partitions.
pub(super) async fn extents(connection: &mut SqliteConnection, topic: Option<i64>) -> Result<Vec<Extent>, sqlx::Error> {
    // One statement is one snapshot. The two look-ups per partition are seeks in the records' tree.
    let rows = sqlx::query(
        "SELECT l.id, l.partition, l.floor, l.floor_timestamp, r.id, r.timestamp
         FROM logs l LEFT JOIN records r ON r.id = (
             SELECT id FROM records WHERE id >= (l.id << 40) AND id < ((l.id + 1) << 40) ORDER BY id DESC LIMIT 1)
         WHERE ?1 IS NULL OR l.topic = ?1 ORDER BY l.topic, l.partition",
    )
    .bind(topic)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let floor: i64 = row.try_get(2)?;
            let last: Option<i64> = row.try_get(4)?;
            let last_timestamp: Option<i64> = row.try_get(5)?;
            Ok(Extent {
                log: row.try_get(0)?,
                partition: row.try_get(1)?,
                // Only retention deletes, from the front and together with the floor: what is above it is there.
                earliest: floor,
                end: last.map_or(floor, |id| offset_of(id) + 1),
                last_timestamp: last_timestamp.map_or_else(|| row.try_get(3), Ok)?,
            })
        })
        .collect()
}

/// The offset of a partition's first record whose timestamp is at or after `time_ms`; its end where there is none. Timestamps of a
/// partition never decrease, so it is a binary search, in one statement for the sake of one snapshot.
pub(super) async fn offset_at(connection: &mut SqliteConnection, log: i64, time_ms: i64) -> Result<i64, sqlx::Error> {
    let found: i64 = sqlx::query_scalar(
        "WITH RECURSIVE
         extent (low, high) AS (
             SELECT ?1 + l.floor,
                    coalesce((SELECT id + 1 FROM records WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1), ?1 + l.floor)
             FROM logs l WHERE l.id = ?4),
         search (low, high) AS (
             SELECT low, high FROM extent
             UNION ALL
             SELECT CASE WHEN r.timestamp >= ?3 THEN low ELSE (low + high) / 2 + 1 END,
                    CASE WHEN r.timestamp >= ?3 THEN (low + high) / 2 ELSE high END
             FROM search JOIN records r ON r.id = (low + high) / 2 WHERE low < high)
         SELECT low FROM search WHERE low >= high",
    )
    .bind(record_id(log, 0))
    .bind(last_id(log))
    .bind(time_ms)
    .bind(log)
    .fetch_one(connection)
    .await?;
    Ok(offset_of(found))
}

/// The positions that a group has committed on a topic: `(partition, next offset)`.
pub(super) async fn committed(
    connection: &mut SqliteConnection,
    group: &str,
    topic: i64,
) -> Result<Vec<(i32, i64)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT l.partition, p.next FROM logs l JOIN positions p ON p.log = l.id
         WHERE l.topic = ? AND p.consumer_group = ? ORDER BY l.partition",
    )
    .bind(topic)
    .bind(group)
    .fetch_all(connection)
    .await
}
