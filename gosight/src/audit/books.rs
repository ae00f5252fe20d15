//! The books: what was staged against what became of it (invariant 4). Pure; what is read is handed in.
//!
//! First the staged records of each partition, in offset order, then the records of raw and errors, in any order. Memory is 24 bytes
//! a staged batch, 32 a duplicate, and about as much for each 64 events of a batch beyond its first 64; all of it within
//! [`MAX_ENTRIES`].

mod shelf;

use std::collections::{BTreeMap, HashMap};

use gosight_enricher::core::Staged;
use gosight_eventlog::{LogRecord, Position};

use self::shelf::{Batch, SKIPPED, Shelf};
use super::leaders::Place;
use super::report::{Break, BreakKind, Report, Row};
use crate::outputs::{self, OriginRef, Writer};

pub(crate) use self::shelf::Judged;

/// Batches, duplicates and words beyond a batch's first that are held at the most: about 512 MiB.
pub(crate) const MAX_ENTRIES: usize = 16 << 20;

/// The topic that a record came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// An event.
    Raw,
    /// A reject.
    Errors,
}

/// More than is held.
#[derive(Debug, thiserror::Error)]
#[error(
    "the range is too large: an audit holds at most {MAX_ENTRIES} batches and duplicates; take a part of it with --from and --to, \
     or single partitions with --from PARTITION:OFFSET"
)]
pub(crate) struct TooLarge;

/// What is known of the range so far.
#[derive(Debug)]
pub(crate) struct Books {
    topic: String,
    /// Only this project's.
    project: Option<String>,
    limit: usize,
    shelves: BTreeMap<i32, Shelf>,
    /// Where each partition of staging ended after the outputs' ends were taken: no output can be of a later record.
    ends: BTreeMap<i32, i64>,
    projects: Vec<String>,
    numbers: HashMap<String, u32>,
    rows: Vec<Row>,
    breaks: Vec<Break>,
    entries: usize,
}

impl Books {
    /// Of the staging topic; names at most `limit` events that break them.
    pub(crate) fn new(topic: &str, project: Option<String>, limit: usize) -> Self {
        Self {
            topic: topic.to_owned(),
            project,
            limit,
            shelves: BTreeMap::new(),
            ends: BTreeMap::new(),
            projects: Vec::new(),
            numbers: HashMap::new(),
            rows: Vec::new(),
            breaks: Vec::new(),
            entries: 0,
        }
    }

    /// Begins a partition.
    pub(crate) fn open(&mut self, partition: i32, judged: Judged) {
        let shelf = Shelf {
            judged,
            batches: Vec::new(),
            more: HashMap::new(),
            repeats: Vec::new(),
        };
        self.shelves.insert(partition, shelf);
    }

    /// Takes the next staged record of an opened partition. `repeated` says of each event which one it repeats.
    ///
    /// # Errors
    /// The range is too large.
    pub(crate) fn staged(
        &mut self,
        partition: i32,
        offset: i64,
        staged: &Staged,
        repeated: &[Option<Place>],
    ) -> Result<(), TooLarge> {
        let events = u32::try_from(staged.keys.len()).unwrap_or(u32::MAX);
        let is_asked_for = self.project.as_ref().is_none_or(|only| *only == staged.project_id);
        let project = if is_asked_for {
            self.number(&staged.project_id)
        } else {
            SKIPPED
        };
        let Some(shelf) = self.shelves.get_mut(&partition) else {
            return Ok(());
        };
        let is_judged = offset >= shelf.judged.from && is_asked_for;
        if offset >= shelf.judged.to {
            if is_judged {
                let row = &mut self.rows[project as usize];
                row.staged += u64::from(events);
                row.in_flight += u64::from(events);
            }
            return Ok(());
        }
        let place = usize::try_from(offset - shelf.judged.first).map_err(|_| TooLarge)?;
        let repeats = repeated.iter().filter(|repeated| repeated.is_some()).count();
        self.entries += place + 1 - shelf.batches.len() + repeats;
        if self.entries > MAX_ENTRIES {
            return Err(TooLarge);
        }
        shelf.batches.resize(place, None);
        shelf.batches.push(Some(Batch {
            outputs: 0,
            events,
            project,
        }));
        let led = (0..).zip(repeated).filter_map(|(index, leader)| {
            let leader = (*leader)?;
            Some((Place { offset, index }, leader))
        });
        shelf.repeats.extend(led);
        if is_judged {
            self.rows[project as usize].staged += u64::from(events);
            if staged.counted.is_some_and(|counted| counted != events) {
                let counted = staged.counted.unwrap_or_default();
                let detail = format!("the edge counted {counted} events, the enricher reads {events}");
                let origin = self.origin(partition, Place { offset, index: 0 });
                self.name(BreakKind::Miscounted, project, origin, None, detail);
            }
        }
        Ok(())
    }

