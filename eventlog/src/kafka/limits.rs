//! What the brokers accept: each topic's `max.message.bytes`, remembered so that a too large record is refused at once.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

/// An answer that is older is asked for again: limits may be altered while we run.
const REFRESH_AFTER: Duration = Duration::from_secs(60);
/// A topic whose limit could not be learnt is asked for again after so long.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Topics remembered at the most. A process writes to a handful.
const MAX_TOPICS: usize = 1_024;

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Bytes; `None` while no broker has told.
    limit: Option<usize>,
    ask_again: Instant,
}

/// The limits that are known.
#[derive(Debug, Default)]
pub(super) struct TopicLimits {
    entries: RwLock<HashMap<String, Entry>>,
}

/// What is known of one topic's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// Bytes; `None` where it is unknown, then the brokers judge.
    pub(super) limit: Option<usize>,
    /// Whether the caller shall ask the brokers now; it is told so once in a while only.
    pub(super) ask: Ask,
}

/// Whether to ask the brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// Ask, and report by [`TopicLimits::learn`].
    Now,
    /// The answer is fresh, or another caller asks.
    No,
}

impl TopicLimits {
    /// The limit of a topic.
    pub(super) fn look_up(&self, topic: &str, now: Instant) -> Known {
        if let Some(entry) = self.entries.read().unwrap_or_else(PoisonError::into_inner).get(topic)
            && now < entry.ask_again
        {
            return Known {
                limit: entry.limit,
                ask: Ask::No,
            };
        }
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MAX_TOPICS && !entries.contains_key(topic) {
            return Known {
                limit: None,
                ask: Ask::No,
            };
        }
        let entry = entries.entry(topic.to_owned()).or_insert(Entry {
            limit: None,
            ask_again: now,
        });
        if now < entry.ask_again {
            return Known {
                limit: entry.limit,
                ask: Ask::No,
            };
        }
        entry.ask_again = now + RETRY_AFTER;
        Known {
            limit: entry.limit,
            ask: Ask::Now,
        }
    }

    /// Remembers what a broker has told.
    pub(super) fn learn(&self, topic: &str, limit: usize, now: Instant) {
        let entry = Entry {
            limit: Some(limit),
            ask_again: now + REFRESH_AFTER,
        };
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() < MAX_TOPICS || entries.contains_key(topic) {
            entries.insert(topic.to_owned(), entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Ask, Known, REFRESH_AFTER, TopicLimits};

    #[test]
    fn one_caller_asks_and_the_answer_serves_until_it_is_old() {
        let limits = TopicLimits::default();
        let start = Instant::now();
        assert_eq!(
            limits.look_up("t", start),
            Known {
                limit: None,
                ask: Ask::Now
            }
        );
        assert_eq!(
            limits.look_up("t", start),
            Known {
                limit: None,
                ask: Ask::No
            }
        );
        limits.learn("t", 100, start);
        assert_eq!(
            limits.look_up("t", start),
            Known {
                limit: Some(100),
                ask: Ask::No
            }
        );
        let later = start + REFRESH_AFTER + Duration::from_millis(1);
        assert_eq!(
            limits.look_up("t", later),
            Known {
                limit: Some(100),
                ask: Ask::Now
            }
        );
        assert_eq!(
            limits.look_up("t", later),
            Known {
                limit: Some(100),
                ask: Ask::No
            }
        );
    }
}
