//! `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-10, as structured fields.

use std::fmt::Write;

/// A token bucket in the draft's terms: so many units in a window, so many of them left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    /// Its name in both fields.
    pub(crate) policy: &'static str,
    /// What is counted.
    pub(crate) unit: &'static str,
    /// Units of a full bucket.
    pub(crate) quota: u64,
    /// The time in which an empty one fills.
    pub(crate) window_seconds: u64,
    /// Units that are left.
    pub(crate) remaining: u64,
    /// The time until it is full again.
    pub(crate) reset_seconds: u64,
}

/// `"requests";q=2000;w=2, "events";q=100000;qu="events";w=2`
pub(crate) fn policy_field(quotas: &[Quota]) -> String {
    list(quotas, |field, quota| {
        write!(field, "\"{}\";q={}", quota.policy, quota.quota)?;
        if quota.unit != "requests" {
            write!(field, ";qu=\"{}\"", quota.unit)?;
        }
        write!(field, ";w={}", quota.window_seconds)
    })
}

/// `"requests";r=0;t=2, "events";r=90000;t=1`
pub(crate) fn limit_field(quotas: &[Quota]) -> String {
    list(quotas, |field, quota| {
        write!(
            field,
            "\"{}\";r={};t={}",
            quota.policy, quota.remaining, quota.reset_seconds
        )
    })
}

fn list(quotas: &[Quota], item: impl Fn(&mut String, &Quota) -> std::fmt::Result) -> String {
    let mut field = String::new();
    for quota in quotas {
        if !field.is_empty() {
            field.push_str(", ");
        }
        // A String takes everything.
        let _ = item(&mut field, quota);
    }
    field
}

#[cfg(test)]
mod tests {
    use super::{Quota, limit_field, policy_field};

    #[test]
    fn both_fields_are_lists_with_an_item_for_each_bucket() {
        let requests = Quota {
            policy: "requests",
            unit: "requests",
            quota: 2_000,
            window_seconds: 2,
            remaining: 0,
            reset_seconds: 2,
        };
        let events = Quota {
            policy: "events",
            unit: "events",
            quota: 100_000,
            remaining: 90_000,
            reset_seconds: 1,
            ..requests
        };
        assert_eq!(
            policy_field(&[requests, events]),
            r#""requests";q=2000;w=2, "events";q=100000;qu="events";w=2"#
        );
        assert_eq!(
            limit_field(&[requests, events]),
            r#""requests";r=0;t=2, "events";r=90000;t=1"#
        );
    }
}
