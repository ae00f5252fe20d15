//! Ids are no longer than allowed: the event's own, and those of its batch, which are told as `/session_id` and `/user_id`.

use super::Bounds;
use crate::core::event::Event;
use crate::core::problems::Problems;

pub(super) fn check(event: &Event<'_>, bounds: Bounds<'_>, problems: &mut Problems) {
    let user_id = event.user_id.as_deref().or(bounds.batch.user_id.as_deref());
    for (field, id) in [
        ("/session_id", Some(&*bounds.batch.session_id)),
        ("/event_id", event.id.as_deref()),
        ("/user_id", user_id),
    ] {
        let length = id.map_or(0, str::len);
        if length > bounds.rules.max_id {
            problems.too_long(field, length, bounds.rules.max_id);
        }
    }
}
