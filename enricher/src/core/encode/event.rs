//! The value of a raw record.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use gosight_schemas::{EnrichedEvent, Page, RawBatch};

use crate::core::enrich::Facts;
use crate::core::event::TypeName;
use crate::core::read::ValidEvent;

/// Bytes that we add to an event, about; the buffer seldom has to grow.
const ADDED: usize = 768;

/// The event's type for metrics: bounded, whatever clients send.
pub(in crate::core) fn metric_name(event_type: &TypeName<'_>) -> &'static str {
    match event_type {
        TypeName::Known(known) => known.name,
        TypeName::Unknown(_) | TypeName::Missing => "other",
    }
}

/// Writes an event as it stands on the raw topic. `size` is about how many bytes it came in.
///
/// # Errors
/// Only for a defect of ours: it has no JSON form.
pub(in crate::core) fn raw_value<'a>(
    valid: ValidEvent<'a>,
    batch: &'a RawBatch,
    facts: &'a Facts<'a>,
    size: usize,
) -> Result<Bytes, serde_json::Error> {
    let event = valid.event;
    let event_type = match event.event_type {
        TypeName::Known(known) => Cow::Borrowed(known.output_name()),
        TypeName::Unknown(name) => name,
        TypeName::Missing => Cow::default(),
    };
    let mut enriched = EnrichedEvent {
        event_id: valid.id.id,
        original_event_id: valid.id.original,
        event_type,
        timestamp: event.timestamp,
        original_timestamp: event.original_time.map(|original| original.timestamp),
        project_id: &batch.project_id,
        session_id: Cow::Borrowed(&batch.session_id),
        user_id: event.user_id.or_else(|| batch.user_id.as_deref().map(Cow::Borrowed)),
        page: Some(event.page).filter(|page| !is_empty(page)),
        payload: event.payload,
        server_timestamp: batch.received_at,
        browser: Cow::default(),
        browser_version: Cow::default(),
        os: Cow::default(),
        os_version: Cow::default(),
        device_type: Cow::default(),
        country: Cow::default(),
        city: Cow::default(),
        client_ip: None,
        timezone: None,
        language: None,
        referrer: None,
        campaign: None,
        geo: None,
        properties: event.properties,
        batch_properties: BTreeMap::new(),
    };
    facts.add(&mut enriched);
    let mut value = Vec::with_capacity(size + ADDED);
    serde_json::to_writer(&mut value, &enriched)?;
    Ok(value.into())
}

fn is_empty(page: &Page<'_>) -> bool {
    let texts = [&page.url, &page.path, &page.title, &page.referrer];
    let sizes = [
        page.viewport_width,
        page.viewport_height,
        page.screen_width,
        page.screen_height,
    ];
    texts.iter().all(|text| text.is_none()) && sizes.iter().all(Option::is_none) && page.other.is_empty()
}
