//! The value of an errors record: everything that a redrive needs, within the topic's limit.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gosight_config::enricher::IpPrivacy;
use gosight_eventlog::LogRecord;
use gosight_schemas::{
    KnownPlace, Origin, OriginalEvent, Problem, RawBatch, Reject, RejectCode, RejectContext, is_single_object,
};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::core::assets::Assets;
use crate::core::enrich::public_address;
use crate::core::event::{BatchFacts, Encoded};
use crate::core::geo::Place;
use crate::core::json::{self, Raw};
use crate::core::masking::MaskedBytes;
use crate::core::outcome::RejectOutput;
use crate::core::read::Refused;

/// How much of an original that doesn't fit is kept, in bytes: the first that fits.
const BEGINNINGS: [usize; 3] = [16 * 1024, 1024, 0];

/// What a client's key stands behind in a body.
const KEY_FIELD: &[u8] = b"project_key";

/// Makes the rejects of one staged record.
pub(in crate::core) struct Rejecter<'a> {
    record: &'a LogRecord,
    /// Absent where the staged record could not be read.
    batch: Option<&'a RawBatch>,
    /// Absent where the batch's body could not be read.
    facts: Option<&'a BatchFacts<'a>>,
    /// Where the full address is, if that was looked up.
    place: Option<Place<'a>>,
    /// Unix ms.
    now_ms: i64,
    assets: &'a Assets,
}

/// What is rejected.
#[derive(Clone, Copy)]
pub(in crate::core) enum Original<'a> {
    /// One event.
    Event(&'a Encoded<'a>),
    /// A body or a record that could not be read.
    Unreadable(&'a [u8]),
}

impl<'a> Rejecter<'a> {
    /// For a record of which nothing is known yet.
    pub(in crate::core) fn new(record: &'a LogRecord, assets: &'a Assets, now_ms: i64) -> Self {
        Self {
            record,
            batch: None,
            facts: None,
            place: None,
            now_ms,
            assets,
        }
    }

    /// The same for a record that held this batch.
    pub(in crate::core) fn of_batch(self, batch: &'a RawBatch) -> Self {
        Self {
            batch: Some(batch),
            ..self
        }
    }

    /// The same for a batch whose body said this, and whose client is there.
    pub(in crate::core) fn with_facts<'f>(&self, facts: &'f BatchFacts<'f>, place: Option<Place<'f>>) -> Rejecter<'f>
    where
        'a: 'f,
    {
        Rejecter {
            facts: Some(facts),
            place,
            ..*self
        }
    }

    pub(in crate::core) fn assets(&self) -> &'a Assets {
        self.assets
    }

    /// Rejects the event with that index, or with 0 the whole record.
    pub(in crate::core) fn reject(&self, index: u32, refused: Refused, original: Original<'_>) -> RejectOutput {
        let origin = Origin {
            topic: self.record.position.topic.clone(),
            partition: self.record.position.partition,
            offset: self.record.position.offset,
            index,
        };
        let first = refused.problems.first().cloned().unwrap_or_else(|| Problem {
            code: RejectCode::InternalError,
            field: String::new(),
            message: "no reason was given".to_owned(),
        });
        let limit = self.assets.rules.max_reject_value;
        let code = first.code;
        let masked = match original {
            Original::Event(encoded) => MaskedBytes::of(encoded),
            Original::Unreadable(_) => None,
        };
        let encoded = masked.as_ref().map(MaskedBytes::as_encoded);
        let original = encoded.as_ref().map_or(original, Original::Event);
        let original = match original {
            Original::Unreadable(bytes) if !self.may_show(bytes) => Kept::Nothing(bytes),
            original => Kept::of(original, code, self.is_private()),
        };
        let whole = original.whole(limit);
        let fits = whole.is_some();
        let mut reject = Reject {
            reject_id: origin.reject_id(),
            code,
            message: first.message,
            field: first.field,
            problems: refused.problems,
            stage: refused.stage,
            original: whole.unwrap_or_else(|| original.cut(0)),
            origin: origin.clone(),
            batch_id: self.batch.map(|batch| batch.batch_id.clone()).unwrap_or_default(),
            project_id: self.batch.map(|batch| batch.project_id.clone()).unwrap_or_default(),
            session_id: self.batch.map(|batch| batch.session_id.clone()).unwrap_or_default(),
            received_at: self.batch.map_or(self.record.timestamp_ms, |batch| batch.received_at),
            rejected_at: self.now_ms,
            attempt: 1,
            event_id: refused.event_id,
            enricher_version: self.assets.enricher_version.to_string(),
            geoip_build: self.assets.geo.as_ref().map(|geo| geo.newest_build()),
            context: self.context(),
        };
        let mut value = written(&reject);
        if !fits || value.len() > limit {
            value = self.shortened(&mut reject, &original);
        }
        RejectOutput {
            reject_id: reject.reject_id,
            code,
            attempt: reject.attempt,
            value: value.into(),
            is_masked: masked.is_some(),
            origin,
        }
    }

    /// Cuts the original first, then what surrounds it.
    fn shortened(&self, reject: &mut Reject, original: &Kept<'_>) -> Vec<u8> {
        let limit = self.assets.rules.max_reject_value;
        let mut value = Vec::new();
        for beginning in BEGINNINGS {
            reject.original = original.cut(beginning);
            value = written(reject);
            if value.len() <= limit {
                return value;
            }
        }
        let anonymize_ip = reject.context.anonymize_ip;
        reject.context = RejectContext {
            anonymize_ip,
            ..RejectContext::default()
        };
        reject.problems.truncate(1);
        let short = written(reject);
        if short.len() < value.len() { short } else { value }
    }

    /// Whether bytes that could not be read may stand on the errors topic. What an edge has staged holds the client's key and maybe its
    /// full address, and what can't be read can't be searched for them; so only that leaves which no edge wrote.
    fn may_show(&self, unreadable: &[u8]) -> bool {
        self.batch.is_none()
            && self.assets.rules.privacy.ip == IpPrivacy::None
            && !is_single_object(unreadable)
            && memchr::memmem::find(unreadable, KEY_FIELD).is_none()
    }

    fn batch_properties(&self) -> BTreeMap<String, Box<RawValue>> {
        let properties = self.facts.into_iter().flat_map(|facts| &facts.properties);
        properties
            .filter_map(|(name, value)| Some((name.to_string(), raw_value(value.get())?)))
            .collect()
    }

    fn is_private(&self) -> bool {
        let rules = &self.assets.rules;
        self.batch
            .is_some_and(|batch| rules.ip_privacy(batch.privacy) != IpPrivacy::None)
    }

    fn context(&self) -> RejectContext {
        let Some(batch) = self.batch else {
            return RejectContext::default();
        };
        let device = self.facts.and_then(|facts| facts.device_json.as_ref());
        let text = |text: Option<&str>| text.map(str::to_owned);
        RejectContext {
            transport: Some(batch.transport),
            body_format: Some(batch.body_format),
            user_id: batch.user_id.clone(),
            sent_at: batch.sent_at,
            client_ip: public_address(batch, &self.assets.rules),
            user_agent: batch.user_agent.clone(),
            client_hints: batch.client_hints.clone(),
            device: device.and_then(|device| raw_value(device.get())),
            timezone: text(self.facts.and_then(|facts| facts.timezone.as_deref())),
            language: text(self.facts.and_then(|facts| facts.language.as_deref())),
            accept_language: batch.accept_language.clone(),
            batch_properties: self.batch_properties(),
            place: self.place.filter(|_| self.is_private()).map(|place| KnownPlace {
                country: place.country.to_owned(),
                city: place.city.to_owned(),
            }),
            anonymize_ip: batch.privacy.anonymize_ip,
        }
    }
}

