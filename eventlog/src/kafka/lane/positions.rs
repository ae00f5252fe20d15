//! Where a lane stands in each of its partitions. Pure.

use std::collections::BTreeMap;

/// Positions of the partitions that a lane has been given.
#[derive(Debug, Default)]
pub(super) struct Positions {
    partitions: BTreeMap<i32, Standing>,
}

#[derive(Debug, Clone, Copy)]
struct Standing {
    /// The group's next offset: everything before is committed.
    committed: i64,
    /// The next offset to hand out; past `committed` while records are handed out and not committed.
    handed: i64,
    /// The next offset to gather; past `handed` while records are gathered and not handed out.
    gathered: i64,
}

impl Positions {
    /// A partition is ours, from `offset` on.
    pub(super) fn assign(&mut self, partition: i32, offset: i64) {
        self.partitions.insert(
            partition,
            Standing {
                committed: offset,
                handed: offset,
                gathered: offset,
            },
        );
    }

    /// A partition is no longer ours. Tells whether it was.
    pub(super) fn revoke(&mut self, partition: i32) -> bool {
        self.partitions.remove(&partition).is_some()
    }

    /// Gathers a record that stands at `offset`, if it is one to gather: its partition is ours and it has not been gathered.
    pub(super) fn gather(&mut self, partition: i32, offset: i64) -> bool {
        match self.partitions.get_mut(&partition) {
            Some(standing) if offset >= standing.gathered => {
                standing.gathered = offset + 1;
                true
            }
            _ => false,
        }
    }

    /// Everything gathered is handed out.
    pub(super) fn hand_out(&mut self) {
        for standing in self.partitions.values_mut() {
            standing.handed = standing.gathered;
        }
    }

    /// Partitions with records that are handed out and not committed, and their next offsets: what a commit has to cover.
    pub(super) fn uncommitted(&self) -> Vec<(i32, i64)> {
        self.partitions
            .iter()
            .filter(|(_, standing)| standing.handed > standing.committed)
            .map(|(partition, standing)| (*partition, standing.handed))
            .collect()
    }

    /// Everything handed out is committed.
    pub(super) fn commit(&mut self) {
        for standing in self.partitions.values_mut() {
            standing.committed = standing.handed;
        }
    }

    /// Gives back what is handed out or gathered and not committed. Returns the partitions that stood elsewhere and where they stand now.
    pub(super) fn rewind(&mut self) -> Vec<(i32, i64)> {
        let mut moved = Vec::new();
        for (partition, standing) in &mut self.partitions {
            if standing.gathered != standing.committed {
                standing.handed = standing.committed;
                standing.gathered = standing.committed;
                moved.push((*partition, standing.committed));
            }
        }
        moved
    }

    /// All partitions and the next offset to gather of each.
    pub(super) fn next(&self) -> Vec<(i32, i64)> {
        self.partitions
            .iter()
            .map(|(partition, standing)| (*partition, standing.gathered))
            .collect()
    }
}

/// Where to begin in a partition that holds `earliest..end`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// At this offset.
    At(i64),
    /// The group's position is before the earliest offset: what lies between is gone.
    Lost {
        /// The group's position.
        next: i64,
    },
    /// The group's position is past the end: this is not the topic that it was.
    PastEnd {
        /// The group's position.
        next: i64,
    },
}

/// Where a group begins in a partition; a group without a position begins at the earliest offset.
pub(super) fn start(committed: Option<i64>, earliest: i64, end: i64) -> Start {
    match committed {
        None => Start::At(earliest),
        Some(next) if next < earliest => Start::Lost { next },
        Some(next) if next > end => Start::PastEnd { next },
        Some(next) => Start::At(next),
    }
}

#[cfg(test)]
mod tests {
    use super::{Positions, Start, start};

    #[test]
    fn a_group_begins_where_it_stood_and_names_what_is_lost() {
        assert_eq!(start(None, 5, 9), Start::At(5));
        assert_eq!(start(Some(7), 5, 9), Start::At(7));
        assert_eq!(start(Some(5), 5, 9), Start::At(5));
        assert_eq!(start(Some(9), 5, 9), Start::At(9));
        assert_eq!(start(Some(4), 5, 9), Start::Lost { next: 4 });
        assert_eq!(start(Some(10), 5, 9), Start::PastEnd { next: 10 });
    }

    #[test]
    fn a_rewind_gives_back_what_is_not_committed() {
        let mut positions = Positions::default();
        positions.assign(0, 10);
        positions.assign(1, 20);
        assert!(positions.gather(0, 10));
        assert!(positions.gather(0, 13), "offsets may have gaps");
        positions.hand_out();
        positions.commit();
        assert!(positions.gather(0, 14));
        positions.hand_out();
        assert_eq!(positions.uncommitted(), [(0, 15)]);
        assert_eq!(positions.rewind(), [(0, 14)]);
        assert_eq!(positions.uncommitted(), []);
        assert!(positions.gather(0, 14), "it comes again");
    }

    #[test]
    fn a_commit_covers_only_what_was_handed_out() {
        let mut positions = Positions::default();
        positions.assign(0, 10);
        assert!(positions.gather(0, 10));
        positions.hand_out();
        assert!(positions.gather(0, 11));
        assert_eq!(positions.uncommitted(), [(0, 11)]);
        positions.commit();
        assert_eq!(positions.uncommitted(), []);
        assert_eq!(positions.rewind(), [(0, 11)], "what was only gathered is still to come");
    }

    #[test]
    fn records_of_other_partitions_and_second_copies_are_not_taken() {
        let mut positions = Positions::default();
        positions.assign(0, 10);
        assert!(!positions.gather(1, 0));
        assert!(!positions.gather(0, 9));
        assert!(positions.gather(0, 10));
        assert!(!positions.gather(0, 10));
        assert!(positions.revoke(0));
        assert!(!positions.revoke(0));
        assert!(!positions.gather(0, 11));
    }
}
