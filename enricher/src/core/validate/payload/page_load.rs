//! Navigation timing: numbers of milliseconds.

use super::Payload;
use crate::core::problems::Problems;
use crate::core::validate::Bounds;

const TIMINGS: [&str; 8] = [
    "dns_lookup",
    "tcp_connect",
    "request_start",
    "response_start",
    "response_end",
    "dom_interactive",
    "dom_complete",
    "load_complete",
];

pub(in crate::core) fn check(payload: &Payload<'_>, _bounds: Bounds<'_>, problems: &mut Problems) {
    payload.numbers(&TIMINGS, problems);
}
