//! What the client said of its session.

use std::borrow::Cow;

use gosight_schemas::EnrichedEvent;

use crate::core::event::BatchFacts;

pub(super) fn add<'a>(batch: &'a BatchFacts<'a>, event: &mut EnrichedEvent<'a>) {
    event.timezone = batch.timezone.as_deref().map(Cow::Borrowed);
    event.language = batch.language.as_deref().map(Cow::Borrowed);
    event.batch_properties.clone_from(&batch.properties);
}
