//! The other events of a reject's batch: from staging while that keeps the batch, else from raw and errors.

use gosight_enricher::Assets;
use gosight_enricher::core::{Outcome, process};
use gosight_eventlog::LogRecord;
use gosight_schemas::{Origin, Reject, headers};
use serde::Serialize;
use serde_json::Value;

use super::source::Source;
use crate::failure::Failure;
use crate::ranges::{CLOCK_SLACK_MS, Times};
use crate::staged_event::{NothingSeen, staged_record};

/// Records that one read brings at the most.
const CHUNK: usize = 2_000;
/// A batch leads to its outputs within so many ms after its receipt, or they are not searched for.
const SEARCHED_MS: i64 = 15 * 60 * 1_000;

/// One event of the batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Neighbour {
    /// Which event of the batch, from 0.
    pub(crate) index: u32,
    /// `event` or `reject`; from staging as today's enricher sees it.
    pub(crate) outcome: &'static str,
    /// The event's id, or the reject's.
    pub(crate) id: String,
    /// Its type, or the reject's code.
    pub(crate) what: String,
}

/// The neighbours, and where they were found.
#[derive(Debug, Serialize)]
pub(crate) struct Batch {
    pub(crate) found_in: String,
    pub(crate) events: Vec<Neighbour>,
}

/// The events of the reject's batch, itself included.
pub(crate) async fn of(source: &Source, reject: &Reject, assets: &Assets) -> Result<Batch, Failure> {
    if let Some(record) = staged(source, &reject.origin).await? {
        return Ok(Batch {
            found_in: format!("{} (what today's enricher makes of it)", reject.origin.topic),
            events: from_staging(&record, assets),
        });
    }
    let times = Times {
        from_ms: Some(reject.received_at.saturating_sub(CLOCK_SLACK_MS)),
        to_ms: Some(reject.received_at.saturating_add(SEARCHED_MS)),
    };
    let (raw, errors) = (&source.topics.events, &source.topics.errors);
    let mut events = with_batch_id(source, raw, times, &reject.batch_id, event).await?;
    events.extend(with_batch_id(source, errors, times, &reject.batch_id, rejected).await?);
    events.sort_by_key(|neighbour| neighbour.index);
    Ok(Batch {
        found_in: format!(
            "{raw} and {errors}, the {} minutes from the batch's receipt on (staging keeps it no more)",
            SEARCHED_MS / 60_000
        ),
        events,
    })
}

/// The staged record, while it is there.
async fn staged(source: &Source, origin: &Origin) -> Result<Option<LogRecord>, Failure> {
    if source.log.describe(&origin.topic).await?.is_none() {
        return Ok(None);
    }
    Ok(staged_record(&*source.log, &origin.topic, origin.partition, origin.offset).await?)
}

fn from_staging(record: &LogRecord, assets: &Assets) -> Vec<Neighbour> {
    let processed = process(record, assets, &mut NothingSeen, record.timestamp_ms);
    let neighbour = |outcome: &Outcome| match outcome {
        Outcome::Event(event) => Neighbour {
            index: event.origin.index,
            outcome: "event",
            id: event.event_id.to_string(),
            what: event.event_type.to_owned(),
        },
        Outcome::Reject(reject) => Neighbour {
            index: reject.origin.index,
            outcome: "reject",
            id: reject.reject_id.to_string(),
            what: reject.code.to_string(),
        },
        Outcome::Duplicate(duplicate) => Neighbour {
            index: duplicate.origin.index,
            outcome: "duplicate",
            id: duplicate.event_id.to_string(),
            what: String::new(),
        },
    };
    processed.outcomes.iter().map(neighbour).collect()
}

async fn with_batch_id(
    source: &Source,
    topic: &str,
    times: Times,
    batch_id: &str,
    neighbour: fn(&LogRecord) -> Option<Neighbour>,
) -> Result<Vec<Neighbour>, Failure> {
    let mut found = Vec::new();
    let mut reader = times.open(&*source.log, topic).await?;
    while let Some(records) = reader.next(CHUNK).await? {
        let of_batch = records.iter().filter(|record| {
            let header = record.header(headers::BATCH_ID);
            header.is_some_and(|id| id == batch_id.as_bytes()) && record.header(headers::REDRIVE_OF).is_none()
        });
        found.extend(of_batch.filter_map(neighbour));
    }
    Ok(found)
}

fn event(record: &LogRecord) -> Option<Neighbour> {
    let value: Value = serde_json::from_slice(&record.value).ok()?;
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    Some(Neighbour {
        index: origin(record)?.index,
        outcome: "event",
        id: text("event_id"),
        what: text("type"),
    })
}

fn rejected(record: &LogRecord) -> Option<Neighbour> {
    let origin = origin(record)?;
    let code = record.header(headers::CODE)?;
    Some(Neighbour {
        index: origin.index,
        outcome: "reject",
        id: origin.reject_id().to_string(),
        what: String::from_utf8_lossy(code).into_owned(),
    })
}

fn origin(record: &LogRecord) -> Option<Origin> {
    std::str::from_utf8(record.header(headers::ORIGIN)?).ok()?.parse().ok()
}
