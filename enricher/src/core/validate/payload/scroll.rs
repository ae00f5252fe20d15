//! Scrolling: sizes are numbers, the depth is a percentage.

use super::Payload;
use crate::core::problems::Problems;
use crate::core::validate::Bounds;

pub(in crate::core) fn check(payload: &Payload<'_>, _bounds: Bounds<'_>, problems: &mut Problems) {
    payload.numbers(&["scroll_top", "scroll_height", "viewport_height"], problems);
    if let Some(depth) = payload.number("depth_percent", problems)
        && !(0.0..=100.0).contains(&depth)
    {
        problems.out_of_range("/payload/depth_percent", "from 0 to 100", &depth.to_string());
    }
}
