//! What the client said of its session.

use std::borrow::Cow;

use gosight_schemas::BatchFields;

use crate::core::event::BatchFacts;

pub(super) fn add<'a>(batch: &'a BatchFacts<'a>, fields: &mut BatchFields<'a>) {
    fields.timezone = batch.timezone.as_deref().map(Cow::Borrowed);
    fields.properties.clone_from(&batch.properties);
}
