//! The timestamp lies near the receipt.

use gosight_schemas::RejectCode;

use super::Bounds;
use crate::core::event::Event;
use crate::core::problems::Problems;

const FIELD: &str = "/timestamp";

pub(super) fn check(event: &Event<'_>, bounds: Bounds<'_>, problems: &mut Problems) {
    if problems.concern(FIELD) {
        return;
    }
    let (timestamp, received_at) = (event.timestamp, bounds.batch.received_at);
    let ahead = timestamp.saturating_sub(received_at);
    let (max_age, max_future) = (bounds.rules.max_age_ms, bounds.rules.max_future_ms);
    let wrong = if timestamp <= 0 {
        "is no time after 1970".to_owned()
    } else if ahead > max_future {
        format!("lies {ahead} ms ahead of the receipt at {received_at}; at most {max_future} ms are allowed")
    } else if ahead < max_age.saturating_neg() {
        let age = ahead.saturating_neg();
        format!("lies {age} ms before the receipt at {received_at}; at most {max_age} ms are allowed")
    } else {
        return;
    };
    let message = format!("the timestamp {timestamp} {wrong}; {}", advice(timestamp, bounds));
    problems.add(RejectCode::TimestampOutOfRange, FIELD, message);
}

/// Most often it is the wrong unit.
fn advice(timestamp: i64, bounds: Bounds<'_>) -> &'static str {
    let fits = |millis: i64| {
        let ahead = millis.saturating_sub(bounds.batch.received_at);
        millis > 0 && (bounds.rules.max_age_ms.saturating_neg()..=bounds.rules.max_future_ms).contains(&ahead)
    };
    if fits(timestamp.saturating_mul(1_000)) {
        "it seems to be in seconds: send Unix milliseconds"
    } else if fits(timestamp / 1_000) {
        "it seems to be in microseconds: send Unix milliseconds"
    } else if fits(timestamp / 1_000_000) {
        "it seems to be in nanoseconds: send Unix milliseconds"
    } else {
        "send Unix milliseconds, as Date.now() gives them"
    }
}
