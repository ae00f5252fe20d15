//! The in-process cache. Known and unknown keys have room of their own, so that a flood of invented keys displaces no real one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gosight_config::edge::KeySettings;
use moka::sync::Cache;

use super::hash::KeyHash;
use super::store::StoredKey;

/// A key that was created after someone tried it works at the latest after this.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);

/// What the database said, and when it was asked.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) key: Arc<StoredKey>,
    pub(super) read_at: Instant,
}

/// What the process remembers of a key.
#[derive(Debug, Clone)]
pub(super) enum Memory {
    Known(Arc<StoredKey>),
    Unknown,
    /// Too old to serve while the database answers.
    Stale(Arc<StoredKey>),
    Nothing,
}

/// The cache.
pub(super) struct MemoryCache {
    known: Cache<KeyHash, Reading>,
    unknown: Cache<KeyHash, Instant>,
    fresh_for: Duration,
    unknown_for: Duration,
    grace: Duration,
}

impl MemoryCache {
    pub(super) fn new(settings: &KeySettings) -> Self {
        let for_unknown = (settings.cache_entries / 4).max(1);
        let for_known = settings.cache_entries.saturating_sub(for_unknown).max(1);
        let unknown_for = UNKNOWN_FOR.min(settings.fresh_for / 3);
        let longest = settings.grace.max(settings.fresh_for);
        Self {
            known: Cache::builder().max_capacity(for_known).time_to_live(longest).build(),
            unknown: Cache::builder()
                .max_capacity(for_unknown)
                .time_to_live(unknown_for)
                .build(),
            fresh_for: settings.fresh_for,
            unknown_for,
            grace: settings.grace,
        }
    }

    pub(super) fn get(&self, hash: &KeyHash, now: Instant) -> Memory {
        if let Some(reading) = self.known.get(hash) {
            let age = now.saturating_duration_since(reading.read_at);
            if age <= self.fresh_for {
                return Memory::Known(reading.key);
            }
            if age <= self.grace {
                return Memory::Stale(reading.key);
            }
        }
        match self.unknown.get(hash) {
            Some(read_at) if now.saturating_duration_since(read_at) <= self.unknown_for => Memory::Unknown,
            _ => Memory::Nothing,
        }
    }

    pub(super) fn learn(&self, hash: KeyHash, key: Option<Arc<StoredKey>>, read_at: Instant) {
        match key {
            Some(key) => {
                self.known.insert(hash, Reading { key, read_at });
                self.unknown.invalidate(&hash);
            }
            None => {
                self.unknown.insert(hash, read_at);
                self.known.invalidate(&hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use gosight_config::edge::KeySettings;

    use super::super::hash::KeyHash;
    use super::super::store::tests::valid_key;
    use super::{Memory, MemoryCache};

    #[test]
    fn an_answer_is_fresh_then_stale_then_gone() {
        let cache = MemoryCache::new(&KeySettings::default());
        let (hash, read_at) = (KeyHash::of("key"), Instant::now());
        cache.learn(hash, Some(Arc::new(valid_key())), read_at);
        let after = |seconds| cache.get(&hash, read_at + Duration::from_secs(seconds));
        assert!(matches!(after(30), Memory::Known(_)));
        assert!(matches!(after(31), Memory::Stale(_)));
        assert!(matches!(after(3_600), Memory::Stale(_)));
        assert!(matches!(after(3_601), Memory::Nothing));
    }

    #[test]
    fn what_is_unknown_is_asked_again_sooner_and_replaces_what_was_known() {
        let cache = MemoryCache::new(&KeySettings::default());
        let (hash, read_at) = (KeyHash::of("key"), Instant::now());
        cache.learn(hash, Some(Arc::new(valid_key())), read_at);
        cache.learn(hash, None, read_at);
        let after = |seconds| cache.get(&hash, read_at + Duration::from_secs(seconds));
        assert!(matches!(after(5), Memory::Unknown));
        assert!(matches!(after(6), Memory::Nothing));
    }
}