    /// Where the partitions of staging end, asked for after the ends of raw and errors.
    pub(crate) fn staging_ends(&mut self, ends: BTreeMap<i32, i64>) {
        self.ends = ends;
    }

    /// Takes a record of raw or errors.
    ///
    /// # Errors
    /// The range is too large.
    pub(crate) fn output(&mut self, record: &LogRecord, output: Output) -> Result<(), TooLarge> {
        match outputs::writer(record) {
            Writer::Enricher => {}
            Writer::Replay | Writer::Redrive => {
                if let Some(number) = self.number_of(record) {
                    let row = &mut self.rows[number as usize];
                    match outputs::writer(record) {
                        Writer::Replay => row.replayed += 1,
                        Writer::Enricher | Writer::Redrive => row.redriven += 1,
                    }
                }
                return Ok(());
            }
        }
        let Some(origin) = outputs::origin(record) else {
            self.invented(record, "-".to_owned(), "it names no origin");
            return Ok(());
        };
        match self.stands_for(origin) {
            Standing::Outside => Ok(()),
            Standing::Nothing(reason) => {
                let origin = format!(
                    "{}:{}:{}:{}",
                    origin.topic, origin.partition, origin.offset, origin.index
                );
                self.invented(record, origin, reason);
                Ok(())
            }
            Standing::Event(batch) => self.event_output(record, output, origin, batch),
        }
    }

    /// What an origin names.
    fn stands_for(&self, origin: OriginRef<'_>) -> Standing {
        if origin.topic != self.topic {
            return Standing::Nothing("its origin is on another topic");
        }
        match self.ends.get(&origin.partition) {
            None => return Standing::Nothing("staging has no such partition"),
            Some(end) if origin.offset >= *end => return Standing::Nothing("nothing is staged there yet"),
            Some(_) => {}
        }
        let Some(shelf) = self.shelves.get(&origin.partition) else {
            return Standing::Outside;
        };
        if origin.offset < shelf.judged.first || origin.offset >= shelf.judged.to {
            return Standing::Outside;
        }
        match shelf.batch(origin.offset) {
            Some(batch) if origin.index < batch.events => Standing::Event(batch),
            _ if origin.offset < shelf.judged.from => Standing::Outside,
            Some(_) => Standing::Nothing("the staged batch has no such event"),
            None => Standing::Nothing("nothing is staged there"),
        }
    }

