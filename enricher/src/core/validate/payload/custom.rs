//! Custom events: a name, and properties that are an object.

use super::Payload;
use crate::core::json::Kind;
use crate::core::problems::Problems;
use crate::core::validate::Bounds;

pub(in crate::core) fn check(payload: &Payload<'_>, bounds: Bounds<'_>, problems: &mut Problems) {
    let name = payload.required_text("name", "a custom event needs a name in its payload", problems);
    let length = name.map_or(0, |name| name.len());
    if length > bounds.rules.max_id {
        problems.too_long("/payload/name", length, bounds.rules.max_id);
    }
    payload.kinds(&["properties"], Kind::Object, problems);
}
