//! Reads the topics for an audit.
//!
//! The order of the questions matters: first the committed positions, then what is staged, then where raw and errors end. So whatever the
//! enricher had consumed by the first question has its records before the last.

use std::collections::BTreeMap;
use std::time::Duration;

use gosight_config::EnricherSettings;
use gosight_config::kafka::TopicNames;
use gosight_enricher::Assets;
use gosight_enricher::core::{self, Staged};
use gosight_eventlog::{EventLog, LogError, LogRecord};
use indicatif::ProgressBar;

use super::books::{Books, Judged, Output};
use super::leaders::{Leaders, Place};
use super::report::{BreakKind, Report};
use crate::failure::Failure;
use crate::ranges::{Bound, RangeReader, Span, primed_from, since, spans};
use crate::staged_event;

/// Records of one read; of staging fewer, since each may be as large as the topic takes.
const STAGED_CHUNK: usize = 64;
const OUTPUT_CHUNK: usize = 500;
/// What a transaction wrote may be seen a moment after its positions: before anything is called lost, it is looked again so much later.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What is to be audited.
#[derive(Debug)]
pub(crate) struct Request {
    /// Of the staged batches.
    pub(crate) from: Bound,
    pub(crate) to: Bound,
    pub(crate) project: Option<String>,
    /// How many of the events that break the books are named.
    pub(crate) limit: usize,
}

/// Audits a range. `progress` counts records.
pub(crate) async fn audit(
    log: &dyn EventLog,
    topics: &TopicNames,
    settings: &EnricherSettings,
    request: &Request,
    progress: &ProgressBar,
) -> Result<Report, Failure> {
    let group = &settings.consumer.group;
    let committed: BTreeMap<i32, i64> = log.committed(group, &topics.staging).await?.into_iter().collect();
    let staged = spans(log, &topics.staging, &request.from, &request.to).await?;
    let mut audit = Audit {
        log,
        topics,
        // Country and city are no matter of the books.
        assets: Assets::new(settings, None),
        settings,
        books: Books::new(&topics.staging, request.project.clone(), request.limit),
        first_staged_ms: None,
        progress,
    };
    let firsts = primed_from(log, &topics.staging, &staged, &request.from, settings.dedupe.window).await?;
    for span in &staged {
        let first = firsts.get(&span.partition).copied().unwrap_or(span.from);
        let consumed = committed.get(&span.partition).copied().unwrap_or(span.from);
        audit.partition(*span, first, consumed).await?;
    }
    let searched = audit.outputs(&request.from).await?;
    let mut report = audit.close().await?;
    let batches: u64 = staged.iter().map(Span::len).sum();
    report.searched.push(format!(
        "{}: {batches} offsets of {} partitions, consumed by group {group}",
        topics.staging,
        staged.len()
    ));
    report.searched.extend(searched);
    if batches > 0 && committed.is_empty() {
        report.notes.push(format!(
            "Group {group} has committed no position, so everything counts as in flight: is it the enricher's group?"
        ));
    }
    if !report.balanced {
        report.notes.push(format!(
            "Duplicates were found with a window of {}; where the enricher's is another, name its configuration with --enricher-config.",
            humantime::format_duration(settings.dedupe.window)
        ));
    }
    Ok(report)
}

struct Audit<'a> {
    log: &'a dyn EventLog,
    topics: &'a TopicNames,
    assets: Assets,
    settings: &'a EnricherSettings,
    books: Books,
    /// When the oldest batch that was read was appended, Unix ms.
    first_staged_ms: Option<i64>,
    progress: &'a ProgressBar,
}

