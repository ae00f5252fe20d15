//! Consumer groups. One process owns the log, so who is a member and who has which partition stands in memory; what a group has
//! consumed, and who may commit, stands in the file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::assignment::assign;

/// The groups of a log, by group and topic.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: Mutex<HashMap<(String, String), Arc<Group>>>,
}

impl Groups {
    /// The group on a topic of so many partitions.
    pub(super) fn get(&self, group: &str, topic: &str, partitions: i32) -> Arc<Group> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.retain(|_, group| Arc::strong_count(group) > 1);
        let group = groups
            .entry((group.to_owned(), topic.to_owned()))
            .or_insert_with(|| Arc::new(Group::new(partitions)));
        Arc::clone(group)
    }
}

/// Why a member is none any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// Another lane has taken over its transactional id.
    Fenced,
    /// It was silent for longer than its session timeout, and another member asked for its partitions.
    Expired,
}

/// Whether a member has records that are neither committed nor rewound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hands {
    Empty,
    Full,
}

/// What a member has: each partition with the number of its assignment, so that one that was lost and came back counts as new.
pub(super) type Owned = BTreeMap<i32, u64>;

/// Members that share the partitions of one topic.
#[derive(Debug)]
pub(super) struct Group {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    partitions: i32,
    members: BTreeMap<u64, Member>,
    /// Numbers members and assignments.
    counter: u64,
}

#[derive(Debug)]
struct Member {
    transactional_id: String,
    session_timeout: Duration,
    seen: Instant,
    standing: Standing,
    /// A commit is on its way to the file: until it has ended, nobody else may have the partitions.
    committing: bool,
    owned: Owned,
    target: BTreeSet<i32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Active,
    Fenced,
    /// It left while its commit was on the way.
    Leaving,
}

