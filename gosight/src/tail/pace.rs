//! Whether a reader keeps up, and where it goes on when it does not.

use std::collections::BTreeMap;

use gosight_eventlog::PartitionBounds;

/// A reader that was at the end and is this many records behind is moved to the end again: what it shows is no news.
pub(crate) const FAR_BEHIND: u64 = 10_000;

/// Where a reader goes on, and how many records it leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skip {
    pub(crate) starts: Vec<(i32, i64)>,
    pub(crate) records: u64,
}

/// How many offsets lie between a reader and the end.
pub(crate) fn behind(positions: &[(i32, i64)], bounds: &[PartitionBounds]) -> u64 {
    ahead(positions, bounds, |bound| bound.end).records
}

/// The ends of the reader's partitions.
pub(crate) fn to_end(positions: &[(i32, i64)], bounds: &[PartitionBounds]) -> Skip {
    ahead(positions, bounds, |bound| bound.end)
}

/// The oldest records that are still there, where retention has deleted what the reader was to read.
pub(super) fn past_deleted(positions: &[(i32, i64)], bounds: &[PartitionBounds]) -> Option<Skip> {
    Some(ahead(positions, bounds, |bound| bound.earliest)).filter(|skip| skip.records > 0)
}

fn ahead(positions: &[(i32, i64)], bounds: &[PartitionBounds], to: fn(&PartitionBounds) -> i64) -> Skip {
    let targets: BTreeMap<i32, i64> = bounds.iter().map(|bound| (bound.partition, to(bound))).collect();
    let mut records = 0;
    let starts = positions.iter().map(|&(partition, position)| {
        let start = targets.get(&partition).map_or(position, |target| position.max(*target));
        records += start.abs_diff(position);
        (partition, start)
    });
    let starts = starts.collect();
    Skip { starts, records }
}

#[cfg(test)]
mod tests {
    use gosight_eventlog::PartitionBounds;

    use super::{Skip, behind, past_deleted, to_end};

    #[test]
    fn what_is_skipped_is_counted() {
        let bounds = [(0, 100, 200), (1, 0, 50), (2, 0, 10)].map(|(partition, earliest, end)| PartitionBounds {
            partition,
            earliest,
            end,
        });
        let positions = [(0, 90), (1, 50)];
        assert_eq!(behind(&positions, &bounds), 110);
        let end = Skip {
            starts: vec![(0, 200), (1, 50)],
            records: 110,
        };
        assert_eq!(to_end(&positions, &bounds), end);
        let deleted = Skip {
            starts: vec![(0, 100), (1, 50)],
            records: 10,
        };
        assert_eq!(past_deleted(&positions, &bounds), Some(deleted));
        assert_eq!(past_deleted(&[(0, 100), (1, 0)], &bounds), None);
    }
}
