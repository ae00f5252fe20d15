//! Reading rejects from the errors topic: filtered, without those that the ledger has settled.

use std::sync::Arc;

use gosight_config::kafka::TopicNames;
use gosight_eventlog::{EventLog, LogRecord, Position};

use super::filter::Filter;
use super::groups::{Glance, Group, Groups};
use super::letter::Letter;
use crate::failure::Failure;
use crate::ledger::Ledger;
use crate::ranges::{CLOCK_SLACK_MS, RangeReader, Span};

/// Records that one read brings at the most: bounds what is held.
const CHUNK: usize = 2_000;

/// Where rejects, and what was done about them, stand.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) topics: TopicNames,
}

/// Whether rejects that are settled count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those about which nothing was done yet.
    Waiting,
    /// All that the topic holds.
    All,
}

/// What a listing found.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) groups: Vec<Group>,
    pub(crate) records: u64,
    pub(crate) unreadable: u64,
}

/// Rejects as they are read.
pub(crate) struct Letters {
    reader: RangeReader,
    filter: Filter,
    ledger: Option<Ledger>,
    pub(crate) unreadable: u64,
}

/// One record of the errors topic: a reject that was asked for, or another one.
pub(crate) struct Seen {
    pub(crate) position: Position,
    pub(crate) letter: Option<Letter>,
}

impl Source {
    /// What was done about rejects of the filter's time. An entry is younger than its reject.
    pub(crate) async fn ledger(&self, filter: &Filter) -> Result<Ledger, Failure> {
        // The ledger's times are by operators' clocks, those of rejects by the enrichers'.
        let since = filter.from.map(|from| from.saturating_sub(CLOCK_SLACK_MS));
        Ledger::read(&*self.log, &self.topics.ledger, since).await
    }

    /// The rejects that the filter names, up to the topic's end as it is now.
    pub(crate) async fn letters(&self, filter: &Filter, scope: Scope) -> Result<Letters, Failure> {
        let ledger = match scope {
            Scope::Waiting => Some(self.ledger(filter).await?),
            Scope::All => None,
        };
        let reader = filter.times().open(&*self.log, &self.topics.errors).await?;
        Ok(Letters::new(reader, filter.clone(), ledger))
    }

    /// Those of given spans of the topic that the ledger does not settle.
    pub(crate) async fn letters_over(
        &self,
        spans: &[Span],
        filter: &Filter,
        ledger: Ledger,
    ) -> Result<Letters, Failure> {
        let reader = RangeReader::open_rest(&*self.log, &self.topics.errors, spans).await?;
        Ok(Letters::new(reader, filter.clone(), Some(ledger)))
    }

    /// The rejects in groups. Most are counted by their headers alone. `step` hears how many records were read.
    pub(crate) async fn groups(
        &self,
        filter: &Filter,
        scope: Scope,
        mut step: impl FnMut(u64),
    ) -> Result<Listing, Failure> {
        let mut letters = self.letters(filter, scope).await?;
        let mut listing = Listing {
            groups: Vec::new(),
            records: 0,
            unreadable: 0,
        };
        let mut groups = Groups::default();
        let by_headers = filter.is_by_headers();
        while let Some(records) = letters.reader.next(CHUNK).await? {
            step(records.len() as u64);
            listing.records += records.len() as u64;
            for record in records.iter().filter(|record| filter.may_match(record)) {
                let glance = by_headers.then(|| Glance::of(record)).flatten();
                let Some(glance) = glance else {
                    if let Some(letter) = letters.read(record) {
                        groups.add(Glance::of_letter(&letter), || letter.reject.message.clone());
                    }
                    continue;
                };
                if letters.waits(&glance) && filter.names(glance.reject_id) {
                    let message = || {
                        let letter = Letter::read(record);
                        letter.map_or_else(|error| format!("unreadable: {error}"), |letter| letter.reject.message)
                    };
                    groups.add(glance, message);
                }
            }
        }
        listing.groups = groups.into_list();
        listing.unreadable = letters.unreadable;
        Ok(listing)
    }
}

impl Letters {
    fn new(reader: RangeReader, filter: Filter, ledger: Option<Ledger>) -> Self {
        Self {
            reader,
            filter,
            ledger,
            unreadable: 0,
        }
    }

    /// The next records, in offset order per partition; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Seen>>, Failure> {
        let Some(records) = self.reader.next(CHUNK).await? else {
            return Ok(None);
        };
        let seen = records.iter().map(|record| Seen {
            position: record.position.clone(),
            letter: self.read(record),
        });
        Ok(Some(seen.collect()))
    }

    /// The reject of a record, if it was asked for.
    fn read(&mut self, record: &LogRecord) -> Option<Letter> {
        if !self.filter.may_match(record) {
            return None;
        }
        if let Some(glance) = Glance::of(record)
            && !(self.waits(&glance) && self.filter.names(glance.reject_id))
        {
            return None;
        }
        let Ok(letter) = Letter::read(record) else {
            self.unreadable += 1;
            return None;
        };
        (self.filter.matches(&letter) && self.waits(&Glance::of_letter(&letter))).then_some(letter)
    }

    fn waits(&self, glance: &Glance) -> bool {
        let ledger = self.ledger.as_ref();
        ledger.is_none_or(|ledger| ledger.settled(glance.reject_id, glance.attempt).is_none())
    }
}
