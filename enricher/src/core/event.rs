//! An event in the one form that JSON and protobuf become, and what its batch says for all of its events.

use std::borrow::Cow;

use bytes::Bytes;
use gosight_schemas::{Page, Properties, RawJson};
use serde::Serialize;

use super::catalogue::EventType;
use super::clock::OriginalTime;
use super::json::{Element, Field};

/// An event as it stands in the body.
pub(super) enum Encoded<'a> {
    Json(Element<'a>),
    Protobuf(Bytes),
}

impl Encoded<'_> {
    /// The client's own bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Json(element) => element.value.get().as_bytes(),
            Self::Protobuf(bytes) => bytes,
        }
    }
}

/// The type of an event.
#[derive(Default)]
pub(super) enum TypeName<'a> {
    /// None was given; a problem says so.
    #[default]
    Missing,
    /// One of the catalogue.
    Known(&'static EventType),
    /// Any other, as it came.
    Unknown(Cow<'a, str>),
}

/// A decoded event. Where a field could not be read, a problem says so and its default stands here.
#[derive(Default)]
pub(super) struct Event<'a> {
    pub(super) event_type: TypeName<'a>,
    /// Unix ms.
    pub(super) timestamp: i64,
    /// Absent where `timestamp` is the client's own.
    pub(super) original_time: Option<OriginalTime>,
    /// The client's id, as it came.
    pub(super) id: Option<Cow<'a, str>>,
    /// The event's own user, before the batch's.
    pub(super) user_id: Option<Cow<'a, str>>,
    pub(super) page: Page<'a>,
    /// Fields of `page` that stood at the event's top level.
    pub(super) page_at_top: Vec<&'static str>,
    /// An object.
    pub(super) payload: Option<RawJson<'a>>,
    /// The payload's fields, where the pass over the body has taken them apart.
    pub(super) payload_fields: Option<Vec<Field<'a>>>,
    /// The payload tells of an input, whatever the type says.
    pub(super) is_input: bool,
    /// What was typed into a password field was removed.
    pub(super) is_masked: bool,
    pub(super) properties: Properties<'a>,
}

/// What a batch's body says for all of its events.
#[derive(Default)]
pub(super) struct BatchFacts<'a> {
    pub(super) device: Device<'a>,
    /// The device as it came, in JSON form; absent also where it is too large for a reject.
    pub(super) device_json: Option<RawJson<'a>>,
    pub(super) timezone: Option<Cow<'a, str>>,
    pub(super) language: Option<Cow<'a, str>>,
    pub(super) properties: Properties<'a>,
}

/// An SDK's word for a kind of device, in downstream's four: desktop, mobile, tablet, bot.
pub(super) fn device_kind(word: &str) -> Option<&'static str> {
    Some(match &*word.to_ascii_lowercase() {
        "desktop" | "pc" => "desktop",
        "mobile" | "phone" | "smartphone" => "mobile",
        "tablet" => "tablet",
        "bot" => "bot",
        _ => return None,
    })
}

/// The device, as the SDK saw it. Sizes are CSS pixels.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Device<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) browser: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) browser_version: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) os: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) os_version: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) screen_width: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) screen_height: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) viewport_width: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) viewport_height: Option<i64>,
}
