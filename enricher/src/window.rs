//! The window of event ids that decides what is a duplicate: one per partition, fed by the log alone.
//!
//! A duplicate has the id of an earlier valid event of its partition, appended no longer than the window before it. A duplicate
//! counts as an earlier event itself, so reading the window's length of the log again gives the same answers.
//!
//! Each id takes 24 bytes in the queue of sightings, up to a quarter more of room to grow, and 6 to 12 bytes in the table of their
//! numbers: about 40.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashTable;
use uuid::Uuid;

use crate::core::DedupeWindow;

/// Replaced sightings that are kept at the least before they are looked for.
const REPLACED_KEPT: usize = 1_024;
/// Sightings for which there is room at the least.
const LEAST_ROOM: usize = 1_024;

/// The ids (keys of project and event id) of one partition. Ids of an open transaction count at once; [`Window::keep`] makes them stay, [`Window::discard`]
/// forgets them.
#[derive(Debug)]
pub struct Window {
    length_ms: i64,
    max_entries: usize,
    /// For each key the number of its latest sighting.
    latest: HashTable<u32>,
    sightings: Sightings,
    /// For each sighting of the open transaction the number of the one that it replaced.
    open: Vec<Option<u32>>,
}

/// Sightings in log order; what left the window is dropped from the front, and what a later sighting of the same key has replaced
/// is dropped when it is most of them: one id that comes again and again must not grow it.
#[derive(Debug, Default)]
struct Sightings {
    queue: VecDeque<Sighting>,
    /// The number of the first in the queue. Numbers start again after the last one; there are never so many at a time.
    first: u32,
}

#[derive(Debug, Clone, Copy)]
struct Sighting {
    key: Uuid,
    /// Unix ms.
    time: i64,
}

impl Sightings {
    fn get(&self, number: u32) -> Option<&Sighting> {
        self.queue.get(number.wrapping_sub(self.first) as usize)
    }

    fn has(&self, number: u32, key: Uuid) -> bool {
        self.get(number).is_some_and(|sighting| sighting.key == key)
    }

    /// Of a number in the table.
    fn hash(&self, number: u32) -> u64 {
        self.get(number).map_or(0, |sighting| hash(sighting.key))
    }

    /// The number that the next one will have.
    fn next(&self) -> u32 {
        self.first.wrapping_add(self.queue.len() as u32)
    }

    fn push(&mut self, sighting: Sighting) {
        let (length, room) = (self.queue.len(), self.queue.capacity());
        if length == room {
            // Doubling would leave half of it empty.
            self.queue.reserve_exact((length / 4).max(LEAST_ROOM));
        }
        self.queue.push_back(sighting);
    }

    fn pop_front(&mut self) {
        if self.queue.pop_front().is_some() {
            self.first = self.first.wrapping_add(1);
        }
    }

    /// Gives room back after a busy time.
    fn shrink(&mut self) {
        let wanted = self.queue.len().max(LEAST_ROOM);
        if self.queue.capacity() / 4 > wanted {
            self.queue.shrink_to(wanted * 2);
        }
    }
}

impl Window {
    /// An empty window of that length which holds at most `max_entries` ids.
    pub fn new(length: Duration, max_entries: usize) -> Self {
        Self {
            length_ms: i64::try_from(length.as_millis()).unwrap_or(i64::MAX),
            max_entries,
            latest: HashTable::new(),
            sightings: Sightings::default(),
            open: Vec::new(),
        }
    }

    /// The transaction was committed: its ids stay. Returns how many ids had to leave before their time for the entry limit.
    pub fn keep(&mut self) -> u64 {
        self.open.clear();
        if self.sightings.queue.len() > 2 * self.latest.len() + REPLACED_KEPT {
            self.drop_replaced();
        }
        let newest = self.sightings.queue.back().map_or(i64::MIN, |newest| newest.time);
        let horizon = newest.saturating_sub(self.length_ms);
        let mut early = 0;
        while let Some(&Sighting { key, time }) = self.sightings.queue.front() {
            let expired = time < horizon;
            if !expired && self.latest.len() <= self.max_entries {
                break;
            }
            let number = self.sightings.first;
            if let Ok(latest) = self.latest.find_entry(hash(key), |latest| *latest == number) {
                latest.remove();
                early += u64::from(!expired);
            }
            self.sightings.pop_front();
        }
        self.sightings.shrink();
        if self.latest.capacity() / 8 > self.latest.len().max(LEAST_ROOM) {
            let sightings = &self.sightings;
            self.latest
                .shrink_to(self.latest.len() * 2, |number| sightings.hash(*number));
        }
        early
    }

    fn drop_replaced(&mut self) {
        let mut kept = Sightings {
            queue: VecDeque::with_capacity(self.latest.len()),
            first: 0,
        };
        let numbers = (0..).map(|nth| self.sightings.first.wrapping_add(nth));
        for (number, sighting) in numbers.zip(&self.sightings.queue) {
            let latest = self.latest.find_mut(hash(sighting.key), |latest| *latest == number);
            let Some(latest) = latest else { continue };
            // Renumbered beside what is still to come, which no number before `next` can be mistaken for: those came from here.
            *latest = self.sightings.next().wrapping_add(kept.next());
            kept.push(*sighting);
        }
        kept.first = self.sightings.next();
        self.sightings = kept;
    }

    /// The transaction was aborted: its ids are forgotten.
    pub fn discard(&mut self) {
        while let Some(before) = self.open.pop() {
            let Some(Sighting { key, .. }) = self.sightings.queue.pop_back() else {
                continue;
            };
            let number = self.sightings.next();
            let Ok(mut latest) = self.latest.find_entry(hash(key), |latest| *latest == number) else {
                continue;
            };
            match before {
                Some(before) => *latest.get_mut() = before,
                None => {
                    latest.remove();
                }
            }
        }
    }

