//! What is known of one partition of staging.

use std::collections::HashMap;

use crate::audit::leaders::Place;

/// Events that one word holds a bit for.
const WORD: u32 = 64;
/// The project of a batch that is not asked for.
pub(super) const SKIPPED: u32 = u32::MAX;

/// One partition of staging.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) judged: Judged,
    /// By offset, from `judged.first` on; `None` where no record stands.
    pub(super) batches: Vec<Option<Batch>>,
    /// Bits of events beyond a batch's first word, by batch and word.
    pub(super) more: HashMap<(u32, u32), u64>,
    /// Duplicates and what they repeat, in order.
    pub(super) repeats: Vec<(Place, Place)>,
}

/// One staged batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    /// A bit for each of the first events that has an output.
    pub(super) outputs: u64,
    pub(super) events: u32,
    pub(super) project: u32,
}

/// What of a partition is audited: events from `from` on and before `to` are judged; those from `first` on only lead duplicates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged {
    pub(crate) first: i64,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

impl Shelf {
    pub(super) fn batch(&self, offset: i64) -> Option<Batch> {
        let place = usize::try_from(offset - self.judged.first).ok()?;
        self.batches.get(place).copied().flatten()
    }

    /// Notes an output of an event; says whether it is the first, and how many words that took.
    pub(super) fn mark(&mut self, place: Place) -> (bool, usize) {
        let batch = usize::try_from(place.offset - self.judged.first).unwrap_or(usize::MAX);
        let bit = 1 << (place.index % WORD);
        if place.index < WORD {
            let Some(Some(batch)) = self.batches.get_mut(batch) else {
                return (false, 0);
            };
            let is_new = batch.outputs & bit == 0;
            batch.outputs |= bit;
            return (is_new, 0);
        }
        let words_before = self.more.len();
        let key = (u32::try_from(batch).unwrap_or(u32::MAX), place.index / WORD);
        let word = self.more.entry(key).or_default();
        let is_new = *word & bit == 0;
        *word |= bit;
        (is_new, self.more.len() - words_before)
    }

    pub(super) fn is_marked(&self, place: Place) -> bool {
        let bit = 1 << (place.index % WORD);
        if place.index < WORD {
            return self.batch(place.offset).is_some_and(|batch| batch.outputs & bit != 0);
        }
        let batch = u32::try_from(place.offset - self.judged.first).unwrap_or(u32::MAX);
        let word = self.more.get(&(batch, place.index / WORD));
        word.is_some_and(|word| word & bit != 0)
    }

    /// Whether an event that others repeat has an output. One before the range may itself repeat a still earlier one.
    pub(super) fn leads(&self, leader: Place) -> bool {
        leader.offset < self.judged.from || self.is_marked(leader)
    }

    pub(super) fn repeated(&self, place: Place) -> Option<Place> {
        let found = self.repeats.binary_search_by_key(&place, |(place, _)| *place).ok()?;
        Some(self.repeats[found].1)
    }

    /// The batch at an offset, where its events are judged.
    pub(super) fn judged(&self, offset: i64) -> Option<Batch> {
        let batch = self.batch(offset)?;
        (offset >= self.judged.from && batch.project != SKIPPED).then_some(batch)
    }

    /// The judged events that have neither an output nor repeat one that has, in order.
    pub(super) fn lost(&self) -> impl Iterator<Item = (Place, Batch)> {
        let end = self.judged.first + i64::try_from(self.batches.len()).unwrap_or(i64::MAX);
        let batches = (self.judged.from..end).filter_map(|offset| Some((offset, self.judged(offset)?)));
        batches
            .filter(|(_, batch)| !batch.is_full())
            .flat_map(move |(offset, batch)| {
                let places = (0..batch.events).map(move |index| (Place { offset, index }, batch));
                places.filter(|(place, _)| self.is_lost(*place))
            })
    }

    pub(super) fn is_lost(&self, place: Place) -> bool {
        !self.is_marked(place) && !self.repeated(place).is_some_and(|leader| self.leads(leader))
    }
}

impl Batch {
    /// Whether every event has an output; tells only of batches that fit a word.
    pub(super) fn is_full(&self) -> bool {
        self.events < WORD && self.outputs == (1 << self.events) - 1
    }
}
