//! Who may send, and how much: keys and token buckets. I/O stands behind [`KeyStore`] and [`Limiter`]; the policy is pure.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use gosight_config::edge::PerKeyRate;
use gosight_schemas::PrivacyRules;

use crate::outcome::Refusal;

mod keys;
mod limiter;
mod redis_link;

pub use keys::{
    KeyDirectory, KeyStore, KeyStoreError, KeyUsage, PostgresKeys, RedisKeyCache, SqliteKeys, StoredKey, key_hash,
};
pub use limiter::{LocalLimiter, RedisLimiter};

/// What a valid key allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The project that the key belongs to.
    pub project_id: Arc<str>,
    /// Id of the key (never the key).
    pub key_id: Arc<str>,
    /// The project's privacy settings.
    pub privacy: PrivacyRules,
    /// The key's own rate, requests a minute; honoured with `rate_limit.per_key: enforce`.
    pub requests_per_minute: Option<u32>,
}

/// Token buckets per project: one of requests, one of events; and per key, where keys have rates of their own.
#[async_trait]
pub trait Limiter: Send + Sync + 'static {
    /// Takes one request and `events` events from the project's buckets, or neither.
    ///
    /// # Errors
    /// [`crate::Reason::RateLimited`], with the time after which the same request would be admitted.
    async fn admit(&self, project_id: &str, events: u32) -> Result<(), Refusal>;

    /// Takes one request from the key's own bucket, of so many requests a minute.
    ///
    /// # Errors
    /// [`crate::Reason::RateLimited`], likewise.
    async fn admit_key(&self, key_id: &str, per_minute: u32) -> Result<(), Refusal>;

    /// The request of a key that was admitted comes back, since its project's buckets refused it.
    fn give_back(&self, key_id: &str, per_minute: u32);

    /// What works in a reduced way, for the operator.
    fn degradation(&self) -> Option<Cow<'static, str>> {
        None
    }
}

/// Takes one request and `events` events from all buckets that concern the key, or from none.
pub(crate) async fn admit(
    limiter: &dyn Limiter,
    per_key: PerKeyRate,
    grant: &Grant,
    events: u32,
) -> Result<(), Refusal> {
    let own_rate = match per_key {
        PerKeyRate::Ignore => None,
        PerKeyRate::Enforce => grant.requests_per_minute,
    };
    let Some(per_minute) = own_rate else {
        return limiter.admit(&grant.project_id, events).await;
    };
    limiter.admit_key(&grant.key_id, per_minute).await?;
    let admitted = limiter.admit(&grant.project_id, events).await;
    if admitted.is_err() {
        limiter.give_back(&grant.key_id, per_minute);
    }
    admitted
}

/// A key's own rate as the database has it: none, 0 and less stand for no rate of its own.
fn own_rate(stored: Option<i32>) -> Option<u32> {
    stored
        .and_then(|rate| u32::try_from(rate).ok())
        .filter(|rate| *rate > 0)
}
