//! Sizes of screen and viewport: the event's own, else the device's.

use gosight_schemas::{EnrichedEvent, Page};

use crate::core::event::BatchFacts;

pub(super) fn add(batch: &BatchFacts<'_>, event: &mut EnrichedEvent<'_>) {
    let device = &batch.device;
    let sizes = [
        device.viewport_width,
        device.viewport_height,
        device.screen_width,
        device.screen_height,
    ];
    if sizes.iter().all(Option::is_none) {
        return;
    }
    let page = event.page.get_or_insert_with(Page::default);
    page.viewport_width = page.viewport_width.or(device.viewport_width);
    page.viewport_height = page.viewport_height.or(device.viewport_height);
    page.screen_width = page.screen_width.or(device.screen_width);
    page.screen_height = page.screen_height.or(device.screen_height);
}
