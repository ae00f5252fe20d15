//! Where a lane stands on each of its partitions.

use std::collections::BTreeMap;

use super::super::group::{Hands, Owned};
use crate::{Assigned, LogRecord};

/// One partition.
#[derive(Debug, Clone, Copy)]
struct Standing {
    /// The number of the assignment by which the lane got it.
    assignment: u64,
    committed: i64,
    /// The next offset to be handed out.
    next: i64,
}

/// All partitions of a lane.
#[derive(Debug, Default)]
pub(super) struct Standings {
    by_partition: BTreeMap<i32, Standing>,
    /// A commit was begun whose end is not known here.
    in_doubt: bool,
    /// The partition that was served last is served last again.
    served: Option<i32>,
}

/// How what a lane has differs from what it should have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) revoked: Vec<i32>,
    /// With the number of the assignment.
    pub(super) assigned: Vec<(i32, u64)>,
}

impl Change {
    pub(super) fn is_empty(&self) -> bool {
        self.revoked.is_empty() && self.assigned.is_empty()
    }
}

impl Standings {
    /// Whether it is known what is committed.
    pub(super) fn are_certain(&self) -> bool {
        !self.in_doubt
    }

    /// A commit begins.
    pub(super) fn doubt(&mut self) {
        self.in_doubt = true;
    }

    /// Whether something was handed out and is not committed.
    pub(super) fn hands(&self) -> Hands {
        if self.moved().is_empty() {
            Hands::Empty
        } else {
            Hands::Full
        }
    }

    /// The partitions that moved since the last commit, and to where.
    pub(super) fn moved(&self) -> Vec<(i32, i64)> {
        self.by_partition
            .iter()
            .filter(|(_, standing)| standing.next != standing.committed)
            .map(|(partition, standing)| (*partition, standing.next))
            .collect()
    }

    /// The next offset of a partition.
    pub(super) fn next(&self, partition: i32) -> Option<i64> {
        self.by_partition.get(&partition).map(|standing| standing.next)
    }

    /// The partitions in the order in which they are to be served, with their next offsets.
    pub(super) fn turn(&self) -> Vec<(i32, i64)> {
        let all = self
            .by_partition
            .iter()
            .map(|(partition, standing)| (*partition, standing.next));
        let (before, after): (Vec<_>, Vec<_>) = all.partition(|(partition, _)| Some(*partition) <= self.served);
        after.into_iter().chain(before).collect()
    }

    /// Notes what is handed out.
    pub(super) fn take(&mut self, records: &[LogRecord]) {
        for record in records {
            if let Some(standing) = self.by_partition.get_mut(&record.position.partition) {
                standing.next = record.position.offset + 1;
                self.served = Some(record.position.partition);
            }
        }
    }

    /// What was handed out is committed.
    pub(super) fn commit(&mut self) {
        self.in_doubt = false;
        for standing in self.by_partition.values_mut() {
            standing.committed = standing.next;
        }
    }

    /// What was handed out comes again.
    pub(super) fn rewind(&mut self) {
        self.in_doubt = false;
        for standing in self.by_partition.values_mut() {
            standing.next = standing.committed;
        }
    }

    /// Sets everything to what is committed in the file.
    pub(super) fn relearn(&mut self, positions: &[(i32, i64)]) {
        self.in_doubt = false;
        for (partition, next) in positions {
            if let Some(standing) = self.by_partition.get_mut(partition) {
                standing.committed = *next;
                standing.next = *next;
            }
        }
    }

    /// What has to change for the lane to have what it owns.
    pub(super) fn change(&self, owned: &Owned) -> Change {
        let revoked = self
            .by_partition
            .iter()
            .filter(|(partition, standing)| owned.get(partition) != Some(&standing.assignment))
            .map(|(partition, _)| *partition)
            .collect();
        let assigned = owned
            .iter()
            .filter(|(partition, assignment)| {
                self.by_partition.get(partition).map(|standing| standing.assignment) != Some(**assignment)
            })
            .map(|(partition, assignment)| (*partition, *assignment))
            .collect();
        Change { revoked, assigned }
    }

    /// Makes the change, with the offsets at which the new partitions begin. What was revoked.
    pub(super) fn apply(&mut self, change: &Change, assigned: &[Assigned]) -> Vec<i32> {
        for partition in &change.revoked {
            self.by_partition.remove(partition);
        }
        for Assigned { partition, next_offset } in assigned {
            if let Some((_, assignment)) = change.assigned.iter().find(|(known, _)| known == partition) {
                self.by_partition.insert(
                    *partition,
                    Standing {
                        assignment: *assignment,
                        committed: *next_offset,
                        next: *next_offset,
                    },
                );
            }
        }
        change.revoked.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::group::{Hands, Owned};
    use super::{Change, Standings};
    use crate::{Assigned, LogRecord, Position};

    fn record(partition: i32, offset: i64) -> LogRecord {
        LogRecord {
            position: Position {
                topic: "t".into(),
                partition,
                offset,
            },
            timestamp_ms: 0,
            key: None,
            value: bytes::Bytes::new(),
            headers: Vec::new(),
        }
    }

    fn standings(of: &[(i32, u64)]) -> Standings {
        let mut standings = Standings::default();
        let change = standings.change(&of.iter().copied().collect());
        let assigned: Vec<Assigned> = of
            .iter()
            .map(|(partition, _)| Assigned {
                partition: *partition,
                next_offset: 10,
            })
            .collect();
        standings.apply(&change, &assigned);
        standings
    }

    #[test]
    fn a_partition_that_came_back_by_another_assignment_is_revoked_and_assigned() {
        let standings = standings(&[(0, 1), (1, 1)]);
        let owned: Owned = [(0, 1), (1, 2)].into_iter().collect();
        assert_eq!(
            standings.change(&owned),
            Change {
                revoked: vec![1],
                assigned: vec![(1, 2)]
            }
        );
    }

    #[test]
    fn hands_are_full_from_taking_until_commit_or_rewind() {
        let mut standings = standings(&[(0, 1), (1, 1)]);
        standings.take(&[record(0, 10), record(0, 11)]);
        assert_eq!(standings.hands(), Hands::Full);
        assert_eq!(standings.moved(), [(0, 12)]);
        standings.rewind();
        assert_eq!(standings.next(0), Some(10));
        assert_eq!(standings.hands(), Hands::Empty);
        standings.take(&[record(0, 10)]);
        standings.commit();
        standings.rewind();
        assert_eq!(standings.next(0), Some(11));
    }

    #[test]
    fn partitions_take_turns() {
        let mut standings = standings(&[(0, 1), (1, 1), (2, 1)]);
        assert_eq!(standings.turn(), [(0, 10), (1, 10), (2, 10)]);
        standings.take(&[record(1, 10)]);
        assert_eq!(standings.turn(), [(2, 10), (0, 10), (1, 11)]);
    }
}
