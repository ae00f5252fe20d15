//! A staged batch and its events, as the enricher reads them.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gosight_enricher::Assets;
use gosight_enricher::core::{self, Outcome, RejectOutput};
use gosight_eventlog::LogRecord;
use gosight_schemas::{OriginalEvent, Reject, Transport, decode_raw_batch};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::asked::Needle;
use crate::staged_event::NothingSeen;

/// What the edge knew of a batch. Addresses stay on staging.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Received {
    /// Unix ms.
    pub(crate) at: i64,
    pub(crate) transport: Transport,
    /// The API key's id, never the key.
    pub(crate) key_id: String,
    pub(crate) project_id: String,
    pub(crate) session_id: String,
    pub(crate) batch_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_agent: Option<String>,
}

/// One event of a batch.
#[derive(Debug, Clone)]
pub(crate) struct BatchEvent {
    pub(crate) index: u32,
    /// Absent where the event is invalid.
    pub(crate) event_id: Option<Uuid>,
    /// The client's own id, where that is no UUID, or where the event is invalid.
    pub(crate) original_id: Option<String>,
    pub(crate) event_type: Option<String>,
    /// The event's bytes of an invalid one that is no JSON.
    bytes: Option<Vec<u8>>,
}

/// What is read of an event's JSON.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Fields<'a> {
    #[serde(borrow)]
    event_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    original_event_id: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    event_type: Option<Cow<'a, str>>,
}

/// What the edge knew; `None` where the record can't be read.
pub(crate) fn received(record: &LogRecord) -> Option<Received> {
    let batch = decode_raw_batch(&record.value).ok()?;
    Some(Received {
        at: batch.received_at,
        transport: batch.transport,
        key_id: batch.key_id,
        project_id: batch.project_id,
        session_id: batch.session_id,
        batch_id: batch.batch_id,
        user_agent: batch.user_agent,
    })
}

/// Its events, by today's rules.
pub(crate) fn events(record: &LogRecord, assets: &Assets) -> Vec<BatchEvent> {
    let processed = core::process(record, assets, &mut NothingSeen, record.timestamp_ms);
    let events = (0..).zip(&processed.outcomes).map(|(index, outcome)| match outcome {
        Outcome::Event(event) => {
            let fields: Fields<'_> = serde_json::from_slice(&event.value).unwrap_or_default();
            BatchEvent {
                index,
                event_id: Some(event.event_id),
                original_id: fields.original_event_id.map(Cow::into_owned),
                event_type: fields.event_type.map(Cow::into_owned),
                bytes: None,
            }
        }
        Outcome::Duplicate(duplicate) => BatchEvent {
            index,
            event_id: Some(duplicate.event_id),
            original_id: None,
            event_type: None,
            bytes: None,
        },
        Outcome::Reject(reject) => invalid(index, reject),
    });
    events.collect()
}

fn invalid(index: u32, reject: &RejectOutput) -> BatchEvent {
    let original = serde_json::from_slice::<Reject>(&reject.value).map(|reject| reject.original);
    let (original_id, event_type, bytes) = match original {
        Ok(OriginalEvent::Json(json)) => {
            let fields: Fields<'_> = serde_json::from_str(json.get()).unwrap_or_default();
            let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
            (owned(fields.event_id), owned(fields.event_type), None)
        }
        Ok(OriginalEvent::Base64(text)) => (None, None, BASE64_STANDARD.decode(text).ok()),
        Ok(OriginalEvent::Cut { .. } | OriginalEvent::Withheld { .. }) | Err(_) => (None, None, None),
    };
    BatchEvent {
        index,
        event_id: None,
        original_id,
        event_type,
        bytes,
    }
}

impl BatchEvent {
    /// Whether it is the one that is looked for.
    pub(crate) fn is(&self, needle: &Needle) -> bool {
        let original = self.original_id.as_deref();
        let original_uuid = original.and_then(|text| Uuid::try_parse(text).ok());
        needle.is(self.event_id, original)
            || needle.is(original_uuid, None)
            || self.bytes.as_deref().is_some_and(|bytes| needle.may_be_in(bytes))
    }
}
