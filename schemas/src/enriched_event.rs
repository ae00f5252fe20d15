//! An event as it stands on the raw topic: one JSON object. Field names and types are downstream's (wire contract §3).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::additions::{Campaign, Geo, Referrer};

/// One enriched event. Borrows from the batch where it can: `payload` and unknown fields are the client's own bytes.
#[derive(Debug, Clone, Serialize)]
pub struct EnrichedEvent<'a> {
    /// The event's identity, also over retries.
    pub event_id: Uuid,
    /// The client's own id where that is no UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_event_id: Option<Cow<'a, str>>,
    /// Lower case (`page_view`), but `EVENT_TYPE_CUSTOM` as downstream needs it.
    #[serde(rename = "type")]
    pub event_type: Cow<'a, str>,
    /// When it happened, Unix ms.
    pub timestamp: i64,
    /// The client's own timestamp, Unix ms, where `timestamp` was corrected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_timestamp: Option<i64>,
    /// The project that the key belongs to.
    pub project_id: &'a str,
    /// The client's session; empty where it named none.
    pub session_id: Cow<'a, str>,
    /// The client's user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Cow<'a, str>>,
    /// The page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<Page<'a>>,
    /// The payload, an object; exactly the client's bytes where it came as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Cow<'a, RawValue>>,
    /// When the edge had read the batch, Unix ms.
    pub server_timestamp: i64,
    /// Name, for example `Chrome`; empty where unknown, as the next five.
    pub browser: Cow<'a, str>,
    /// For example `120.0.0.0`.
    pub browser_version: Cow<'a, str>,
    /// For example `macOS`.
    pub os: Cow<'a, str>,
    /// For example `10.15.7`.
    pub os_version: Cow<'a, str>,
    /// desktop, mobile, tablet or bot.
    pub device_type: Cow<'a, str>,
    /// ISO 3166-1 alpha-2.
    pub country: Cow<'a, str>,
    /// English name.
    pub city: Cow<'a, str>,
    /// The client's address, after the project's privacy rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<Cow<'a, str>>,
    /// IANA time zone that the client named, for example `Europe/Berlin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<Cow<'a, str>>,
    /// BCP 47 language that the client named, for example `de-AT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<Cow<'a, str>>,
    /// Where the visitor came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer: Option<Referrer>,
    /// The campaign that led to the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<Campaign>,
    /// More of the place and the network of the client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geo: Option<Geo<'a>>,
    /// Fields of the event that the contract does not know, as they came.
    #[serde(skip_serializing_if = "Properties::is_empty")]
    pub properties: Properties<'a>,
    /// Fields of the batch that the contract does not know, as they came.
    #[serde(skip_serializing_if = "Properties::is_empty")]
    pub batch_properties: Properties<'a>,
}

/// Unknown fields by name, values as the client's own bytes.
pub type Properties<'a> = BTreeMap<Cow<'a, str>, Cow<'a, RawValue>>;

/// The page on which an event happened. Sizes are CSS pixels.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Page<'a> {
    /// Full URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Cow<'a, str>>,
    /// Its path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Cow<'a, str>>,
    /// The document's title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Cow<'a, str>>,
    /// The document's referrer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer: Option<Cow<'a, str>>,
    /// Width of the viewport.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viewport_width: Option<i64>,
    /// Height of the viewport.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viewport_height: Option<i64>,
    /// Width of the screen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub screen_width: Option<i64>,
    /// Height of the screen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub screen_height: Option<i64>,
    /// Fields of the page that the contract does not know, as they came.
    #[serde(flatten)]
    pub other: Properties<'a>,
}
