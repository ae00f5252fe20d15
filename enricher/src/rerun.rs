//! Staged records run through the enricher outside of a lane, for replays: the same records by the same code.

use gosight_config::kafka::TopicNames;
use gosight_eventlog::{LogRecord, NewRecord};
use uuid::Uuid;

use crate::core::{Assets, DedupeWindow};
use crate::outputs::{Counts, OutputTopics, outputs_of};

/// Runs staged records, with outputs for two topics.
#[derive(Debug)]
pub struct Rerun {
    topics: OutputTopics,
}

impl Rerun {
    /// Events are made for the topic `raw`, rejects for the topic `errors`.
    pub fn new(raw: &str, errors: &str) -> Self {
        let names = TopicNames {
            events: raw.to_owned(),
            errors: errors.to_owned(),
            ..TopicNames::default()
        };
        Self {
            topics: OutputTopics::new(&names),
        }
    }

    /// Appends what a record turns into to `outputs`, in the order of its events; gives how many of them are duplicates.
    pub fn outputs_of(
        &self,
        record: &LogRecord,
        assets: &Assets,
        window: &mut dyn DedupeWindow,
        outputs: &mut Vec<NewRecord>,
    ) -> u64 {
        let mut window = Counting { window, duplicates: 0 };
        // Nothing of a replay is counted as live.
        let mut counts = Counts::default();
        // A list takes every output.
        let _ = outputs_of(record, assets, &mut window, &self.topics, outputs, &mut counts);
        window.duplicates
    }
}

struct Counting<'a> {
    window: &'a mut dyn DedupeWindow,
    duplicates: u64,
}

impl DedupeWindow for Counting<'_> {
    fn seen(&mut self, key: Uuid, append_time_ms: i64) -> bool {
        let is_duplicate = self.window.seen(key, append_time_ms);
        self.duplicates += u64::from(is_duplicate);
        is_duplicate
    }
}
