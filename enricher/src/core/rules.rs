//! What a valid event is and how large a record may be, in plain numbers.

use std::ops::RangeInclusive;
use std::time::Duration;

use bytesize::ByteSize;
use gosight_config::EnricherSettings;
use gosight_config::enricher::{Addition, ClockCorrection, IpPrivacy, OutOfRange, PrivacySettings, UnknownTypes};
use gosight_schemas::PrivacyRules;

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
    /// Properties of one custom event.
    pub max_properties: usize,
    /// A client's clock that is wrong by more than so many ms is corrected; absent where none is.
    pub clock_tolerance_ms: Option<i64>,
    /// What becomes of a timestamp too far ahead of the receipt or too long before it.
    pub out_of_range: OutOfRange,
    /// What leaves of an address.
    pub privacy: PrivacySettings,
    /// What is added beyond device, country and city.
    pub additions: Vec<Addition>,
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
            max_properties: usize::try_from(validation.max_properties).unwrap_or(usize::MAX),
            clock_tolerance_ms: match settings.clock.correction {
                ClockCorrection::SentAt => Some(millis(settings.clock.tolerance)),
                ClockCorrection::Off => None,
            },
            out_of_range: settings.clock.out_of_range,
            privacy: settings.privacy.clone(),
            additions: settings.enrichment.add.clone(),
        }
    }

    /// Whether that is added to events.
    pub fn adds(&self, addition: Addition) -> bool {
        self.additions.contains(&addition)
    }

    /// What leaves of the addresses of a project with those settings.
    pub fn ip_privacy(&self, project: PrivacyRules) -> IpPrivacy {
        if project.anonymize_ip {
            self.privacy.ip.max(self.privacy.anonymized_ip)
        } else {
            self.privacy.ip
        }
    }

    /// The timestamps that are allowed in a batch received then, Unix ms.
    pub fn times(&self, received_at: i64) -> RangeInclusive<i64> {
        received_at.saturating_sub(self.max_age_ms)..=received_at.saturating_add(self.max_future_ms)
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
