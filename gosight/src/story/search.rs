//! Looks for what a story needs, within bounds that it notes.

use std::collections::BTreeSet;

use gosight_config::EnricherSettings;
use gosight_config::kafka::TopicNames;
use gosight_enricher::Assets;
use gosight_enricher::core;
use gosight_eventlog::{EventLog, LogRecord};
use indicatif::ProgressBar;
use uuid::Uuid;

use super::asked::Needle;
use super::batch;
use super::found::{Found, Kind};
use crate::audit::leaders::{Leaders, Place};
use crate::audit::repeated;
use crate::failure::Failure;
use crate::ranges::{self, Bound, RangeReader, Span};

/// Records of one read; of staging fewer, since each may be as large as the topic takes.
const STAGED_CHUNK: usize = 64;
const OUTPUT_CHUNK: usize = 500;
/// Records of one event, or batches that hold it, that are kept at the most.
const MOST: usize = 100;

/// Where it is looked, and what for.
pub(crate) struct Search<'a> {
    pub(crate) log: &'a dyn EventLog,
    pub(crate) topics: &'a TopicNames,
    pub(crate) settings: &'a EnricherSettings,
    pub(crate) assets: &'a Assets,
    pub(crate) progress: &'a ProgressBar,
    /// What was searched, for a person.
    pub(crate) searched: Vec<String>,
}

/// A staged event that is told of.
#[derive(Debug, Clone)]
pub(crate) struct Occurrence {
    pub(crate) record: LogRecord,
    pub(crate) index: u32,
    /// The event of the same partition that it repeats.
    pub(crate) repeats: Option<Place>,
}

