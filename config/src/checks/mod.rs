//! Contradictions: settings that are each well formed, but can't be meant together or can't work. Pure; a file for each family.

mod edge;
mod enricher;
mod kafka;
mod telemetry;

use std::time::Duration;

use bytesize::ByteSize;

use crate::forms::shown;

/// Settings that can't be meant.
#[derive(Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// Keys concerned; the first that stands in the file is shown.
    pub keys: Vec<&'static str>,
    /// Where the key has a list: the item that is meant.
    pub item: Option<String>,
    /// What is wrong, and what to do.
    pub what: String,
}

/// Settings that can be checked as a whole.
pub(crate) trait Check {
    /// All contradictions.
    fn contradictions(&self) -> Vec<Contradiction>;

    /// What is accepted, but should be known.
    fn warnings(&self) -> Vec<String>;
}

/// Gathers contradictions.
#[derive(Debug, Default)]
struct Findings(Vec<Contradiction>);

impl Findings {
    fn refuse<const N: usize>(&mut self, keys: [&'static str; N], what: impl Into<String>) {
        self.0.push(Contradiction {
            keys: keys.to_vec(),
            item: None,
            what: what.into(),
        });
    }

    /// The same for one item of a list.
    fn refuse_item(&mut self, key: &'static str, item: &str, what: impl Into<String>) {
        self.0.push(Contradiction {
            keys: vec![key],
            item: Some(item.to_owned()),
            what: what.into(),
        });
    }

    /// Each number must lie between its bounds, both included.
    fn within(&mut self, numbers: &[(&'static str, u64, std::ops::RangeInclusive<u64>)]) {
        for (key, number, bounds) in numbers {
            if !bounds.contains(number) {
                let (least, most) = (bounds.start(), bounds.end());
                match *most == u64::MAX {
                    true => self.refuse([*key], format!("is too little; write at least {least}")),
                    false => self.refuse([*key], format!("is out of bounds; write {least} to {most}")),
                }
            }
        }
    }

    /// Each time must lie between its bounds, both included.
    fn lasting(&mut self, times: &[(&'static str, Duration, std::ops::RangeInclusive<Duration>)]) {
        for (key, time, bounds) in times {
            if !bounds.contains(time) {
                let (least, most) = (time_shown(*bounds.start()), time_shown(*bounds.end()));
                self.refuse([*key], format!("is out of bounds; write {least} to {most}"));
            }
        }
    }

    /// Each size must be at least a byte.
    fn not_empty(&mut self, sizes: &[(&'static str, ByteSize)]) {
        for (key, size) in sizes {
            if size.as_u64() == 0 {
                self.refuse([*key], "is nothing; write a size, for example 4MiB");
            }
        }
    }

    /// A record of a topic: it must be smaller than what any producer of ours sends.
    fn record(&mut self, key: &'static str, size: ByteSize) {
        if size > crate::kafka::LARGEST_RECORD {
            let most = shown(crate::kafka::LARGEST_RECORD);
            self.refuse(
                [key],
                format!("is more than a producer of ours sends; write at most {most}"),
            );
        }
    }
}

/// A time as a person writes it.
fn time_shown(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

/// What is longer than any wait can be meant to be; beyond it lie values that would overflow behind us.
const LONG: Duration = Duration::from_secs(3600);
/// The shortest wait: our timers and librdkafka count milliseconds, and 0 often means for ever.
const SHORT: Duration = Duration::from_millis(1);
