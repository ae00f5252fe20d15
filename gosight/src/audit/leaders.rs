//! Which events repeat which: the enricher's window of ids, which remembers the event that each id led with.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use uuid::Uuid;

/// Clocks of brokers that lead a partition one after the other may differ by so much: ids are kept that much longer.
const CLOCK_SLACK_MS: i64 = 60_000;
/// Replaced sightings that are kept at the least before they are looked for.
const REPLACED_KEPT: usize = 1_024;

/// Where an event stands in its partition of staging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    /// The offset of its batch.
    pub(crate) offset: i64,
    /// Which of the batch's events it is, from 0.
    pub(crate) index: u32,
}

/// The window of one partition. It holds at most as many ids as the enricher's.
#[derive(Debug)]
pub(crate) struct Leaders {
    length_ms: i64,
    max_entries: usize,
    seen: HashMap<Uuid, Sighting>,
    /// In log order; what a later sighting of the same id replaced is dropped when it is most of them.
    order: VecDeque<(i64, Uuid)>,
}

#[derive(Debug, Clone, Copy)]
struct Sighting {
    /// When the id was last appended, Unix ms.
    time_ms: i64,
    /// The first event of the chain that it belongs to.
    leader: Place,
}

impl Leaders {
    /// An empty window of that length which holds at most `max_entries` ids.
    pub(crate) fn new(length: Duration, max_entries: usize) -> Self {
        Self {
            length_ms: i64::try_from(length.as_millis()).unwrap_or(i64::MAX),
            max_entries,
            seen: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Takes the next valid event of the partition; gives the event that it repeats, where it is a duplicate.
    pub(crate) fn see(&mut self, key: Uuid, time_ms: i64, place: Place) -> Option<Place> {
        let before = self.seen.get(&key).copied();
        let repeated = before
            .filter(|before| time_ms.saturating_sub(before.time_ms) <= self.length_ms)
            .map(|before| before.leader);
        let leader = repeated.unwrap_or(place);
        self.seen.insert(key, Sighting { time_ms, leader });
        if before.is_none_or(|before| before.time_ms != time_ms) {
            self.order.push_back((time_ms, key));
        }
        self.forget(time_ms);
        repeated
    }

    fn forget(&mut self, now_ms: i64) {
        if self.order.len() > 2 * self.seen.len() + REPLACED_KEPT {
            let seen = &self.seen;
            self.order
                .retain(|(time_ms, key)| seen.get(key).is_some_and(|sighting| sighting.time_ms == *time_ms));
        }
        let horizon = now_ms.saturating_sub(self.length_ms).saturating_sub(CLOCK_SLACK_MS);
        while let Some(&(time_ms, key)) = self.order.front() {
            if time_ms >= horizon && self.seen.len() <= self.max_entries {
                break;
            }
            self.order.pop_front();
            if self.seen.get(&key).is_some_and(|sighting| sighting.time_ms == time_ms) {
                self.seen.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gosight_enricher::Window;
    use gosight_enricher::core::DedupeWindow;
    use uuid::Uuid;

    use super::{Leaders, Place};

    fn place(offset: i64) -> Place {
        Place { offset, index: 0 }
    }

    #[test]
    fn a_chain_of_repeats_leads_to_its_first_event() {
        let mut leaders = Leaders::new(Duration::from_millis(100), 10);
        let id = Uuid::from_u128(1);
        assert_eq!(leaders.see(id, 1_000, place(0)), None);
        assert_eq!(leaders.see(id, 1_100, place(1)), Some(place(0)));
        assert_eq!(leaders.see(id, 1_200, place(2)), Some(place(0)));
        assert_eq!(leaders.see(id, 1_301, place(3)), None, "past the window");
        assert_eq!(leaders.see(id, 1_302, place(4)), Some(place(3)));
    }

    #[test]
    fn it_answers_as_the_enrichers_window_does() {
        let length = Duration::from_millis(50);
        let (mut leaders, mut window) = (Leaders::new(length, 10_000), Window::new(length, 10_000));
        let mut random = 12_345_u64;
        let mut duplicates = 0;
        for offset in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let id = Uuid::from_u128(u128::from(random >> 58));
            let time_ms = offset / 3;
            let expected = window.seen(id, time_ms);
            window.keep();
            duplicates += usize::from(expected);
            assert_eq!(leaders.see(id, time_ms, place(offset)).is_some(), expected, "{offset}");
        }
        assert!((1_000..19_900).contains(&duplicates), "{duplicates}");
    }

    #[test]
    fn ids_are_bounded() {
        let mut leaders = Leaders::new(Duration::from_secs(300), 100);
        for offset in 0..10_000_i64 {
            leaders.see(
                Uuid::from_u128(u128::from(offset.unsigned_abs())),
                offset,
                place(offset),
            );
            leaders.see(Uuid::nil(), offset, place(offset));
        }
        assert!(leaders.seen.len() <= 100 && leaders.order.len() < 3_000);
    }
}
