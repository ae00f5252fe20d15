//! The body `gosight.EventBatch`. What proto3 calls a default, an empty text or a size of 0, is absent.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use gosight_proto::Device as ProtobufDevice;
use gosight_proto::envelope::EventBatchEnvelope;
use gosight_schemas::RawJson;
use prost::Message;
use serde_json::to_string;

use super::batch_properties::{BatchProperties, MAX_TEXT};
use super::{Body, unknown_fields};
use crate::core::event::{BatchFacts, Device, Encoded, device_kind};

pub(super) fn read(body: &Bytes) -> Result<Body<'static>, String> {
    let batch = EventBatchEnvelope::decode(body.clone())
        .map_err(|error| format!("the body is no protobuf message gosight.EventBatch: {error}"))?;
    let session = batch.session.unwrap_or_default();
    let mut facts = BatchFacts::default();
    let mut unknown = BatchProperties::default();
    device(session.device, &mut facts, &mut unknown);
    facts.timezone = text("timezone", session.timezone, &mut unknown);
    facts.language = text("language", session.language, &mut unknown);
    if let Some(fields) = unknown_fields::of_batch(body) {
        unknown.keep(Cow::Borrowed(unknown_fields::NAME), fields);
    }
    facts.properties = unknown.into_properties();
    Ok(Body {
        events: batch.events.into_iter().map(Encoded::Protobuf).collect(),
        facts,
    })
}

fn text(name: &'static str, text: String, unknown: &mut BatchProperties<'static>) -> Option<Cow<'static, str>> {
    if text.len() <= MAX_TEXT {
        return Some(text).filter(|text| !text.is_empty()).map(Cow::Owned);
    }
    if let Ok(value) = to_string(&text) {
        unknown.keep(Cow::Borrowed(name), RawJson::owned(value));
    }
    None
}

fn device(bytes: Bytes, facts: &mut BatchFacts<'static>, unknown: &mut BatchProperties<'static>) {
    let device = match ProtobufDevice::decode(bytes.clone()) {
        Ok(device) => device,
        Err(_) => {
            // No reason to lose the events for it.
            if let Ok(value) = to_string(&BASE64_STANDARD.encode(&bytes)) {
                unknown.keep(Cow::Borrowed("device"), RawJson::owned(value));
            }
            return;
        }
    };
    let kind = device_kind(&device.device_type);
    if let (None, false, Ok(word)) = (kind, device.device_type.is_empty(), to_string(&device.device_type)) {
        unknown.keep(Cow::Borrowed("device.device_type"), RawJson::owned(word));
    }
    let mut text = |name: &'static str, value: String| self::text(name, value, unknown);
    let size = |pixels: i32| Some(i64::from(pixels)).filter(|pixels| *pixels > 0);
    facts.device = Device {
        browser: text("device.browser", device.browser),
        browser_version: text("device.browser_version", device.browser_version),
        os: text("device.os", device.os),
        os_version: text("device.os_version", device.os_version),
        device_type: kind,
        screen_width: size(device.screen_width),
        screen_height: size(device.screen_height),
        viewport_width: size(device.viewport_width),
        viewport_height: size(device.viewport_height),
    };
    if facts.device != Device::default() {
        facts.device_json = to_string(&facts.device).ok().map(RawJson::owned);
    }
}
