//! The value of a raw record.

use std::borrow::Cow;

use gosight_schemas::{EnrichedEvent, Page, RawBatch};

use crate::core::enrich::Facts;
use crate::core::event::TypeName;
use crate::core::read::ValidEvent;

/// Bytes that we add to an event, about; a buffer for a batch's events seldom has to grow.
pub(in crate::core) const ADDED: usize = 384;

/// The event's type for metrics: bounded, whatever clients send.
pub(in crate::core) fn metric_name(event_type: &TypeName<'_>) -> &'static str {
    match event_type {
        TypeName::Known(known) => known.name,
        TypeName::Unknown(_) | TypeName::Missing => "other",
    }
}

/// Appends an event as it stands on the raw topic to `out`.
pub(in crate::core) fn write_raw_value<'a>(
    valid: ValidEvent<'a>,
    batch: &'a RawBatch,
    facts: &'a Facts<'a>,
    out: &mut Vec<u8>,
) {
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
        user_id: event.user_id.or_else(|| batch.user_id.as_deref().map(Cow::Borrowed)),
        page: Some(event.page).filter(|page| !is_empty(page)),
        payload: event.payload,
        language: None,
        referrer: None,
        campaign: None,
        properties: event.properties,
        batch: facts.fields(),
    };
    facts.add(&mut enriched);
    enriched.write(out);
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
