//! A member of a group that consumes and commits.

mod standing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::oneshot;
use tokio::time::timeout;

use self::standing::Standings;
use super::fetch::{From, Room, fetch};
use super::group::{Gone, Group, Hands, Owned};
use super::place::{Unplaced, place};
use super::queue::{Commit, CommitFailure, Control, Job, Placed};
use super::shared::Shared;
use super::topics::Topic;
use super::{ASK_TIMEOUT, bounds, now_ms, schema};
use crate::work::run;
use crate::{
    Assigned, Ended, Lane, LaneError, LaneOptions, LogError, LogRecord, NewRecord, PollLimit, Polled, Verdict, Work,
};

/// How often a waiting lane shows that it lives, and looks for records of another process.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// See [`Lane`].
pub(super) struct EmbeddedLane {
    shared: Arc<Shared>,
    topic: Arc<Topic>,
    options: LaneOptions,
    transactional_id: Arc<str>,
    group_name: Arc<str>,
    epoch: i64,
    group: Arc<Group>,
    member: u64,
    connection: SqliteConnection,
    standings: Standings,
    /// What ended the lane.
    stopped: Option<LaneError>,
}

/// How a lane learns where partitions end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// From what this process has written.
    Known,
    /// From the file.
    File,
}

impl EmbeddedLane {
    /// Takes over the transactional id, then joins the group.
    pub(super) async fn open(shared: Arc<Shared>, topic: Arc<Topic>, options: LaneOptions) -> Result<Self, LogError> {
        let what = format!("opening lane {}", options.transactional_id);
        let connection = timeout(ASK_TIMEOUT, schema::connect_reading(&shared.path))
            .await
            .map_err(|_| LogError::Timeout {
                what: what.clone(),
                timeout: ASK_TIMEOUT,
                address: shared.path.display().to_string(),
            })?
            .map_err(|error| shared.failed(&what, &error))?;
        let epoch = shared
            .ask(&what, ASK_TIMEOUT, |reply| Control::Identify {
                transactional_id: options.transactional_id.clone(),
                reply,
            })
            .await??;
        let group = shared.groups.get(&options.group, &topic.name, topic.partitions());
        let member = group.join(&options.transactional_id, options.session_timeout, Instant::now());
        Ok(Self {
            transactional_id: options.transactional_id.as_str().into(),
            group_name: options.group.as_str().into(),
            shared,
            topic,
            options,
            epoch,
            group,
            member,
            connection,
            standings: Standings::default(),
            stopped: None,
        })
    }

    fn check(&self) -> Result<(), LaneError> {
        match &self.stopped {
            Some(error) => Err(error.clone()),
            None if self.shared.is_closed() => Err(LaneError::Broken {
                reason: "the log is closed".to_owned(),
            }),
            None => Ok(()),
        }
    }

    fn stop(&mut self, error: LaneError) -> LaneError {
        self.stopped = Some(error.clone());
        error
    }

    fn fenced(&mut self) -> LaneError {
        // It can't commit any more, so nothing is gained by keeping partitions.
        self.group.leave(self.member);
        self.stop(LaneError::Fenced {
            transactional_id: self.options.transactional_id.clone(),
        })
    }

    fn expired(&mut self) -> LaneError {
        self.standings.rewind();
        LaneError::Aborted {
            reason: format!(
                "the lane was silent for longer than its session timeout of {:?}, and others took its partitions",
                self.options.session_timeout
            ),
        }
    }

    fn failed(&self, error: &sqlx::Error) -> LaneError {
        LaneError::Broken {
            reason: format!("reading {}: {error}", self.shared.path.display()),
        }
    }

    /// Learns what this lane has now. `Some` when it is something else than before.
    async fn settle(&mut self) -> Result<Option<Polled>, LaneError> {
        if !self.standings.are_certain() {
            self.relearn().await?;
        }
        let hands = self.standings.hands();
        let owned = match self.group.step(self.member, hands, Instant::now()) {
            Ok(owned) => owned,
            Err(Gone::Fenced) => return Err(self.fenced()),
            Err(Gone::Expired) if hands == Hands::Full => return Err(self.expired()),
            Err(Gone::Expired) => match self.rejoin() {
                Ok(owned) => owned,
                Err(_) => return Err(self.fenced()),
            },
        };
        let change = self.standings.change(&owned);
        if change.is_empty() {
            return Ok(None);
        }
        let mut assigned = Vec::with_capacity(change.assigned.len());
        if !change.assigned.is_empty() {
            let positions = self.positions().await?;
            for &(partition, _) in &change.assigned {
                let next_offset = positions.iter().find(|(known, _)| *known == partition);
                let Some(&(_, next_offset)) = next_offset else { continue };
                assigned.push(Assigned { partition, next_offset });
            }
        }
        // From here on nothing waits: a poll that is not waited for leaves either all of this undone or none of it.
        let revoked = self.standings.apply(&change, &assigned);
        Ok(Some(Polled {
            revoked,
            assigned,
            records: Vec::new(),
        }))
    }

