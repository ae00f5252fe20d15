//! What becomes of a staged record: one outcome for each of its events.

use std::sync::Arc;

use bytes::Bytes;
use gosight_schemas::{Origin, RejectCode};
use uuid::Uuid;

use super::clock::TimeChange;

/// Everything that one staged record turns into.
#[derive(Debug, Clone)]
pub struct Processed {
    /// The batch's id; empty where the record could not be read, as the next.
    pub batch_id: Arc<str>,
    /// The project's id: the key of errors records, and the one tenant whose books these outcomes stand in.
    pub project_id: Arc<str>,
    /// The key of raw records: the session's, as on staging.
    pub session_key: Bytes,
    /// When the edge had read the batch, Unix ms.
    pub received_at: i64,
    /// The trace that the batch belongs to, as W3C writes it.
    pub traceparent: Option<String>,
    /// One outcome per event, in the order of the batch.
    pub outcomes: Vec<Outcome>,
}

/// What becomes of one event.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// A record for the raw topic.
    Event(EventOutput),
    /// A record for the errors topic.
    Reject(RejectOutput),
    /// The id of an earlier event came again: counted, not published.
    Duplicate(DuplicateOutput),
}

/// A record for the raw topic.
#[derive(Debug, Clone)]
pub struct EventOutput {
    /// Where the event stood on staging.
    pub origin: Origin,
    /// Its identity.
    pub event_id: Uuid,
    /// Its type for metrics: a name of the catalogue, or `other`.
    pub event_type: &'static str,
    /// The record's value: one JSON object.
    pub value: Bytes,
    /// Whether its timestamp is not the client's own.
    pub time_change: Option<TimeChange>,
    /// Whether what was typed into a password field was removed.
    pub is_masked: bool,
}

/// A record for the errors topic.
#[derive(Debug, Clone)]
pub struct RejectOutput {
    /// Where the event stood on staging.
    pub origin: Origin,
    /// UUIDv5 of the origin.
    pub reject_id: Uuid,
    /// The first problem.
    pub code: RejectCode,
    /// How often the event has been tried, from 1.
    pub attempt: u32,
    /// The record's value: one JSON object.
    pub value: Bytes,
    /// Whether what was typed into a password field was removed from the original.
    pub is_masked: bool,
}

/// A repeated event.
#[derive(Debug, Clone)]
pub struct DuplicateOutput {
    /// Where the event stood on staging.
    pub origin: Origin,
    /// The id that came before.
    pub event_id: Uuid,
}

impl Outcome {
    pub(super) fn event_mut(&mut self) -> Option<&mut EventOutput> {
        match self {
            Self::Event(event) => Some(event),
            Self::Reject(_) | Self::Duplicate(_) => None,
        }
    }

    /// Where the event stood on staging.
    pub fn origin(&self) -> &Origin {
        match self {
            Self::Event(event) => &event.origin,
            Self::Reject(reject) => &reject.origin,
            Self::Duplicate(duplicate) => &duplicate.origin,
        }
    }
}
