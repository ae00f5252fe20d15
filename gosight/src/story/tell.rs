//! Puts a story together.

use std::collections::{BTreeMap, BTreeSet};

use gosight_enricher::core;
use gosight_eventlog::{LogRecord, Position};
use gosight_schemas::Origin;
use serde::Serialize;

use super::asked::{Asked, Needle};
use super::batch::{self, BatchEvent, Received};
use super::found::Found;
use super::search::{Occurrence, Search, output_topics};
use crate::audit::leaders::Place;
use crate::failure::Failure;
use crate::outputs::Writer;
use crate::ranges::Bound;
use crate::staged_event;

/// What is told.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Story {
    /// Whether what was asked for is staged, or has a record.
    pub(crate) found: bool,
    pub(crate) batches: Vec<BatchStory>,
    pub(crate) searched: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// A batch, and those of its events that are told of.
#[derive(Debug, Serialize)]
pub(crate) struct BatchStory {
    /// Position on staging.
    pub(crate) staged: String,
    /// When the log appended it, Unix ms.
    pub(crate) staged_at: i64,
    /// Absent where the record can't be read.
    pub(crate) received: Option<Received>,
    pub(crate) events: Vec<EventStory>,
}

/// One event.
#[derive(Debug, Serialize)]
pub(crate) struct EventStory {
    pub(crate) index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) original_id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) event_type: Option<String>,
    pub(crate) outcome: Outcome,
    /// What replays and redrives wrote of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) later: Vec<Later>,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// A record on raw.
    Published { record: String, at: i64 },
    /// A record on errors.
    Rejected {
        record: String,
        at: i64,
        code: String,
        field: String,
        message: String,
        reject_id: String,
    },
    /// Nothing: it repeats another.
    Duplicate { of: String },
    /// Nothing yet: the group stands at this offset of the partition.
    InFlight { consumed_to: i64 },
    /// No record in what was searched.
    Unknown,
}

/// A record that a job wrote.
#[derive(Debug, Serialize)]
pub(crate) struct Later {
    pub(crate) by: &'static str,
    pub(crate) id: String,
    pub(crate) record: String,
    pub(crate) at: i64,
}

/// Looks for it and tells.
pub(crate) struct Teller<'a> {
    pub(crate) search: Search<'a>,
    /// Where an id is looked for.
    pub(crate) from: Bound,
    pub(crate) to: Bound,
}

