//! Reading given partitions, apart from any group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;
use tokio::time::{Instant, timeout};

use super::ASK_TIMEOUT;
use super::bounds;
use super::fetch::{From, Room, fetch};
use super::schema;
use super::shared::Shared;
use super::topics::Topic;
use crate::{LogError, LogRecord, Reader};

/// How often records of another process are looked for; those of this one announce themselves.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Bytes of one read at the most, but one record.
const MAX_BYTES: usize = 16 << 20;

/// Reads with a connection of its own, so that readers don't wait for each other.
pub(super) struct EmbeddedReader {
    shared: Arc<Shared>,
    topic: Arc<Topic>,
    connection: SqliteConnection,
    positions: BTreeMap<i32, i64>,
    /// The partition that was served last is served last again.
    served: i32,
}

impl EmbeddedReader {
    /// Opens a reader. A start before the earliest offset begins there; one past the end is refused.
    pub(super) async fn open(shared: Arc<Shared>, topic: Arc<Topic>, starts: &[(i32, i64)]) -> Result<Self, LogError> {
        let what = format!("reading topic {}", topic.name);
        let refused = |reason: String| LogError::Failed {
            what: what.clone(),
            reason,
        };
        let (connection, extents) = timeout(ASK_TIMEOUT, async {
            let mut connection = schema::connect_reading(&shared.path).await?;
            let extents = bounds::extents(&mut connection, Some(topic.id)).await?;
            Ok::<_, sqlx::Error>((connection, extents))
        })
        .await
        .map_err(|_| refused(format!("no answer within {ASK_TIMEOUT:?}")))?
        .map_err(|error| shared.failed(&what, &error))?;
        let mut positions = BTreeMap::new();
        for &(partition, start) in starts {
            let extent = extents
                .iter()
                .find(|extent| extent.partition == partition)
                .ok_or_else(|| refused(format!("there is no partition {partition}")))?;
            if start > extent.end {
                return Err(refused(format!(
                    "partition {partition} ends at offset {}, before the start {start}",
                    extent.end
                )));
            }
            positions.insert(partition, start.max(extent.earliest));
        }
        Ok(Self {
            shared,
            topic,
            connection,
            positions,
            served: -1,
        })
    }

    /// What is there now. Nothing is noted before everything was read, so that a reader that is not waited for loses nothing.
    async fn read(&mut self, max_records: usize) -> Result<Vec<LogRecord>, sqlx::Error> {
        let mut room = Room::new(max_records, MAX_BYTES);
        let mut records = Vec::new();
        let after = self.positions.range(self.served.saturating_add(1)..);
        let before = self.positions.range(..=self.served);
        for (&partition, &offset) in after.chain(before) {
            let Some(log) = self.topic.log(partition) else { continue };
            let from = From {
                log: log.id,
                partition,
                offset,
            };
            records.append(&mut fetch(&mut self.connection, &self.topic.name, from, &mut room).await?);
            if room.is_full() {
                break;
            }
        }
        Ok(records)
    }

    /// Whether records that were to come have been deleted; without a record after them nothing else tells.
    async fn check_floors(&mut self) -> Result<(), LogError> {
        let extents = bounds::extents(&mut self.connection, Some(self.topic.id))
            .await
            .map_err(|error| self.failed(&error))?;
        for extent in extents {
            if let Some(position) = self.positions.get(&extent.partition)
                && extent.earliest > *position
            {
                return Err(self.lost(extent.partition, *position, extent.earliest));
            }
        }
        Ok(())
    }

    fn advance(&mut self, records: &[LogRecord]) -> Result<(), LogError> {
        let mut positions = self.positions.clone();
        for record in records {
            let (partition, offset) = (record.position.partition, record.position.offset);
            let next = positions.entry(partition).or_insert(offset);
            if *next != offset {
                return Err(self.lost(partition, *next, offset));
            }
            *next = offset + 1;
            self.served = partition;
        }
        self.positions = positions;
        Ok(())
    }

    fn failed(&self, error: &sqlx::Error) -> LogError {
        self.shared.failed(&format!("reading topic {}", self.topic.name), error)
    }

    fn lost(&self, partition: i32, next: i64, earliest: i64) -> LogError {
        LogError::Failed {
            what: format!("reading topic {}", self.topic.name),
            reason: format!(
                "partition {partition}: offsets {next}..{earliest} were deleted before they were read; start again from \
                 the earliest offset"
            ),
        }
    }
}

#[async_trait]
impl Reader for EmbeddedReader {
    async fn next(&mut self, max_records: usize, max_wait: Duration) -> Result<Vec<LogRecord>, LogError> {
        let deadline = Instant::now() + max_wait;
        let mut appended = self.topic.watch();
        loop {
            appended.borrow_and_update();
            let read = timeout(ASK_TIMEOUT, self.read(max_records)).await;
            let records = read
                .map_err(|_| LogError::Timeout {
                    what: format!("reading topic {}", self.topic.name),
                    timeout: ASK_TIMEOUT,
                    address: self.shared.path.display().to_string(),
                })?
                .map_err(|error| self.failed(&error))?;
            if !records.is_empty() {
                self.advance(&records)?;
                return Ok(records);
            }
            self.check_floors().await?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(records);
            }
            // Either way it is looked again.
            let _ = timeout(left.min(LOOK_AGAIN), appended.changed()).await;
        }
    }

    fn positions(&self) -> Vec<(i32, i64)> {
        self.positions
            .iter()
            .map(|(partition, offset)| (*partition, *offset))
            .collect()
    }
}
