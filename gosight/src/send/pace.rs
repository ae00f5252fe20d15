//! When generated events are due.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Hands out turns at a steady rate, whoever takes them.
#[derive(Debug)]
pub(super) struct Pace {
    started: Instant,
    /// Events a second.
    rate: f64,
    count: u64,
    lasting: Option<Duration>,
    given: AtomicU64,
}

/// So many events, due then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) due: Instant,
    pub(super) events: u32,
}

impl Pace {
    /// Begins now; without count and duration it never ends.
    pub(super) fn new(rate: f64, count: Option<u64>, lasting: Option<Duration>) -> Self {
        Self {
            started: Instant::now(),
            rate,
            count: count.unwrap_or(u64::MAX),
            lasting,
            given: AtomicU64::new(0),
        }
    }

    /// The next turn of at most `most` events; none when all were handed out, or none is due in the time.
    pub(super) fn take(&self, most: u32) -> Option<Turn> {
        let first = self.given.fetch_add(u64::from(most), Ordering::Relaxed);
        let left = self.count.checked_sub(first).filter(|left| *left > 0)?;
        let after = Duration::try_from_secs_f64(first as f64 / self.rate).ok()?;
        if self.lasting.is_some_and(|lasting| after >= lasting) {
            return None;
        }
        Some(Turn {
            due: self.started + after,
            events: u32::try_from(left).map_or(most, |left| left.min(most)),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Pace;

    #[test]
    fn turns_come_at_the_rate_and_add_up_to_the_count() {
        let pace = Pace::new(100.0, Some(25), None);
        let turns: Vec<_> = std::iter::from_fn(|| pace.take(10)).collect();
        let events: Vec<u32> = turns.iter().map(|turn| turn.events).collect();
        assert_eq!(events, [10, 10, 5]);
        assert_eq!(turns[2].due - turns[0].due, Duration::from_millis(200));
    }

    #[test]
    fn turns_end_with_the_time() {
        let pace = Pace::new(100.0, None, Some(Duration::from_millis(250)));
        assert_eq!(std::iter::from_fn(|| pace.take(10)).count(), 3);
    }
}
