//! The arithmetic of a token bucket, exact in integers, and the two buckets of a project. No clock: the caller says what time it is.

use std::time::Duration;

use gosight_config::edge::RateLimitSettings;

/// Levels are kept in parts of a token: a rate of n a minute adds n of them a microsecond, with nothing to round.
pub(super) const TOKEN: u64 = 60_000_000;

/// Microseconds since the limiter began.
pub(super) type Moment = u64;

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) per_minute: u64,
    /// Tokens of a full bucket.
    pub(super) burst: u32,
}

/// The rates of a project's two buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) requests: Rate,
    pub(super) events: Rate,
}

/// Tokens of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) requests: u64,
    pub(super) events: u64,
}

/// What one bucket holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenBucket {
    level: u64,
    at: Moment,
}

/// A project's buckets: a request takes from both or from neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProjectBuckets {
    pub(super) requests: TokenBucket,
    pub(super) events: TokenBucket,
}

impl Rate {
    /// 0 counts as 1: nothing here divides by it.
    pub(super) const fn per_second(tokens: u32, burst: u32) -> Self {
        Self::per_minute(tokens as u64 * 60, burst)
    }

    const fn per_minute(tokens: u64, burst: u32) -> Self {
        Self {
            per_minute: if tokens == 0 { 1 } else { tokens },
            burst: if burst == 0 { 1 } else { burst },
        }
    }

    fn capacity(self) -> u64 {
        u64::from(self.burst) * TOKEN
    }

    /// How long it takes to gain so many parts of a token, rounded up.
    pub(super) fn time_for(self, level: u64) -> Duration {
        Duration::from_micros(level.div_ceil(self.per_minute))
    }
}

impl Limits {
    pub(super) fn new(settings: &RateLimitSettings) -> Self {
        Self {
            requests: Rate::per_second(settings.requests_per_second, settings.burst),
            events: Rate::per_second(settings.events_per_second, settings.events_burst),
        }
    }

    /// Of a key's own bucket: requests a minute, a minute's worth at once. It takes no events, so their rate means nothing.
    pub(super) fn of_key(per_minute: u32) -> Self {
        Self {
            requests: Rate::per_minute(per_minute.into(), per_minute),
            events: Rate::per_second(1, 1),
        }
    }
}

impl TokenBucket {
    pub(super) fn full(rate: Rate, now: Moment) -> Self {
        Self {
            level: rate.capacity(),
            at: now,
        }
    }

    /// Learns the level (parts of a token) from elsewhere.
    pub(super) fn set(&mut self, level: u64, now: Moment) {
        self.level = level;
        self.at = now;
    }

    /// How long until the bucket has so many tokens; zero when it has. More than a full bucket never come, however long one waits.
    pub(super) fn wait_for(&mut self, rate: Rate, tokens: u64, now: Moment) -> Duration {
        self.refill(rate, now);
        rate.time_for((tokens * TOKEN).saturating_sub(self.level))
    }

    /// How long until it is full.
    pub(super) fn time_to_full(&self, rate: Rate, now: Moment) -> Duration {
        self.clone().wait_for(rate, u64::from(rate.burst), now)
    }

    /// Whole tokens that it has.
    fn tokens(&mut self, rate: Rate, now: Moment) -> u64 {
        self.refill(rate, now);
        self.level / TOKEN
    }

    fn take(&mut self, tokens: u64) {
        self.level = self.level.saturating_sub(tokens * TOKEN);
    }

    fn refill(&mut self, rate: Rate, now: Moment) {
        let elapsed = now.saturating_sub(self.at);
        let gained = elapsed.saturating_mul(rate.per_minute);
        self.level = self.level.saturating_add(gained).min(rate.capacity());
        self.at = self.at.max(now);
    }
}

impl ProjectBuckets {
    pub(super) fn full(limits: &Limits, now: Moment) -> Self {
        Self {
            requests: TokenBucket::full(limits.requests, now),
            events: TokenBucket::full(limits.events, now),
        }
    }

    /// Takes one request and `events` events, or neither; the error says after which time both would be there.
    pub(super) fn take(&mut self, limits: &Limits, events: u32, now: Moment) -> Result<(), Duration> {
        let events = u64::from(events);
        let wait = self
            .requests
            .wait_for(limits.requests, 1, now)
            .max(self.events.wait_for(limits.events, events, now));
        if !wait.is_zero() {
            return Err(wait);
        }
        self.requests.take(1);
        self.events.take(events);
        Ok(())
    }

