//! The hot path without the log, for benches: no part of the interface.

use gosight_config::EnricherSettings;
use gosight_eventlog::{LogRecord, NewRecord};

use crate::core::Assets;
use crate::outputs::{Counts, OutputTopics, outputs_of};
use crate::window::Window;

/// What one lane does with the records of one partition.
#[derive(Debug)]
pub struct Steps {
    assets: Assets,
    topics: OutputTopics,
    window: Window,
}

impl Steps {
    /// With those settings' topics and window.
    pub fn new(settings: &EnricherSettings, assets: Assets) -> Self {
        let max_entries = usize::try_from(settings.dedupe.max_entries).unwrap_or(usize::MAX);
        Self {
            assets,
            topics: OutputTopics::new(&settings.kafka.topics),
            window: Window::new(settings.dedupe.window, max_entries),
        }
    }

    /// Everything between a poll and a commit.
    pub fn outputs(&mut self, records: &[LogRecord]) -> Vec<NewRecord> {
        let mut outputs = Vec::new();
        let mut counts = Counts::default();
        for record in records {
            outputs_of(
                record,
                &self.assets,
                &mut self.window,
                &self.topics,
                &mut outputs,
                &mut counts,
            );
        }
        counts.record();
        self.window.keep();
        outputs
    }
}
