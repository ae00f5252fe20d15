//! Staged records run through today's enricher, a partition at a time.

use std::sync::Arc;
use std::time::Duration;

use gosight_enricher::core::{self, DedupeWindow};
use gosight_enricher::{Assets, Rerun, Window};
use gosight_eventlog::{EventLog, LogRecord, NewRecord};

use super::job::Counts;
use super::privacy::Private;
use crate::failure::Failure;
use crate::ranges::{Bound, RangeReader, Span, primed_from};
use crate::tail::TopicChoice;
use crate::tail::filter::Filter;

/// Staged records of one read: each may be as large as the topic takes.
const CHUNK: usize = 32;

/// What staged records are run with.
pub(crate) struct Enricher {
    pub(crate) assets: Assets,
    pub(crate) rerun: Rerun,
    pub(crate) filter: Filter,
    /// Where rejects go: which outputs are some.
    pub(crate) errors_topic: Arc<str>,
    pub(crate) private: Private,
    pub(crate) window: Duration,
    pub(crate) max_entries: usize,
}

/// What one staged record turned into.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) offset: i64,
    pub(crate) outputs: Vec<NewRecord>,
    pub(crate) counts: Counts,
}

/// The rest of one partition.
pub(crate) struct Source {
    enricher: Arc<Enricher>,
    reader: RangeReader,
    /// Absent while a chunk is worked on.
    window: Option<Window>,
    /// Records before it only fill the window.
    from: i64,
    /// When the first record that was read was appended, Unix ms.
    pub(crate) first_ms: Option<i64>,
}

impl Source {
    /// Opens a span of the staging topic, with the window before it. `from` is the bound that the span begins at.
    pub(crate) async fn open(
        log: &dyn EventLog,
        topic: &str,
        enricher: &Arc<Enricher>,
        span: Span,
        from: &Bound,
    ) -> Result<Self, Failure> {
        let firsts = primed_from(log, topic, &[span], from, enricher.window).await?;
        let first = firsts.get(&span.partition).copied().unwrap_or(span.from);
        let read = Span { from: first, ..span };
        Ok(Self {
            reader: RangeReader::open(log, topic, &[read]).await?,
            window: Some(Window::new(enricher.window, enricher.max_entries)),
            enricher: Arc::clone(enricher),
            from: span.from,
            first_ms: None,
        })
    }

    /// What the next records turn into; `None` after the last. Records that only fill the window give nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Made>>, Failure> {
        let Some(records) = self.reader.next(CHUNK).await? else {
            return Ok(None);
        };
        let oldest = records.iter().map(|record| record.timestamp_ms).min();
        self.first_ms = self.first_ms.or(oldest);
        let Some(mut window) = self.window.take() else {
            return Ok(None);
        };
        let (enricher, from) = (Arc::clone(&self.enricher), self.from);
        // Pure computing: not on a thread that serves sockets.
        let made = tokio::task::spawn_blocking(move || {
            let mut made = Vec::with_capacity(records.len());
            for record in &records {
                if record.position.offset < from {
                    for key in core::dedupe_keys(record, &enricher.assets) {
                        window.seen(key, record.timestamp_ms);
                    }
                } else {
                    made.push(enricher.run(record, &mut window));
                }
                window.keep();
            }
            (made, window)
        });
        let (made, window) = made
            .await
            .map_err(|error| Failure::software(format!("enriching crashed: {error}")))?;
        self.window = Some(window);
        Ok(Some(made))
    }
}

impl Enricher {
    fn run(&self, record: &LogRecord, window: &mut Window) -> Made {
        let mut outputs = Vec::new();
        let private = self.private.applied_to(record);
        let duplicates = self.rerun.outputs_of(&private, &self.assets, window, &mut outputs);
        let before = outputs.len();
        if self.filter != Filter::default() {
            outputs.retain(|output| self.filter.lets_through(&seen_as(output, record), self.kind(output)));
        }
        let rejects = outputs
            .iter()
            .filter(|output| output.topic == self.errors_topic)
            .count();
        Made {
            offset: record.position.offset,
            counts: Counts {
                batches: 1,
                events: (outputs.len() - rejects) as u64,
                rejects: rejects as u64,
                duplicates,
                left_out: (before - outputs.len()) as u64,
            },
            outputs,
        }
    }

    fn kind(&self, output: &NewRecord) -> TopicChoice {
        if output.topic == self.errors_topic {
            TopicChoice::Errors
        } else {
            TopicChoice::Raw
        }
    }
}

/// An output as a filter looks at it.
fn seen_as(output: &NewRecord, staged: &LogRecord) -> LogRecord {
    LogRecord {
        position: staged.position.clone(),
        timestamp_ms: staged.timestamp_ms,
        key: Some(output.key.clone()),
        value: output.value.clone(),
        headers: output.headers.clone(),
    }
}
