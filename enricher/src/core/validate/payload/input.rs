//! Inputs: the kind of the field is a text, whether it is masked a boolean.

use super::Payload;
use crate::core::json::Kind;
use crate::core::problems::Problems;
use crate::core::validate::Bounds;

pub(in crate::core) fn check(payload: &Payload<'_>, _bounds: Bounds<'_>, problems: &mut Problems) {
    payload.kinds(&["input_type"], Kind::String, problems);
    payload.kinds(&["is_masked"], Kind::Boolean, problems);
}
