//! Ranges of a topic: what `--from` and `--to` say, where that is in each partition, and reading up to there.

mod prime;
mod reader;
mod times;

use std::collections::BTreeMap;

use gosight_eventlog::{EventLog, LogError, PartitionBounds};
use jiff::Timestamp;

use crate::failure::Failure;
use crate::moment;

pub(crate) use self::prime::{CLOCK_SLACK, CLOCK_SLACK_MS, primed_from, since};
pub(crate) use self::reader::RangeReader;
pub(crate) use self::times::Times;

/// One end of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The oldest record.
    Beginning,
    /// The first record at or after this time, by the log's clock.
    At(Timestamp),
    /// These offsets, by partition.
    Offsets(BTreeMap<i32, i64>),
    /// What comes after the last record of now.
    End,
}

/// What is to be read of one partition: `from <= offset < to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) partition: i32,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

impl Span {
    pub(crate) fn is_empty(&self) -> bool {
        self.from >= self.to
    }

    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.to.saturating_sub(self.from)).unwrap_or_default()
    }
}

/// A text that is no bound.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither start, nor a time such as 2026-01-31T12:00:00Z, nor an age such as 10m, nor offsets such as 0:120,3:98 \
     (partition:offset)"
)]
pub(crate) struct NotABound(String);

/// Why a range can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RangeError {
    #[error("{0}")]
    Log(#[from] LogError),
    #[error("topic {topic} has no partition {partition}")]
    NoPartition { topic: String, partition: i32 },
    #[error(
        "offset {offset} of partition {partition} of {topic} is not there: it holds {earliest}..{end}; older records are past \
         their retention"
    )]
    NotThere {
        topic: String,
        partition: i32,
        offset: i64,
        earliest: i64,
        end: i64,
    },
}

impl Bound {
    /// Reads a bound; an age counts back from `now`.
    pub(crate) fn parse(text: &str, now: Timestamp) -> Result<Self, NotABound> {
        if text == "start" {
            return Ok(Self::Beginning);
        }
        if let Some(offsets) = offsets(text) {
            return Ok(Self::Offsets(offsets));
        }
        moment::parse(text, now)
            .map(Self::At)
            .map_err(|_| NotABound(text.to_owned()))
    }

    /// The same of an option that may be left out.
    pub(crate) fn parse_or(text: Option<&str>, absent: Self, now: Timestamp) -> Result<Self, NotABound> {
        text.map_or(Ok(absent), |text| Self::parse(text, now))
    }
}

impl From<NotABound> for Failure {
    fn from(error: NotABound) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<RangeError> for Failure {
    fn from(error: RangeError) -> Self {
        match error {
            RangeError::Log(error) => error.into(),
            RangeError::NoPartition { .. } | RangeError::NotThere { .. } => Self::usage(error.to_string()),
        }
    }
}

/// `partition:offset`, several with commas between them.
fn offsets(text: &str) -> Option<BTreeMap<i32, i64>> {
    let one = |part: &str| {
        let (partition, offset) = part.trim().split_once(':')?;
        let (partition, offset): (i32, i64) = (partition.parse().ok()?, offset.parse().ok()?);
        (partition >= 0 && offset >= 0).then_some((partition, offset))
    };
    text.split(',').map(one).collect()
}

/// What of each partition lies between two bounds, and before the end of now. Where offsets are named, the partitions that `from` does
/// not name are left out, and those that `to` does not name are read to their end.
pub(crate) async fn spans(log: &dyn EventLog, topic: &str, from: &Bound, to: &Bound) -> Result<Vec<Span>, RangeError> {
    let bounds = log.bounds(topic).await?;
    let starts = positions(log, topic, from, &bounds).await?;
    let ends = positions(log, topic, to, &bounds).await?;
    let span = |bound: &PartitionBounds| {
        let from = *starts.get(&bound.partition)?;
        let to = ends.get(&bound.partition).map_or(bound.end, |end| bound.end.min(*end));
        let partition = bound.partition;
        // Records may have come or gone between the two questions.
        let from = from.max(bound.earliest).min(bound.end);
        Some(Span {
            partition,
            from,
            to: to.max(from),
        })
    };
    Ok(bounds.iter().filter_map(span).collect())
}

async fn positions(
    log: &dyn EventLog,
    topic: &str,
    bound: &Bound,
    bounds: &[PartitionBounds],
) -> Result<BTreeMap<i32, i64>, RangeError> {
    Ok(match bound {
        Bound::Beginning => bounds.iter().map(|at| (at.partition, at.earliest)).collect(),
        Bound::End => bounds.iter().map(|at| (at.partition, at.end)).collect(),
        Bound::At(time) => log
            .offsets_at(topic, time.as_millisecond())
            .await?
            .into_iter()
            .collect(),
        Bound::Offsets(offsets) => {
            for (&partition, &offset) in offsets {
                let topic = topic.to_owned();
                let Some(at) = bounds.iter().find(|at| at.partition == partition) else {
                    return Err(RangeError::NoPartition { topic, partition });
                };
                if offset < at.earliest || offset > at.end {
                    return Err(RangeError::NotThere {
                        topic,
                        partition,
                        offset,
                        earliest: at.earliest,
                        end: at.end,
                    });
                }
            }
            offsets.clone()
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::Bound;

    #[test]
    fn a_bound_is_a_word_a_time_an_age_or_offsets() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let ten_minutes_ago: Timestamp = "2026-01-31T11:50:00Z".parse().unwrap();
        let offsets = Bound::Offsets(BTreeMap::from([(0, 120), (11, 7)]));
        for (text, expected) in [
            ("start", Bound::Beginning),
            ("10m", Bound::At(ten_minutes_ago)),
            ("2026-01-31T11:50:00Z", Bound::At(ten_minutes_ago)),
            ("0:120,11:7", offsets),
        ] {
            assert_eq!(Bound::parse(text, now), Ok(expected), "{text}");
        }
        assert_eq!(Bound::parse_or(None, Bound::End, now), Ok(Bound::End));
        for bad in ["yesterday", "0:-1", "0:1,", "a:1"] {
            let error = Bound::parse(bad, now).unwrap_err().to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
        }
    }
}
