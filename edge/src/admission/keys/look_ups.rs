//! How look-ups of keys end, counted. Handles are kept, so that counting one costs no look-up of its own; they stay with the
//! metrics recorder of their time, which has to be installed before.

use metrics::{Counter, counter};

use crate::admission::Grant;
use crate::outcome::{Reason, Refusal};

/// Where an answer came from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    Memory,
    Redis,
    Database,
    /// Older than it should be, since the database does not answer.
    Stale,
}

/// The counters of one process.
pub(super) struct LookUps {
    memory: Results,
    redis: Results,
    database: Results,
    stale: Results,
}

/// The counters of one source.
struct Results {
    valid: Counter,
    invalid: Counter,
    not_permitted: Counter,
    unavailable: Counter,
}

impl LookUps {
    pub(super) fn new() -> Self {
        Self {
            memory: Results::of("memory"),
            redis: Results::of("redis"),
            database: Results::of("database"),
            stale: Results::of("stale"),
        }
    }

    pub(super) fn count(&self, source: Source, judged: &Result<Grant, Refusal>) {
        let results = match source {
            Source::Memory => &self.memory,
            Source::Redis => &self.redis,
            Source::Database => &self.database,
            Source::Stale => &self.stale,
        };
        let result = match judged {
            Ok(_) => &results.valid,
            Err(refusal) => match refusal.reason() {
                Reason::KeysUnavailable => &results.unavailable,
                Reason::KeyNotPermitted => &results.not_permitted,
                _ => &results.invalid,
            },
        };
        result.increment(1);
    }
}

impl Results {
    fn of(source: &'static str) -> Self {
        let result = |result: &'static str| counter!("edge_key_lookups_total", "source" => source, "result" => result);
        Self {
            valid: result("valid"),
            invalid: result("invalid"),
            not_permitted: result("not_permitted"),
            unavailable: result("unavailable"),
        }
    }
}
