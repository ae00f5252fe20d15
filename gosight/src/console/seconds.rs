//! Counts by the second, for the charts.

use std::collections::VecDeque;

use serde::Serialize;

/// Seconds that are remembered.
const KEPT: usize = 300;
/// Latencies of one second that are looked at; a busy second has more, and these are enough to tell.
const MOST_LATENCIES: usize = 5_000;

/// One second of the flow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Second {
    /// Unix seconds, by the console's clock.
    pub(super) at: i64,
    /// Events of staged batches.
    pub(super) staged: u64,
    /// Events on raw.
    pub(super) raw: u64,
    /// Rejects on errors.
    pub(super) errors: u64,
    /// Receipt to raw, ms; absent where nothing came.
    pub(super) p50_ms: Option<u64>,
    /// Likewise.
    pub(super) p99_ms: Option<u64>,
    #[serde(skip)]
    latencies_ms: Vec<u64>,
}

/// The last seconds, without gaps.
#[derive(Debug, Default)]
pub(super) struct Seconds {
    kept: VecDeque<Second>,
}

/// Which topic something came on, and how many events it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    Staged(u64),
    /// With the time from its receipt, ms.
    Raw(u64),
    Error,
}

impl Seconds {
    /// Counts something that came now (Unix seconds).
    pub(super) fn count(&mut self, came: Came, now: i64) {
        self.advance(now);
        let Some(second) = self.kept.back_mut() else {
            return;
        };
        match came {
            Came::Staged(events) => second.staged += events,
            Came::Error => second.errors += 1,
            Came::Raw(latency) => {
                second.raw += 1;
                if second.latencies_ms.len() < MOST_LATENCIES {
                    second.latencies_ms.push(latency);
                }
            }
        }
    }

    /// Every second up to now, oldest first.
    pub(super) fn up_to(&mut self, now: i64) -> Vec<Second> {
        self.advance(now);
        let told = |second: &Second| {
            let mut second = second.clone();
            if !second.latencies_ms.is_empty() {
                second.p50_ms = percentile(&mut second.latencies_ms, 50);
                second.p99_ms = percentile(&mut second.latencies_ms, 99);
            }
            second
        };
        self.kept.iter().map(told).collect()
    }

    fn advance(&mut self, now: i64) {
        let mut next = self.kept.back().map_or(now, |last| last.at + 1);
        if now - next > i64::try_from(KEPT).unwrap_or(i64::MAX) {
            self.kept.clear();
            next = now;
        }
        while next <= now {
            // A second that is over needs its percentiles, not its latencies.
            if let Some(over) = self.kept.back_mut() {
                over.p50_ms = percentile(&mut over.latencies_ms, 50);
                over.p99_ms = percentile(&mut over.latencies_ms, 99);
                over.latencies_ms = Vec::new();
            }
            self.kept.push_back(Second {
                at: next,
                ..Second::default()
            });
            next += 1;
        }
        while self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }
}

/// Nearest rank; sorts.
fn percentile(values: &mut [u64], percent: usize) -> Option<u64> {
    values.sort_unstable();
    let rank = (values.len() * percent).div_ceil(100).max(1) - 1;
    values.get(rank).copied()
}

#[cfg(test)]
mod tests {
    use super::{Came, KEPT, Seconds};

    #[test]
    fn seconds_have_no_gaps_and_tell_their_percentiles() {
        let mut seconds = Seconds::default();
        seconds.count(Came::Staged(10), 100);
        for latency in 1..=100 {
            seconds.count(Came::Raw(latency), 100);
        }
        seconds.count(Came::Error, 103);
        let told = seconds.up_to(104);
        assert_eq!(
            told.iter().map(|second| second.at).collect::<Vec<_>>(),
            [100, 101, 102, 103, 104]
        );
        let first = &told[0];
        assert_eq!(
            (first.staged, first.raw, first.p50_ms, first.p99_ms),
            (10, 100, Some(50), Some(99))
        );
        assert_eq!((told[3].errors, told[3].p99_ms), (1, None));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut seconds = Seconds::default();
        seconds.count(Came::Error, 0);
        assert_eq!(seconds.up_to(200).len(), 201);
        assert_eq!(seconds.up_to(2_000).len(), 1, "nobody looked for a long time");
        for now in 2_000..3_000 {
            seconds.count(Came::Error, now);
        }
        assert_eq!(seconds.up_to(3_000).len(), KEPT);
    }
}
