//! Reads both sides of a comparison, a partition of staging at a time.

use std::collections::HashMap;
use std::sync::Arc;

use gosight_config::kafka::TopicNames;
use gosight_eventlog::{EventLog, LogRecord};
use gosight_schemas::headers;
use indicatif::ProgressBar;

use super::diff::{Comparison, Differences, Standing};
use super::source::{Enricher, Made, Source};
use crate::failure::Failure;
use crate::outputs::{self, Writer};
use crate::ranges::{self, Bound, RangeReader, Span};
use crate::tail::TopicChoice;

const CHUNK: usize = 500;
/// Examples of each difference.
const EXAMPLES: usize = 3;
/// Rejects that are held while their partition waits: about 200 MiB.
const MOST_REJECTS: usize = 2_000_000;

/// Both sides.
pub(crate) struct Compare<'a> {
    pub(crate) log: &'a dyn EventLog,
    pub(crate) topics: &'a TopicNames,
    pub(crate) enricher: Arc<Enricher>,
    pub(crate) progress: &'a ProgressBar,
}

/// Codes of rejects, by partition, and there by offset and index.
type Rejects = HashMap<i32, Vec<(i64, u32, String)>>;

impl Compare<'_> {
    /// Compares what these spans of staging would become with what they became. `from` is the bound that they begin at.
    pub(crate) async fn run(&self, staged: &[Span], from: &Bound) -> Result<Differences, Failure> {
        let mut comparison = Comparison::new(EXAMPLES);
        let mut rejects = self.rejects(staged, from).await?;
        let width = self.log.bounds(&self.topics.staging).await?.len();
        for span in staged.iter().filter(|span| !span.is_empty()) {
            for (offset, index, code) in rejects.remove(&span.partition).unwrap_or_default() {
                comparison.stands((span.partition, offset, index), Standing::Reject(code))?;
            }
            self.partition(&mut comparison, *span, from, width).await?;
        }
        Ok(comparison.close())
    }

    async fn partition(
        &self,
        comparison: &mut Comparison,
        span: Span,
        from: &Bound,
        width: usize,
    ) -> Result<(), Failure> {
        let staging = &self.topics.staging;
        let mut source = Source::open(self.log, staging, &self.enricher, span, from).await?;
        let Some(first) = source.next().await? else {
            return Ok(());
        };
        self.made(comparison, span.partition, first)?;
        let since = source.first_ms.map_or(Bound::Beginning, ranges::since);
        let mut stands = ranges::spans(self.log, &self.topics.events, &since, &Bound::End).await?;
        // The same key stands in the same partition of two topics that are equally wide.
        if stands.len() == width {
            stands.retain(|other| other.partition == span.partition);
        }
        let mut reader = RangeReader::open(self.log, &self.topics.events, &stands).await?;
        let (mut has_made, mut has_stands) = (true, true);
        while has_made || has_stands {
            if has_made && (!has_stands || !comparison.is_ahead()) {
                match source.next().await? {
                    Some(made) => self.made(comparison, span.partition, made)?,
                    None => has_made = false,
                }
            } else {
                match reader.next(CHUNK).await? {
                    Some(records) => self.stand(comparison, span, &records)?,
                    None => has_stands = false,
                }
            }
        }
        Ok(())
    }

    fn made(&self, comparison: &mut Comparison, partition: i32, made: Vec<Made>) -> Result<(), Failure> {
        for one in made {
            self.progress.inc(1);
            for output in one.outputs {
                let record = LogRecord {
                    position: gosight_eventlog::Position {
                        topic: Arc::clone(&output.topic),
                        partition,
                        offset: one.offset,
                    },
                    timestamp_ms: 0,
                    key: Some(output.key),
                    value: output.value,
                    headers: output.headers,
                };
                let Some(origin) = outputs::origin(&record) else {
                    continue;
                };
                let origin = (partition, origin.offset, origin.index);
                let standing = match code(&record) {
                    Some(code) => Standing::Reject(code),
                    None => Standing::Event(record.value),
                };
                comparison.made(origin, standing)?;
            }
        }
        Ok(())
    }

    fn stand(&self, comparison: &mut Comparison, span: Span, records: &[LogRecord]) -> Result<(), Failure> {
        for record in records {
            if let Some((_, offset, index)) = self.origin_within(record, &[span], TopicChoice::Raw) {
                comparison.stands((span.partition, offset, index), Standing::Event(record.value.clone()))?;
            }
        }
        Ok(())
    }

    /// The origin of a record of the enricher's that was made of one of these spans and passes the filter.
    fn origin_within(&self, record: &LogRecord, spans: &[Span], topic: TopicChoice) -> Option<(i32, i64, u32)> {
        let origin = outputs::origin(record).filter(|origin| *origin.topic == *self.topics.staging)?;
        let span = spans.iter().find(|span| span.partition == origin.partition)?;
        let is_within = (span.from..span.to).contains(&origin.offset) && outputs::writer(record) == Writer::Enricher;
        (is_within && self.enricher.filter.lets_through(record, topic)).then_some((
            origin.partition,
            origin.offset,
            origin.index,
        ))
    }

    /// The rejects of these spans. They stand by project, so that all of them are read at once.
    async fn rejects(&self, staged: &[Span], from: &Bound) -> Result<Rejects, Failure> {
        let since = match from {
            Bound::At(time) => ranges::since(time.as_millisecond()),
            Bound::Beginning | Bound::Offsets(_) | Bound::End => Bound::Beginning,
        };
        let spans = ranges::spans(self.log, &self.topics.errors, &since, &Bound::End).await?;
        let mut reader = RangeReader::open(self.log, &self.topics.errors, &spans).await?;
        let mut rejects = Rejects::new();
        let mut count = 0;
        while let Some(records) = reader.next(CHUNK).await? {
            for record in &records {
                let Some((partition, offset, index)) = self.origin_within(record, staged, TopicChoice::Errors) else {
                    continue;
                };
                count += 1;
                if count > MOST_REJECTS {
                    return Err(super::diff::TooFarApart.into());
                }
                let code = code(record).unwrap_or_default();
                rejects.entry(partition).or_default().push((offset, index, code));
            }
        }
        Ok(rejects)
    }
}

/// The code of a reject; `None` of an event.
fn code(record: &LogRecord) -> Option<String> {
    let code = record.header(headers::CODE)?;
    Some(String::from_utf8_lossy(code).into_owned())
}
