//! What waits for the writer, and what goes together into the next transaction.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::super::queue::{Append, Commit, Control, Job, Placed, Unresolved};

/// A transaction of many parts takes so much at the most: a few milliseconds' worth.
const MAX_RECORDS: usize = 2_048;
/// Bytes.
const MAX_BYTES: usize = 4 << 20;

/// Jobs in the order in which they came, appends and commits apart: a commit with many outputs must not stand in front of appends.
#[derive(Default)]
pub(super) struct Waiting {
    appends: VecDeque<Append>,
    commits: VecDeque<Commit>,
    /// Stands alone: it is done after everything before it, and nothing is gathered past it.
    control: Option<Control>,
    turn: Turn,
}

/// Who is first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Turn {
    #[default]
    Appends,
    Commits,
}

/// What goes into one transaction.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) appends: Vec<Append>,
    pub(super) commits: Vec<Commit>,
}

/// Room in a transaction; what comes first always fits.
struct Room {
    records: usize,
    bytes: usize,
}

impl Room {
    fn take(&mut self, records: usize, bytes: usize) -> bool {
        let is_first = self.records == MAX_RECORDS;
        if !is_first && (records > self.records || bytes > self.bytes) {
            return false;
        }
        self.records = self.records.saturating_sub(records);
        self.bytes = self.bytes.saturating_sub(bytes);
        true
    }
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.appends.is_empty() && self.commits.is_empty() && self.control.is_none()
    }

    pub(super) fn push(&mut self, job: Job) {
        match job {
            Job::Append(append) => self.appends.push_back(append),
            Job::Commit(commit) => self.commits.push_back(commit),
            Job::Control(control) => self.control = Some(control),
        }
    }

    /// Takes everything that is in the inbox, up to a control job.
    pub(super) fn gather(&mut self, inbox: &mut mpsc::UnboundedReceiver<Job>) {
        while self.control.is_none() {
            let Ok(job) = inbox.try_recv() else { return };
            self.push(job);
        }
    }

    /// The next transaction. Small commits share it with appends; one that does not fit goes alone, and after it appends are first
    /// again, so that neither starves.
    pub(super) fn next_batch(&mut self) -> Option<Batch> {
        if self.appends.is_empty() && self.commits.is_empty() {
            return None;
        }
        let mut batch = Batch::default();
        let mut room = Room {
            records: MAX_RECORDS,
            bytes: MAX_BYTES,
        };
        if self.turn == Turn::Appends {
            self.take_appends(&mut batch, &mut room);
            self.take_commits(&mut batch, &mut room);
        } else {
            self.take_commits(&mut batch, &mut room);
            self.take_appends(&mut batch, &mut room);
        }
        self.turn = if self.commits.is_empty() || self.turn == Turn::Commits {
            Turn::Appends
        } else {
            Turn::Commits
        };
        Some(batch)
    }

    /// The control job, when everything before it is done.
    pub(super) fn take_control(&mut self) -> Option<Control> {
        self.control.take()
    }

    fn take_appends(&mut self, batch: &mut Batch, room: &mut Room) {
        while let Some(append) = self.appends.pop_front_if(|append| room.take(1, append.size())) {
            batch.appends.push(append);
        }
    }

    fn take_commits(&mut self, batch: &mut Batch, room: &mut Room) {
        while let Some(commit) = self
            .commits
            .pop_front_if(|commit| room.take(commit.outputs.len().max(1), commit.size()))
        {
            batch.commits.push(commit);
        }
    }
}

impl Append {
    fn size(&self) -> usize {
        match &self.record {
            Unresolved::Placed(Placed { record, .. }) | Unresolved::Unknown(record) => record.size(),
        }
    }
}

impl Commit {
    fn size(&self) -> usize {
        self.outputs.iter().map(|output| output.record.size()).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use tokio::sync::oneshot;

    use super::super::super::group::Groups;
    use super::super::super::queue::{Append, Budget, Commit, Job, Unresolved};
    use super::super::super::topics::Topic;
    use super::{MAX_RECORDS, Waiting};
    use crate::NewRecord;

    fn record() -> NewRecord {
        NewRecord {
            topic: "t".into(),
            key: bytes::Bytes::new(),
            value: bytes::Bytes::new(),
            headers: Vec::new(),
        }
    }

    fn append() -> Job {
        Job::Append(Append {
            claim: Arc::new(Budget::new(1 << 20)).claim(&record()).unwrap(),
            record: Unresolved::Unknown(record()),
            created_ms: 0,
            reply: oneshot::channel().0,
        })
    }

    fn commit(outputs: usize) -> Job {
        let group = Groups::default().get("g", "t", 1);
        let now = Instant::now();
        let member = group.join("x", Duration::from_secs(6), now);
        let topic = Arc::new(Topic::for_tests("t", 1));
        let output = || super::Placed::new(record(), Arc::clone(&topic)).unwrap();
        Job::Commit(Commit {
            outputs: std::iter::repeat_with(output).take(outputs).collect(),
            created_ms: 0,
            transactional_id: "x".into(),
            epoch: 1,
            group: "g".into(),
            positions: Vec::new(),
            deadline: now,
            committing: Some(group.begin_commit(member, now).unwrap()),
            reply: oneshot::channel().0,
        })
    }

    #[test]
    fn a_small_commit_shares_the_transaction_of_appends() {
        let mut waiting = Waiting::default();
        waiting.push(commit(10));
        waiting.push(append());
        let batch = waiting.next_batch().unwrap();
        assert_eq!((batch.appends.len(), batch.commits.len()), (1, 1));
        assert!(waiting.next_batch().is_none());
    }

    #[test]
    fn a_large_commit_waits_for_the_appends_before_it_and_goes_alone() {
        let mut waiting = Waiting::default();
        waiting.push(commit(MAX_RECORDS * 2));
        waiting.push(append());
        let first = waiting.next_batch().unwrap();
        assert_eq!((first.appends.len(), first.commits.len()), (1, 0));
        waiting.push(append());
        let second = waiting.next_batch().unwrap();
        assert_eq!((second.appends.len(), second.commits.len()), (0, 1));
        let third = waiting.next_batch().unwrap();
        assert_eq!((third.appends.len(), third.commits.len()), (1, 0));
    }

    #[test]
    fn a_commit_is_not_starved_by_endless_appends() {
        let mut waiting = Waiting::default();
        for _ in 0..MAX_RECORDS * 3 {
            waiting.push(append());
        }
        waiting.push(commit(1));
        assert!(waiting.next_batch().unwrap().commits.is_empty());
        assert_eq!(waiting.next_batch().unwrap().commits.len(), 1);
    }
}
