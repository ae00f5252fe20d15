//! A staged event, as far as an operator needs it to find it elsewhere.

use gosight_enricher::Assets;
use gosight_enricher::core::{self, DedupeWindow, Outcome};
use gosight_eventlog::{EventLog, LogError, LogRecord};
use gosight_schemas::{Origin, decode_raw_batch};
use serde::Serialize;
use uuid::Uuid;

use crate::ranges::{RangeReader, Span};

/// What identifies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct StagedEvent {
    pub(crate) batch_id: String,
    pub(crate) session_id: String,
    /// Unix ms.
    pub(crate) received_at: i64,
    /// Absent where the event is invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event_id: Option<Uuid>,
}

/// A window that has seen nothing: whatever is asked for is new.
#[derive(Debug)]
pub(crate) struct NothingSeen;

impl DedupeWindow for NothingSeen {
    fn seen(&mut self, _: Uuid, _: i64) -> bool {
        false
    }
}

/// The staged record at an offset; `None` where none stands any more.
pub(crate) async fn staged_record(
    log: &dyn EventLog,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<Option<LogRecord>, LogError> {
    let bounds = log.bounds(topic).await?;
    let is_there = |earliest, end| (earliest..end).contains(&offset);
    if !bounds
        .iter()
        .any(|bound| bound.partition == partition && is_there(bound.earliest, bound.end))
    {
        return Ok(None);
    }
    let span = Span {
        partition,
        from: offset,
        to: offset + 1,
    };
    let mut reader = RangeReader::open(log, topic, &[span]).await?;
    let records = reader.next(1).await?.unwrap_or_default();
    Ok(records.into_iter().find(|record| record.position.offset == offset))
}

/// What was staged at an origin; `None` where nothing stands there that can be read.
pub(crate) async fn look_up(
    log: &dyn EventLog,
    assets: &Assets,
    origin: &Origin,
) -> Result<Option<StagedEvent>, LogError> {
    let record = staged_record(log, &origin.topic, origin.partition, origin.offset).await?;
    Ok(record.and_then(|record| of_record(&record, assets, origin.index)))
}

fn of_record(record: &LogRecord, assets: &Assets, index: u32) -> Option<StagedEvent> {
    let batch = decode_raw_batch(&record.value).ok()?;
    let processed = core::process(record, assets, &mut NothingSeen, record.timestamp_ms);
    let event_id = match processed.outcomes.get(usize::try_from(index).ok()?)? {
        Outcome::Event(event) => Some(event.event_id),
        Outcome::Duplicate(duplicate) => Some(duplicate.event_id),
        Outcome::Reject(_) => None,
    };
    Some(StagedEvent {
        batch_id: batch.batch_id,
        session_id: batch.session_id,
        received_at: batch.received_at,
        event_id,
    })
}