    fn rejoin(&mut self) -> Result<Owned, Gone> {
        let now = Instant::now();
        let session_timeout = self.options.session_timeout;
        self.member = self
            .group
            .rejoin(&self.options.transactional_id, session_timeout, now)?;
        self.group.step(self.member, Hands::Empty, now)
    }

    /// After a commit whose end was not waited for: waits until it has ended, then reads how.
    async fn relearn(&mut self) -> Result<(), LaneError> {
        let ended = async {
            let mut changed = self.group.watch();
            while self.group.is_committing(self.member) {
                // The group outlives the wait, since this lane holds it.
                let _ = changed.changed().await;
            }
        };
        let limit = self.options.transaction_timeout + ASK_TIMEOUT;
        if timeout(limit, ended).await.is_err() {
            return Err(LaneError::Broken {
                reason: format!("an earlier commit did not end within {limit:?}"),
            });
        }
        let positions = self.positions().await?;
        self.standings.relearn(&positions);
        Ok(())
    }

    /// Where the group stands on each partition: its committed position, else the earliest offset. Checks those that it has.
    async fn positions(&mut self) -> Result<Vec<(i32, i64)>, LaneError> {
        let read = async {
            let committed = bounds::committed(&mut self.connection, &self.options.group, self.topic.id).await?;
            let extents = bounds::extents(&mut self.connection, Some(self.topic.id)).await?;
            Ok::<_, sqlx::Error>((committed, extents))
        };
        let (committed, extents) = timeout(ASK_TIMEOUT, read)
            .await
            .map_err(|_| LaneError::Broken {
                reason: format!("reading positions: no answer from the disk within {ASK_TIMEOUT:?}"),
            })?
            .map_err(|error| self.failed(&error))?;
        let mut positions = Vec::with_capacity(extents.len());
        for extent in extents {
            if let Some(log) = self.topic.log(extent.partition) {
                log.reached(extent.end);
            }
            let next = committed.iter().find(|(partition, _)| *partition == extent.partition);
            positions.push((extent.partition, next.map_or(extent.earliest, |(_, next)| *next)));
            if let Some((partition, next)) = next
                && *next < extent.earliest
                && self.group.owns(self.member, *partition)
            {
                return Err(self.lost(*partition, *next, extent.earliest));
            }
        }
        Ok(positions)
    }

    fn lost(&mut self, partition: i32, next: i64, earliest: i64) -> LaneError {
        let topic = self.topic.name.to_string();
        self.stop(LaneError::OffsetsLost {
            topic,
            partition,
            next,
            earliest,
        })
    }

    async fn gather(&mut self, limit: PollLimit, look: Look) -> Result<Vec<LogRecord>, LaneError> {
        let gathered = timeout(ASK_TIMEOUT, self.gather_now(limit, look)).await;
        gathered.unwrap_or_else(|_| {
            Err(LaneError::Broken {
                reason: format!("reading records: no answer from the disk within {ASK_TIMEOUT:?}"),
            })
        })
    }

    async fn gather_now(&mut self, limit: PollLimit, look: Look) -> Result<Vec<LogRecord>, LaneError> {
        if look == Look::File {
            self.look_up_ends().await?;
        }
        let mut room = Room::new(limit.max_records, limit.max_bytes);
        let mut records: Vec<LogRecord> = Vec::new();
        for (partition, offset) in self.standings.turn() {
            let Some(log) = self.topic.log(partition) else { continue };
            if offset >= log.end() || room.is_full() {
                continue;
            }
            let from = From {
                log: log.id,
                partition,
                offset,
            };
            let mut fetched = fetch(&mut self.connection, &self.topic.name, from, &mut room)
                .await
                .map_err(|error| self.failed(&error))?;
            match fetched.first() {
                Some(first) if first.position.offset > offset => {
                    return Err(self.lost(partition, offset, first.position.offset));
                }
                Some(_) => records.append(&mut fetched),
                None if room.is_full() => {}
                // There were records and now there are none: retention took them.
                None => self.look_up_ends().await?,
            }
        }
        Ok(records)
    }

    async fn look_up_ends(&mut self) -> Result<(), LaneError> {
        let extents = bounds::extents(&mut self.connection, Some(self.topic.id))
            .await
            .map_err(|error| self.failed(&error))?;
        for extent in extents {
            if let Some(log) = self.topic.log(extent.partition) {
                log.reached(extent.end);
            }
            if let Some(next) = self.standings.next(extent.partition)
                && next < extent.earliest
            {
                return Err(self.lost(extent.partition, next, extent.earliest));
            }
        }
        Ok(())
    }

    /// Finds the outputs' places, or what is wrong with one.
    async fn place(&mut self, outputs: Vec<NewRecord>) -> Result<Vec<Placed>, LaneError> {
        place(&self.shared, outputs).await.map_err(|unplaced| match unplaced {
            Unplaced::Topic(error) => {
                self.standings.rewind();
                LaneError::Aborted {
                    reason: error.to_string(),
                }
            }
            Unplaced::TooLarge { topic, size, limit } => LaneError::OutputTooLarge { topic, size, limit },
        })
    }
}

