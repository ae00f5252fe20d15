//! What a lane remembers of each of its partitions: the window of ids and where the next record must stand.

use std::collections::BTreeMap;
use std::time::Duration;

use gosight_eventlog::LogRecord;

use crate::window::Window;

/// The partitions that a lane has been given.
#[derive(Debug)]
pub(crate) struct Partitions {
    window: Duration,
    max_entries: usize,
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

impl Partitions {
    /// None yet; windows will have that length and that many ids at the most.
    pub(crate) fn new(window: Duration, max_entries: usize) -> Self {
        Self {
            window,
            max_entries,
            by_number: BTreeMap::new(),
        }
    }

    /// A window as every partition has it, empty.
    pub(crate) fn empty_window(&self) -> Window {
        Window::new(self.window, self.max_entries)
    }

    /// How long a window is.
    pub(crate) fn window_length(&self) -> Duration {
        self.window
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

    /// How many there are, and how many ids their windows hold together.
    pub(crate) fn totals(&self) -> (usize, usize) {
        let ids = self.by_number.values().map(|partition| partition.window.len()).sum();
        (self.by_number.len(), ids)
    }
}
