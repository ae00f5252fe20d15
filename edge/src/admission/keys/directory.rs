//! Who a key is: the way through memory, Redis and database, and what serves when one of them does not answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gosight_config::edge::KeySettings;
use gosight_lifecycle::Shutdown;
use tokio::time::timeout;

use super::database::Database;
use super::hash::KeyHash;
use super::look_ups::{LookUps, Source};
use super::memory::{Memory, MemoryCache, Reading};
use super::redis_cache::RedisKeyCache;
use super::requests::{Promise, Requests, Wish};
use super::store::{KeyStore, KeyStoreError, StoredKey};
use super::usage::UsageCounters;
use crate::admission::Grant;
use crate::new_id::unix_ms;
use crate::outcome::{Reason, Refusal};

/// Bytes of a key that is worth hashing; the transports' own limit is lower.
const KEY_LENGTH: usize = 4096;
/// A request waits so long for its key to be looked up.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same, where an older answer can serve instead.
const PATIENCE_WITH_STALE: Duration = Duration::from_millis(250);
/// Usage counters are written so often: one statement each time.
const USAGE_INTERVAL: Duration = Duration::from_secs(1);
/// Writing what is left of them at the end may take so long.
const LAST_FLUSH: Duration = Duration::from_secs(2);

/// Answers who a key is. Clones share everything.
#[derive(Clone)]
pub struct KeyDirectory {
    inner: Arc<Inner>,
}

struct Inner {
    memory: MemoryCache,
    redis: Option<RedisKeyCache>,
    database: Database,
    requests: Requests<Answer>,
    usage: UsageCounters,
    look_ups: LookUps,
    fresh_for: Duration,
    grace: Duration,
}

/// What is known of a key, and from where.
#[derive(Debug, Clone)]
struct Answer {
    source: Source,
    found: Found,
}

#[derive(Debug, Clone)]
enum Found {
    Key(Arc<StoredKey>),
    NoKey,
    /// Nobody knows: the database does not answer.
    Unavailable,
}

impl KeyDirectory {
    /// A directory over a store, with Redis in front where there is one.
    pub fn new(settings: &KeySettings, store: Arc<dyn KeyStore>, redis: Option<RedisKeyCache>) -> Self {
        Self {
            inner: Arc::new(Inner {
                memory: MemoryCache::new(settings),
                redis,
                database: Database::new(store),
                requests: Requests::new(),
                usage: UsageCounters::default(),
                look_ups: LookUps::new(),
                fresh_for: settings.fresh_for,
                grace: settings.grace,
            }),
        }
    }

    /// What the key allows.
    ///
    /// # Errors
    /// [`Reason::MissingKey`], [`Reason::InvalidKey`], [`Reason::KeyNotPermitted`] or [`Reason::KeysUnavailable`].
    pub async fn look_up(&self, key: &str) -> Result<Grant, Refusal> {
        if key.is_empty() {
            return Err(Refusal::missing_key());
        }
        if key.len() > KEY_LENGTH {
            return Err(Refusal::invalid_key());
        }
        let answer = self.answer(KeyHash::of(key)).await;
        let now_ms = unix_ms();
        let judged = match answer.found {
            Found::Key(key) => key.judge(now_ms),
            Found::NoKey => Err(Refusal::invalid_key()),
            Found::Unavailable => Err(unavailable()),
        };
        self.inner.look_ups.count(answer.source, &judged);
        if let Ok(grant) = &judged {
            self.inner.usage.count(&grant.key_id, now_ms);
        }
        judged
    }

    /// Asks the database for anything, to know whether it answers before the first request comes.
    ///
    /// # Errors
    /// It does not; known keys may still be served from Redis.
    pub async fn check(&self) -> Result<(), KeyStoreError> {
        self.inner.database.find_all(&[KeyHash::of("")]).await.map(drop)
    }

    /// What works in a reduced way, for the operator.
    pub fn degradation(&self) -> Option<String> {
        let database = self.inner.database.is_down().then_some(
            "the database of keys does not answer: known keys are served for the grace time, others are refused",
        );
        let redis_fails = self.inner.redis.as_ref().is_some_and(|redis| !redis.is_well());
        let redis = redis_fails.then_some("redis does not answer: keys are read from the database");
        let all: Vec<&str> = database.into_iter().chain(redis).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// Writes usage counters every second until the shutdown begins. Requests in flight still count then: call
    /// [`Self::flush_usage`] after the last one.
    pub async fn write_usage(&self, shutdown: Shutdown) {
        let mut ticks = tokio::time::interval(USAGE_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = shutdown.begun() => return,
            }
            self.write_usage_group().await;
        }
    }

    /// Writes all usage counters that wait, or gives up after two seconds or at the first failure.
    pub async fn flush_usage(&self) {
        let all = async { while self.write_usage_group().await {} };
        if timeout(LAST_FLUSH, all).await.is_err() {
            tracing::warn!("usage counters could not be written in time; the last ones are lost");
        }
    }

