//! Clicks and movements: coordinates are numbers, the target's flat names have the types that downstream reads.

use super::{Payload, finite};
use crate::core::json::{self, Kind};
use crate::core::problems::Problems;
use crate::core::validate::Bounds;

pub(in crate::core) fn check(payload: &Payload<'_>, _bounds: Bounds<'_>, problems: &mut Problems) {
    payload.numbers(&["x", "y", "mouse_x", "mouse_y"], problems);
    let texts = ["target_selector", "target_tag", "target_role", "target_href"];
    payload.kinds(&texts, Kind::String, problems);
    payload.kinds(&["target_classes", "positions"], Kind::Array, problems);
    let Some(positions) = payload.get("positions") else {
        return;
    };
    for (index, position) in json::elements(positions).unwrap_or_default().into_iter().enumerate() {
        let pointer = || format!("/payload/positions/{index}");
        if json::kind(position) != Kind::Object {
            problems.wrong_type(pointer(), "an object {x, y, t}", position);
            continue;
        }
        for field in json::fields(position).unwrap_or_default() {
            if matches!(&*field.name, "x" | "y" | "t") {
                finite(|| format!("{}/{}", pointer(), field.name), field.value, problems);
            }
        }
    }
}
