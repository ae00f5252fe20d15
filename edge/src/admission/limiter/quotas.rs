//! What a refusal says of the buckets: their policies and what is left of them.

use super::bucket::{Limits, Rate, Tokens};
use crate::quota::Quota;

/// Of a project's two buckets.
pub(super) fn of_project(limits: &Limits, left: Tokens) -> Vec<Quota> {
    vec![
        quota("requests", "requests", limits.requests, left.requests),
        quota("events", "events", limits.events, left.events),
    ]
}

/// Of a key's own bucket.
pub(super) fn of_key(limits: &Limits, left: Tokens) -> Vec<Quota> {
    vec![quota("key", "requests", limits.requests, left.requests)]
}

fn quota(policy: &'static str, unit: &'static str, rate: Rate, left: u64) -> Quota {
    let burst = u64::from(rate.burst);
    let left = left.min(burst);
    Quota {
        policy,
        unit,
        quota: burst,
        window_seconds: seconds(rate, burst),
        remaining: left,
        reset_seconds: seconds(rate, burst - left),
    }
}

/// How long it takes to gain so many tokens, rounded up.
fn seconds(rate: Rate, tokens: u64) -> u64 {
    (tokens * 60).div_ceil(rate.per_minute)
}
