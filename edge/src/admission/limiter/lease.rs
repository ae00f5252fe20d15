//! What an edge knows of a project whose buckets stand in Redis: tokens that it leased, and an estimate of what is left there. Pure.
//!
//! The edge takes tokens from Redis in slices of at most 100 ms of rate and a tenth of the burst, and what it holds is never more
//! than a slice. Redis gives no more than rate × time + burst; so n edges admit together, from any moment on, no more than
//! rate × time + burst + one slice each. Leased tokens don't age: an idle edge keeps its slice, which is in the bound already.

use std::time::Duration;

use super::bucket::{Limits, Moment, ProjectBuckets, Rate, Tokens};

/// What to ask Redis for, all of `need` or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) need: Tokens,
    /// At least `need`: what makes the next requests need no round trip.
    pub(super) want: Tokens,
    /// Taken from the lease already; it comes back when Redis refuses. (Lost when the request goes away meanwhile.)
    paid: Tokens,
}

/// What Redis answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) granted: Tokens,
    /// What is left there, in parts of a token.
    pub(super) levels: Tokens,
}

/// What becomes of a request, as far as it is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    Admitted,
    Refused(Duration),
    Ask(Ask),
}

/// One project as this edge knows it.
#[derive(Debug, Clone)]
pub(super) struct LeasedBuckets {
    held: Tokens,
    /// What Redis had when it last answered, filled at the full rate since: other edges can only have taken from it. While Redis
    /// does not answer, these are the buckets.
    estimate: ProjectBuckets,
}

impl LeasedBuckets {
    pub(super) fn new(limits: &Limits, now: Moment) -> Self {
        Self {
            held: Tokens::default(),
            estimate: ProjectBuckets::full(limits, now),
        }
    }

    /// Decides without Redis where that is possible.
    pub(super) fn at_once(&mut self, limits: &Limits, events: u32, now: Moment) -> Option<Result<(), Duration>> {
        let need = need(events);
        self.trim(limits);
        if self.take_held(need) {
            return Some(Ok(()));
        }
        let wait = self.wait(limits, need, now);
        (!wait.is_zero()).then_some(Err(wait))
    }

    /// Decides, or says what to ask Redis for. One at a time: only the last one that asked may ask again.
    pub(super) fn plan(&mut self, limits: &Limits, events: u32, now: Moment) -> Plan {
        match self.at_once(limits, events, now) {
            Some(Ok(())) => return Plan::Admitted,
            Some(Err(wait)) => return Plan::Refused(wait),
            None => {}
        }
        let all = need(events);
        let (requests, need_requests, want_requests) = part(limits.requests, all.requests, &mut self.held.requests);
        let (events, need_events, want_events) = part(limits.events, all.events, &mut self.held.events);
        Plan::Ask(Ask {
            need: Tokens {
                requests: need_requests,
                events: need_events,
            },
            want: Tokens {
                requests: want_requests,
                events: want_events,
            },
            paid: Tokens { requests, events },
        })
    }

    /// Learns what Redis answered to the ask of a request.
    pub(super) fn settle(&mut self, limits: &Limits, ask: &Ask, answer: &Answer, now: Moment) -> Result<(), Duration> {
        self.estimate.requests.set(answer.levels.requests, now);
        self.estimate.events.set(answer.levels.events, now);
        let enough = answer.granted.requests >= ask.need.requests && answer.granted.events >= ask.need.events;
        if enough {
            self.held.requests += answer.granted.requests - ask.need.requests;
            self.held.events += answer.granted.events - ask.need.events;
            return Ok(());
        }
        self.give_back(ask);
        let requests = self.estimate.requests.wait_for(limits.requests, ask.need.requests, now);
        let events = self.estimate.events.wait_for(limits.events, ask.need.events, now);
        // Redis' clock is a little ahead of its answer; never say "at once".
        Err(requests.max(events).max(Duration::from_millis(1)))
    }

    /// Redis did not answer the ask.
    pub(super) fn give_back(&mut self, ask: &Ask) {
        self.held.requests += ask.paid.requests;
        self.held.events += ask.paid.events;
    }

    /// A request that was admitted comes back into the lease; beyond a slice it is forgotten.
    pub(super) fn give_back_request(&mut self) {
        self.held.requests += 1;
    }

    /// Tokens that could be had now, as far as it is known here.
    pub(super) fn left(&mut self, limits: &Limits, now: Moment) -> Tokens {
        let estimate = self.estimate.left(limits, now);
        Tokens {
            requests: self.held.requests + estimate.requests,
            events: self.held.events + estimate.events,
        }
    }

    /// Decides in this process alone, at the whole rate.
    pub(super) fn alone(&mut self, limits: &Limits, events: u32, now: Moment) -> Result<(), Duration> {
        self.trim(limits);
        if self.take_held(need(events)) {
            return Ok(());
        }
        self.estimate.take(limits, events, now)
    }

    pub(super) fn time_to_full(&self, limits: &Limits, now: Moment) -> Duration {
        self.estimate.time_to_full(limits, now)
    }

