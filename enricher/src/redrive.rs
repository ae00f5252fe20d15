//! A reject as the record that it becomes today: the public door for `gosight dlq`.

use std::sync::Arc;

use bytes::Bytes;
use gosight_eventlog::{Header, NewRecord};
use gosight_schemas::{Problem, Reject, headers};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::core::{self, Again, Assets, Unrepeatable};
use crate::outputs::{MadeWith, origin_header};

/// A reject, tried again.
#[derive(Debug, Clone)]
pub struct Redriven {
    /// The event for the raw topic, or the next reject for the errors topic; origin and batch are those of the first time, and the
    /// header `redrive-of` names the reject.
    pub record: NewRecord,
    /// The event's identity, on raw as it would have been at first.
    pub event_id: Uuid,
    /// What is wrong now; empty where it is an event.
    pub problems: Vec<Problem>,
}

/// Where redriven rejects go.
#[derive(Debug, Clone)]
pub struct RedriveTopics {
    /// Events.
    pub raw: Arc<str>,
    /// Rejects.
    pub errors: Arc<str>,
}

/// Runs a reject through today's rules and assets; see [`core::reprocess`].
///
/// # Errors
/// The reject does not hold its event.
pub fn redrive(
    reject: &Reject,
    patched: Option<&RawValue>,
    assets: &Assets,
    topics: &RedriveTopics,
    now_ms: i64,
) -> Result<Redriven, Unrepeatable> {
    let reprocessed = core::reprocess(reject, patched, assets, now_ms)?;
    let made_with = MadeWith::of(assets);
    let batch_id = Header::new(headers::BATCH_ID, Bytes::copy_from_slice(reject.batch_id.as_bytes()));
    let project = Bytes::copy_from_slice(reject.project_id.as_bytes());
    let (mut record, problems) = match reprocessed.again {
        Again::Event(event) => (
            NewRecord {
                topic: Arc::clone(&topics.raw),
                key: reprocessed.session_key,
                value: event.value,
                headers: made_with.after([origin_header(&event.origin), batch_id]),
            },
            Vec::new(),
        ),
        Again::Reject(next, problems) => (
            NewRecord {
                topic: Arc::clone(&topics.errors),
                key: project.clone(),
                value: next.value,
                headers: made_with.after([
                    origin_header(&next.origin),
                    batch_id,
                    Header::new(headers::CODE, next.code.as_str()),
                    Header::new(headers::PROJECT_ID, project),
                    Header::new(headers::ATTEMPT, next.attempt.to_string()),
                ]),
            },
            problems,
        ),
    };
    record
        .headers
        .push(Header::new(headers::REDRIVE_OF, reject.reject_id.to_string()));
    Ok(Redriven {
        record,
        event_id: reprocessed.event_id,
        problems,
    })
}
