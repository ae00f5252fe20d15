//! The envelope of a batch: who sends, which session, how many events. A borrowed parse that builds no tree and never looks inside
//! an event. Pure.

mod json;
pub(crate) mod object;
mod protobuf;
#[cfg(test)]
mod tests;
pub(crate) mod values;

use bytes::Bytes;
use gosight_schemas::BodyFormat;

use crate::outcome::{Reason, Refusal};

/// Limits on what an envelope may say, from `limits` of the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EnvelopeLimits {
    /// Events of one batch.
    pub(crate) events: u32,
    /// Bytes of a session id, and of a user id.
    pub(crate) id_length: usize,
}

/// What the edge reads of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// `project_key`; `None` where absent or empty. Its length is admission's to judge.
    pub(crate) project_key: Option<String>,
    /// Empty where the client named none.
    pub(crate) session_id: String,
    /// `None` where absent or empty.
    pub(crate) user_id: Option<String>,
    /// Unix ms by the client's clock.
    pub(crate) sent_at: Option<i64>,
    /// Elements of `events`.
    pub(crate) events: u32,
}

/// Reads the envelope of a decompressed body.
///
/// # Errors
/// The body is not of its format, or a field of the envelope is of the wrong type, too long or too many.
pub(crate) fn read(body: &Bytes, format: BodyFormat, limits: EnvelopeLimits) -> Result<Envelope, Refusal> {
    match format {
        BodyFormat::Json => json::read(body, limits),
        BodyFormat::Protobuf => protobuf::read(body, limits),
    }
}

impl Envelope {
    fn within(self, limits: EnvelopeLimits) -> Result<Self, Refusal> {
        if self.events > limits.events {
            return Err(Refusal::new(
                Reason::TooManyEvents,
                format!(
                    "The batch has {} events; the limit is {}; send smaller batches",
                    self.events, limits.events
                ),
            ));
        }
        values::check_length("session_id", &self.session_id, limits.id_length)?;
        values::check_length("user_id", self.user_id.as_deref().unwrap_or_default(), limits.id_length)?;
        Ok(self)
    }
}
