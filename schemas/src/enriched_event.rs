//! An event as it stands on the raw topic: one JSON object. Field names and types are downstream's (wire contract §3).

use std::borrow::Cow;
use std::collections::BTreeMap;

use uuid::Uuid;

use crate::RawJson;
use crate::additions::{Campaign, Referrer};
use crate::batch_fields::WrittenBatchFields;
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
    /// The client's user.
    pub user_id: Option<Cow<'a, str>>,
    /// The page.
    pub page: Option<Page<'a>>,
    /// The payload, an object; exactly the client's bytes where it came as JSON.
    pub payload: Option<RawJson<'a>>,
    /// BCP 47 language that the client named, for example `de-AT`.
    pub language: Option<Cow<'a, str>>,
    /// Where the visitor came from.
    pub referrer: Option<Referrer>,
    /// The campaign that led to the page.
    pub campaign: Option<Campaign>,
    /// Fields of the event that the contract does not know, as they came.
    pub properties: Properties<'a>,
    /// What it shares with the other events of its batch.
    pub batch: &'a WrittenBatchFields,
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
            user_id,
            page,
            payload,
            language,
            referrer,
            campaign,
            properties,
            batch,
        } = self;
        let mut object = ObjectWriter::new(out);
        object.uuid(field!("event_id"), *event_id);
        object.text_if_any(field!("original_event_id"), original_event_id.as_deref());
        object.text(field!("type"), event_type);
        object.integer(field!("timestamp"), *timestamp);
        object.integer_if_any(field!("original_timestamp"), *original_timestamp);
        object.written(batch.origin());
        object.text_if_any(field!("user_id"), user_id.as_deref());
        if let Some(page) = page {
            object.object(field!("page"), |object| page.write(object));
        }
        if let Some(payload) = payload {
            object.raw(field!("payload"), payload);
        }
        object.written(batch.client());
        object.text_if_any(field!("language"), language.as_deref());
        object.value_if_any(field!("referrer"), referrer.as_ref());
        object.value_if_any(field!("campaign"), campaign.as_ref());
        object.written(batch.geo());
        if !properties.is_empty() {
            object.object(field!("properties"), |object| object.properties(properties));
        }
        object.written(batch.properties());
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
        object.properties(&self.other);
    }
}
