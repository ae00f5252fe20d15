//! What a lane remembers of each of its partitions: the window of ids and where the next record must stand.

use std::collections::BTreeMap;
use std::time::Duration;

use gosight_eventlog::LogRecord;

use crate::window::Window;

/// What a window may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WindowLimits {
    /// How long an id stays.
    pub(crate) length: Duration,
    /// Ids at the most.
    pub(crate) max_entries: usize,
}

/// The partitions that a lane has been given.
#[derive(Debug)]
pub(crate) struct Partitions {
    windows: WindowLimits,
    by_number: BTreeMap<i32, Partition>,
}

/// One partition.
#[derive(Debug)]
pub(crate) struct Partition {
    /// Which ids came within the window.
    pub(crate) window: Window,
    /// The offset after the last record of the open transaction.
    next: i64,
    /// The same as of the last commit.
    committed: i64,
}

/// A record stands before one that was handled already: the log or the lane broke the order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{position} came after offset {expected} of its partition had been reached: the order is broken")]
pub(crate) struct OutOfOrder {
    position: String,
    expected: i64,
}

impl WindowLimits {
    /// A window that has them.
    pub(crate) fn empty_window(self) -> Window {
        Window::new(self.length, self.max_entries)
    }
}

impl Partitions {
    /// None yet; windows will have those limits.
    pub(crate) fn new(windows: WindowLimits) -> Self {
        Self {
            windows,
            by_number: BTreeMap::new(),
        }
    }

    /// The limits of every partition's window.
    pub(crate) fn windows(&self) -> WindowLimits {
        self.windows
    }

    /// Takes a partition whose next record stands at `next` or after it, with the ids that came before.
    pub(crate) fn assign(&mut self, number: i32, next: i64, window: Window) {
        let partition = Partition {
            window,
            next,
            committed: next,
        };
        self.by_number.insert(number, partition);
    }

    /// Gives a partition up.
    pub(crate) fn revoke(&mut self, number: i32) {
        self.by_number.remove(&number);
    }

    /// The partition of a record, moved past it; `None` where the lane was never given the partition.
    pub(crate) fn advance(&mut self, record: &LogRecord) -> Result<Option<&mut Partition>, OutOfOrder> {
        let Some(partition) = self.by_number.get_mut(&record.position.partition) else {
            return Ok(None);
        };
        if record.position.offset < partition.next {
            return Err(OutOfOrder {
                position: record.position.to_string(),
                expected: partition.next,
            });
        }
        partition.next = record.position.offset + 1;
        Ok(Some(partition))
    }

    /// Each partition and the offset after its last committed record.
    pub(crate) fn committed(&self) -> impl Iterator<Item = (i32, i64)> {
        self.by_number
            .iter()
            .map(|(number, partition)| (*number, partition.committed))
    }

    /// The transaction was committed. Returns how many ids left their windows before their time.
    pub(crate) fn keep(&mut self) -> u64 {
        let mut early = 0;
        for partition in self.by_number.values_mut() {
            partition.committed = partition.next;
            early += partition.window.keep();
        }
        early
    }

    /// The transaction was aborted.
    pub(crate) fn discard(&mut self) {
        for partition in self.by_number.values_mut() {
            partition.next = partition.committed;
            partition.window.discard();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use gosight_eventlog::{LogRecord, Position};
    use uuid::Uuid;

    use super::{Partitions, WindowLimits};
    use crate::core::DedupeWindow;

    const ID: Uuid = Uuid::from_u128(1);

    fn record(partition: i32, offset: i64) -> LogRecord {
        LogRecord {
            position: Position {
                topic: "staging".into(),
                partition,
                offset,
            },
            timestamp_ms: 0,
            key: None,
            value: Bytes::new(),
            headers: Vec::new(),
        }
    }

    fn with_partition(number: i32, next: i64) -> Partitions {
        let windows = WindowLimits {
            length: Duration::from_secs(300),
            max_entries: 100,
        };
        let mut partitions = Partitions::new(windows);
        let window = windows.empty_window();
        partitions.assign(number, next, window);
        partitions
    }

    #[test]
    fn records_must_come_in_order_and_gaps_are_allowed() {
        let mut partitions = with_partition(3, 10);
        assert!(partitions.advance(&record(3, 10)).is_ok());
        assert!(
            partitions.advance(&record(3, 14)).is_ok(),
            "retention and markers leave gaps"
        );
        let error = partitions.advance(&record(3, 14)).unwrap_err();
        assert!(error.to_string().contains("staging:3:14"), "{error}");
        assert!(partitions.advance(&record(3, 15)).is_ok());
    }

    #[test]
    fn a_partition_that_was_not_given_or_was_taken_back_has_no_state() {
        let mut partitions = with_partition(3, 10);
        assert!(partitions.advance(&record(4, 0)).unwrap().is_none());
        partitions.revoke(3);
        assert!(partitions.advance(&record(3, 10)).unwrap().is_none());
    }

    #[test]
    fn an_abort_goes_back_to_the_last_commit_and_forgets_its_ids() {
        let mut partitions = with_partition(3, 10);
        let first = partitions.advance(&record(3, 10)).unwrap().unwrap();
        assert!(!first.window.seen(ID, 1000));
        partitions.discard();
        let again = partitions.advance(&record(3, 10)).unwrap().unwrap();
        assert!(!again.window.seen(ID, 1000), "the first time was aborted");
        assert_eq!(partitions.keep(), 0);
        assert!(partitions.advance(&record(3, 10)).is_err(), "it is committed");
        let next = partitions.advance(&record(3, 11)).unwrap().unwrap();
        assert!(next.window.seen(ID, 1000));
    }

    #[test]
    fn a_new_assignment_brings_a_new_window() {
        let mut partitions = with_partition(3, 10);
        let partition = partitions.advance(&record(3, 10)).unwrap().unwrap();
        partition.window.seen(ID, 1000);
        partitions.keep();
        let window = partitions.windows().empty_window();
        partitions.assign(3, 5, window);
        let partition = partitions.advance(&record(3, 5)).unwrap().unwrap();
        assert!(!partition.window.seen(ID, 1000));
    }
}