impl Search<'_> {
    /// Records of raw and errors with that event.
    pub(crate) async fn outputs(&mut self, needle: &Needle, from: &Bound, to: &Bound) -> Result<Vec<Found>, Failure> {
        let mut found = Vec::new();
        for (topic, kind) in output_topics(self.topics) {
            let spans = ranges::spans(self.log, topic, from, to).await?;
            let mut reader = RangeReader::open(self.log, topic, &spans).await?;
            let mut is_cut = false;
            while let Some(records) = reader.next(OUTPUT_CHUNK).await? {
                self.progress.inc(records.len() as u64);
                let of_event = records.iter().filter_map(|record| Found::if_of(record, kind, needle));
                found.extend(of_event.take(MOST.saturating_sub(found.len())));
                if let Some(last) = found.last().filter(|_| !is_cut) {
                    // What repeats it comes within the window.
                    let after = last.at.saturating_add(self.window_ms());
                    reader.cut(&self.log.offsets_at(topic, after).await?);
                    is_cut = true;
                }
            }
            self.note(topic, &spans, from);
        }
        Ok(found)
    }

    /// Staged events that may be the one, by their bytes.
    pub(crate) async fn staged(
        &mut self,
        needle: &Needle,
        from: &Bound,
        to: &Bound,
    ) -> Result<Vec<Occurrence>, Failure> {
        let spans = ranges::spans(self.log, &self.topics.staging, from, to).await?;
        let mut reader = RangeReader::open(self.log, &self.topics.staging, &spans).await?;
        let mut occurrences = Vec::new();
        let mut is_cut = false;
        while let Some(records) = reader.next(STAGED_CHUNK).await? {
            self.progress.inc(records.len() as u64);
            for record in records.into_iter().filter(|record| needle.may_be_in(&record.value)) {
                for event in batch::events(&record, self.assets) {
                    if event.is(needle) && occurrences.len() < MOST {
                        occurrences.push(Occurrence {
                            record: record.clone(),
                            index: event.index,
                            repeats: None,
                        });
                    }
                }
            }
            if let Some(last) = occurrences.last().filter(|_| !is_cut) {
                let after = last.record.timestamp_ms.saturating_add(self.window_ms());
                reader.cut(&self.log.offsets_at(&self.topics.staging, after).await?);
                is_cut = true;
            }
        }
        self.note(&self.topics.staging, &spans, from);
        Ok(occurrences)
    }

    /// Every staged event with the key, in the partition of a record and a window around it.
    pub(crate) async fn repeats(&mut self, around: &LogRecord, key: Uuid) -> Result<Vec<Occurrence>, Failure> {
        let window_ms = self.window_ms();
        let span = self
            .partition_between(around, around.timestamp_ms - window_ms, around.timestamp_ms + window_ms)
            .await?;
        let mut occurrences = Vec::new();
        let mut leaders = self.leaders();
        let mut reader = RangeReader::open(self.log, &self.topics.staging, &[span]).await?;
        while let Some(records) = reader.next(STAGED_CHUNK).await? {
            self.progress.inc(records.len() as u64);
            for record in records {
                let staged = core::staged(&record, self.assets);
                let repeated = repeated(&mut leaders, &record, &staged);
                for ((index, other), repeats) in (0..).zip(&staged.keys).zip(repeated) {
                    if *other == Some(key) && occurrences.len() < MOST {
                        occurrences.push(Occurrence {
                            record: record.clone(),
                            index,
                            repeats,
                        });
                    }
                }
            }
        }
        self.note_span(&span);
        Ok(occurrences)
    }

    /// For each event of a staged record the one that it repeats.
    pub(crate) async fn repeated_by(&mut self, record: &LogRecord) -> Result<Vec<Option<Place>>, Failure> {
        let window_ms = self.window_ms();
        let mut span = self
            .partition_between(record, record.timestamp_ms - window_ms, record.timestamp_ms)
            .await?;
        span.from = span.from.min(record.position.offset);
        span.to = record.position.offset;
        let mut leaders = self.leaders();
        let mut reader = RangeReader::open(self.log, &self.topics.staging, &[span]).await?;
        while let Some(records) = reader.next(STAGED_CHUNK).await? {
            self.progress.inc(records.len() as u64);
            for earlier in &records {
                repeated(&mut leaders, earlier, &core::staged(earlier, self.assets));
            }
        }
        self.note_span(&span);
        Ok(repeated(&mut leaders, record, &core::staged(record, self.assets)))
    }

    /// What the events of a staged record became: reads on until each of `wanted` is found.
    pub(crate) async fn became(
        &mut self,
        staged: &LogRecord,
        mut wanted: BTreeSet<u32>,
        to: &Bound,
    ) -> Result<Vec<Found>, Failure> {
        let mut found: Vec<Found> = Vec::new();
        let from = ranges::since(staged.timestamp_ms);
        let partitions = self.log.bounds(&self.topics.staging).await?.len();
        for (topic, kind) in output_topics(self.topics) {
            if wanted.is_empty() {
                break;
            }
            let mut spans = ranges::spans(self.log, topic, &from, to).await?;
            // The same key stands in the same partition of two topics that are equally wide.
            if kind == Kind::Event && spans.len() == partitions {
                spans.retain(|span| span.partition == staged.position.partition);
            }
            let mut reader = RangeReader::open(self.log, topic, &spans).await?;
            while let Some(records) = reader.next(OUTPUT_CHUNK).await? {
                self.progress.inc(records.len() as u64);
                for one in records.iter().filter_map(|record| Found::of(record, kind)) {
                    let is_of_record = one.origin.topic == staged.position.topic
                        && one.origin.partition == staged.position.partition
                        && one.origin.offset == staged.position.offset;
                    if is_of_record {
                        wanted.remove(&one.origin.index);
                        found.push(one);
                    }
                }
                if wanted.is_empty() {
                    break;
                }
            }
            self.note(topic, &spans, &from);
        }
        Ok(found)
    }

    /// The part of a record's partition that was appended between two times, Unix ms.
    async fn partition_between(&self, record: &LogRecord, from_ms: i64, to_ms: i64) -> Result<Span, Failure> {
        let partition = record.position.partition;
        let topic = &self.topics.staging;
        let of_partition = |offsets: Vec<(i32, i64)>| offsets.into_iter().find(|(number, _)| *number == partition);
        let from = of_partition(self.log.offsets_at(topic, from_ms.max(0)).await?);
        let to = of_partition(self.log.offsets_at(topic, to_ms).await?);
        Ok(Span {
            partition,
            from: from.map_or(record.position.offset, |(_, offset)| offset),
            to: to.map_or(record.position.offset + 1, |(_, offset)| offset),
        })
    }

    fn leaders(&self) -> Leaders {
        let dedupe = &self.settings.dedupe;
        Leaders::new(dedupe.window, usize::try_from(dedupe.max_entries).unwrap_or(usize::MAX))
    }

    /// The dedupe window and the clocks' slack.
    fn window_ms(&self) -> i64 {
        let window = self.settings.dedupe.window + ranges::CLOCK_SLACK;
        i64::try_from(window.as_millis()).unwrap_or(i64::MAX / 2)
    }

    fn note(&mut self, topic: &str, spans: &[Span], from: &Bound) {
        let offsets: u64 = spans.iter().map(Span::len).sum();
        let since = match from {
            Bound::At(time) => format!(" since {time:.0}"),
            Bound::Beginning | Bound::Offsets(_) | Bound::End => String::new(),
        };
        self.searched.push(format!("{topic}: up to {offsets} records{since}"));
    }

    fn note_span(&mut self, span: &Span) {
        let Span { partition, from, to } = span;
        self.searched.push(format!(
            "{}: offsets {from}..{to} of partition {partition}, for repeats",
            self.topics.staging
        ));
    }
}

/// Raw and errors.
pub(crate) fn output_topics(topics: &TopicNames) -> [(&str, Kind); 2] {
    [(&topics.events, Kind::Event), (&topics.errors, Kind::Reject)]
}
