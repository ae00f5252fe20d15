//! A reject once more, from nothing but what stands on errors: the event and its context are rebuilt as they were when the batch was
//! staged, so that what comes out is what the enricher would have written then, had the event been sound. Staging is not needed.

use std::borrow::Cow;
use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use gosight_config::enricher::IpPrivacy;
use gosight_schemas::RawJson;
use gosight_schemas::{
    BodyFormat, OriginalEvent, PrivacyRules, Problem, Properties, RawBatch, Reject, RejectCode, RejectContext, Stage,
    Transport, topics,
};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::assets::Assets;
use super::decode;
use super::encode::metric_name;
use super::enrich::{Facts, Known, public_address};
use super::event::{BatchFacts, Encoded, TypeName};
use super::geo::Place;
use super::ids::IdMaker;
use super::json::{Element, Raw};
use super::outcome::{EventOutput, RejectOutput};
use super::problems::Problems;
use super::read::{self, Refused};
use super::rules::Rules;
use super::validate::Bounds;
use super::{enriched, guarded};

/// What a reject becomes today.
#[derive(Debug, Clone)]
pub struct Reprocessed {
    /// The key of raw records: the session's, as on staging.
    pub session_key: Bytes,
    /// The event's identity, as it was derived from the staged batch, whatever a patch makes of the event.
    pub event_id: Uuid,
    /// What it is now.
    pub again: Again,
}

/// An event, or a reject again; never a duplicate, since no window is asked.
#[derive(Debug, Clone)]
pub enum Again {
    /// A record for the raw topic.
    Event(EventOutput),
    /// A record for the errors topic, of the next attempt, and what is wrong with it now.
    Reject(RejectOutput, Vec<Problem>),
}

/// Why a reject can't be tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unrepeatable {
    /// No single event was rejected but the batch around it.
    #[error("the whole staged batch was rejected; replay it by its origin while staging keeps it")]
    WholeBatch,
    /// Only a hash of it was kept.
    #[error("the project's privacy kept the event from being stored; only staging has it")]
    Withheld,
    /// It was too large to be kept.
    #[error("only the event's beginning was kept, because it was too large; only staging has it")]
    Cut,
    /// What was kept is damaged.
    #[error("the kept event can't be read: {0}")]
    Damaged(String),
}

/// The event as it came, where it is JSON: what a patch applies to.
///
/// # Errors
/// It can't be tried again at all.
pub fn original_json(reject: &Reject) -> Result<Option<Cow<'_, RawValue>>, Unrepeatable> {
    match original(reject)? {
        Kept::Json(json) => Ok(Some(json)),
        Kept::Protobuf(_) => Ok(None),
    }
}

/// What the client called the event's type, or the catalogue's name for that; `None` where it can't be told.
pub fn event_type_of(reject: &Reject) -> Option<String> {
    let kept = original(reject).ok()?;
    let mut encoded = kept.as_encoded();
    let event = decode::read_event(&mut encoded, &mut Problems::default())?;
    match event.event_type {
        TypeName::Known(known) => Some(known.name.to_owned()),
        TypeName::Unknown(name) => Some(name.into_owned()),
        TypeName::Missing => None,
    }
}

/// Runs a reject through today's rules and assets. `patched` is the event to take in place of the one that came. `now_ms` (Unix ms)
/// only dates a new reject. Privacy is the stricter of what was asked for when the event came and of today's settings.
///
/// # Errors
/// The reject does not hold its event.
pub fn reprocess(
    reject: &Reject,
    patched: Option<&RawValue>,
    assets: &Assets,
    now_ms: i64,
) -> Result<Reprocessed, Unrepeatable> {
    let kept = original(reject)?;
    let batch = batch_of(reject);
    let event_id = reject.event_id.unwrap_or_else(|| derived_id(&kept, &batch));
    let session_key = match reject.session_id.as_str() {
        "" => topics::session_key(&reject.project_id, &reject.batch_id),
        session => topics::session_key(&reject.project_id, session),
    };
    let mut encoded = match patched {
        Some(json) => Encoded::Json(Element::unseen(Raw::new(json.get()))),
        None => kept.as_encoded(),
    };
    let batch_facts = facts_of(&reject.context);
    let address = address_again(&batch, &assets.rules);
    let value = tried(
        &mut encoded,
        &batch,
        &batch_facts,
        address.as_deref(),
        event_id,
        reject,
        assets,
    );
    let again = match value {
        Ok(event) => Again::Event(event),
        Err(refused) => {
            let problems = refused.problems.clone();
            let next = next_attempt(reject, event_id, address, refused, assets, now_ms);
            Again::Reject(next, problems)
        }
    };
    Ok(Reprocessed {
        session_key: session_key.into(),
        event_id,
        again,
    })
}

