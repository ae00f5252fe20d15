//! What a limiter remembers of each project, bounded: full buckets are forgotten first, since a new project begins with full ones.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const SHARDS: usize = 16;

/// Projects at the most.
pub(super) const CAPACITY: usize = 100_000;

/// A bounded map from project to state, in shards of one lock each.
pub(super) struct Projects<T> {
    shards: Vec<Mutex<HashMap<Arc<str>, T>>>,
    hasher: RandomState,
    shard_capacity: usize,
}

impl<T> Projects<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            shard_capacity: capacity.div_ceil(SHARDS).max(1),
        }
    }

    /// Works on a project's state, which is made where there is none. `time_to_full` says how long a state still matters.
    pub(super) fn with<R>(
        &self,
        project_id: &str,
        make: impl FnOnce() -> T,
        time_to_full: impl Fn(&T) -> Duration,
        work: impl FnOnce(&mut T) -> R,
    ) -> R {
        let index = self.hasher.hash_one(project_id) as usize % SHARDS;
        let mut shard = self.shards[index].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = shard.get_mut(project_id) {
            return work(state);
        }
        if shard.len() >= self.shard_capacity {
            make_room(&mut shard, self.shard_capacity, time_to_full);
        }
        work(shard.entry(Arc::from(project_id)).or_insert_with(make))
    }
}

fn make_room<T>(shard: &mut HashMap<Arc<str>, T>, capacity: usize, time_to_full: impl Fn(&T) -> Duration) {
    shard.retain(|_, state| !time_to_full(state).is_zero());
    if shard.len() < capacity {
        return;
    }
    // Nobody is at rest: forget whom it gives the least.
    let fullest = shard.iter().min_by_key(|(_, state)| time_to_full(state));
    if let Some(project_id) = fullest.map(|(project_id, _)| Arc::clone(project_id)) {
        shard.remove(&project_id);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Projects, SHARDS};

    #[test]
    fn room_is_made_by_those_who_lose_the_least() {
        let projects = Projects::<u64>::new(SHARDS * 10);
        let visit = |project: &str, seconds: u64| {
            projects.with(project, || seconds, |state| Duration::from_secs(*state), |state| *state)
        };
        for index in 0..10_000 {
            visit(&format!("at rest {index}"), 0);
        }
        assert_eq!(visit("busy", 1_000), 1_000);
        for index in 0..10_000 {
            visit(&format!("less busy {index}"), 1 + index % 100);
        }
        assert_eq!(visit("busy", 7), 1_000, "the busiest is still known");
        let known: usize = projects.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert!(known <= SHARDS * 10, "{known}");
    }
}
