//! How often each key was used, counted here and written in groups.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::store::KeyUsage;

/// Keys whose use waits to be written; beyond it uses are not counted (except in a metric).
const KEYS: usize = 100_000;
/// Keys of one statement.
const GROUP: usize = 5_000;

/// Uses that are not written yet.
#[derive(Default)]
pub(super) struct UsageCounters {
    unwritten: Mutex<HashMap<Arc<str>, Use>>,
}

#[derive(Debug, Clone, Copy)]
struct Use {
    requests: u64,
    last_used_at_ms: i64,
}

impl UsageCounters {
    pub(super) fn count(&self, key_id: &Arc<str>, now_ms: i64) {
        let once = Use {
            requests: 1,
            last_used_at_ms: now_ms,
        };
        add(&mut self.lock(), key_id, once);
    }

    /// Takes the next group, for one statement.
    pub(super) fn take_group(&self) -> Vec<KeyUsage> {
        let mut unwritten = self.lock();
        let ids: Vec<Arc<str>> = unwritten.keys().take(GROUP).map(Arc::clone).collect();
        let mut group: Vec<KeyUsage> = ids
            .into_iter()
            .filter_map(|key_id| {
                let counted = unwritten.remove(&key_id)?;
                Some(KeyUsage {
                    key_id,
                    requests: counted.requests,
                    last_used_at_ms: counted.last_used_at_ms,
                })
            })
            .collect();
        // Edges that write the same rows in the same order don't lock each other out.
        group.sort_unstable_by(|one, other| one.key_id.cmp(&other.key_id));
        group
    }

    /// A group could not be written: its uses wait on.
    pub(super) fn put_back(&self, group: Vec<KeyUsage>) {
        let mut unwritten = self.lock();
        for usage in group {
            let counted = Use {
                requests: usage.requests,
                last_used_at_ms: usage.last_used_at_ms,
            };
            add(&mut unwritten, &usage.key_id, counted);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Use>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(unwritten: &mut HashMap<Arc<str>, Use>, key_id: &Arc<str>, more: Use) {
    if let Some(counted) = unwritten.get_mut(key_id) {
        counted.requests += more.requests;
        counted.last_used_at_ms = counted.last_used_at_ms.max(more.last_used_at_ms);
    } else if unwritten.len() < KEYS {
        unwritten.insert(Arc::clone(key_id), more);
    } else {
        metrics::counter!("edge_key_usage_lost_total").increment(more.requests);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{GROUP, KEYS, UsageCounters};

    #[test]
    fn uses_add_up_also_when_a_write_failed() {
        let counters = UsageCounters::default();
        let key: Arc<str> = "key".into();
        counters.count(&key, 5);
        let failed = counters.take_group();
        assert!(counters.take_group().is_empty());
        counters.count(&key, 9);
        counters.count(&key, 7);
        counters.put_back(failed);
        let group = counters.take_group();
        assert_eq!((group[0].requests, group[0].last_used_at_ms), (3, 9));
    }

    #[test]
    fn the_map_and_a_group_are_bounded() {
        let counters = UsageCounters::default();
        for index in 0..KEYS + 10 {
            counters.count(&index.to_string().into(), 0);
        }
        let groups: Vec<usize> =
            std::iter::from_fn(|| Some(counters.take_group().len()).filter(|len| *len > 0)).collect();
        assert_eq!(groups.iter().sum::<usize>(), KEYS);
        assert!(groups.iter().all(|length| *length <= GROUP));
    }
}
