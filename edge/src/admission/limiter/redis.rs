//! Buckets in Redis, shared by all edges.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use gosight_config::edge::{RateLimitSettings, RedisSettings};
use redis::Script;
use tokio::time::timeout_at;

use super::bucket::{Limits, Moment, Rate};
use super::lease::{Answer, Ask, LeasedBuckets, Plan, Tokens};
use super::projects::{CAPACITY, Projects};
use crate::admission::redis_link::{RedisDown, RedisLink};
use crate::admission::{KeyStoreError, Limiter};
use crate::outcome::Refusal;

/// Buckets in Redis, shared by all edges; in this process while Redis does not answer.
///
/// With n edges: no more than rate × time + burst + 100 ms of rate each (see `lease.rs`). While Redis does not answer, each edge
/// goes on at the whole rate from what Redis had left, and when it is back its buckets have filled.
pub struct RedisLimiter {
    link: RedisLink,
    limits: Limits,
    projects: Projects<Arc<Project>>,
    script: Script,
    begun: Instant,
}

struct Project {
    buckets: Mutex<LeasedBuckets>,
    /// Held while Redis is asked: one lease at a time serves all who wait for it.
    asking: tokio::sync::Mutex<()>,
}

impl RedisLimiter {
    /// Connects when the first request comes.
    ///
    /// # Errors
    /// `redis.addr` is no address.
    pub fn connect(redis: &RedisSettings, settings: &RateLimitSettings) -> Result<Self, KeyStoreError> {
        Ok(Self {
            link: RedisLink::new(redis, "limiter")?,
            limits: Limits::new(settings),
            projects: Projects::new(CAPACITY),
            script: Script::new(include_str!("lease.lua")),
            begun: Instant::now(),
        })
    }

    fn now(&self) -> Moment {
        self.begun.elapsed().as_micros() as Moment
    }

    fn project(&self, project_id: &str) -> Arc<Project> {
        let now = self.now();
        let fresh = || {
            Arc::new(Project {
                buckets: Mutex::new(LeasedBuckets::new(&self.limits, now)),
                asking: tokio::sync::Mutex::default(),
            })
        };
        let time_to_full = |project: &Arc<Project>| project.buckets().time_to_full(&self.limits, now);
        self.projects
            .with(project_id, fresh, time_to_full, |project| Arc::clone(project))
    }

    /// Asks Redis within its time.
    async fn by_lease(
        &self,
        project_id: &str,
        project: &Project,
        events: u32,
    ) -> Result<Result<(), Duration>, RedisDown> {
        if self.link.is_down() {
            return Err(RedisDown);
        }
        let deadline = self.link.deadline();
        let asking = timeout_at(deadline, project.asking.lock()).await;
        let _asking = asking.map_err(|_| RedisDown)?;
        let plan = project.buckets().plan(&self.limits, events, self.now());
        let ask = match plan {
            Plan::Admitted => return Ok(Ok(())),
            Plan::Refused(wait) => return Ok(Err(wait)),
            Plan::Ask(ask) => ask,
        };
        let answer = self
            .link
            .run(deadline, async |mut connection| {
                let mut invocation = self.script.prepare_invoke();
                self.arguments(&mut invocation, project_id, &ask);
                invocation.invoke_async::<(u64, u64, u64, u64)>(&mut connection).await
            })
            .await;
        let mut buckets = project.buckets();
        let Ok((granted_requests, granted_events, requests, events)) = answer else {
            count_lease("failed");
            buckets.give_back(&ask);
            return Err(RedisDown);
        };
        let answer = Answer {
            granted: Tokens {
                requests: granted_requests,
                events: granted_events,
            },
            levels: Tokens { requests, events },
        };
        let settled = buckets.settle(&self.limits, &ask, &answer, self.now());
        count_lease(if settled.is_ok() { "granted" } else { "refused" });
        Ok(settled)
    }

    fn arguments(&self, invocation: &mut redis::ScriptInvocation<'_>, project_id: &str, ask: &Ask) {
        invocation.key(format!("gosight:limit:v1:{project_id}"));
        for (rate, need, want) in [
            (self.limits.requests, ask.need.requests, ask.want.requests),
            (self.limits.events, ask.need.events, ask.want.events),
        ] {
            invocation.arg(rate.per_second).arg(rate.burst).arg(need).arg(want);
        }
        // A hash that is gone stands for full buckets; so it has to live until they are.
        let full_after = |rate: Rate| u64::from(rate.burst) * 1_000 / u64::from(rate.per_second);
        let keep = full_after(self.limits.requests).max(full_after(self.limits.events)) + 1_000;
        invocation.arg(keep);
    }
}

#[async_trait]
impl Limiter for RedisLimiter {
    async fn admit(&self, project_id: &str, events: u32) -> Result<(), Refusal> {
        let project = self.project(project_id);
        let at_once = project.buckets().at_once(&self.limits, events, self.now());
        let judged = match at_once {
            Some(judged) => judged,
            None => match self.by_lease(project_id, &project, events).await {
                Ok(judged) => judged,
                Err(RedisDown) => {
                    metrics::counter!("edge_limiter_fallbacks_total").increment(1);
                    project.buckets().alone(&self.limits, events, self.now())
                }
            },
        };
        judged.map_err(Refusal::rate_limited)
    }

    fn degradation(&self) -> Option<Cow<'static, str>> {
        (!self.link.is_well()).then_some(Cow::Borrowed(
            "redis does not answer: each edge limits rates on its own, at the whole rate",
        ))
    }
}

impl Project {
    fn buckets(&self) -> MutexGuard<'_, LeasedBuckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count_lease(result: &'static str) {
    metrics::counter!("edge_limiter_leases_total", "result" => result).increment(1);
}