    /// A lease is never more than a slice, also where the limits have been lowered since.
    fn trim(&mut self, limits: &Limits) {
        self.held.requests = self.held.requests.min(slice(limits.requests));
        self.held.events = self.held.events.min(slice(limits.events));
    }

    fn take_held(&mut self, need: Tokens) -> bool {
        let enough = self.held.requests >= need.requests && self.held.events >= need.events;
        if enough {
            self.held.requests -= need.requests;
            self.held.events -= need.events;
        }
        enough
    }

    /// How long until asking Redis is worth a round trip.
    fn wait(&mut self, limits: &Limits, need: Tokens, now: Moment) -> Duration {
        let mut wait = Duration::ZERO;
        if self.held.requests < need.requests {
            let worth = worth_asking(limits.requests, need.requests);
            wait = self.estimate.requests.wait_for(limits.requests, worth, now);
        }
        if self.held.events < need.events {
            let worth = worth_asking(limits.events, need.events);
            wait = wait.max(self.estimate.events.wait_for(limits.events, worth, now));
        }
        wait
    }
}

fn need(events: u32) -> Tokens {
    Tokens {
        requests: 1,
        events: u64::from(events),
    }
}

/// The tokens of a lease: 100 ms of rate, a tenth of the burst, and at least one.
fn slice(rate: Rate) -> u64 {
    ((rate.per_minute / 60).min(rate.burst.into()) / 10).max(1)
}

/// A project at its limit gains a token every now and then; asking for each would be a round trip a request. The tokens wait in
/// Redis meanwhile, and are not lost.
fn worth_asking(rate: Rate, need: u64) -> u64 {
    (need + slice(rate) / 4).min(u64::from(rate.burst)).max(need)
}