impl Audit<'_> {
    /// Reads a partition of staging; one after the other, so that one window of ids is held at a time.
    async fn partition(&mut self, span: Span, first: i64, consumed: i64) -> Result<(), Failure> {
        let judged = Judged {
            first,
            from: span.from,
            to: consumed.clamp(span.from, span.to),
        };
        self.books.open(span.partition, judged);
        let dedupe = &self.settings.dedupe;
        let mut leaders = Leaders::new(dedupe.window, usize::try_from(dedupe.max_entries).unwrap_or(usize::MAX));
        let read = Span { from: first, ..span };
        let mut reader = RangeReader::open(self.log, &self.topics.staging, &[read]).await?;
        while let Some(records) = reader.next(STAGED_CHUNK).await? {
            self.progress.inc(records.len() as u64);
            for record in &records {
                let staged = core::staged(record, &self.assets);
                let repeated = repeated(&mut leaders, record, &staged);
                self.books
                    .staged(span.partition, record.position.offset, &staged, &repeated)?;
                let oldest = self.first_staged_ms.get_or_insert(record.timestamp_ms);
                *oldest = record.timestamp_ms.min(*oldest);
            }
        }
        Ok(())
    }

    /// Reads raw and errors; says what was read.
    async fn outputs(&mut self, from: &Bound) -> Result<Vec<String>, Failure> {
        let from = match self.first_staged_ms {
            Some(time_ms) => since(time_ms),
            // Nothing is staged: only what should not be there can be found.
            None => from.clone(),
        };
        let mut searched = Vec::new();
        let mut ends = Vec::new();
        let topics = [
            (&self.topics.events, Output::Raw),
            (&self.topics.errors, Output::Errors),
        ];
        for (topic, _) in topics {
            let from = match &from {
                // Offsets are those of staging.
                Bound::Offsets(_) => &Bound::End,
                from => from,
            };
            ends.push(spans(self.log, topic, from, &Bound::End).await?);
        }
        self.staging_ends().await?;
        for ((topic, output), spans) in topics.into_iter().zip(&ends) {
            let count = self.read_outputs(topic, output, spans).await?;
            let from = match &from {
                Bound::At(time) => format!("since {time}"),
                Bound::Beginning | Bound::Offsets(_) | Bound::End => "from its start".to_owned(),
            };
            searched.push(format!("{topic}: {count} records {from}"));
        }
        if self.books.lost() > 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
            let mut later = Vec::new();
            for ((topic, _), spans_before) in topics.into_iter().zip(&ends) {
                let read_to = spans_before.iter().map(|span| (span.partition, span.to)).collect();
                later.push(spans(self.log, topic, &Bound::Offsets(read_to), &Bound::End).await?);
            }
            self.staging_ends().await?;
            for ((topic, output), spans) in topics.into_iter().zip(&later) {
                self.read_outputs(topic, output, spans).await?;
            }
        }
        Ok(searched)
    }

    async fn staging_ends(&mut self) -> Result<(), LogError> {
        let bounds = self.log.bounds(&self.topics.staging).await?;
        self.books
            .staging_ends(bounds.iter().map(|bound| (bound.partition, bound.end)).collect());
        Ok(())
    }

    async fn read_outputs(&mut self, topic: &str, output: Output, spans: &[Span]) -> Result<u64, Failure> {
        let mut count = 0;
        let mut reader = RangeReader::open(self.log, topic, spans).await?;
        while let Some(records) = reader.next(OUTPUT_CHUNK).await? {
            self.progress.inc(records.len() as u64);
            count += records.len() as u64;
            for record in &records {
                self.books.output(record, output)?;
            }
        }
        Ok(count)
    }

    /// Settles the books, and looks up what was staged where events are named.
    async fn close(self) -> Result<Report, Failure> {
        let Self { log, assets, books, .. } = self;
        let mut report = books.close();
        for named in &mut report.breaks {
            if named.kind == BreakKind::Invented {
                continue;
            }
            if let Ok(origin) = named.origin.parse() {
                named.event = staged_event::look_up(log, &assets, &origin).await?;
            }
        }
        Ok(report)
    }
}

/// For each event of a staged record the one that it repeats.
pub(crate) fn repeated(leaders: &mut Leaders, record: &LogRecord, staged: &Staged) -> Vec<Option<Place>> {
    let offset = record.position.offset;
    let keys = (0..).zip(&staged.keys);
    keys.map(|(index, key)| leaders.see((*key)?, record.timestamp_ms, Place { offset, index }))
        .collect()
}
