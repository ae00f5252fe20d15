//! The rrweb events of a chunk: unpacked and checked to be a JSON array, never looked into.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde::de::IgnoredAny;

use super::ReplayLimits;
use crate::budget::Held;
use crate::decompress::{Encoding, decompress, is_gzip};
use crate::envelope::object::begins_with;
use crate::outcome::{Reason, Refusal};

/// Levels of arrays and objects. Deep pages nest a few hundred; the JSON readers downstream give up at 10,000, and a record that
/// they can't read would stand in every project's way.
const MAX_NESTING: usize = 5_000;

/// Padding is optional: SDKs differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The events of `data` in base64, gzip or plain.
pub(super) fn from_base64(text: &str, limits: ReplayLimits, held: &mut Held) -> Result<Bytes, Refusal> {
    let size = base64::decoded_len_estimate(text.len());
    held.take(size)?;
    let packed = BASE64
        .decode(text)
        .map_err(|error| invalid(format!("data is not base64: {error}")))?;
    if !is_gzip(&packed) {
        return checked(Bytes::from(packed), limits);
    }
    let events = checked(decompress(Encoding::Gzip, &packed, limits.decompressed, held)?, limits)?;
    drop(packed);
    drop(held.part(size));
    Ok(events)
}

/// The events of `data` as bytes, gzip or plain.
pub(super) fn from_bytes(data: Bytes, limits: ReplayLimits, held: &mut Held) -> Result<Bytes, Refusal> {
    if is_gzip(&data) {
        return checked(decompress(Encoding::Gzip, &data, limits.decompressed, held)?, limits);
    }
    checked(data, limits)
}

/// Events that are sure to be JSON: the value of a field of a JSON body.
pub(super) fn from_json(events: Bytes, limits: ReplayLimits) -> Result<Bytes, Refusal> {
    if events.len() > limits.decompressed {
        return Err(Refusal::body_too_large(limits.decompressed));
    }
    if !events.starts_with(b"[") {
        return Err(invalid("events must be a JSON array of rrweb events"));
    }
    if nesting(&events) > MAX_NESTING {
        return Err(invalid(format!(
            "The rrweb events are nested deeper than {MAX_NESTING} levels"
        )));
    }
    Ok(events)
}

fn checked(events: Bytes, limits: ReplayLimits) -> Result<Bytes, Refusal> {
    if events.len() > limits.decompressed {
        return Err(Refusal::body_too_large(limits.decompressed));
    }
    let text = std::str::from_utf8(&events).map_err(|error| invalid(format!("data is not UTF-8: {error}")))?;
    if !begins_with(text, '[') {
        return Err(invalid("data must be a JSON array of rrweb events"));
    }
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| invalid(format!("data is not JSON: {error}")))?;
    from_json(events.slice_ref(text.trim_ascii().as_bytes()), limits)
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::InvalidReplay, message)
}

/// The deepest level of a valid JSON text.
fn nesting(json: &[u8]) -> usize {
    let (mut level, mut deepest) = (0_usize, 0);
    let mut rest = json;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'[' | b'{' => {
                level += 1;
                deepest = deepest.max(level);
            }
            b']' | b'}' => level = level.saturating_sub(1),
            b'"' => rest = after_string(after),
            _ => {}
        }
    }
    deepest
}

/// What follows the closing quote of a string.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let skipped = if rest[at] == b'"' { 1 } else { 2 };
        rest = rest.get(at + skipped..).unwrap_or_default();
        if skipped == 1 {
            return rest;
        }
    }
    &[]
}