/// For one bucket: what is paid from the lease, what is needed from Redis, and what is wanted from it.
fn part(rate: Rate, need: u64, held: &mut u64) -> (u64, u64, u64) {
    let slice = slice(rate);
    if *held < need {
        return (0, need, slice.max(need));
    }
    *held -= need;
    // Two buckets that run empty one after the other would cost a round trip each.
    let top_up = if *held <= slice / 2 { slice - *held } else { 0 };
    (need, 0, top_up)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, proptest};

    use super::super::bucket::{Limits, Moment, ProjectBuckets, Rate, TOKEN};
    use super::{Answer, Ask, LeasedBuckets, Plan, Tokens, slice};

    const LIMITS: Limits = Limits {
        requests: Rate::per_second(1_000, 2_000),
        events: Rate::per_second(10_000, 20_000),
    };

    /// What the script does, over the same arithmetic.
    struct Shared {
        buckets: ProjectBuckets,
        asked: u32,
    }

    impl Shared {
        fn answer(&mut self, limits: &Limits, ask: &Ask, now: Moment) -> Answer {
            self.asked += 1;
            let mut level = |bucket: u8| {
                let (bucket, rate) = match bucket {
                    0 => (&mut self.buckets.requests, limits.requests),
                    _ => (&mut self.buckets.events, limits.events),
                };
                let missing = bucket.time_to_full(rate, now).as_micros() as u64 * rate.per_minute;
                (u64::from(rate.burst) * TOKEN).saturating_sub(missing)
            };
            let (requests, events) = (level(0), level(1));
            let enough = requests >= ask.need.requests * TOKEN && events >= ask.need.events * TOKEN;
            let granted = Tokens {
                requests: if enough {
                    ask.want.requests.min(requests / TOKEN)
                } else {
                    0
                },
                events: if enough { ask.want.events.min(events / TOKEN) } else { 0 },
            };
            let levels = Tokens {
                requests: requests - granted.requests * TOKEN,
                events: events - granted.events * TOKEN,
            };
            self.buckets.requests.set(levels.requests, now);
            self.buckets.events.set(levels.events, now);
            Answer { granted, levels }
        }
    }

    fn admit(edge: &mut LeasedBuckets, shared: &mut Shared, limits: &Limits, events: u32, now: Moment) -> bool {
        match edge.plan(limits, events, now) {
            Plan::Admitted => true,
            Plan::Refused(_) => false,
            Plan::Ask(ask) => {
                let answer = shared.answer(limits, &ask, now);
                edge.settle(limits, &ask, &answer, now).is_ok()
            }
        }
    }

    fn shared(limits: &Limits) -> Shared {
        Shared {
            buckets: ProjectBuckets::full(limits, 0),
            asked: 0,
        }
    }

    #[test]
    fn most_requests_need_no_round_trip() {
        let (mut edge, mut shared) = (LeasedBuckets::new(&LIMITS, 0), shared(&LIMITS));
        // Half of the rate for ten seconds.
        let admitted = (0..5_000)
            .filter(|n| admit(&mut edge, &mut shared, &LIMITS, 10, n * 2_000))
            .count();
        assert_eq!(admitted, 5_000);
        assert!(shared.asked <= 5_000 / 40, "{}", shared.asked);
    }

    #[test]
    fn a_project_over_its_limit_costs_few_round_trips_and_gets_its_rate() {
        let (mut edge, mut shared) = (LeasedBuckets::new(&LIMITS, 0), shared(&LIMITS));
        // Double the rate for ten seconds.
        let admitted = (0..20_000)
            .filter(|n| admit(&mut edge, &mut shared, &LIMITS, 1, n * 500))
            .count();
        assert!((11_900..=12_000).contains(&admitted), "{admitted}");
        assert!(shared.asked <= 600, "{}", shared.asked);
    }

    #[test]
    fn a_batch_larger_than_a_slice_asks_for_what_it_needs() {
        let mut edge = LeasedBuckets::new(&LIMITS, 0);
        let Plan::Ask(ask) = edge.plan(&LIMITS, 20_000, 0) else {
            panic!("nothing is leased yet");
        };
        assert_eq!(ask.need.events, 20_000);
        assert_eq!(
            ask.want,
            Tokens {
                requests: 100,
                events: 20_000
            }
        );
    }

    #[test]
    fn a_refused_ask_gives_back_what_was_paid() {
        let (mut edge, mut shared) = (LeasedBuckets::new(&LIMITS, 0), shared(&LIMITS));
        assert!(admit(&mut edge, &mut shared, &LIMITS, 1, 0));
        let held = edge.held;
        let Plan::Ask(ask) = edge.plan(&LIMITS, 15_000, 0) else {
            panic!("more than a slice");
        };
        let answer = Answer {
            granted: Tokens::default(),
            levels: Tokens::default(),
        };
        let wait = edge.settle(&LIMITS, &ask, &answer, 0).unwrap_err();
        assert_eq!(wait.as_millis(), 1_500, "15,000 events at 10,000 a second");
        assert_eq!(edge.held, held);
    }

    #[test]
    fn alone_an_edge_goes_on_from_what_redis_had_left_at_the_whole_rate() {
        let mut edge = LeasedBuckets::new(&LIMITS, 0);
        let Plan::Ask(ask) = edge.plan(&LIMITS, 1, 0) else {
            panic!("nothing is leased yet");
        };
        let answer = Answer {
            granted: Tokens { requests: 1, events: 1 },
            levels: Tokens {
                requests: 5 * TOKEN,
                events: 1_000 * TOKEN,
            },
        };
        edge.settle(&LIMITS, &ask, &answer, 0).unwrap();
        let admitted = (0..100).filter(|_| edge.alone(&LIMITS, 1, 0).is_ok()).count();
        assert_eq!(admitted, 5);
        let admitted = (0..2_000).filter(|n| edge.alone(&LIMITS, 1, n * 500).is_ok()).count();
        assert!((995..=1_001).contains(&admitted), "{admitted}");
    }

    #[test]
    fn a_lease_shrinks_when_the_limits_do_and_what_is_left_in_the_bucket_stays() {
        let (mut edge, mut shared) = (LeasedBuckets::new(&LIMITS, 0), shared(&LIMITS));
        assert!(admit(&mut edge, &mut shared, &LIMITS, 1, 0));
        assert_eq!(edge.held.requests, 99);
        edge.give_back_request();
        edge.give_back_request();
        let lower = Limits {
            requests: Rate::per_second(10, 20),
            events: Rate::per_second(10_000, 20_000),
        };
        assert_eq!(edge.at_once(&lower, 1, 0), Some(Ok(())));
        assert_eq!(edge.held.requests, 0, "a slice is one token now");
        let left = shared.buckets.left(&lower, 0).requests;
        assert_eq!(left, 20, "of 1,900 that were left as many stay as fit");
    }

    proptest! {
        /// From any moment on, n edges admit together no more than rate × time + burst + a slice each.
        #[test]
        fn edges_together_stay_within_the_bound(
            rates in (10_u32..2_000, 10_u32..2_000, 10_u32..5_000, 50_u32..5_000),
            sends in prop::collection::vec((0_u64..20_000, 0_usize..3, 0_u32..50), 1..600),
            begin in 0_usize..600,
        ) {
            let limits = Limits {
                requests: Rate::per_second(rates.0, rates.1),
                events: Rate::per_second(rates.2, rates.3),
            };
            let mut shared = shared(&limits);
            let mut edges = vec![LeasedBuckets::new(&limits, 0); 3];
            let (mut now, mut requests, mut taken, mut begun) = (0, 0_u64, 0_u64, 0);
            for (index, (pause, edge, events)) in sends.into_iter().enumerate() {
                now += pause;
                if index == begin {
                    (begun, requests, taken) = (now, 0, 0);
                }
                if admit(&mut edges[edge], &mut shared, &limits, events, now) {
                    requests += 1;
                    taken += u64::from(events);
                }
                for edge in &edges {
                    assert!(edge.held.requests <= slice(limits.requests), "{edge:?}");
                    assert!(edge.held.events <= slice(limits.events), "{edge:?}");
                }
                assert!(requests * TOKEN <= most(limits.requests, now - begun));
                assert!(taken * TOKEN <= most(limits.events, now - begun));
            }
        }
    }

    fn most(rate: Rate, elapsed: u64) -> u64 {
        (u64::from(rate.burst) + 3 * slice(rate)) * TOKEN + rate.per_minute * elapsed
    }
}
