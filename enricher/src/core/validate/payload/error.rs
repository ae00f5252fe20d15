//! Script errors: a js_error says what happened; an unhandled rejection may have no reason.

use super::Payload;
use crate::core::json::Kind;
use crate::core::problems::Problems;
use crate::core::validate::Bounds;

pub(in crate::core) fn check_js_error(payload: &Payload<'_>, bounds: Bounds<'_>, problems: &mut Problems) {
    payload.required_text("message", "send the error's message", problems);
    check_details(payload, bounds, problems);
}

pub(in crate::core) fn check_rejection(payload: &Payload<'_>, bounds: Bounds<'_>, problems: &mut Problems) {
    payload.kinds(&["message"], Kind::String, problems);
    check_details(payload, bounds, problems);
}

fn check_details(payload: &Payload<'_>, _bounds: Bounds<'_>, problems: &mut Problems) {
    payload.kinds(&["stack", "source", "error_type"], Kind::String, problems);
    payload.numbers(&["line", "column"], problems);
}
