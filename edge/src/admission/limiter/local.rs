//! Buckets in this process.

use std::time::Instant;

use async_trait::async_trait;

use super::bucket::{Limits, ProjectBuckets, Tokens};
use super::projects::{CAPACITY, Projects};
use super::quotas;
use crate::admission::Limiter;
use crate::live::Live;
use crate::outcome::Refusal;
use crate::quota::Quota;

/// Buckets in this process: for one edge alone.
pub struct LocalLimiter {
    live: Live,
    projects: Projects<ProjectBuckets>,
    keys: Projects<ProjectBuckets>,
    begun: Instant,
}

impl LocalLimiter {
    /// Full buckets. The rates are read from `live` with each request.
    pub fn new(live: impl Into<Live>) -> Self {
        Self {
            live: live.into(),
            projects: Projects::new(CAPACITY),
            keys: Projects::new(CAPACITY),
            begun: Instant::now(),
        }
    }

    fn on<R>(
        &self,
        owners: &Projects<ProjectBuckets>,
        id: &str,
        limits: &Limits,
        work: impl FnOnce(&mut ProjectBuckets, u64) -> R,
    ) -> R {
        let now = self.begun.elapsed().as_micros() as u64;
        owners.with(
            id,
            || ProjectBuckets::full(limits, now),
            |buckets| buckets.time_to_full(limits, now),
            |buckets| work(buckets, now),
        )
    }

    fn take(
        &self,
        owners: &Projects<ProjectBuckets>,
        id: &str,
        limits: &Limits,
        events: u32,
        quotas: fn(&Limits, Tokens) -> Vec<Quota>,
    ) -> Result<(), Refusal> {
        self.on(owners, id, limits, |buckets, now| {
            buckets.take(limits, events, now).map_err(|wait| {
                let left = buckets.left(limits, now);
                Refusal::rate_limited(wait).with_quotas(quotas(limits, left))
            })
        })
    }
}

#[async_trait]
impl Limiter for LocalLimiter {
    async fn admit(&self, project_id: &str, events: u32) -> Result<(), Refusal> {
        let limits = Limits::new(&self.live.load().rate_limit);
        self.take(&self.projects, project_id, &limits, events, quotas::of_project)
    }

    async fn admit_key(&self, key_id: &str, per_minute: u32) -> Result<(), Refusal> {
        let limits = Limits::of_key(per_minute);
        self.take(&self.keys, key_id, &limits, 0, quotas::of_key)
    }

    fn give_back(&self, key_id: &str, per_minute: u32) {
        let limits = Limits::of_key(per_minute);
        self.on(&self.keys, key_id, &limits, |buckets, _| buckets.give_back_request());
    }
}

#[cfg(test)]
mod tests {
    use gosight_config::EdgeSettings;
    use gosight_config::edge::RateLimitSettings;

    use super::LocalLimiter;
    use crate::admission::Limiter;
    use crate::live::Live;
    use crate::outcome::Reason;

    #[tokio::test]
    async fn projects_do_not_share_buckets_and_a_refusal_says_when() {
        let limiter = LocalLimiter::new(&RateLimitSettings {
            requests_per_second: 1,
            burst: 2,
            events_per_second: 1,
            events_burst: 100,
            ..RateLimitSettings::default()
        });
        assert_eq!(limiter.admit("a", 100).await, Ok(()));
        let refusal = limiter.admit("a", 10).await.unwrap_err();
        assert_eq!(refusal.reason(), Reason::RateLimited);
        assert_eq!(refusal.retry_after_seconds(), Some(10));
        assert_eq!(limiter.admit("b", 100).await, Ok(()));
    }

    #[tokio::test]
    async fn a_key_has_its_own_requests_a_minute_and_one_that_comes_back_counts_again() {
        let limiter = LocalLimiter::new(&RateLimitSettings::default());
        for _ in 0..3 {
            assert_eq!(limiter.admit_key("a", 3).await, Ok(()));
        }
        let refusal = limiter.admit_key("a", 3).await.unwrap_err();
        assert_eq!(refusal.retry_after_seconds(), Some(20), "three a minute");
        assert_eq!(refusal.quotas()[0].window_seconds, 60);
        assert_eq!(limiter.admit_key("b", 3).await, Ok(()));
        limiter.give_back("a", 3);
        assert_eq!(limiter.admit_key("a", 3).await, Ok(()));
        assert!(limiter.admit_key("a", 3).await.is_err());
    }

    #[tokio::test]
    async fn changed_rates_apply_to_the_next_request_and_buckets_keep_their_fill() {
        let settings = |burst| EdgeSettings {
            rate_limit: RateLimitSettings {
                requests_per_second: 1,
                burst,
                ..RateLimitSettings::default()
            },
            ..EdgeSettings::default()
        };
        let live = Live::new(&settings(100));
        let limiter = LocalLimiter::new(&live);
        for _ in 0..90 {
            assert_eq!(limiter.admit("a", 1).await, Ok(()));
        }
        live.replace(&settings(1_000));
        for _ in 0..10 {
            assert_eq!(limiter.admit("a", 1).await, Ok(()), "what was left is there");
        }
        assert!(
            limiter.admit("a", 1).await.is_err(),
            "a larger bucket is not a full one"
        );
        live.replace(&settings(5));
        for _ in 0..5 {
            assert_eq!(limiter.admit("b", 1).await, Ok(()));
        }
        assert!(limiter.admit("b", 1).await.is_err());
    }
}