impl Group {
    fn new(partitions: i32) -> Self {
        Self {
            state: Mutex::new(State {
                partitions,
                members: BTreeMap::new(),
                counter: 0,
            }),
            changed: watch::Sender::new(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes when partitions were given up or members came or went.
    pub(super) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Joins as a new member, which has nothing yet. A member under the same transactional id is fenced; its epoch must have been
    /// outdated in the file before, so that it can't commit any more.
    pub(super) fn join(&self, transactional_id: &str, session_timeout: Duration, now: Instant) -> u64 {
        let mut state = self.state();
        for member in state.members.values_mut() {
            if member.transactional_id == transactional_id {
                member.standing = Standing::Fenced;
                member.owned.clear();
            }
        }
        let id = state.add(transactional_id, session_timeout, now);
        drop(state);
        self.changed.send_replace(());
        id
    }

    /// Joins again after having been silent, unless another lane has taken over the transactional id meanwhile.
    pub(super) fn rejoin(&self, transactional_id: &str, session_timeout: Duration, now: Instant) -> Result<u64, Gone> {
        let mut state = self.state();
        if state
            .members
            .values()
            .any(|member| member.transactional_id == transactional_id)
        {
            return Err(Gone::Fenced);
        }
        let id = state.add(transactional_id, session_timeout, now);
        drop(state);
        self.changed.send_replace(());
        Ok(id)
    }

    /// A sign of life; with empty hands the member also gives up what others shall have and takes what is free for it.
    pub(super) fn step(&self, member: u64, hands: Hands, now: Instant) -> Result<Owned, Gone> {
        let mut state = self.state();
        let mut stirred = state.expire(member, now);
        let current = state.active(member)?;
        current.seen = now;
        if hands == Hands::Empty && !current.committing {
            let before = current.owned.len();
            let Member { owned, target, .. } = current;
            owned.retain(|partition, _| target.contains(partition));
            stirred |= owned.len() < before;
            state.take_free(member)?;
        }
        let owned = state.active(member)?.owned.clone();
        drop(state);
        if stirred {
            self.changed.send_replace(());
        }
        Ok(owned)
    }

    /// Holds the member's partitions until the commit has ended, however long that takes.
    pub(super) fn begin_commit(self: &Arc<Self>, member: u64, now: Instant) -> Result<Committing, Gone> {
        let mut state = self.state();
        let current = state.active(member)?;
        current.seen = now;
        current.committing = true;
        Ok(Committing {
            group: Arc::clone(self),
            member,
        })
    }

    /// Whether a commit of the member is on its way.
    pub(super) fn is_committing(&self, member: u64) -> bool {
        self.state()
            .members
            .get(&member)
            .is_some_and(|member| member.committing)
    }

    /// Whether the member has the partition.
    pub(super) fn owns(&self, member: u64, partition: i32) -> bool {
        self.state()
            .members
            .get(&member)
            .is_some_and(|member| member.owned.contains_key(&partition))
    }

    /// Leaves; the partitions are free at once, or as soon as a commit on its way has ended.
    pub(super) fn leave(&self, member: u64) {
        let mut state = self.state();
        match state.members.get_mut(&member) {
            Some(current) if current.committing && current.standing == Standing::Active => {
                current.standing = Standing::Leaving;
            }
            _ => {
                state.members.remove(&member);
            }
        }
        state.retarget();
        drop(state);
        self.changed.send_replace(());
    }

    fn end_commit(&self, member: u64) {
        let mut state = self.state();
        if let Some(current) = state.members.get_mut(&member) {
            current.committing = false;
            current.seen = Instant::now();
            if current.standing == Standing::Leaving {
                state.members.remove(&member);
            }
        }
        drop(state);
        self.changed.send_replace(());
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn add(&mut self, transactional_id: &str, session_timeout: Duration, now: Instant) -> u64 {
        let id = self.number();
        self.members.insert(
            id,
            Member {
                transactional_id: transactional_id.to_owned(),
                session_timeout,
                seen: now,
                standing: Standing::Active,
                committing: false,
                owned: Owned::new(),
                target: BTreeSet::new(),
            },
        );
        self.retarget();
        id
    }

    fn active(&mut self, member: u64) -> Result<&mut Member, Gone> {
        match self.members.get_mut(&member) {
            Some(member) if member.standing == Standing::Active => Ok(member),
            Some(_) => Err(Gone::Fenced),
            None => Err(Gone::Expired),
        }
    }

    /// Only somebody else's step ends a silent member: as long as nobody wants its partitions, it may come back.
    fn expire(&mut self, except: u64, now: Instant) -> bool {
        let before = self.members.len();
        self.members.retain(|id, member| {
            *id == except
                || member.committing
                || member.standing != Standing::Active
                || now.saturating_duration_since(member.seen) <= member.session_timeout
        });
        let stirred = self.members.len() < before;
        if stirred {
            self.retarget();
        }
        stirred
    }

    fn retarget(&mut self) {
        let owned = self
            .members
            .iter()
            .filter(|(_, member)| member.standing == Standing::Active)
            .map(|(id, member)| (*id, member.owned.keys().copied().collect()))
            .collect();
        for (id, target) in assign(self.partitions, &owned) {
            if let Some(member) = self.members.get_mut(&id) {
                member.target = target;
            }
        }
    }

    fn take_free(&mut self, member: u64) -> Result<(), Gone> {
        let taken: BTreeSet<i32> = self
            .members
            .values()
            .flat_map(|member| member.owned.keys().copied())
            .collect();
        let assignment = self.number();
        let current = self.active(member)?;
        for partition in current.target.difference(&taken) {
            current.owned.insert(*partition, assignment);
        }
        Ok(())
    }
}

/// A commit on its way; ends when it is dropped, by the writer or because it never got there.
#[derive(Debug)]
pub(super) struct Committing {
    group: Arc<Group>,
    member: u64,
}

impl Drop for Committing {
    fn drop(&mut self) {
        self.group.end_commit(self.member);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::{Gone, Group, Groups, Hands};

    const SESSION: Duration = Duration::from_secs(6);

    fn group() -> Arc<Group> {
        Groups::default().get("g", "t", 4)
    }

    fn partitions(group: &Group, member: u64, hands: Hands, now: Instant) -> Vec<i32> {
        group.step(member, hands, now).unwrap().into_keys().collect()
    }

    #[test]
    fn a_partition_moves_only_when_its_owner_has_nothing_in_hand() {
        let (group, now) = (group(), Instant::now());
        let first = group.join("a", SESSION, now);
        assert_eq!(partitions(&group, first, Hands::Empty, now), [0, 1, 2, 3]);
        let second = group.join("b", SESSION, now);
        assert_eq!(partitions(&group, second, Hands::Empty, now), [0; 0]);
        assert_eq!(partitions(&group, first, Hands::Full, now), [0, 1, 2, 3]);
        assert_eq!(partitions(&group, second, Hands::Empty, now), [0; 0]);
        assert_eq!(partitions(&group, first, Hands::Empty, now), [0, 1]);
        assert_eq!(partitions(&group, second, Hands::Empty, now), [2, 3]);
    }

    #[test]
    fn who_leaves_frees_its_partitions_at_once() {
        let (group, now) = (group(), Instant::now());
        let first = group.join("a", SESSION, now);
        partitions(&group, first, Hands::Empty, now);
        let second = group.join("b", SESSION, now);
        group.leave(first);
        assert_eq!(partitions(&group, second, Hands::Empty, now), [0, 1, 2, 3]);
        assert_eq!(group.step(first, Hands::Empty, now), Err(Gone::Expired));
    }

    #[test]
    fn a_silent_member_loses_its_partitions_to_one_who_asks() {
        let (group, start) = (group(), Instant::now());
        let first = group.join("a", SESSION, start);
        partitions(&group, first, Hands::Empty, start);
        let late = start + SESSION + Duration::from_millis(1);
        assert_eq!(partitions(&group, first, Hands::Full, late), [0, 1, 2, 3]);
        let later = late + SESSION + Duration::from_millis(1);
        let second = group.join("b", SESSION, later);
        assert_eq!(partitions(&group, second, Hands::Empty, later), [0, 1, 2, 3]);
        assert_eq!(group.begin_commit(first, later).unwrap_err(), Gone::Expired);
    }

    #[test]
    fn a_commit_on_its_way_holds_the_partitions_even_of_one_who_left() {
        let (group, start) = (group(), Instant::now());
        let first = group.join("a", SESSION, start);
        partitions(&group, first, Hands::Empty, start);
        let commit = group.begin_commit(first, start).unwrap();
        let second = group.join("b", SESSION, start);
        group.leave(first);
        let late = start + SESSION * 2;
        assert_eq!(partitions(&group, second, Hands::Empty, late), [0; 0]);
        drop(commit);
        assert_eq!(partitions(&group, second, Hands::Empty, late), [0, 1, 2, 3]);
    }

    #[test]
    fn a_second_member_under_one_identity_fences_the_first() {
        let (group, now) = (group(), Instant::now());
        let first = group.join("a", SESSION, now);
        partitions(&group, first, Hands::Empty, now);
        let second = group.join("a", SESSION, now);
        assert_eq!(group.step(first, Hands::Empty, now), Err(Gone::Fenced));
        assert_eq!(partitions(&group, second, Hands::Empty, now), [0, 1, 2, 3]);
    }

    #[test]
    fn a_partition_that_went_and_came_back_counts_as_new() {
        let (group, now) = (group(), Instant::now());
        let first = group.join("a", SESSION, now);
        let before = group.step(first, Hands::Empty, now).unwrap();
        let second = group.join("b", SESSION, now);
        group.step(first, Hands::Empty, now).unwrap();
        group.step(second, Hands::Empty, now).unwrap();
        group.leave(second);
        let after = group.step(first, Hands::Empty, now).unwrap();
        assert_eq!(before[&0], after[&0]);
        assert_ne!(before[&3], after[&3]);
    }
}
