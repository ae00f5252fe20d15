//! A rejected event as it stands on the errors topic: one JSON object that carries everything a redrive needs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{BodyFormat, Origin, RejectCode, Transport};

/// One rejected event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reject {
    /// UUIDv5 of the origin.
    pub reject_id: Uuid,
    /// The first problem's code.
    pub code: RejectCode,
    /// The first problem, in words for an SDK author.
    pub message: String,
    /// The first problem's field as a JSON pointer (RFC 6901) into the event; empty for the event itself.
    pub field: String,
    /// Every problem found, the first one included.
    pub problems: Vec<Problem>,
    /// Which step rejected it.
    pub stage: Stage,
    /// The event as it came.
    pub original: OriginalEvent,
    /// Where it stood on the staging topic.
    pub origin: Origin,
    /// The batch it came with; empty where the staged record could not be read, as the next four.
    pub batch_id: String,
    /// The project.
    pub project_id: String,
    /// The session.
    pub session_id: String,
    /// When the edge had read the batch, Unix ms; the record's append time where it could not be read.
    pub received_at: i64,
    /// When the enricher rejected it, Unix ms.
    pub rejected_at: i64,
    /// How often it has been tried, from 1.
    pub attempt: u32,
    /// Version of the enricher.
    pub enricher_version: String,
    /// Build of the newest GeoIP file, Unix seconds; absent without one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub geoip_build: Option<u64>,
    /// What enriching it later needs, after the project's privacy rules.
    pub context: RejectContext,
}

/// One thing that is wrong with an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The reason.
    pub code: RejectCode,
    /// JSON pointer (RFC 6901) into the event; empty for the event itself.
    pub field: String,
    /// What is wrong, with the value, and what to change.
    pub message: String,
}

/// Which step rejected an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Reading the staged record.
    Staging,
    /// Reading the event from the batch's body.
    Decode,
    /// Checking its fields.
    Validate,
    /// Adding facts.
    Enrich,
    /// Writing it to the raw topic.
    Publish,
}

/// The event as it came. Exactly one form stands there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginalEvent {
    /// The event's own JSON, as it came but for what was typed into a password field.
    Json(Box<RawValue>),
    /// Bytes that are no JSON (a protobuf event, a broken one, or a staged record that no edge wrote): standard base64 with
    /// padding (RFC 4648 §4).
    Base64(String),
    /// Too large for the errors topic; find the whole event on staging by the origin while it lives.
    Cut {
        /// The first bytes, base64.
        beginning: String,
        /// Bytes of the whole event.
        size: u64,
        /// SHA-256 of the whole event, lower-case hexadecimal.
        sha256: String,
    },
    /// Withheld: it can't be parsed, and it is an event whose project wants privacy, or holds a client's key. Find it on staging by
    /// the origin while it lives.
    Withheld {
        /// Bytes of the whole event.
        size: u64,
        /// SHA-256 of the whole event, lower-case hexadecimal.
        sha256: String,
    },
}

/// What the batch says about its events, after the project's privacy rules.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RejectContext {
    /// How it came.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transport: Option<Transport>,
    /// How the batch was encoded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub body_format: Option<BodyFormat>,
    /// The client's user.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user_id: Option<String>,
    /// When the client sent it, by its own clock, Unix ms.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sent_at: Option<i64>,
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_ip: Option<String>,
    /// The User-Agent header.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user_agent: Option<String>,
    /// The Sec-CH-UA… headers, by lower-case name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub client_hints: BTreeMap<String, String>,
    /// The batch's device, as it came in JSON form.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub device: Option<Box<RawValue>>,
    /// The batch's time zone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timezone: Option<String>,
    /// The batch's language.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub language: Option<String>,
    /// Whether the project wanted no full address.
    #[serde(default)]
    pub anonymize_ip: bool,
}