fn tried(
    encoded: &mut Encoded<'_>,
    batch: &RawBatch,
    batch_facts: &BatchFacts<'_>,
    address: Option<&str>,
    event_id: Uuid,
    reject: &Reject,
    assets: &Assets,
) -> Result<EventOutput, Refused> {
    let bounds = Bounds {
        rules: &assets.rules,
        batch,
    };
    let valid = guarded(Stage::Decode, || read::again(encoded, bounds, event_id))??;
    let known = Known {
        address,
        place: place_of(&reject.context),
    };
    let facts = guarded(Stage::Enrich, || Facts::again(batch, batch_facts, known, assets))?;
    let event_type = metric_name(&valid.event.event_type);
    let time_change = valid.event.original_time.map(|original| original.change);
    let is_masked = valid.event.is_masked;
    let mut value = Vec::new();
    enriched(valid, batch, &facts, &assets.rules, &mut value)?;
    Ok(EventOutput {
        origin: reject.origin.clone(),
        event_id,
        event_type,
        value: value.into(),
        time_change,
        is_masked,
    })
}

/// An event that a reject holds.
enum Kept<'a> {
    Json(Cow<'a, RawValue>),
    Protobuf(Bytes),
}

impl Kept<'_> {
    fn as_encoded(&self) -> Encoded<'_> {
        match self {
            Self::Json(json) => Encoded::Json(Element::unseen(Raw::new(json.get()))),
            Self::Protobuf(bytes) => Encoded::Protobuf(bytes.clone()),
        }
    }
}

fn original(reject: &Reject) -> Result<Kept<'_>, Unrepeatable> {
    let is_whole_batch = match reject.stage {
        Stage::Staging => true,
        // A single event never fails so before it is enriched.
        Stage::Decode => reject.code == RejectCode::InternalError,
        Stage::Validate | Stage::Enrich | Stage::Publish => false,
    };
    if is_whole_batch {
        return Err(Unrepeatable::WholeBatch);
    }
    let text = match &reject.original {
        OriginalEvent::Json(json) => return Ok(Kept::Json(Cow::Borrowed(json))),
        OriginalEvent::Base64(text) => text,
        OriginalEvent::Cut { .. } => return Err(Unrepeatable::Cut),
        OriginalEvent::Withheld { .. } => return Err(Unrepeatable::Withheld),
    };
    let damaged = |error: &dyn std::fmt::Display| Unrepeatable::Damaged(error.to_string());
    let bytes = BASE64_STANDARD.decode(text).map_err(|error| damaged(&error))?;
    if reject.context.body_format == Some(BodyFormat::Protobuf) {
        return Ok(Kept::Protobuf(bytes.into()));
    }
    let text = String::from_utf8(bytes).map_err(|error| damaged(&error))?;
    let json = RawValue::from_string(text).map_err(|error| damaged(&error))?;
    Ok(Kept::Json(Cow::Owned(json)))
}

