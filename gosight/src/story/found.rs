//! Records of raw and errors that an event became.

use gosight_eventlog::LogRecord;
use gosight_schemas::{Origin, OriginalEvent, Reject, headers};
use serde::Deserialize;
use uuid::Uuid;

use super::asked::Needle;
use crate::outputs::{self, Writer};

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) origin: Origin,
    pub(crate) record: String,
    /// When it was written, Unix ms.
    pub(crate) at: i64,
    pub(crate) writer: Writer,
    /// The replay's or the redriven reject's id.
    pub(crate) job: Option<String>,
    /// On errors, why.
    pub(crate) reject: Option<Box<Reject>>,
}

/// The topic of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Event,
    Reject,
}

#[derive(Deserialize)]
struct Ids {
    event_id: Option<String>,
    original_event_id: Option<String>,
}

impl Found {
    /// Of a record; `None` where it names no origin that can be read.
    pub(crate) fn of(record: &LogRecord, kind: Kind) -> Option<Self> {
        let origin = outputs::origin(record)?;
        let text = |name| {
            record
                .header(name)
                .map(|text| String::from_utf8_lossy(text).into_owned())
        };
        Some(Self {
            origin: Origin {
                topic: origin.topic.into(),
                partition: origin.partition,
                offset: origin.offset,
                index: origin.index,
            },
            record: record.position.to_string(),
            at: record.timestamp_ms,
            writer: outputs::writer(record),
            job: text(headers::REPLAY_ID).or_else(|| text(headers::REDRIVE_OF)),
            reject: match kind {
                Kind::Event => None,
                Kind::Reject => serde_json::from_slice(&record.value).ok().map(Box::new),
            },
        })
    }

    /// The same where the record is of the event that is looked for.
    pub(crate) fn if_of(record: &LogRecord, kind: Kind, needle: &Needle) -> Option<Self> {
        if !needle.may_be_in(&record.value) {
            return None;
        }
        let found = Self::of(record, kind)?;
        let is_it = match (&found.reject, kind) {
            (Some(reject), _) => is_original(&reject.original, needle),
            (None, Kind::Event) => is_event(&record.value, needle),
            (None, Kind::Reject) => false,
        };
        is_it.then_some(found)
    }
}

fn is_event(value: &[u8], needle: &Needle) -> bool {
    serde_json::from_slice::<Ids>(value).is_ok_and(|ids| has(&ids, needle))
}

fn is_original(original: &OriginalEvent, needle: &Needle) -> bool {
    match original {
        OriginalEvent::Json(json) => serde_json::from_str::<Ids>(json.get()).is_ok_and(|ids| has(&ids, needle)),
        OriginalEvent::Base64(_) | OriginalEvent::Cut { .. } | OriginalEvent::Withheld { .. } => false,
    }
}

fn has(ids: &Ids, needle: &Needle) -> bool {
    let id = ids.event_id.as_deref();
    needle.is(id.and_then(|text| Uuid::try_parse(text).ok()), id) || needle.is(None, ids.original_event_id.as_deref())
}
