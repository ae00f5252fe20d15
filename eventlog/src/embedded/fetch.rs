//! Records out of the file.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::headers;
use super::ids::{last_id, offset_of, record_id};
use crate::{LogRecord, Position};

/// How much may still be taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    records: usize,
    bytes: usize,
    /// One record is taken however large it is.
    first: bool,
}

impl Room {
    /// Room for so many records and bytes, and for one record in any case.
    pub(super) fn new(records: usize, bytes: usize) -> Self {
        Self {
            records: records.max(1),
            bytes,
            first: true,
        }
    }

    /// Whether nothing more may be taken.
    pub(super) fn is_full(&self) -> bool {
        self.records == 0 || (self.bytes == 0 && !self.first)
    }

    /// Takes room for one record, or finds that there is none and that the room is thereby full.
    fn take(&mut self, bytes: usize) -> bool {
        if self.records == 0 || (bytes > self.bytes && !self.first) {
            self.bytes = 0;
            return false;
        }
        self.records -= 1;
        self.bytes = self.bytes.saturating_sub(bytes);
        self.first = false;
        true
    }
}

/// Where to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct From {
    pub(super) log: i64,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// Records of one partition in offset order, as far as there is room.
pub(super) async fn fetch(
    connection: &mut SqliteConnection,
    topic: &Arc<str>,
    from: From,
    room: &mut Room,
) -> Result<Vec<LogRecord>, sqlx::Error> {
    // A statement that has read ahead of the room's bytes is cut off when the stream is dropped.
    let mut rows = sqlx::query(
        "SELECT id, timestamp, key, headers, value FROM records WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
    )
    .bind(record_id(from.log, from.offset))
    .bind(last_id(from.log))
    .bind(i64::try_from(room.records).unwrap_or(i64::MAX))
    .fetch(connection);
    let mut records = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let record = record_of(&row, topic, from.partition)?;
        if !room.take(record.size()) {
            break;
        }
        records.push(record);
        if room.is_full() {
            break;
        }
    }
    Ok(records)
}

fn record_of(row: &SqliteRow, topic: &Arc<str>, partition: i32) -> Result<LogRecord, sqlx::Error> {
    let id: i64 = row.try_get(0)?;
    let headers = headers::decode(row.try_get(3)?).map_err(|_| {
        sqlx::Error::Decode(format!("the headers of {topic}:{partition}:{} are damaged", offset_of(id)).into())
    })?;
    Ok(LogRecord {
        position: Position {
            topic: Arc::clone(topic),
            partition,
            offset: offset_of(id),
        },
        timestamp_ms: row.try_get(1)?,
        key: Some(Bytes::copy_from_slice(row.try_get(2)?)),
        value: Bytes::copy_from_slice(row.try_get(4)?),
        headers,
    })
}

#[cfg(test)]
mod tests {
    use super::Room;

    #[test]
    fn one_record_is_always_taken_and_then_the_limits_hold() {
        let mut room = Room::new(10, 100);
        assert!(room.take(500));
        assert!(room.is_full());

        let mut room = Room::new(10, 100);
        assert!(room.take(60));
        assert!(!room.take(60));
        assert!(room.is_full());

        let mut room = Room::new(1, 100);
        assert!(room.take(1));
        assert!(room.is_full());
    }
}