    /// Whole tokens that they have.
    pub(super) fn left(&mut self, limits: &Limits, now: Moment) -> Tokens {
        Tokens {
            requests: self.requests.tokens(limits.requests, now),
            events: self.events.tokens(limits.events, now),
        }
    }

    /// A request that was taken comes back.
    pub(super) fn give_back_request(&mut self) {
        self.requests.level = self.requests.level.saturating_add(TOKEN);
    }

    /// How long until both are full: until then, forgetting them would give tokens away.
    pub(super) fn time_to_full(&self, limits: &Limits, now: Moment) -> Duration {
        self.requests
            .time_to_full(limits.requests, now)
            .max(self.events.time_to_full(limits.events, now))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::{Limits, ProjectBuckets, Rate, TOKEN, TokenBucket};

    proptest! {
        /// From any moment on: no more than rate × time + burst, in both buckets.
        #[test]
        fn never_more_than_the_rate_and_one_burst(
            limits in limits(),
            sends in prop::collection::vec((0_u64..300_000, 0_u32..200), 1..300),
            skipped in any::<prop::sample::Index>(),
        ) {
            let mut buckets = ProjectBuckets::full(&limits, 0);
            let (mut now, mut requests, mut taken) = (0, 0_u64, 0_u64);
            let skipped = skipped.index(sends.len());
            let mut begun = 0;
            for (index, (pause, events)) in sends.iter().enumerate() {
                now += pause;
                if index == skipped {
                    (begun, requests, taken) = (now, 0, 0);
                }
                if buckets.take(&limits, *events, now).is_ok() {
                    requests += 1;
                    taken += u64::from(*events);
                }
                assert!(requests * TOKEN <= most(limits.requests, now - begun));
                assert!(taken * TOKEN <= most(limits.events, now - begun));
            }
        }

        /// The wait is as long as needed and no longer.
        #[test]
        fn after_the_wait_the_same_request_is_admitted(
            limits in limits(),
            sends in prop::collection::vec((0_u64..100_000, 0_u32..20), 1..100),
        ) {
            let mut buckets = ProjectBuckets::full(&limits, 0);
            let mut now = 0;
            for (pause, events) in sends {
                now += pause;
                let events = events.min(limits.events.burst);
                let Err(wait) = buckets.take(&limits, events, now) else { continue };
                let wait = u64::try_from(wait.as_micros()).unwrap();
                let early = buckets.clone().take(&limits, events, now + wait - 1);
                assert!(early.is_err());
                assert_eq!(buckets.clone().take(&limits, events, now + wait), Ok(()));
            }
        }
    }

    #[test]
    fn a_refused_request_takes_nothing() {
        let limits = Limits {
            requests: Rate::per_second(1, 2),
            events: Rate::per_second(10, 10),
        };
        let mut buckets = ProjectBuckets::full(&limits, 0);
        assert_eq!(buckets.take(&limits, 8, 0), Ok(()));
        assert!(buckets.take(&limits, 3, 0).is_err());
        assert_eq!(buckets.take(&limits, 2, 0), Ok(()));
        assert!(buckets.take(&limits, 0, 0).is_err(), "two requests are the burst");
    }

    #[test]
    fn fractions_are_not_lost_and_a_clock_that_goes_back_adds_nothing() {
        let rate = Rate::per_second(3, 1);
        let mut bucket = TokenBucket::full(rate, 0);
        bucket.take(1);
        for now in 1..333_334 {
            assert!(!bucket.wait_for(rate, 1, now).is_zero(), "{now}");
        }
        assert!(!bucket.wait_for(rate, 1, 10).is_zero());
        assert!(bucket.wait_for(rate, 1, 333_334).is_zero());
    }

    fn most(rate: Rate, elapsed: u64) -> u64 {
        u64::from(rate.burst) * TOKEN + rate.per_minute * elapsed
    }

    fn limits() -> impl prop::strategy::Strategy<Value = Limits> {
        use prop::strategy::Strategy;
        let rate = || (1_u32..500, 1_u32..100).prop_map(|(per_second, burst)| Rate::per_second(per_second, burst));
        (rate(), rate()).prop_map(|(requests, events)| Limits { requests, events })
    }
}