#[async_trait]
impl Lane for EmbeddedLane {
    async fn poll(&mut self, limit: PollLimit) -> Result<Polled, LaneError> {
        let deadline = Instant::now() + limit.max_wait;
        let mut appended = self.topic.watch();
        let mut changed = self.group.watch();
        let tick = LOOK_AGAIN.min(self.options.session_timeout / 3);
        let mut look = Look::Known;
        loop {
            self.check()?;
            appended.borrow_and_update();
            changed.borrow_and_update();
            if let Some(polled) = self.settle().await? {
                return Ok(polled);
            }
            let mut records = self.gather(limit, look).await?;
            cut_to_weight(&mut records, limit);
            let left = deadline.saturating_duration_since(Instant::now());
            if !records.is_empty() || left.is_zero() {
                self.standings.take(&records);
                return Ok(Polled {
                    records,
                    ..Polled::default()
                });
            }
            let news = async {
                tokio::select! {
                    _ = appended.changed() => {}
                    _ = changed.changed() => {}
                }
            };
            look = match timeout(left.min(tick), news).await {
                Ok(()) => Look::Known,
                Err(_) => Look::File,
            };
        }
    }

    async fn stay(&mut self) -> Result<(), LaneError> {
        self.check()?;
        // A member that was silent for too long learns it from its next poll.
        let _ = self.group.step(self.member, Hands::Full, Instant::now());
        Ok(())
    }

    async fn transact(&mut self, work: Work) -> Result<Ended, LaneError> {
        self.check()?;
        let worked = tokio::task::spawn_blocking(move || {
            let mut outputs = Vec::new();
            run(work, &mut outputs).map(|verdict| (verdict, outputs))
        });
        let worked = match worked.await {
            Ok(worked) => worked,
            Err(error) => Err(error.to_string()),
        };
        match worked.map_err(|reason| self.stop(LaneError::Broken { reason }))? {
            (Verdict::Commit, outputs) => self.commit(outputs).await.map(|()| Ended::Committed),
            (Verdict::GiveBack, _) => self.rewind().await.map(|()| Ended::GivenBack),
        }
    }

    async fn commit(&mut self, outputs: Vec<NewRecord>) -> Result<(), LaneError> {
        self.check()?;
        if !self.standings.are_certain() {
            self.relearn().await?;
        }
        let deadline = Instant::now() + self.options.transaction_timeout;
        let moved = self.standings.moved();
        if outputs.is_empty() && moved.is_empty() {
            return Ok(());
        }
        let outputs = self.place(outputs).await?;
        let positions = moved
            .iter()
            .filter_map(|(partition, next)| Some((self.topic.log(*partition)?.id, *next)))
            .collect();
        let committing = match self.group.begin_commit(self.member, Instant::now()) {
            Ok(committing) => committing,
            Err(Gone::Fenced) => return Err(self.fenced()),
            Err(Gone::Expired) => return Err(self.expired()),
        };
        let (reply, answer) = oneshot::channel();
        let job = Job::Commit(Commit {
            outputs,
            created_ms: now_ms(),
            transactional_id: Arc::clone(&self.transactional_id),
            epoch: self.epoch,
            group: Arc::clone(&self.group_name),
            positions,
            deadline,
            committing: Some(committing),
            reply,
        });
        self.standings.doubt();
        let queued = self.shared.queue(job).is_ok();
        // The writer answers: it begins nothing after the deadline, and what it has begun is bounded by SQLite's own timeouts.
        match answer.await {
            Ok(Ok(())) => {
                self.standings.commit();
                Ok(())
            }
            Ok(Err(CommitFailure::Fenced)) => Err(self.fenced()),
            Ok(Err(CommitFailure::Aborted(reason))) => {
                self.standings.rewind();
                Err(LaneError::Aborted { reason })
            }
            Err(_) => {
                let reason = if queued {
                    "the log's writer went away during a commit"
                } else {
                    "the log is closed"
                };
                Err(self.stop(LaneError::Broken {
                    reason: reason.to_owned(),
                }))
            }
        }
    }

    async fn rewind(&mut self) -> Result<(), LaneError> {
        self.check()?;
        if self.standings.are_certain() {
            self.standings.rewind();
            return Ok(());
        }
        self.relearn().await
    }

    async fn close(self: Box<Self>) -> Result<(), LaneError> {
        // Being dropped does it all: it leaves the group, and the connection's thread ends.
        drop(self);
        Ok(())
    }
}

impl Drop for EmbeddedLane {
    fn drop(&mut self) {
        self.group.leave(self.member);
    }
}

/// Leaves out what comes after the record that reaches the limit; it is gathered again by the next poll.
fn cut_to_weight(records: &mut Vec<LogRecord>, limit: PollLimit) {
    let mut weight = 0;
    let taken = records.iter().take_while(|record| {
        let has_room = weight < limit.max_weight;
        weight += (limit.weight)(record);
        has_room
    });
    let taken = taken.count();
    records.truncate(taken.max(1));
}
