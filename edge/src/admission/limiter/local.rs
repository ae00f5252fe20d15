//! Buckets in this process.

use std::time::Instant;

use async_trait::async_trait;
use gosight_config::edge::RateLimitSettings;

use super::bucket::{Limits, ProjectBuckets};
use super::projects::{CAPACITY, Projects};
use crate::admission::Limiter;
use crate::outcome::Refusal;

/// Buckets in this process: for one edge alone.
pub struct LocalLimiter {
    limits: Limits,
    projects: Projects<ProjectBuckets>,
    begun: Instant,
}

impl LocalLimiter {
    /// Full buckets.
    pub fn new(settings: &RateLimitSettings) -> Self {
        Self {
            limits: Limits::new(settings),
            projects: Projects::new(CAPACITY),
            begun: Instant::now(),
        }
    }
}

#[async_trait]
impl Limiter for LocalLimiter {
    async fn admit(&self, project_id: &str, events: u32) -> Result<(), Refusal> {
        let limits = &self.limits;
        let now = self.begun.elapsed().as_micros() as u64;
        self.projects
            .with(
                project_id,
                || ProjectBuckets::full(limits, now),
                |buckets| buckets.time_to_full(limits, now),
                |buckets| buckets.take(limits, events, now),
            )
            .map_err(Refusal::rate_limited)
    }
}

#[cfg(test)]
mod tests {
    use gosight_config::edge::RateLimitSettings;

    use super::LocalLimiter;
    use crate::admission::Limiter;
    use crate::outcome::Reason;

    #[tokio::test]
    async fn projects_do_not_share_buckets_and_a_refusal_says_when() {
        let limiter = LocalLimiter::new(&RateLimitSettings {
            requests_per_second: 1,
            burst: 2,
            events_per_second: 1,
            events_burst: 100,
        });
        assert_eq!(limiter.admit("a", 100).await, Ok(()));
        let refusal = limiter.admit("a", 10).await.unwrap_err();
        assert_eq!(refusal.reason(), Reason::RateLimited);
        assert_eq!(refusal.retry_after_seconds(), Some(10));
        assert_eq!(limiter.admit("b", 100).await, Ok(()));
    }
}
