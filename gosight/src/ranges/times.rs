//! A range by the records' timestamps, as filters hold it.

use gosight_eventlog::{EventLog, LogError};
use jiff::Timestamp;

use super::{Bound, RangeError, RangeReader, Span, spans};

/// A range of time, Unix ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// The first; from the oldest record on where absent.
    pub(crate) from_ms: Option<i64>,
    /// The first that is not taken any more; to the end as it is now where absent.
    pub(crate) to_ms: Option<i64>,
}

impl Times {
    /// Where it stands in each partition now.
    pub(crate) async fn spans(self, log: &dyn EventLog, topic: &str) -> Result<Vec<Span>, LogError> {
        let bound = |time: Option<i64>, absent| {
            let time = time.and_then(|time| Timestamp::from_millisecond(time).ok());
            time.map_or(absent, Bound::At)
        };
        let (from, to) = (bound(self.from_ms, Bound::Beginning), bound(self.to_ms, Bound::End));
        match spans(log, topic, &from, &to).await {
            Ok(spans) => Ok(spans),
            Err(RangeError::Log(error)) => Err(error),
            // Only offsets that were asked for can be missing.
            Err(other) => Err(LogError::Failed {
                what: format!("reading topic {topic}"),
                reason: other.to_string(),
            }),
        }
    }

    /// Reads it.
    pub(crate) async fn open(self, log: &dyn EventLog, topic: &str) -> Result<RangeReader, LogError> {
        RangeReader::open(log, topic, &self.spans(log, topic).await?).await
    }
}
