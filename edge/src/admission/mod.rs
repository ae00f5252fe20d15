//! Who may send, and how much: keys and token buckets. I/O stands behind [`KeyStore`] and [`Limiter`]; the policy is pure.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
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
}

/// Token buckets per project: one of requests, one of events.
#[async_trait]
pub trait Limiter: Send + Sync + 'static {
    /// Takes one request and `events` events from the project's buckets, or neither.
    ///
    /// # Errors
    /// [`crate::Reason::RateLimited`], with the time after which the same request would be admitted.
    async fn admit(&self, project_id: &str, events: u32) -> Result<(), Refusal>;

    /// What works in a reduced way, for the operator.
    fn degradation(&self) -> Option<Cow<'static, str>> {
        None
    }
}
