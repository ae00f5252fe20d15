//! Where each partition ends, kept in memory between transactions.

use std::collections::HashMap;

use sqlx::sqlite::SqliteConnection;

use super::super::bounds;

/// The end of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tail {
    next: i64,
    last_timestamp: i64,
}

impl Tail {
    /// The next offset and the time of the record that gets it. Timestamps of a partition never decrease, whatever clocks do, so
    /// that a time can be looked up.
    fn append(&mut self, timestamp: i64) -> (i64, i64) {
        let offset = self.next;
        self.next += 1;
        self.last_timestamp = self.last_timestamp.max(timestamp);
        (offset, self.last_timestamp)
    }
}

/// The ends of all partitions, as of a state of the file.
#[derive(Debug, Default)]
pub(super) struct Tails {
    /// SQLite's number for what other connections have committed; `None` when nothing is known.
    version: Option<i64>,
    by_log: HashMap<i64, Tail>,
}

impl Tails {
    /// Reads anew at the next refresh.
    pub(super) fn forget(&mut self) {
        self.version = None;
    }

    /// Reads the ends if another connection has written since. Call it inside the transaction.
    pub(super) async fn refresh(&mut self, connection: &mut SqliteConnection, version: i64) -> Result<(), sqlx::Error> {
        if self.version == Some(version) {
            return Ok(());
        }
        let extents = bounds::extents(connection, None).await?;
        self.by_log = extents
            .into_iter()
            .map(|extent| {
                let tail = Tail {
                    next: extent.end,
                    last_timestamp: extent.last_timestamp,
                };
                (extent.log, tail)
            })
            .collect();
        self.version = Some(version);
        Ok(())
    }

    /// The offset and timestamp of the next record of a partition.
    pub(super) fn append(&mut self, log: i64, timestamp: i64) -> Result<(i64, i64), sqlx::Error> {
        self.by_log
            .get_mut(&log)
            .map(|tail| tail.append(timestamp))
            .ok_or(sqlx::Error::RowNotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::Tail;

    #[test]
    fn offsets_rise_by_one_and_time_never_falls() {
        let mut tail = Tail {
            next: 7,
            last_timestamp: 1_000,
        };
        assert_eq!(tail.append(1_005), (7, 1_005));
        assert_eq!(tail.append(900), (8, 1_005));
        assert_eq!(tail.append(1_006), (9, 1_006));
    }
}
