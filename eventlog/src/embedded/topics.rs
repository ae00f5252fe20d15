//! Topics as this process knows them. They never change once they are made, so what was read is kept.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::watch;

use super::bounds;
use super::murmur2::partition_of;
use crate::{Cleanup, TimestampSource, TopicInfo};

/// One topic.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) id: i64,
    pub(super) name: Arc<str>,
    pub(super) retention: Option<Duration>,
    pub(super) max_message_bytes: u32,
    pub(super) timestamps: TimestampSource,
    /// By partition.
    pub(super) logs: Vec<PartitionLog>,
    /// Counts the transactions of this process that appended to the topic.
    appended: watch::Sender<u64>,
}

/// One partition of a topic.
#[derive(Debug)]
pub(super) struct PartitionLog {
    pub(super) id: i64,
    /// The offset after the last committed record that this process knows of.
    end: AtomicI64,
}

impl PartitionLog {
    /// See the field.
    pub(super) fn end(&self) -> i64 {
        self.end.load(Ordering::Acquire)
    }

    /// Notes an end that was seen; ends never go back.
    pub(super) fn reached(&self, end: i64) {
        self.end.fetch_max(end, Ordering::AcqRel);
    }
}

impl Topic {
    /// How many partitions.
    pub(super) fn partitions(&self) -> i32 {
        i32::try_from(self.logs.len()).unwrap_or(i32::MAX)
    }

    /// The partition of a key, as an index into `logs`.
    pub(super) fn index_of(&self, key: &[u8]) -> usize {
        usize::try_from(partition_of(key, self.partitions())).unwrap_or_default()
    }

    /// A partition's log.
    pub(super) fn log(&self, partition: i32) -> Option<&PartitionLog> {
        self.logs.get(usize::try_from(partition).ok()?)
    }

    /// Bytes that a record may have.
    pub(super) fn limit(&self) -> usize {
        usize::try_from(self.max_message_bytes).unwrap_or(usize::MAX)
    }

    /// Wakes those who wait for records.
    pub(super) fn announce(&self) {
        self.appended.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Changes when records were appended by this process.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.appended.subscribe()
    }

    /// The topic for an operator.
    pub(super) fn info(&self) -> TopicInfo {
        TopicInfo {
            name: self.name.to_string(),
            partitions: self.partitions(),
            replication: 1,
            brokers: 1,
            min_insync: 1,
            retention: self.retention,
            // The two keep the same: every record.
            cleanup: self.retention.map_or(Cleanup::Compact, |_| Cleanup::Delete),
            max_message_bytes: self.max_message_bytes,
            timestamps: self.timestamps,
        }
    }
}

/// The topics that were read from the file so far.
#[derive(Debug, Default)]
pub(super) struct Topics {
    known: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
}

impl Topics {
    /// A topic that was read before.
    pub(super) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// A topic, read where it was not before; `None` where it does not exist.
    pub(super) async fn find(
        &self,
        connection: &mut SqliteConnection,
        name: &str,
    ) -> Result<Option<Arc<Topic>>, sqlx::Error> {
        if let Some(topic) = self.get(name) {
            return Ok(Some(topic));
        }
        let row =
            sqlx::query("SELECT id, name, retention_ms, max_message_bytes, log_append_time FROM topics WHERE name = ?")
                .bind(name)
                .fetch_optional(&mut *connection)
                .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let id: i64 = row.try_get(0)?;
        let retention_ms: Option<i64> = row.try_get(2)?;
        let extents = bounds::extents(connection, Some(id)).await?;
        let topic = Topic {
            id,
            name: row.try_get::<&str, _>(1)?.into(),
            retention: retention_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())),
            max_message_bytes: row.try_get(3)?,
            timestamps: if row.try_get(4)? {
                TimestampSource::LogAppendTime
            } else {
                TimestampSource::CreateTime
            },
            logs: extents
                .iter()
                .map(|extent| PartitionLog {
                    id: extent.log,
                    end: AtomicI64::new(extent.end),
                })
                .collect(),
            appended: watch::Sender::new(0),
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let topic = known.entry(Arc::clone(&topic.name)).or_insert_with(|| Arc::new(topic));
        Ok(Some(Arc::clone(topic)))
    }
}

#[cfg(test)]
impl Topic {
    /// A topic that stands in no file.
    pub(super) fn for_tests(name: &str, partitions: i64) -> Self {
        Self {
            id: 1,
            name: name.into(),
            retention: None,
            max_message_bytes: 1 << 20,
            timestamps: TimestampSource::CreateTime,
            logs: (1..=partitions)
                .map(|id| PartitionLog {
                    id,
                    end: AtomicI64::new(0),
                })
                .collect(),
            appended: watch::Sender::new(0),
        }
    }
}
