//! An event as it stands on the raw topic: one JSON object. Field names and types are downstream's (wire contract §3).

use std::borrow::Cow;
use std::collections::BTreeMap;

use uuid::Uuid;

use crate::RawJson;
use crate::additions::{Campaign, Geo, Referrer};
use crate::json::{ObjectWriter, field};

/// One enriched event. Borrows from the batch where it can: `payload` and unknown fields are the client's own bytes.
#[derive(Debug, Clone)]
pub struct EnrichedEvent<'a> {
    /// The event's identity, also over retries.
    pub event_id: Uuid,
    /// The client's own id where that is no UUID.
    pub original_event_id: Option<Cow<'a, str>>,
    /// Lower case (`page_view`), but `EVENT_TYPE_CUSTOM` as downstream needs it.
    pub event_type: Cow<'a, str>,
    /// When it happened, Unix ms.
    pub timestamp: i64,
    /// The client's own timestamp, Unix ms, where `timestamp` was corrected.
    pub original_timestamp: Option<i64>,
    /// The project that the key belongs to.
    pub project_id: &'a str,
    /// The client's session; empty where it named none.
    pub session_id: Cow<'a, str>,
    /// The client's user.
    pub user_id: Option<Cow<'a, str>>,
    /// The page.
    pub page: Option<Page<'a>>,
    /// The payload, an object; exactly the client's bytes where it came as JSON.
    pub payload: Option<RawJson<'a>>,
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
    pub client_ip: Option<Cow<'a, str>>,
    /// IANA time zone that the client named, for example `Europe/Berlin`.
    pub timezone: Option<Cow<'a, str>>,
    /// BCP 47 language that the client named, for example `de-AT`.
    pub language: Option<Cow<'a, str>>,
    /// Where the visitor came from.
    pub referrer: Option<Referrer>,
    /// The campaign that led to the page.
    pub campaign: Option<Campaign>,
    /// More of the place and the network of the client's address.
    pub geo: Option<Geo<'a>>,
    /// Fields of the event that the contract does not know, as they came.
    pub properties: Properties<'a>,
    /// Fields of the batch that the contract does not know, as they came.
    pub batch_properties: Properties<'a>,
}

/// Unknown fields by name, values as the client's own bytes.
pub type Properties<'a> = BTreeMap<Cow<'a, str>, RawJson<'a>>;

/// The page on which an event happened. Sizes are CSS pixels.
#[derive(Debug, Clone, Default)]
pub struct Page<'a> {
    /// Full URL.
    pub url: Option<Cow<'a, str>>,
    /// Its path.
    pub path: Option<Cow<'a, str>>,
    /// The document's title.
    pub title: Option<Cow<'a, str>>,
    /// The document's referrer.
    pub referrer: Option<Cow<'a, str>>,
    /// Width of the viewport.
    pub viewport_width: Option<i64>,
    /// Height of the viewport.
    pub viewport_height: Option<i64>,
    /// Width of the screen.
    pub screen_width: Option<i64>,
    /// Height of the screen.
    pub screen_height: Option<i64>,
    /// Fields of the page that the contract does not know, as they came.
    pub other: Properties<'a>,
}

impl EnrichedEvent<'_> {
    /// Appends the record's value to `out`. By hand, since it is written for every event: what is absent is left out, names that
    /// the contract fixes are copied whole.
    pub fn write(&self, out: &mut Vec<u8>) {
        let Self {
            event_id,
            original_event_id,
            event_type,
            timestamp,
            original_timestamp,
            project_id,
            session_id,
            user_id,
            page,
            payload,
            server_timestamp,
            browser,
            browser_version,
            os,
            os_version,
            device_type,
            country,
            city,
            client_ip,
            timezone,
            language,
            referrer,
            campaign,
            geo,
            properties,
            batch_properties,
        } = self;
        let mut object = ObjectWriter::new(out);
        object.uuid(field!("event_id"), *event_id);
        object.text_if_any(field!("original_event_id"), original_event_id.as_deref());
        object.text(field!("type"), event_type);
        object.integer(field!("timestamp"), *timestamp);
        object.integer_if_any(field!("original_timestamp"), *original_timestamp);
        object.text(field!("project_id"), project_id);
        object.text(field!("session_id"), session_id);
        object.text_if_any(field!("user_id"), user_id.as_deref());
        if let Some(page) = page {
            object.object(field!("page"), |object| page.write(object));
        }
        if let Some(payload) = payload {
            object.raw(field!("payload"), payload);
        }
        object.integer(field!("server_timestamp"), *server_timestamp);
        object.text(field!("browser"), browser);
        object.text(field!("browser_version"), browser_version);
        object.text(field!("os"), os);
        object.text(field!("os_version"), os_version);
        object.text(field!("device_type"), device_type);
        object.text(field!("country"), country);
        object.text(field!("city"), city);
        object.text_if_any(field!("client_ip"), client_ip.as_deref());
        object.text_if_any(field!("timezone"), timezone.as_deref());
        object.text_if_any(field!("language"), language.as_deref());
        object.value_if_any(field!("referrer"), referrer.as_ref());
        object.value_if_any(field!("campaign"), campaign.as_ref());
        object.value_if_any(field!("geo"), geo.as_ref());
        for (field, properties) in [
            (field!("properties"), properties),
            (field!("batch_properties"), batch_properties),
        ] {
            if !properties.is_empty() {
                object.object(field, |object| write_all(properties, object));
            }
        }
        object.end();
    }
}

impl Page<'_> {
    fn write(&self, object: &mut ObjectWriter<'_>) {
        object.text_if_any(field!("url"), self.url.as_deref());
        object.text_if_any(field!("path"), self.path.as_deref());
        object.text_if_any(field!("title"), self.title.as_deref());
        object.text_if_any(field!("referrer"), self.referrer.as_deref());
        object.integer_if_any(field!("viewport_width"), self.viewport_width);
        object.integer_if_any(field!("viewport_height"), self.viewport_height);
        object.integer_if_any(field!("screen_width"), self.screen_width);
        object.integer_if_any(field!("screen_height"), self.screen_height);
        write_all(&self.other, object);
    }
}

fn write_all(properties: &Properties<'_>, object: &mut ObjectWriter<'_>) {
    for (name, value) in properties {
        object.named(name, value);
    }
}
