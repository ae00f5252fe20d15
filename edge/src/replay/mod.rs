//! Replay chunks: from what an SDK sends to the record on the replay topic. Pure.

mod events;
mod json;
mod protobuf;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::budget::Held;
use crate::envelope::values;
use crate::outcome::{Reason, Refusal};

/// Limits on a chunk, from `limits` of the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplayLimits {
    /// Bytes of the rrweb events after decompression.
    pub(crate) decompressed: usize,
    /// Bytes of a session id.
    pub(crate) id_length: usize,
}

/// One chunk as it came, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// `project_key`; `None` where absent or empty.
    pub(crate) project_key: Option<String>,
    /// `None` where absent or empty: then the transport's metadata must name it.
    pub(crate) session_id: Option<String>,
    /// Which chunk of the session, from 0.
    pub(crate) chunk_index: i32,
    /// Unix ms.
    pub(crate) timestamp_start: i64,
    /// Unix ms.
    pub(crate) timestamp_end: i64,
    /// Whether it holds a full snapshot.
    pub(crate) has_full_snapshot: bool,
    /// rrweb events: a JSON array, the client's own bytes, decompressed.
    pub(crate) events: Bytes,
}

/// Reads a chunk of `POST /v1/replay` (a decompressed JSON body). What it unpacks beyond the body is added to `held`.
///
/// # Errors
/// The body is no JSON, a field is missing or of the wrong type, or the rrweb events are none or too large.
pub(crate) fn read_json(body: &Bytes, limits: ReplayLimits, held: &mut Held) -> Result<Chunk, Refusal> {
    json::read(body, limits, held)?.within(limits)
}

/// Reads a `gosight.ReplayChunk`. What it unpacks beyond the message is added to `held`.
///
/// # Errors
/// The message is no protobuf of its type, a field is out of range, or the rrweb events are none or too large.
pub(crate) fn read_protobuf(message: &Bytes, limits: ReplayLimits, held: &mut Held) -> Result<Chunk, Refusal> {
    protobuf::read(message, limits, held)?.within(limits)
}

impl Chunk {
    fn within(self, limits: ReplayLimits) -> Result<Self, Refusal> {
        if self.chunk_index < 0 {
            return Err(Refusal::new(
                Reason::InvalidField,
                format!("chunk_index is {}; the first chunk is 0", self.chunk_index),
            ));
        }
        let session_id = self.session_id.as_deref().unwrap_or_default();
        values::check_length("session_id", session_id, limits.id_length)?;
        Ok(self)
    }

    /// The record's value on the replay topic: JSON with the contract's names, `events` as the client's own bytes.
    pub(crate) fn record_value(&self, project_id: &str, session_id: &str) -> Bytes {
        let head = format!(
            r#"{{"project_id":{},"session_id":{},"chunk_index":{},"timestamp_start":{},"timestamp_end":{},"events":"#,
            quoted(project_id),
            quoted(session_id),
            self.chunk_index,
            self.timestamp_start,
            self.timestamp_end,
        );
        let tail = format!(r#","has_full_snapshot":{}}}"#, self.has_full_snapshot);
        let mut value = Vec::with_capacity(head.len() + self.events.len() + tail.len());
        value.extend_from_slice(head.as_bytes());
        value.extend_from_slice(&self.events);
        value.extend_from_slice(tail.as_bytes());
        Bytes::from(value)
    }
}

fn quoted(text: &str) -> serde_json::Value {
    serde_json::Value::from(text)
}
