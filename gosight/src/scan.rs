//! Reading a topic from one time to another, or from where it was left, as it stands at the start: what comes meanwhile is not
//! waited for, so a scan always ends.

use std::collections::BTreeMap;
use std::time::Duration;

use gosight_eventlog::{EventLog, LogError, LogRecord, Reader};

/// Records that one read brings at the most: bounds what is held.
const CHUNK: usize = 2_000;
/// How long one read waits for the first record.
const WAIT: Duration = Duration::from_millis(500);
/// A scan that gets no further for so long fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A range of time, by the records' timestamps, Unix ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Range {
    /// The first; from the oldest record on where absent.
    pub(crate) from_ms: Option<i64>,
    /// The first that is not taken any more; to the end as it is now where absent.
    pub(crate) to_ms: Option<i64>,
}

/// One partition of a scan: `next <= offset < end` is still to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) partition: i32,
    pub(crate) next: i64,
    pub(crate) end: i64,
}

/// A scan under way.
pub(crate) struct Scan {
    topic: String,
    reader: Box<dyn Reader>,
    ends: BTreeMap<i32, i64>,
}

impl Scan {
    /// Of a range of time.
    pub(crate) async fn open(log: &dyn EventLog, topic: &str, range: Range) -> Result<Self, LogError> {
        let stretches = stretches(log, topic, range).await?;
        Self::over(log, topic, &stretches).await
    }

    /// Of the given stretches; what has been deleted of them meanwhile is left out.
    pub(crate) async fn over(log: &dyn EventLog, topic: &str, stretches: &[Stretch]) -> Result<Self, LogError> {
        let earliest: BTreeMap<i32, i64> = log
            .bounds(topic)
            .await?
            .iter()
            .map(|bound| (bound.partition, bound.earliest))
            .collect();
        let left = stretches.iter().filter_map(|stretch| {
            let next = stretch.next.max(*earliest.get(&stretch.partition)?);
            (next < stretch.end).then_some((stretch.partition, next, stretch.end))
        });
        let left: Vec<(i32, i64, i64)> = left.collect();
        let starts: Vec<(i32, i64)> = left.iter().map(|(partition, next, _)| (*partition, *next)).collect();
        Ok(Self {
            topic: topic.to_owned(),
            reader: log.reader(topic, &starts).await?,
            ends: left.into_iter().map(|(partition, _, end)| (partition, end)).collect(),
        })
    }

    /// The next records, in offset order per partition; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<LogRecord>>, LogError> {
        let deadline = std::time::Instant::now() + PATIENCE;
        while !self.is_done() {
            let before = self.reader.positions();
            let mut records = self.reader.next(CHUNK, WAIT).await?;
            records.retain(|record| {
                let end = self.ends.get(&record.position.partition);
                end.is_some_and(|end| record.position.offset < *end)
            });
            if !records.is_empty() {
                return Ok(Some(records));
            }
            if self.reader.positions() == before && std::time::Instant::now() >= deadline {
                return Err(LogError::Failed {
                    what: format!("reading topic {}", self.topic),
                    reason: format!("nothing came for {PATIENCE:?}, though the end is not reached"),
                });
            }
        }
        Ok(None)
    }

    fn is_done(&self) -> bool {
        self.reader
            .positions()
            .iter()
            .all(|(partition, offset)| self.ends.get(partition).is_none_or(|end| offset >= end))
    }
}

/// Where a range of time stands in each partition now.
pub(crate) async fn stretches(log: &dyn EventLog, topic: &str, range: Range) -> Result<Vec<Stretch>, LogError> {
    let bounds = log.bounds(topic).await?;
    let at = async |time: Option<i64>| match time {
        Some(time) => Ok::<BTreeMap<i32, i64>, LogError>(log.offsets_at(topic, time).await?.into_iter().collect()),
        None => Ok(BTreeMap::new()),
    };
    let (from, to) = (at(range.from_ms).await?, at(range.to_ms).await?);
    let stretches = bounds.iter().map(|bound| Stretch {
        partition: bound.partition,
        next: from.get(&bound.partition).copied().unwrap_or(bound.earliest),
        end: to.get(&bound.partition).copied().unwrap_or(bound.end),
    });
    Ok(stretches.collect())
}
