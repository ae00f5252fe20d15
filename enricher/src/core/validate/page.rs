//! Texts of the page are no longer than allowed, sizes are none of another world.

use super::Bounds;
use crate::core::event::Event;
use crate::core::problems::Problems;

/// CSS pixels that no screen has.
const MAX_PIXELS: i64 = 1_000_000;

pub(super) fn check(event: &Event<'_>, bounds: Bounds<'_>, problems: &mut Problems) {
    let page = &event.page;
    let limit = bounds.rules.max_text;
    for (name, text) in [
        ("url", &page.url),
        ("path", &page.path),
        ("title", &page.title),
        ("referrer", &page.referrer),
    ] {
        let length = text.as_ref().map_or(0, |text| text.len());
        if length > limit {
            problems.too_long(pointer(event, name), length, limit);
        }
    }
    for (name, size) in [
        ("viewport_width", page.viewport_width),
        ("viewport_height", page.viewport_height),
        ("screen_width", page.screen_width),
        ("screen_height", page.screen_height),
    ] {
        let size = size.unwrap_or_default();
        if !(0..=MAX_PIXELS).contains(&size) {
            problems.out_of_range(
                pointer(event, name),
                "a size in pixels from 0 to 1000000",
                &size.to_string(),
            );
        }
    }
}

fn pointer(event: &Event<'_>, name: &str) -> String {
    if event.page_at_top.contains(&name) {
        format!("/{name}")
    } else {
        format!("/page/{name}")
    }
}