    fn event_output(
        &mut self,
        record: &LogRecord,
        output: Output,
        origin: OriginRef<'_>,
        batch: Batch,
    ) -> Result<(), TooLarge> {
        let place = Place {
            offset: origin.offset,
            index: origin.index,
        };
        let Some(shelf) = self.shelves.get_mut(&origin.partition) else {
            return Ok(());
        };
        let is_judged = place.offset >= shelf.judged.from && batch.project != SKIPPED;
        let (is_new, new_words) = shelf.mark(place);
        self.entries += new_words;
        if self.entries > MAX_ENTRIES {
            return Err(TooLarge);
        }
        if !is_judged {
            return Ok(());
        }
        let row = &mut self.rows[batch.project as usize];
        match output {
            _ if !is_new => {}
            Output::Raw => row.raw += 1,
            Output::Errors => row.errors += 1,
        }
        let named = |books: &mut Self, kind, detail| {
            let origin = books.origin(origin.partition, place);
            books.name(kind, batch.project, origin, Some(record.position.clone()), detail);
        };
        if !is_new {
            named(
                self,
                BreakKind::Doubled,
                "another record has the same origin".to_owned(),
            );
        }
        let staged_project = &self.projects[batch.project as usize];
        let project = outputs::project(record);
        if project != *staged_project {
            let detail = format!("the batch is of project {staged_project:?}, the record of {project:?}");
            named(self, BreakKind::WrongProject, detail);
        }
        Ok(())
    }

    /// How many judged events seem lost. Not final before all outputs were taken.
    pub(crate) fn lost(&self) -> usize {
        self.shelves.values().map(|shelf| shelf.lost().count()).sum()
    }

    /// Everything was taken: settles duplicates and what is missing.
    pub(crate) fn close(mut self) -> Report {
        for (partition, shelf) in std::mem::take(&mut self.shelves) {
            for (place, leader) in &shelf.repeats {
                let Some(batch) = shelf.judged(place.offset) else {
                    continue;
                };
                if shelf.is_marked(*place) {
                    let leader = self.origin(partition, *leader);
                    let detail = format!("it repeats {leader} within the window and has a record all the same");
                    let origin = self.origin(partition, *place);
                    self.name(BreakKind::Republished, batch.project, origin, None, detail);
                } else if shelf.leads(*leader) {
                    self.rows[batch.project as usize].duplicates += 1;
                }
            }
            for (place, batch) in shelf.lost() {
                let detail = match shelf.repeated(place) {
                    Some(leader) => format!("it repeats {}, which has no record", self.origin(partition, leader)),
                    None => "no record has its origin, and it repeats no earlier event".to_owned(),
                };
                let origin = self.origin(partition, place);
                self.name(BreakKind::Lost, batch.project, origin, None, detail);
            }
        }
        let rows = self.projects.into_iter().zip(self.rows).collect();
        Report::new(rows, self.breaks)
    }

    fn invented(&mut self, record: &LogRecord, origin: String, reason: &str) {
        if let Some(number) = self.number_of(record) {
            let position = Some(record.position.clone());
            self.name(BreakKind::Invented, number, origin, position, reason.to_owned());
        }
    }

    fn name(&mut self, kind: BreakKind, project: u32, origin: String, record: Option<Position>, detail: String) {
        self.rows[project as usize].count(kind);
        if self.breaks.len() < self.limit {
            self.breaks.push(Break {
                kind,
                project: self.projects[project as usize].clone(),
                origin,
                record: record.map(|position| position.to_string()),
                detail,
                event: None,
            });
        }
    }

    fn origin(&self, partition: i32, place: Place) -> String {
        format!("{}:{partition}:{}:{}", self.topic, place.offset, place.index)
    }

    /// The number of the project that a record's key names; `None` where it is not asked for.
    fn number_of(&mut self, record: &LogRecord) -> Option<u32> {
        let project = outputs::project(record);
        let is_asked_for = self.project.as_ref().is_none_or(|only| *only == project);
        is_asked_for.then(|| self.number(&project))
    }

    fn number(&mut self, project: &str) -> u32 {
        if let Some(number) = self.numbers.get(project) {
            return *number;
        }
        let number = u32::try_from(self.projects.len()).unwrap_or(SKIPPED);
        self.projects.push(project.to_owned());
        self.rows.push(Row::default());
        self.numbers.insert(project.to_owned(), number);
        number
    }
}

/// What an origin names.
enum Standing {
    /// Something that is not audited.
    Outside,
    /// Nothing that was staged, and why.
    Nothing(&'static str),
    /// An event of this batch.
    Event(Batch),
}

#[cfg(test)]
mod tests;