    /// How many ids it holds.
    pub(crate) fn len(&self) -> usize {
        self.latest.len()
    }
}

/// Keys are hashes already, by a secret of this process.
fn hash(key: Uuid) -> u64 {
    let (high, low) = key.as_u64_pair();
    high ^ low
}

impl DedupeWindow for Window {
    fn seen(&mut self, key: Uuid, append_time_ms: i64) -> bool {
        let sighting = Sighting {
            key,
            time: append_time_ms,
        };
        let number = self.sightings.next();
        let sightings = &self.sightings;
        let found = self.latest.find_mut(hash(key), |latest| sightings.has(*latest, key));
        let Some(latest) = found else {
            self.open.push(None);
            self.sightings.push(sighting);
            let sightings = &self.sightings;
            self.latest
                .insert_unique(hash(key), number, |number| sightings.hash(*number));
            return false;
        };
        let before = sightings.get(*latest).map_or(i64::MIN, |before| before.time);
        if before != append_time_ms {
            self.open.push(Some(*latest));
            *latest = number;
            self.sightings.push(sighting);
        }
        append_time_ms.saturating_sub(before) <= self.length_ms
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::Window;
    use crate::core::DedupeWindow;

    const ID: Uuid = Uuid::from_u128(1);

    fn window() -> Window {
        Window::new(Duration::from_millis(100), 3)
    }

    #[test]
    fn an_id_within_the_window_is_a_duplicate_and_one_past_it_is_not() {
        let mut window = window();
        assert!(!window.seen(ID, 1_000));
        assert!(window.seen(ID, 1_100));
        assert!(window.seen(ID, 1_200), "a duplicate counts as an earlier event");
        assert!(!window.seen(ID, 1_301));
    }

    #[test]
    fn ids_count_within_their_transaction_and_vanish_with_its_abort() {
        let mut window = window();
        assert!(!window.seen(ID, 1_000));
        assert!(window.seen(ID, 1_001));
        window.discard();
        assert!(!window.seen(ID, 1_002), "the first sighting was aborted");
        window.keep();
        assert!(window.seen(ID, 1_003));
        window.discard();
        assert!(window.seen(ID, 1_102), "the sighting at 1002 was committed");
        window.discard();
        assert!(!window.seen(ID, 1_103), "the sighting at 1003 was aborted");
    }

    #[test]
    fn an_id_that_comes_again_and_again_takes_the_room_of_one() {
        let mut window = Window::new(Duration::from_secs(300), 3);
        for time in 0..100_000 {
            window.seen(ID, time);
            window.seen(ID, time);
            if time % 100 == 99 {
                window.keep();
            }
        }
        let kept = window.sightings.queue.len();
        assert!(kept < 2_000, "{kept}");
        assert!(window.seen(ID, 399_999), "the last sighting counts");
        window.discard();
        assert!(window.seen(ID, 399_999), "also after an abort");
    }

    #[test]
    fn the_window_is_bounded_by_time_and_by_entries() {
        let mut window = window();
        for number in 0..10 {
            window.seen(Uuid::from_u128(number), 1_000);
        }
        assert_eq!(window.keep(), 7, "seven left before their time");
        assert_eq!(window.len(), 3);
        window.seen(ID, 2_000);
        assert_eq!(window.keep(), 0, "the others had expired");
        assert_eq!(window.len(), 1);
    }

    /// The rule itself, without any care for memory: every sighting that counts, oldest first.
    #[derive(Default)]
    struct Plain {
        kept: Vec<(Uuid, i64)>,
        open: Vec<(Uuid, i64)>,
    }

    impl Plain {
        fn seen(&mut self, key: Uuid, time: i64) -> bool {
            let all = self.kept.iter().chain(&self.open);
            let last = all
                .filter(|(other, _)| *other == key)
                .map(|(_, time)| *time)
                .next_back();
            self.open.push((key, time));
            last.is_some_and(|last| time - last <= 100)
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_it_answers_as_the_rule_says(
            steps in prop::collection::vec((0..8_u8, 0..12_u128, 0..40_i64), 0..400)
        ) {
            let mut window = Window::new(Duration::from_millis(100), 1_000);
            let mut plain = Plain::default();
            let mut time = 0;
            for (step, key, later) in steps {
                match step {
                    0 => {
                        prop_assert_eq!(window.keep(), 0);
                        plain.kept.append(&mut plain.open);
                        window.drop_replaced();
                    }
                    1 => {
                        window.discard();
                        plain.open.clear();
                    }
                    _ => {
                        time += later;
                        let key = Uuid::from_u128(key);
                        prop_assert_eq!(window.seen(key, time), plain.seen(key, time), "{} at {}", key, time);
                    }
                }
            }
        }
    }

    #[test]
    fn an_id_takes_about_forty_bytes_and_gives_them_back() {
        let mut window = Window::new(Duration::from_secs(300), 1_000_000);
        for number in 0..100_000_u64 {
            window.seen(
                Uuid::from_u64_pair(number.wrapping_mul(0x9E37_79B9_7F4A_7C15), number),
                0,
            );
        }
        window.keep();
        let bytes = |window: &Window| {
            window.sightings.queue.capacity() * size_of::<super::Sighting>() + window.latest.allocation_size()
        };
        assert!(bytes(&window) <= 100_000 * 42, "{}", bytes(&window));
        window.seen(ID, 301_000);
        window.keep();
        assert!(bytes(&window) < 100_000, "{}", bytes(&window));
    }
}
