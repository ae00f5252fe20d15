//! Reading a partition's window again when a lane is given the partition.

use std::sync::Arc;
use std::time::Duration;

use gosight_eventlog::{Assigned, EventLog, LogError, LogRecord};

use crate::EnricherParts;
use crate::core::{self, DedupeWindow};
use crate::outputs::now_ms;
use crate::partitions::WindowLimits;
use crate::window::Window;

/// Records of one read: the memory that they take is bounded by their number alone, and each may be as large as the topic takes.
const CHUNK: usize = 16;
/// How long one read may take until the log counts as not answering.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Clocks, ours and those of brokers, may differ by so much before ids are missed; reading more than the window does no harm.
const CLOCK_SLACK: Duration = Duration::from_secs(60);

/// The window of a partition as it stood when its committed position was reached.
pub(crate) async fn primed_window(
    parts: &EnricherParts,
    assigned: Assigned,
    windows: WindowLimits,
) -> Result<Window, LogError> {
    let mut window = windows.empty_window();
    let topic = &parts.settings.kafka.topics.staging;
    let Assigned { partition, next_offset } = assigned;
    let from = first_offset(&*parts.log, topic, assigned, windows.length).await?;
    if from >= next_offset {
        return Ok(window);
    }

    let mut reader = parts.log.reader(topic, &[(partition, from)]).await?;
    loop {
        let records = reader.next(CHUNK, READ_TIMEOUT).await?;
        let was_empty = records.is_empty();
        window = remember(parts, window, records, next_offset).await?;
        let reached = reader
            .positions()
            .iter()
            .find(|(number, _)| *number == partition)
            .map(|(_, offset)| *offset);
        if reached.is_none_or(|offset| offset >= next_offset) {
            return Ok(window);
        }
        if was_empty {
            return Err(timed_out(topic, partition, from, next_offset));
        }
    }
}

/// The oldest offset whose ids can still make the record at `next_offset` a duplicate.
async fn first_offset(log: &dyn EventLog, topic: &str, assigned: Assigned, window: Duration) -> Result<i64, LogError> {
    let Assigned { partition, next_offset } = assigned;
    let bounds = log.bounds(topic).await?;
    let Some(bounds) = bounds.iter().find(|bounds| bounds.partition == partition) else {
        return Ok(next_offset);
    };
    if bounds.earliest >= next_offset {
        return Ok(next_offset);
    }
    // Behind a backlog the next record is older than any clock says; it is no older than the one before it, but for the clocks of
    // brokers that lead the partition one after the other.
    let newest = if next_offset < bounds.end {
        let mut reader = log.reader(topic, &[(partition, next_offset - 1)]).await?;
        let last = reader.next(1, READ_TIMEOUT).await?;
        last.first()
            .map(|record| record.timestamp_ms)
            .ok_or_else(|| timed_out(topic, partition, next_offset - 1, next_offset))?
    } else {
        now_ms()
    };
    let newest = newest.saturating_sub(millis(CLOCK_SLACK));
    let oldest = newest.saturating_sub(millis(window));
    let offsets = log.offsets_at(topic, oldest).await?;
    let from = offsets
        .iter()
        .find(|(number, _)| *number == partition)
        .map_or(next_offset, |(_, offset)| *offset);
    Ok(from.max(bounds.earliest))
}

/// Takes the ids of records before `next_offset` into the window.
async fn remember(
    parts: &EnricherParts,
    mut window: Window,
    records: Vec<LogRecord>,
    next_offset: i64,
) -> Result<Window, LogError> {
    let assets = Arc::clone(&parts.assets);
    let remembered = tokio::task::spawn_blocking(move || {
        for record in records.iter().filter(|record| record.position.offset < next_offset) {
            for id in core::dedupe_keys(record, &assets) {
                window.seen(id, record.timestamp_ms);
            }
        }
        window.keep();
        window
    });
    remembered.await.map_err(|error| LogError::Failed {
        what: "reading the ids of staged batches".to_owned(),
        reason: error.to_string(),
    })
}

fn timed_out(topic: &str, partition: i32, from: i64, to: i64) -> LogError {
    LogError::Timeout {
        what: format!("reading {topic} partition {partition} from {from} up to {to}"),
        timeout: READ_TIMEOUT,
        address: "the log".to_owned(),
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