    /// One statement. Whether there may be more to write.
    async fn write_usage_group(&self) -> bool {
        let group = self.inner.usage.take_group();
        if group.is_empty() {
            return false;
        }
        match self.inner.database.store().record_usage(&group).await {
            Ok(()) => true,
            Err(error) => {
                metrics::counter!("edge_key_usage_write_failures_total").increment(1);
                tracing::debug!(%error, keys = group.len(), "usage counters could not be written; trying again");
                self.inner.usage.put_back(group);
                false
            }
        }
    }

    async fn answer(&self, hash: KeyHash) -> Answer {
        match self.inner.memory.get(&hash, Instant::now()) {
            Memory::Known(key) => Answer::of(Source::Memory, Some(key)),
            Memory::Unknown => Answer::of(Source::Memory, None),
            Memory::Stale(key) => {
                let stale = Answer::of(Source::Stale, Some(key));
                if self.inner.database.is_down() {
                    return stale;
                }
                self.read(hash, PATIENCE_WITH_STALE).await.unwrap_or(stale)
            }
            Memory::Nothing => self.read(hash, PATIENCE).await.unwrap_or(Answer::UNAVAILABLE),
        }
    }

    async fn read(&self, hash: KeyHash, patience: Duration) -> Option<Answer> {
        let mut promise: Promise<Answer> = match self.inner.requests.wish(hash) {
            Wish::Promised(promise) => promise,
            Wish::NeedsReader(promise) => {
                // A task of its own: others wait for the answer too when this request goes away.
                tokio::spawn(Arc::clone(&self.inner).read_groups());
                promise
            }
            Wish::Refused => return None,
        };
        let answered = timeout(patience, promise.wait_for(Option::is_some)).await;
        answered.ok()?.ok()?.clone()
    }
}

impl Inner {
    async fn read_groups(self: Arc<Self>) {
        while let Some(group) = self.requests.take_group() {
            self.read_group(group).await;
        }
    }

    async fn read_group(&self, group: Vec<KeyHash>) {
        let cached = match &self.redis {
            Some(redis) => redis.read(&group).await,
            None => vec![None; group.len()],
        };
        let mut to_ask = Vec::new();
        for (hash, reading) in group.into_iter().zip(cached) {
            match reading {
                Some(reading) if reading.read_at.elapsed() <= self.fresh_for => {
                    self.memory.learn(hash, Some(Arc::clone(&reading.key)), reading.read_at);
                    self.requests
                        .answer(&hash, Answer::of(Source::Redis, Some(reading.key)));
                }
                stale => to_ask.push((hash, stale)),
            }
        }
        if !to_ask.is_empty() {
            self.read_from_database(to_ask).await;
        }
    }

    async fn read_from_database(&self, to_ask: Vec<(KeyHash, Option<Reading>)>) {
        // Before the question: the answer is at least as new.
        let (read_at, read_at_ms) = (Instant::now(), unix_ms());
        let hashes: Vec<KeyHash> = to_ask.iter().map(|(hash, _)| *hash).collect();
        let Ok(found) = self.database.find_all(&hashes).await else {
            for (hash, cached) in to_ask {
                let answer = self.without_database(&hash, cached);
                self.requests.answer(&hash, answer);
            }
            return;
        };
        let mut to_keep = Vec::new();
        for ((hash, cached), key) in to_ask.into_iter().zip(found) {
            let key = key.map(Arc::new);
            self.memory.learn(hash, key.clone(), read_at);
            self.requests.answer(&hash, Answer::of(Source::Database, key.clone()));
            if key.is_some() || cached.is_some() {
                to_keep.push((hash, key));
            }
        }
        if let Some(redis) = &self.redis {
            redis.write(&to_keep, read_at_ms).await;
        }
    }

    /// The younger of what memory and Redis still have, within the grace time.
    fn without_database(&self, hash: &KeyHash, cached: Option<Reading>) -> Answer {
        if let Some(reading) = cached.filter(|reading| reading.read_at.elapsed() <= self.grace) {
            let known = self.memory.get(hash, Instant::now());
            if matches!(known, Memory::Nothing) {
                self.memory
                    .learn(*hash, Some(Arc::clone(&reading.key)), reading.read_at);
            }
            return Answer::of(Source::Stale, Some(reading.key));
        }
        match self.memory.get(hash, Instant::now()) {
            Memory::Known(key) | Memory::Stale(key) => Answer::of(Source::Stale, Some(key)),
            Memory::Unknown | Memory::Nothing => Answer::UNAVAILABLE,
        }
    }
}

impl Answer {
    const UNAVAILABLE: Self = Self {
        source: Source::Database,
        found: Found::Unavailable,
    };

    fn of(source: Source, key: Option<Arc<StoredKey>>) -> Self {
        Self {
            source,
            found: key.map_or(Found::NoKey, Found::Key),
        }
    }
}

fn unavailable() -> Refusal {
    Refusal::new(
        Reason::KeysUnavailable,
        "API keys can't be checked right now; try again",
    )
}
