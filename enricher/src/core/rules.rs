//! What a valid event is and how large a record may be, in plain numbers.

use std::time::Duration;

use bytesize::ByteSize;
use gosight_config::EnricherSettings;
use gosight_config::enricher::{AnonymizedIp, UnknownTypes};

/// Key, headers and the log's own framing of a record count against the topic's limit too; so much is kept for them.
const RECORD_OVERHEAD: usize = 2048;

/// The settings that the core needs.
#[derive(Debug, Clone)]
pub struct Rules {
    /// One event, in bytes as it came.
    pub max_event: usize,
    /// Bytes of a session id, user id or event id.
    pub max_id: usize,
    /// Bytes of a URL, title or other text of the page.
    pub max_text: usize,
    /// What becomes of an event whose type is not in the catalogue.
    pub unknown_types: UnknownTypes,
    /// An event may be ahead of its receipt by so many ms.
    pub max_future_ms: i64,
    /// An event may be older than its receipt by so many ms.
    pub max_age_ms: i64,
    /// Bytes that a raw record's value may have.
    pub max_raw_value: usize,
    /// Bytes that an errors record's value may have.
    pub max_reject_value: usize,
    /// What becomes of an address where the project asks for privacy.
    pub anonymized_ip: AnonymizedIp,
}

impl Rules {
    /// The rules that the settings ask for.
    pub fn new(settings: &EnricherSettings) -> Self {
        let validation = &settings.validation;
        Self {
            max_event: bytes(validation.max_event),
            max_id: usize::try_from(validation.max_id_length).unwrap_or(usize::MAX),
            max_text: bytes(validation.max_text),
            unknown_types: validation.unknown_types,
            max_future_ms: millis(validation.max_future),
            max_age_ms: millis(validation.max_age),
            max_raw_value: Self::value_within(bytes(validation.raw_record)),
            max_reject_value: Self::value_within(bytes(validation.errors_record)),
            anonymized_ip: settings.privacy.anonymized_ip,
        }
    }

    /// The largest value that fits a topic whose records may have `limit` bytes.
    pub fn value_within(limit: usize) -> usize {
        limit.saturating_sub(RECORD_OVERHEAD)
    }
}

fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
