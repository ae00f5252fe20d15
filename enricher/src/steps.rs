//! The hot path without the log, for benches: no part of the interface.

use gosight_config::EnricherSettings;
use gosight_eventlog::{Doomed, LogRecord, Outputs};

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
    ///
    /// # Errors
    /// Those of `outputs`.
    pub fn run(&mut self, records: &[LogRecord], outputs: &mut dyn Outputs) -> Result<(), Doomed> {
        let mut counts = Counts::default();
        for record in records {
            let (assets, window) = (&self.assets, &mut self.window);
            outputs_of(record, assets, window, &self.topics, outputs, &mut counts)?;
        }
        counts.record();
        self.window.keep();
        Ok(())
    }
}
