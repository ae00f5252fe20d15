//! What the brokers accept: each topic's `max.message.bytes`, remembered so that a too large record is refused at once.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::admin::Admin;
use super::client::MAX_RECORD_BYTES;

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

/// The limits of topics, asked of the brokers where they are not known or old.
pub(super) struct TopicLimits {
    known: KnownLimits,
    admin: Arc<Admin>,
    runtime: Handle,
}

impl TopicLimits {
    /// Knows nothing yet.
    pub(super) fn new(admin: Arc<Admin>, runtime: Handle) -> Self {
        Self {
            known: KnownLimits::default(),
            admin,
            runtime,
        }
    }

    /// The topic's limit where it is known, bytes. Now and then it is asked for again, in the background.
    pub(super) fn get(self: &Arc<Self>, topic: &str) -> Option<usize> {
        let known = self.known.look_up(topic, Instant::now());
        if known.ask == Ask::Now {
            let limits = Arc::clone(self);
            let topic = topic.to_owned();
            self.runtime.spawn(async move { limits.ask(&topic).await });
        }
        known.limit
    }

    /// What to tell of the limit that the brokers say a record of `size` bytes is over: it, or less than the record has.
    pub(super) async fn over(&self, topic: &str, size: usize) -> usize {
        let known = self.known.look_up(topic, Instant::now()).limit;
        let limit = match known {
            Some(limit) => Some(limit),
            None => self.ask(topic).await,
        };
        limit.unwrap_or(MAX_RECORD_BYTES.min(size))
    }

    /// The same for a thread that may block.
    pub(super) fn over_blocking(&self, topic: &str, size: usize) -> usize {
        self.runtime.block_on(self.over(topic, size))
    }

    /// Remembers a limit that a broker has told.
    pub(super) fn learn(&self, topic: &str, limit: u32) {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.known.learn(topic, limit, Instant::now());
    }

    async fn ask(&self, topic: &str) -> Option<usize> {
        let limit = self.admin.record_limit(topic).await?;
        self.known.learn(topic, limit, Instant::now());
        Some(limit)
    }
}

/// The limits that are known. Pure.
#[derive(Debug, Default)]
struct KnownLimits {
    entries: RwLock<HashMap<String, Entry>>,
}

/// What is known of one topic's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    /// Bytes; `None` where it is unknown, then the brokers judge.
    limit: Option<usize>,
    /// Whether the caller shall ask the brokers now; it is told so once in a while only.
    ask: Ask,
}

/// Whether to ask the brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// Ask, and report by [`KnownLimits::learn`].
    Now,
    /// The answer is fresh, or another caller asks.
    No,
}

impl KnownLimits {
    fn look_up(&self, topic: &str, now: Instant) -> Known {
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

    fn learn(&self, topic: &str, limit: usize, now: Instant) {
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

    use super::{Ask, Known, KnownLimits, REFRESH_AFTER};

    #[test]
    fn one_caller_asks_and_the_answer_serves_until_it_is_old() {
        let limits = KnownLimits::default();
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
