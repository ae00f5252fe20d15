//! Events of each session within a minute, for restrictions of event-heavy sessions; bounded.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Sessions at once. Beyond them those whose minute is over are forgotten, and where there are none new ones are not counted.
const SESSIONS: usize = 100_000;
const MINUTE: Duration = Duration::from_secs(60);

/// Counts begin with a session's first batch, and anew with its first batch after the minute.
pub(super) struct SessionCounts {
    hasher: RandomState,
    sessions: Mutex<HashMap<u64, Count>>,
}

struct Count {
    began: Instant,
    events: u64,
}

impl SessionCounts {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            sessions: Mutex::default(),
        }
    }

    /// Counts a batch; gives the session's events within its minute, these included.
    pub(super) fn add(&self, project_id: &str, session_id: &str, events: u32, now: Instant) -> u64 {
        if session_id.is_empty() {
            return 0;
        }
        let session = self.hasher.hash_one((project_id, session_id));
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |count: &Count| now.saturating_duration_since(count.began) >= MINUTE;
        if sessions.len() >= SESSIONS && !sessions.contains_key(&session) {
            sessions.retain(|_, count| !is_over(count));
            if sessions.len() >= SESSIONS {
                metrics::counter!("edge_restriction_sessions_uncounted_total").increment(1);
                return 0;
            }
        }
        let fresh = Count { began: now, events: 0 };
        let count = sessions.entry(session).or_insert(fresh);
        if is_over(count) {
            *count = Count { began: now, events: 0 };
        }
        count.events += u64::from(events);
        count.events
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{MINUTE, SESSIONS, SessionCounts};

    #[test]
    fn a_session_is_counted_for_a_minute() {
        let counts = SessionCounts::new();
        let now = Instant::now();
        assert_eq!(counts.add("p", "s", 10, now), 10);
        assert_eq!(counts.add("p", "s", 5, now + MINUTE / 2), 15);
        assert_eq!(counts.add("other", "s", 1, now), 1);
        assert_eq!(counts.add("p", "", 1, now), 0);
        assert_eq!(counts.add("p", "s", 3, now + MINUTE), 3);
    }

    #[test]
    fn sessions_are_bounded() {
        let counts = SessionCounts::new();
        let now = Instant::now();
        for index in 0..SESSIONS + 10 {
            counts.add("p", &index.to_string(), 1, now);
        }
        assert_eq!(counts.add("p", "new", 1, now), 0);
        assert_eq!(counts.add("p", "1", 1, now), 2);
        assert_eq!(counts.add("p", "new", 1, now + MINUTE), 1);
        assert_eq!(counts.sessions.lock().unwrap().len(), 1);
    }
}
