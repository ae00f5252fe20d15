//! Buckets in Redis, shared by all edges.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use gosight_config::edge::RedisSettings;
use redis::Script;
use tokio::time::timeout_at;

use super::bucket::{Limits, Moment, Rate, Tokens};
use super::lease::{Answer, Ask, LeasedBuckets, Plan};
use super::projects::{CAPACITY, Projects};
use super::{Owner, quotas};
use crate::admission::redis_link::{RedisDown, RedisLink};
use crate::admission::{KeyStoreError, Limiter};
use crate::live::Live;
use crate::outcome::Refusal;
use crate::quota::Quota;

/// Buckets in Redis, shared by all edges; in this process while Redis does not answer.
///
/// With n edges: no more than rate × time + burst + 100 ms of rate each (see `lease.rs`). While Redis does not answer, each edge
/// goes on at the whole rate from what Redis had left, and when it is back its buckets have filled.
pub struct RedisLimiter {
    link: RedisLink,
    live: Live,
    projects: Projects<Arc<Shared>>,
    keys: Projects<Arc<Shared>>,
    script: Script,
    begun: Instant,
}

/// Buckets of a project or of a key.
struct Shared {
    buckets: Mutex<LeasedBuckets>,
    /// Held while Redis is asked: one lease at a time serves all who wait for it.
    asking: tokio::sync::Mutex<()>,
}

impl RedisLimiter {
    /// Connects when the first request comes. The rates are read from `live` with each request.
    ///
    /// # Errors
    /// `redis.addr` is no address.
    pub fn connect(redis: &RedisSettings, live: impl Into<Live>) -> Result<Self, KeyStoreError> {
        Ok(Self {
            link: RedisLink::new(redis, "limiter")?,
            live: live.into(),
            projects: Projects::new(CAPACITY),
            keys: Projects::new(CAPACITY),
            script: Script::new(include_str!("lease.lua")),
            begun: Instant::now(),
        })
    }

    fn now(&self) -> Moment {
        self.begun.elapsed().as_micros() as Moment
    }

    fn shared(&self, owner: Owner<'_>, limits: &Limits, now: Moment) -> Arc<Shared> {
        let fresh = || {
            Arc::new(Shared {
                buckets: Mutex::new(LeasedBuckets::new(limits, now)),
                asking: tokio::sync::Mutex::default(),
            })
        };
        let time_to_full = |shared: &Arc<Shared>| shared.buckets().time_to_full(limits, now);
        let (owners, id) = match owner {
            Owner::Project(id) => (&self.projects, id),
            Owner::Key(id) => (&self.keys, id),
        };
        owners.with(id, fresh, time_to_full, |shared| Arc::clone(shared))
    }

    /// Takes a request and its events; the error says when they would be admitted and what is left.
    async fn take(
        &self,
        owner: Owner<'_>,
        limits: &Limits,
        events: u32,
        quotas: fn(&Limits, Tokens) -> Vec<Quota>,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let shared = self.shared(owner, limits, now);
        let at_once = shared.buckets().at_once(limits, events, now);
        let judged = match at_once {
            Some(judged) => judged,
            None => match self.by_lease(owner, limits, &shared, events).await {
                Ok(judged) => judged,
                Err(RedisDown) => {
                    metrics::counter!("edge_limiter_fallbacks_total").increment(1);
                    shared.buckets().alone(limits, events, self.now())
                }
            },
        };
        judged.map_err(|wait| {
            let left = shared.buckets().left(limits, self.now());
            Refusal::rate_limited(wait).with_quotas(quotas(limits, left))
        })
    }

    /// Asks Redis within its time.
    async fn by_lease(
        &self,
        owner: Owner<'_>,
        limits: &Limits,
        shared: &Shared,
        events: u32,
    ) -> Result<Result<(), Duration>, RedisDown> {
        if self.link.is_down() {
            return Err(RedisDown);
        }
        let deadline = self.link.deadline();
        let asking = timeout_at(deadline, shared.asking.lock()).await;
        let _asking = asking.map_err(|_| RedisDown)?;
        let plan = shared.buckets().plan(limits, events, self.now());
        let ask = match plan {
            Plan::Admitted => return Ok(Ok(())),
            Plan::Refused(wait) => return Ok(Err(wait)),
            Plan::Ask(ask) => ask,
        };
        let answer = self
            .link
            .run(deadline, async |mut connection| {
                let mut invocation = self.script.prepare_invoke();
                arguments(&mut invocation, owner, limits, &ask);
                invocation.invoke_async::<(u64, u64, u64, u64)>(&mut connection).await
            })
            .await;
        let mut buckets = shared.buckets();
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
        let settled = buckets.settle(limits, &ask, &answer, self.now());
        count_lease(if settled.is_ok() { "granted" } else { "refused" });
        Ok(settled)
    }
}

fn arguments(invocation: &mut redis::ScriptInvocation<'_>, owner: Owner<'_>, limits: &Limits, ask: &Ask) {
    invocation.key(owner.redis_name());
    for (rate, need, want) in [
        (limits.requests, ask.need.requests, ask.want.requests),
        (limits.events, ask.need.events, ask.want.events),
    ] {
        invocation.arg(rate.per_minute).arg(rate.burst).arg(need).arg(want);
    }
    // A hash that is gone stands for full buckets; so it has to live until they are.
    let full_after = |rate: Rate| u64::from(rate.burst) * 60_000 / rate.per_minute;
    let keep = full_after(limits.requests).max(full_after(limits.events)) + 1_000;
    invocation.arg(keep);
}

#[async_trait]
impl Limiter for RedisLimiter {
    async fn admit(&self, project_id: &str, events: u32) -> Result<(), Refusal> {
        let limits = Limits::new(&self.live.load().rate_limit);
        self.take(Owner::Project(project_id), &limits, events, quotas::of_project)
            .await
    }

    async fn admit_key(&self, key_id: &str, per_minute: u32) -> Result<(), Refusal> {
        let limits = Limits::of_key(per_minute);
        self.take(Owner::Key(key_id), &limits, 0, quotas::of_key).await
    }

    fn give_back(&self, key_id: &str, per_minute: u32) {
        let shared = self.shared(Owner::Key(key_id), &Limits::of_key(per_minute), self.now());
        shared.buckets().give_back_request();
    }

    fn degradation(&self) -> Option<Cow<'static, str>> {
        (!self.link.is_well()).then_some(Cow::Borrowed(
            "redis does not answer: each edge limits rates on its own, at the whole rate",
        ))
    }
}

impl Shared {
    fn buckets(&self) -> MutexGuard<'_, LeasedBuckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count_lease(result: &'static str) {
    metrics::counter!("edge_limiter_leases_total", "result" => result).increment(1);
}
