//! Timestamps of clients whose clocks are wrong. A batch's `sent_at` is by the same clock as its events' timestamps, and its receipt
//! is by ours, so their difference is the clock's error and the way's duration together.

use gosight_config::enricher::OutOfRange;

use super::event::Event;
use super::problems::Problems;
use super::validate::Bounds;

/// The timestamp that left is not the client's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeChange {
    /// By the error of the client's clock.
    Corrected,
    /// To the nearest time that is allowed.
    Clamped,
}

impl TimeChange {
    /// Its name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Corrected => "corrected",
            Self::Clamped => "clamped",
        }
    }
}

/// The client's own timestamp where another one leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OriginalTime {
    /// Unix ms, by the client's clock.
    pub(super) timestamp: i64,
    pub(super) change: TimeChange,
}

/// Corrects or clamps the event's timestamp where the rules ask for it.
pub(super) fn adjust(event: &mut Event<'_>, bounds: Bounds<'_>, problems: &Problems) {
    let timestamp = event.timestamp;
    // No time after 1970 is no wrong time, but none.
    if timestamp <= 0 || problems.concern("/timestamp") {
        return;
    }
    let Some((adjusted, change)) = adjusted(timestamp, bounds) else {
        return;
    };
    event.timestamp = adjusted;
    event.original_time = Some(OriginalTime { timestamp, change });
}

fn adjusted(timestamp: i64, bounds: Bounds<'_>) -> Option<(i64, TimeChange)> {
    let received_at = bounds.batch.received_at;
    let allowed = bounds.rules.times(received_at);
    if let Some(corrected) = corrected(timestamp, bounds).filter(|corrected| allowed.contains(corrected)) {
        return Some((corrected, TimeChange::Corrected));
    }
    let is_clamped = bounds.rules.out_of_range == OutOfRange::Clamp && !allowed.contains(&timestamp);
    is_clamped.then(|| (timestamp.clamp(*allowed.start(), *allowed.end()), TimeChange::Clamped))
}

/// By our clock; `None` where the client's is right, or nothing is known of it.
fn corrected(timestamp: i64, bounds: Bounds<'_>) -> Option<i64> {
    let tolerance = bounds.rules.clock_tolerance_ms?;
    let sent_at = bounds.batch.sent_at.filter(|sent_at| *sent_at > 0)?;
    let error = bounds.batch.received_at.saturating_sub(sent_at);
    if error.saturating_abs() <= tolerance {
        return None;
    }
    // An event comes before its sending. One that doesn't was dated by another clock, or one of the two is in another unit.
    if timestamp > sent_at.saturating_add(tolerance) {
        return None;
    }
    Some(timestamp.saturating_add(error))
}