/// The form in which an original may be kept.
enum Kept<'a> {
    Json(Raw<'a>),
    Bytes(&'a [u8]),
    Nothing(&'a [u8]),
}

impl<'a> Kept<'a> {
    fn of(original: Original<'a>, code: RejectCode, is_private: bool) -> Self {
        let (bytes, unreadable) = match original {
            Original::Event(encoded) => {
                let unreadable = matches!(code, RejectCode::InvalidJson | RejectCode::InvalidProtobuf);
                (encoded.bytes(), unreadable)
            }
            Original::Unreadable(bytes) => (bytes, true),
        };
        match original {
            _ if unreadable && is_private => Self::Nothing(bytes),
            Original::Event(Encoded::Json(element)) if is_plain(element.value) => Self::Json(element.value),
            Original::Event(_) | Original::Unreadable(_) => Self::Bytes(bytes),
        }
    }

    /// All of it, unless that alone is more than `limit`.
    fn whole(&self, limit: usize) -> Option<OriginalEvent> {
        match self {
            Self::Json(json) if json.get().len() <= limit => raw_value(json.get()).map(OriginalEvent::Json),
            Self::Bytes(bytes) if bytes.len() <= limit / 4 * 3 => {
                Some(OriginalEvent::Base64(BASE64_STANDARD.encode(bytes)))
            }
            Self::Json(_) | Self::Bytes(_) => None,
            Self::Nothing(bytes) => Some(OriginalEvent::Withheld {
                size: bytes.len() as u64,
                sha256: sha256(bytes),
            }),
        }
    }

    /// Its first bytes and its hash.
    fn cut(&self, beginning: usize) -> OriginalEvent {
        let bytes = match self {
            Self::Json(json) => json.get().as_bytes(),
            Self::Bytes(bytes) => bytes,
            Self::Nothing(bytes) => {
                return OriginalEvent::Withheld {
                    size: bytes.len() as u64,
                    sha256: sha256(bytes),
                };
            }
        };
        OriginalEvent::Cut {
            beginning: BASE64_STANDARD.encode(&bytes[..beginning.min(bytes.len())]),
            size: bytes.len() as u64,
            sha256: sha256(bytes),
        }
    }
}

/// Whether strict readers of the errors topic can read it as it is: no half surrogate pair, no `1e999`, no depth beyond theirs.
fn is_plain(json: Raw<'_>) -> bool {
    !json::too_deep(json.get()) && serde_json::from_str::<Value>(json.get()).is_ok()
}

fn raw_value(json: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(json.to_owned()).ok()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn written(reject: &Reject) -> Vec<u8> {
    // Every part of it is text or number; there is nothing that JSON can't hold.
    serde_json::to_vec(reject).unwrap_or_default()
}