impl Teller<'_> {
    pub(crate) async fn tell(&mut self, asked: &Asked) -> Result<Story, Failure> {
        let mut story = match asked {
            Asked::Staged { position, batch_id } => self.of_batch(position, batch_id.as_deref(), None).await?,
            Asked::Output(position) => self.of_output(position).await?,
            Asked::Event(needle) => self.of_event(needle).await?,
        };
        story.found |= !story.batches.is_empty();
        story.searched = std::mem::take(&mut self.search.searched);
        Ok(story)
    }

    /// A batch at its position; of its events all, or one.
    async fn of_batch(
        &mut self,
        position: &Position,
        batch_id: Option<&str>,
        only: Option<u32>,
    ) -> Result<Story, Failure> {
        let mut story = Story::default();
        let (log, topic) = (self.search.log, &position.topic);
        let Some(record) = staged_event::staged_record(log, topic, position.partition, position.offset).await? else {
            story.notes.push(format!(
                "Nothing stands at {position}: it is past its retention, or was never there."
            ));
            return Ok(story);
        };
        let received = batch::received(&record);
        if let (Some(asked), Some(received)) = (batch_id, &received)
            && asked != received.batch_id
        {
            let stands = &received.batch_id;
            story.notes.push(format!(
                "Batch {stands} stands at {position}, not {asked}: the receipt is of another log, or of one before it was created anew."
            ));
            return Ok(story);
        }
        let repeats = self.search.repeated_by(&record).await?;
        let indexes = (0..)
            .zip(&repeats)
            .filter(|(index, _)| only.is_none_or(|only| only == *index));
        let occurrences = indexes
            .map(|(index, repeats)| Occurrence {
                record: record.clone(),
                index,
                repeats: *repeats,
            })
            .collect();
        self.add(&mut story, occurrences, Vec::new()).await?;
        Ok(story)
    }

    /// The event that a record of raw or errors was made of.
    async fn of_output(&mut self, position: &Position) -> Result<Story, Failure> {
        let (log, topic) = (self.search.log, &position.topic);
        let record = staged_event::staged_record(log, topic, position.partition, position.offset).await?;
        let topics = output_topics(self.search.topics);
        let kind = topics.iter().find(|(name, _)| *name == &**topic).map(|(_, kind)| *kind);
        let found = record.zip(kind).and_then(|(record, kind)| Found::of(&record, kind));
        let Some(found) = found else {
            return Ok(Story {
                notes: vec![format!("No record with an origin stands at {position}.")],
                ..Story::default()
            });
        };
        let Origin {
            topic,
            partition,
            offset,
            index,
        } = found.origin.clone();
        let staged = Position {
            topic,
            partition,
            offset,
        };
        let mut story = self.of_batch(&staged, None, Some(index)).await?;
        story.found = true;
        Ok(story)
    }

    /// An event by its id.
    async fn of_event(&mut self, needle: &Needle) -> Result<Story, Failure> {
        let mut story = Story::default();
        let (from, to) = (self.from.clone(), self.to.clone());
        let found = self.search.outputs(needle, &from, &to).await?;
        story.found = !found.is_empty();
        let mut staged = Vec::new();
        for one in &found {
            let Origin {
                topic,
                partition,
                offset,
                index,
            } = &one.origin;
            match staged_event::staged_record(self.search.log, topic, *partition, *offset).await? {
                Some(record) => staged.push(Occurrence {
                    record,
                    index: *index,
                    repeats: None,
                }),
                None => story.notes.push(format!(
                    "{} was made of {}, which is past the retention of staging.",
                    one.record, one.origin
                )),
            }
        }
        if found.is_empty() {
            staged = self.search.staged(needle, &from, &to).await?;
        }
        let mut occurrences: BTreeMap<(i32, Place), Occurrence> = BTreeMap::new();
        for one in staged {
            if occurrences.contains_key(&place(&one)) {
                continue;
            }
            let keys = core::staged(&one.record, self.search.assets).keys;
            let key = usize::try_from(one.index)
                .ok()
                .and_then(|index| keys.get(index).copied().flatten());
            if let Some(key) = key {
                for repeat in self.search.repeats(&one.record, key).await? {
                    occurrences.insert(place(&repeat), repeat);
                }
            }
            occurrences.entry(place(&one)).or_insert(one);
        }
        self.add(&mut story, occurrences.into_values().collect(), found).await?;
        Ok(story)
    }

    /// Adds batches with what became of their events.
    async fn add(
        &mut self,
        story: &mut Story,
        occurrences: Vec<Occurrence>,
        mut found: Vec<Found>,
    ) -> Result<(), Failure> {
        let group = &self.search.settings.consumer.group;
        let staging = &self.search.topics.staging;
        let committed: BTreeMap<i32, i64> = self.search.log.committed(group, staging).await?.into_iter().collect();
        let mut by_record: BTreeMap<(i32, i64), Vec<Occurrence>> = BTreeMap::new();
        for one in occurrences {
            let position = &one.record.position;
            by_record
                .entry((position.partition, position.offset))
                .or_default()
                .push(one);
        }
        for ((partition, offset), occurrences) in by_record {
            let Some(record) = occurrences.first().map(|one| one.record.clone()) else {
                continue;
            };
            let consumed_to = committed.get(&partition).copied().unwrap_or_default();
            let is_consumed = offset < consumed_to;
            let unknown = occurrences.iter().filter(|one| one.repeats.is_none());
            let wanted: BTreeSet<u32> = unknown
                .map(|one| one.index)
                .filter(|index| !found.iter().any(|one| stands_for(one, &record, *index)))
                .collect();
            if is_consumed && !wanted.is_empty() {
                let to = self.to.clone();
                found.extend(self.search.became(&record, wanted, &to).await?);
            }
            let events = batch::events(&record, self.search.assets);
            let told = occurrences.iter().filter_map(|one| {
                let event = events.get(usize::try_from(one.index).ok()?)?;
                Some(EventStory::new(one, event, &found, consumed_to))
            });
            story.batches.push(BatchStory {
                staged: record.position.to_string(),
                staged_at: record.timestamp_ms,
                received: batch::received(&record),
                events: told.collect(),
            });
        }
        Ok(())
    }
}

fn place(one: &Occurrence) -> (i32, Place) {
    let position = &one.record.position;
    let place = Place {
        offset: position.offset,
        index: one.index,
    };
    (position.partition, place)
}

fn stands_for(found: &Found, record: &LogRecord, index: u32) -> bool {
    let (origin, position) = (&found.origin, &record.position);
    (&origin.topic, origin.partition, origin.offset, origin.index)
        == (&position.topic, position.partition, position.offset, index)
}

impl EventStory {
    fn new(one: &Occurrence, event: &BatchEvent, found: &[Found], consumed_to: i64) -> Self {
        let records = || found.iter().filter(|found| stands_for(found, &one.record, one.index));
        let by_enricher = records().find(|found| found.writer == Writer::Enricher);
        let position = &one.record.position;
        let outcome = match (by_enricher, one.repeats) {
            (Some(found), _) => Outcome::of(found),
            (None, _) if position.offset >= consumed_to => Outcome::InFlight { consumed_to },
            (None, Some(leader)) => Outcome::Duplicate {
                of: format!(
                    "{}:{}:{}:{}",
                    position.topic, position.partition, leader.offset, leader.index
                ),
            },
            (None, None) => Outcome::Unknown,
        };
        let later = records().filter_map(|found| {
            let by = match found.writer {
                Writer::Enricher => return None,
                Writer::Replay => "replay",
                Writer::Redrive => "redrive",
            };
            Some(Later {
                by,
                id: found.job.clone().unwrap_or_default(),
                record: found.record.clone(),
                at: found.at,
            })
        });
        Self {
            index: one.index,
            event_id: event.event_id.map(|id| id.to_string()),
            original_id: event.original_id.clone(),
            event_type: event.event_type.clone(),
            outcome,
            later: later.collect(),
        }
    }
}

impl Outcome {
    fn of(found: &Found) -> Self {
        let (record, at) = (found.record.clone(), found.at);
        match &found.reject {
            None => Self::Published { record, at },
            Some(reject) => Self::Rejected {
                record,
                at,
                code: reject.code.to_string(),
                field: reject.field.clone(),
                message: reject.message.clone(),
                reject_id: reject.reject_id.to_string(),
            },
        }
    }
}