/// The batch that the event came with, as far as enriching needs it.
fn batch_of(reject: &Reject) -> RawBatch {
    let context = &reject.context;
    RawBatch {
        batch_id: reject.batch_id.clone(),
        received_at: reject.received_at,
        project_id: reject.project_id.clone(),
        key_id: String::new(),
        session_id: reject.session_id.clone(),
        user_id: context.user_id.clone(),
        transport: context.transport.unwrap_or(Transport::Http),
        body_format: context.body_format.unwrap_or(BodyFormat::Json),
        body: Bytes::new(),
        event_count: 1,
        sent_at: context.sent_at,
        client_ip: context.client_ip.clone(),
        user_agent: context.user_agent.clone(),
        client_hints: context.client_hints.clone(),
        accept_language: context.accept_language.clone(),
        origin: None,
        referer: None,
        privacy: PrivacyRules {
            anonymize_ip: context.anonymize_ip,
        },
        traceparent: None,
    }
}

fn facts_of(context: &RejectContext) -> BatchFacts<'_> {
    let mut facts = BatchFacts {
        timezone: context.timezone.as_deref().map(Cow::Borrowed),
        language: context.language.as_deref().map(Cow::Borrowed),
        ..BatchFacts::default()
    };
    if let Some(device) = context.device.as_deref() {
        decode::read_device(device, &mut facts.device);
    }
    facts.properties = context
        .batch_properties
        .iter()
        .map(|(name, value)| (Cow::Borrowed(name.as_str()), RawJson::borrowed(value.get())))
        .collect::<Properties<'_>>();
    facts
}

/// The place that was looked up by the full address, where only a part of it was kept.
fn place_of(context: &RejectContext) -> Option<Place<'_>> {
    let place = context.place.as_ref()?;
    Some(Place {
        country: &place.country,
        city: &place.city,
    })
}

/// The address as it may leave today. Privacy has been applied once already, and a hash of then is not hashed again.
fn address_again(batch: &RawBatch, rules: &Rules) -> Option<String> {
    let kept = batch.client_ip.as_deref()?;
    match rules.ip_privacy(batch.privacy) {
        IpPrivacy::Truncate | IpPrivacy::Hash if is_hash(kept) => Some(kept.to_owned()),
        IpPrivacy::None | IpPrivacy::Truncate | IpPrivacy::Hash | IpPrivacy::Remove => public_address(batch, rules),
    }
}

fn is_hash(address: &str) -> bool {
    let hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    address.len() == 32 && address.bytes().all(hexadecimal) && address.parse::<IpAddr>().is_err()
}

/// The id of an event whose reject was written before rejects held it.
fn derived_id(kept: &Kept<'_>, batch: &RawBatch) -> Uuid {
    let mut encoded = kept.as_encoded();
    let mut problems = Problems::default();
    let id = decode::read_event(&mut encoded, &mut problems).and_then(|mut event| event.id.take());
    let mut ids = IdMaker::new(&batch.project_id, &batch.session_id);
    ids.id(id, encoded.bytes()).id
}

/// The same event, refused again: what came stays, and what was found is of today.
fn next_attempt(
    reject: &Reject,
    event_id: Uuid,
    address: Option<String>,
    refused: Refused,
    assets: &Assets,
    now_ms: i64,
) -> RejectOutput {
    let mut next = reject.clone();
    if let Some(first) = refused.problems.first() {
        next.code = first.code;
        next.message.clone_from(&first.message);
        next.field.clone_from(&first.field);
    }
    next.problems = refused.problems;
    next.stage = refused.stage;
    next.rejected_at = now_ms;
    next.attempt = reject.attempt.saturating_add(1);
    next.event_id = Some(event_id);
    next.enricher_version = assets.enricher_version.to_string();
    next.geoip_build = assets.geo.as_ref().map(|geo| geo.newest_build());
    next.context.client_ip = address;
    let mut value = serde_json::to_vec(&next).unwrap_or_default();
    if value.len() > assets.rules.max_reject_value {
        next.problems.truncate(1);
        value = serde_json::to_vec(&next).unwrap_or_default();
    }
    RejectOutput {
        origin: next.origin,
        reject_id: next.reject_id,
        code: next.code,
        attempt: next.attempt,
        value: value.into(),
        is_masked: false,
    }
}
