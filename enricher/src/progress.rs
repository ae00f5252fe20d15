//! How far this process's partitions are behind the log, and whether they move: the metric `enricher_lag_records` and the liveness.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gosight_eventlog::{EventLog, PartitionBounds};
use gosight_lifecycle::{Latch, Shutdown};

/// The log is asked for its ends so often.
const INTERVAL: Duration = Duration::from_secs(5);
/// An answer that takes longer says nothing of this process.
const ANSWER: Duration = Duration::from_secs(10);

/// The committed positions of the partitions that this process's lanes hold. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Positions {
    next_offsets: Arc<Mutex<BTreeMap<i32, i64>>>,
}

/// One lane's part of the positions; what it holds goes with it.
#[derive(Debug)]
pub(crate) struct LanePositions {
    all: Positions,
    held: Vec<i32>,
}

impl Positions {
    /// Those of a lane that holds none yet.
    pub(crate) fn of_lane(&self) -> LanePositions {
        LanePositions {
            all: self.clone(),
            held: Vec::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, i64>> {
        self.next_offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LanePositions {
    /// The lane holds exactly these partitions, and has committed up to these offsets.
    pub(crate) fn set(&mut self, committed: impl Iterator<Item = (i32, i64)>) {
        let mut all = self.all.lock();
        for partition in self.held.drain(..) {
            all.remove(&partition);
        }
        for (partition, next) in committed {
            all.insert(partition, next);
            self.held.push(partition);
        }
    }
}

impl Drop for LanePositions {
    fn drop(&mut self) {
        self.set(std::iter::empty());
    }
}

/// Shows the lag and judges the progress until the shutdown begins.
pub(crate) async fn watch(
    log: Arc<dyn EventLog>,
    topic: String,
    positions: Positions,
    stalled_after: Duration,
    latch: Latch,
    shutdown: Shutdown,
) {
    let mut progress = Progress::new(stalled_after);
    let mut ticks = tokio::time::interval(INTERVAL.min(stalled_after / 2));
    latch.ready();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.begun() => return,
        }
        let Ok(Ok(bounds)) = tokio::time::timeout(ANSWER, log.bounds(&topic)).await else {
            // Without the log nothing can move; the lanes say so themselves.
            progress = Progress::new(stalled_after);
            continue;
        };
        let held = positions.lock().clone();
        let lags = progress.lags(&held, &bounds);
        for (partition, lag) in &lags {
            #[expect(clippy::cast_precision_loss, reason = "a metric")]
            metrics::gauge!("enricher_lag_records", "partition" => partition.to_string()).set(*lag as f64);
        }
        match progress.stalled(&held, &lags, Instant::now()) {
            Some(stall) => latch.stuck(stall),
            None => latch.ready(),
        }
    }
}

/// Since when each partition stands where it stands.
#[derive(Debug)]
struct Progress {
    stalled_after: Duration,
    stands: BTreeMap<i32, (i64, Instant)>,
    /// Partitions whose lag has been shown: one that has left is shown as 0, for the sum over all processes.
    shown: BTreeMap<i32, u64>,
}

impl Progress {
    fn new(stalled_after: Duration) -> Self {
        Self {
            stalled_after,
            stands: BTreeMap::new(),
            shown: BTreeMap::new(),
        }
    }

    /// Records that wait in each partition.
    fn lags(&mut self, held: &BTreeMap<i32, i64>, bounds: &[PartitionBounds]) -> BTreeMap<i32, u64> {
        for lag in self.shown.values_mut() {
            *lag = 0;
        }
        for at in bounds {
            if let Some(next) = held.get(&at.partition) {
                // Retention may have overtaken the position: what is gone does not wait.
                let waiting = at.end - (*next).max(at.earliest);
                self.shown.insert(at.partition, u64::try_from(waiting).unwrap_or(0));
            }
        }
        self.shown.clone()
    }

    /// Which partition stands still though records wait in it, in words.
    fn stalled(&mut self, held: &BTreeMap<i32, i64>, lags: &BTreeMap<i32, u64>, now: Instant) -> Option<String> {
        self.stands.retain(|partition, _| held.contains_key(partition));
        for (partition, next) in held {
            let stand = self.stands.entry(*partition).or_insert((*next, now));
            let waiting = lags.get(partition).copied().unwrap_or(0);
            if stand.0 != *next || waiting == 0 {
                *stand = (*next, now);
            }
        }
        let (partition, (next, since)) = self
            .stands
            .iter()
            .find(|(_, (_, since))| now.duration_since(*since) >= self.stalled_after)?;
        Some(format!(
            "partition {partition} has stood at offset {next} for {} s while {} staged batches wait in it",
            now.duration_since(*since).as_secs(),
            lags.get(partition).copied().unwrap_or(0),
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use gosight_eventlog::PartitionBounds;

    use super::{Positions, Progress};

    const LIMIT: Duration = Duration::from_secs(60);

    fn bounds(earliest: i64, end: i64) -> [PartitionBounds; 1] {
        [PartitionBounds {
            partition: 3,
            earliest,
            end,
        }]
    }

    #[test]
    fn only_a_partition_that_waits_and_does_not_move_is_stalled() {
        let (began, mut progress) = (Instant::now(), Progress::new(LIMIT));
        let mut at = |seconds, next, end| {
            let held = BTreeMap::from([(3, next)]);
            let lags = progress.lags(&held, &bounds(0, end));
            progress.stalled(&held, &lags, began + Duration::from_secs(seconds))
        };
        assert_eq!(at(0, 10, 10), None, "nothing waits");
        assert_eq!(at(100, 10, 20), None, "it has only just come");
        assert_eq!(at(159, 11, 30), None, "it moves");
        assert_eq!(at(218, 11, 40), None);
        let stall = at(219, 11, 40).unwrap();
        assert!(stall.contains("partition 3") && stall.contains("29 staged"), "{stall}");
        assert_eq!(at(220, 12, 40), None, "it moves again");
    }

    #[test]
    fn what_left_is_shown_as_nothing_and_what_is_gone_does_not_wait() {
        let mut progress = Progress::new(LIMIT);
        let held = BTreeMap::from([(3, 10)]);
        assert_eq!(progress.lags(&held, &bounds(15, 20))[&3], 5);
        assert_eq!(progress.lags(&BTreeMap::new(), &bounds(15, 20))[&3], 0);
    }

    #[test]
    fn a_lane_takes_its_partitions_along() {
        let positions = Positions::default();
        let (mut one, mut other) = (positions.of_lane(), positions.of_lane());
        one.set([(1, 5), (2, 6)].into_iter());
        other.set([(3, 7)].into_iter());
        one.set([(2, 8)].into_iter());
        assert_eq!(*positions.lock(), BTreeMap::from([(2, 8), (3, 7)]));
        drop(one);
        assert_eq!(*positions.lock(), BTreeMap::from([(3, 7)]));
    }
}
