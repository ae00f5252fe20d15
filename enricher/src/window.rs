//! The window of event ids that decides what is a duplicate: one per partition, fed by the log alone.
//!
//! A duplicate has the id of an earlier valid event of its partition, appended no longer than the window before it. A duplicate
//! counts as an earlier event itself, so reading the window's length of the log again gives the same answers.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use uuid::Uuid;

use crate::core::DedupeWindow;

/// Replaced sightings that are kept at the least before they are looked for.
const REPLACED_KEPT: usize = 1_024;

/// The ids (keys of project and event id) of one partition. Ids of an open transaction count at once; [`Window::keep`] makes them stay, [`Window::discard`]
/// forgets them.
#[derive(Debug)]
pub struct Window {
    length_ms: i64,
    max_entries: usize,
    /// When each id was last appended, Unix ms.
    last_seen: HashMap<Uuid, i64>,
    /// Sightings in log order; what left the window is dropped from the front, and what a later sighting of the same id has replaced
    /// is dropped when it is most of them: one id that comes again and again must not grow it.
    sightings: VecDeque<(i64, Uuid)>,
    /// What the open transaction changed: the id and when it had been seen before.
    open: Vec<(Uuid, Option<i64>)>,
}

impl Window {
    /// An empty window of that length which holds at most `max_entries` ids.
    pub fn new(length: Duration, max_entries: usize) -> Self {
        Self {
            length_ms: i64::try_from(length.as_millis()).unwrap_or(i64::MAX),
            max_entries,
            last_seen: HashMap::new(),
            sightings: VecDeque::new(),
            open: Vec::new(),
        }
    }

    /// The transaction was committed: its ids stay. Returns how many ids had to leave before their time for the entry limit.
    pub fn keep(&mut self) -> u64 {
        self.open.clear();
        if self.sightings.len() > 2 * self.last_seen.len() + REPLACED_KEPT {
            let last_seen = &self.last_seen;
            self.sightings.retain(|(time, id)| last_seen.get(id) == Some(time));
        }
        let newest = self.sightings.back().map_or(i64::MIN, |(time, _)| *time);
        let horizon = newest.saturating_sub(self.length_ms);
        let mut early = 0;
        while let Some(&(time, id)) = self.sightings.front() {
            let expired = time < horizon;
            if !expired && self.last_seen.len() <= self.max_entries {
                break;
            }
            self.sightings.pop_front();
            if self.last_seen.get(&id) == Some(&time) {
                self.last_seen.remove(&id);
                early += u64::from(!expired);
            }
        }
        early
    }

    /// The transaction was aborted: its ids are forgotten.
    pub fn discard(&mut self) {
        let sightings_before = self.sightings.len().saturating_sub(self.open.len());
        self.sightings.truncate(sightings_before);
        while let Some((id, before)) = self.open.pop() {
            match before {
                Some(time) => self.last_seen.insert(id, time),
                None => self.last_seen.remove(&id),
            };
        }
    }

    /// How many ids it holds.
    pub(crate) fn len(&self) -> usize {
        self.last_seen.len()
    }
}

impl DedupeWindow for Window {
    fn seen(&mut self, event_id: Uuid, append_time_ms: i64) -> bool {
        let before = self.last_seen.insert(event_id, append_time_ms);
        if before != Some(append_time_ms) {
            self.open.push((event_id, before));
            self.sightings.push_back((append_time_ms, event_id));
        }
        before.is_some_and(|time| append_time_ms.saturating_sub(time) <= self.length_ms)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        assert!(window.sightings.len() < 2_000, "{}", window.sightings.len());
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
}
