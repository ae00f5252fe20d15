//! Reading spans of a topic to their ends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gosight_eventlog::{EventLog, LogError, LogRecord, Reader};

use super::Span;

/// Without progress for so long, the log counts as not answering.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// One read waits so long for records. Behind the last one only a marker may stand, which brings none: a longer wait would be for nothing.
const WAIT: Duration = Duration::from_millis(100);

/// Reads the records of spans of one topic, in offset order per partition, and ends.
pub(crate) struct RangeReader {
    topic: String,
    /// Absent where every span is empty.
    reader: Option<Box<dyn Reader>>,
    /// The end of each partition.
    ends: BTreeMap<i32, i64>,
}

impl RangeReader {
    pub(crate) async fn open(log: &dyn EventLog, topic: &str, spans: &[Span]) -> Result<Self, LogError> {
        let full: Vec<&Span> = spans.iter().filter(|span| !span.is_empty()).collect();
        let starts: Vec<(i32, i64)> = full.iter().map(|span| (span.partition, span.from)).collect();
        let reader = match starts.is_empty() {
            true => None,
            false => Some(log.reader(topic, &starts).await?),
        };
        Ok(Self {
            topic: topic.to_owned(),
            reader,
            ends: full.iter().map(|span| (span.partition, span.to)).collect(),
        })
    }

    /// The same of spans that were noted a while ago: what has been deleted of them meanwhile is left out.
    pub(crate) async fn open_rest(log: &dyn EventLog, topic: &str, spans: &[Span]) -> Result<Self, LogError> {
        let bounds = log.bounds(topic).await?;
        let rest = spans.iter().filter_map(|span| {
            let bound = bounds.iter().find(|bound| bound.partition == span.partition)?;
            let from = span.from.max(bound.earliest);
            Some(Span { from, ..*span })
        });
        Self::open(log, topic, &rest.collect::<Vec<_>>()).await
    }

    /// Ends earlier: at these offsets, by partition, where they lie before the ends.
    pub(crate) fn cut(&mut self, ends: &[(i32, i64)]) {
        for (partition, earlier) in ends {
            if let Some(end) = self.ends.get_mut(partition) {
                *end = (*end).min(*earlier);
            }
        }
    }

    /// Up to `max_records` more, at least one; `None` after the last.
    pub(crate) async fn next(&mut self, max_records: usize) -> Result<Option<Vec<LogRecord>>, LogError> {
        let Some(reader) = &mut self.reader else {
            return Ok(None);
        };
        let mut progressed = Instant::now();
        loop {
            let before = reader.positions();
            if before.iter().all(|(partition, offset)| *offset >= self.ends[partition]) {
                return Ok(None);
            }
            let mut records = reader.next(max_records, WAIT).await?;
            if !records.is_empty() || reader.positions() != before {
                progressed = Instant::now();
            } else if progressed.elapsed() >= READ_TIMEOUT {
                return Err(LogError::Timeout {
                    what: format!("reading topic {}", self.topic),
                    timeout: READ_TIMEOUT,
                    address: "the log".to_owned(),
                });
            }
            // Of a partition that is done, later records still come while others go on.
            records.retain(|record| record.position.offset < self.ends[&record.position.partition]);
            if !records.is_empty() {
                return Ok(Some(records));
            }
        }
    }
}
