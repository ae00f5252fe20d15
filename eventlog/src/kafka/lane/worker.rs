//! What a lane's thread does: gather, commit, go back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, Message};

use super::group::{Change, Group};
use super::positions::Positions;
use super::standing::{Standing, broken, partition_list};
use super::transactions::{Consumed, Failure, Transactions};
use crate::kafka::fault::{Question, settings_refused};
use crate::kafka::limits::TopicLimits;
use crate::kafka::record::record_in;
use crate::{Assigned, Ended, LaneError, LaneOptions, LogError, LogRecord, PollLimit, Polled, Work};

/// How long a poll pauses between two questions about positions that the brokers can't tell yet.
const ASK_STEP: Duration = Duration::from_millis(50);
/// Positions that the brokers can't tell for so long break the lane. A predecessor's open transaction keeps them back for a while.
const ASK_DEADLINE: Duration = Duration::from_secs(60);
/// How long moving a position back may take; it is a matter within librdkafka.
const SEEK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long after a commit a poll gathers at the least that has found only a few records. The coordinator writes a transaction's
/// markers after it has confirmed the commit, and puts off whoever begins the next one meanwhile (`CONCURRENT_TRANSACTIONS`);
/// librdkafka then waits for 20 ms, a long time for a small transaction. A large one has its outputs to compute meanwhile.
const REST: Duration = Duration::from_millis(5);
/// Few is less than this part of what a poll takes.
const FEW: usize = 10;

/// The group member and its producer.
pub(super) struct Worker {
    topic: Arc<str>,
    options: LaneOptions,
    consumer: BaseConsumer<Group>,
    transactions: Transactions,
    positions: Positions,
    /// Partitions that the group has given and that librdkafka waits for us to take, and since when.
    pending: Option<(Vec<i32>, Instant)>,
    /// Changes of the assignment to hand out.
    changes: VecDeque<Polled>,
    /// Changes that the last poll handed out; they are handed out again if they did not arrive.
    delivered_change: Option<Polled>,
    /// Records gathered and not handed out.
    gathered: Vec<LogRecord>,
    gathered_bytes: usize,
    gathered_weight: usize,
    /// Until then the brokers may be busy with the last transaction.
    rests_until: Instant,
    /// Why the lane can't go on.
    stopped: Option<LaneError>,
}

impl Worker {
    /// Opens the producer, which fences a predecessor, then joins the group. Blocks.
    pub(super) fn open(
        consumer: &ClientConfig,
        producer: &ClientConfig,
        options: LaneOptions,
        limits: Arc<TopicLimits>,
        question: &Question,
    ) -> Result<Self, LogError> {
        let transactions = Transactions::open(producer, options.transaction_timeout, limits, question)?;
        let consumer = BaseConsumer::from_config_and_context(consumer, Group::default())
            .map_err(|error| settings_refused(&error))?;
        consumer
            .subscribe(&[&options.topic])
            .map_err(|error| question.failed(&error))?;
        Ok(Self {
            topic: options.topic.as_str().into(),
            options,
            consumer,
            transactions,
            positions: Positions::default(),
            pending: None,
            changes: VecDeque::new(),
            delivered_change: None,
            gathered: Vec::new(),
            gathered_bytes: 0,
            gathered_weight: 0,
            rests_until: Instant::now(),
            stopped: None,
        })
    }

    /// See [`crate::Lane::poll`].
    pub(super) fn poll(&mut self, limit: PollLimit) -> Result<Polled, LaneError> {
        self.delivered_change = None;
        self.gathered_weight = self.gathered.iter().map(limit.weight).sum();
        if !self.positions.uncommitted().is_empty() {
            // The caller has neither committed nor rewound. To hand out more would commit the rest without its outputs.
            self.rewind()?;
        }
        let deadline = Instant::now() + limit.max_wait;
        loop {
            self.settle_changes()?;
            if let Some(change) = self.changes.pop_front() {
                self.delivered_change = Some(copy_of_change(&change));
                return Ok(change);
            }
            if let Some(error) = &self.stopped {
                return Err(error.clone());
            }
            if self.gathered.len() >= limit.max_records
                || self.gathered_bytes >= limit.max_bytes
                || self.gathered_weight >= limit.max_weight
            {
                break;
            }
            let wait = match (&self.pending, self.gathered.is_empty()) {
                (Some(_), _) => ASK_STEP,
                (None, true) => deadline.saturating_duration_since(Instant::now()),
                (None, false) => Duration::ZERO,
            };
            let had = self.gathered.len();
            let came = self.gather_one(wait);
            self.gathered_weight += self.gathered.iter().skip(had).map(limit.weight).sum::<usize>();
            if !came && !self.consumer.context().has_changes() {
                let wait_until = if self.gathered.is_empty() {
                    deadline
                } else if self.gathered_weight < limit.max_weight / FEW {
                    self.rests_until
                } else {
                    break;
                };
                let left = wait_until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                if !self.gathered.is_empty() {
                    // A poll of librdkafka with so short a timeout would spin.
                    thread::sleep(left);
                }
            }
        }
        self.gathered_bytes = 0;
        self.positions.hand_out();
        let records = std::mem::take(&mut self.gathered);
        Ok(Polled {
            records,
            ..Polled::default()
        })
    }

    /// See [`crate::Lane::stay`]. What it takes out of the consumer's queue waits for the next poll.
    pub(super) fn stay(&mut self) -> Result<(), LaneError> {
        // Once records are out a rebalance would take their partitions from under them.
        if self.positions.uncommitted().is_empty() {
            self.gather_one(Duration::ZERO);
            // The whole group waits for a member that does not answer what it is offered.
            self.settle_changes()?;
        }
        // Nobody should read windows for minutes before hearing of it.
        self.stopped.clone().map_or(Ok(()), Err)
    }

    /// Serves the consumer once; tells whether it brought a record.
    fn gather_one(&mut self, wait: Duration) -> bool {
        match self.consumer.poll(wait) {
            Some(Ok(message)) => {
                if self.positions.gather(message.partition(), message.offset()) {
                    let record = record_in(&message, &self.topic);
                    self.gathered_bytes += record.size();
                    self.gathered.push(record);
                }
                true
            }
            Some(Err(error)) => {
                if let Some(lasting) = self.lasting(&error) {
                    self.stopped.get_or_insert(lasting);
                }
                false
            }
            None => false,
        }
    }

    /// What an error of the consumer means for the lane; `None` where librdkafka goes on by itself.
    fn lasting(&self, error: &KafkaError) -> Option<LaneError> {
        match (error, error.rdkafka_error_code()) {
            (_, Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)) => Some(
                self.standing()
                    .find_lost(self.positions.next())
                    .unwrap_or_else(|| broken(format!("a position is not on topic {}: {error}", self.topic))),
            ),
            (KafkaError::MessageConsumptionFatal(_), _)
            | (
                _,
                Some(
                    RDKafkaErrorCode::UnknownTopic
                    | RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::GroupAuthorizationFailed
                    // Records that can't be read are fetched again for ever.
                    | RDKafkaErrorCode::BadCompression
                    | RDKafkaErrorCode::BadMessage
                    | RDKafkaErrorCode::NotImplemented,
                ),
            ) => Some(broken(format!(
                "topic {}, group {}: {error}",
                self.topic, self.options.group
            ))),
            _ => {
                tracing::debug!(topic = &*self.topic, %error, "the lane goes on after an error");
                None
            }
        }
    }

    fn standing(&self) -> Standing<'_> {
        Standing {
            consumer: &self.consumer,
            topic: &self.topic,
            group: &self.options.group,
        }
    }

    /// Takes over what the group has told.
    fn hear_changes(&mut self) {
        while let Some(change) = self.consumer.context().next_change() {
            match change {
                Change::Revoked(partitions) => self.give_up(&partitions),
                Change::Assigned(partitions) => {
                    let pending = self.pending.get_or_insert_with(|| (Vec::new(), Instant::now()));
                    pending.0.extend(partitions);
                }
            }
        }
    }

    /// Brings our own state in line with what the group has told.
    fn settle_changes(&mut self) -> Result<(), LaneError> {
        self.hear_changes();
        let Some((partitions, since)) = &self.pending else {
            return Ok(());
        };
        let since = *since;
        let partitions = partitions.clone();
        let Some(starts) = self.standing().find_starts(&partitions)? else {
            if since.elapsed() < ASK_DEADLINE {
                return Ok(());
            }
            return Err(broken(format!(
                "the brokers did not tell the positions of group {} within {ASK_DEADLINE:?}",
                self.options.group
            )));
        };
        self.take_on(&starts)
            .map_err(|error| broken(format!("partitions could not be assigned: {error}")))?;
        self.pending = None;
        Ok(())
    }

    fn give_up(&mut self, partitions: &[i32]) {
        if let Some((pending, _)) = &mut self.pending {
            pending.retain(|partition| !partitions.contains(partition));
        }
        let revoked: Vec<i32> = partitions
            .iter()
            .copied()
            .filter(|partition| self.positions.revoke(*partition))
            .collect();
        if revoked.is_empty() {
            return;
        }
        // They go to the partition's next owner.
        self.gathered
            .retain(|record| !revoked.contains(&record.position.partition));
        self.gathered_bytes = self.gathered.iter().map(LogRecord::size).sum();
        // Less than it was: at worst the poll ends a little early.
        self.changes.push_back(Polled {
            revoked,
            ..Polled::default()
        });
    }

    fn take_on(&mut self, starts: &[Assigned]) -> Result<(), KafkaError> {
        let list = partition_list(
            &self.topic,
            starts.iter().map(|start| (start.partition, start.next_offset)),
        )?;
        self.consumer.incremental_assign(&list)?;
        for start in starts {
            self.positions.assign(start.partition, start.next_offset);
        }
        if !starts.is_empty() {
            self.changes.push_back(Polled {
                assigned: starts.to_vec(),
                ..Polled::default()
            });
        }
        Ok(())
    }

    /// See [`crate::Lane::transact`].
    pub(super) fn transact(&mut self, work: Work) -> Result<Ended, LaneError> {
        if let Some(error) = &self.stopped {
            return Err(error.clone());
        }
        let uncommitted = self.positions.uncommitted();
        let ended = self.transactions.transact(work, || self.consumed(&uncommitted));
        let ended = ended.map_err(|failure| self.failed(failure))?;
        match ended {
            Ended::Committed => {
                self.positions.commit();
                self.rests_until = Instant::now() + REST;
            }
            Ended::GivenBack => self.rewind()?,
        }
        Ok(ended)
    }

    /// What a failure means for the lane.
    fn failed(&mut self, failure: Failure) -> LaneError {
        let goes_on = matches!(failure, Failure::Aborted(_));
        let stops = matches!(failure, Failure::Fenced | Failure::Broken(_));
        let error = failure.into_lane_error(&self.options.transactional_id);
        if stops {
            self.stopped = Some(error.clone());
        }
        match goes_on.then(|| self.rewind()) {
            Some(Err(worse)) => worse,
            Some(Ok(())) | None => error,
        }
    }

    fn consumed(&self, positions: &[(i32, i64)]) -> Result<Option<Consumed>, Failure> {
        if positions.is_empty() {
            return Ok(None);
        }
        let failed = |error: KafkaError| Failure::Broken(error.to_string());
        let positions = partition_list(&self.topic, positions.iter().copied()).map_err(failed)?;
        let member = self
            .consumer
            .group_metadata()
            .ok_or_else(|| failed(KafkaError::Canceled))?;
        // A member that the group has put out may have forgotten who it was. Where librdkafka has marked that, which it does at the
        // latest in the step in which it forgets its generation, we say so; else the brokers refuse the positions by the generation.
        // Asked after the membership was read, so that neither is missed.
        if self.consumer.assignment_lost() {
            return Err(Failure::Aborted(format!(
                "group {} has put this lane out, because it was silent for longer than {:?}",
                self.options.group, self.options.session_timeout
            )));
        }
        Ok(Some(Consumed { positions, member }))
    }

    /// See [`crate::Lane::rewind`].
    pub(super) fn rewind(&mut self) -> Result<(), LaneError> {
        self.gathered.clear();
        self.gathered_bytes = 0;
        let moved = self.positions.rewind();
        if moved.is_empty() {
            return Ok(());
        }
        let sought = partition_list(&self.topic, moved)
            .and_then(|list| self.consumer.seek_partitions(list, SEEK_TIMEOUT))
            .and_then(|list| list.elements().iter().try_for_each(|element| element.error()));
        sought.map_err(|error| {
            let error = broken(format!(
                "the lane could not go back to its committed positions: {error}"
            ));
            self.stopped = Some(error.clone());
            error
        })
    }

    /// Takes back what the last poll handed out and what did not arrive.
    pub(super) fn take_back(&mut self) {
        if let Some(change) = self.delivered_change.take() {
            self.changes.push_front(change);
        }
        // A failure has been remembered and ends the next call.
        let _ = self.rewind();
    }

    /// Leaves the group, so that others take over at once.
    pub(super) fn leave(mut self) {
        self.consumer.context().leave();
        self.hear_changes();
        if let Some((partitions, _)) = &self.pending {
            // librdkafka waits for an answer to what it has offered before it leaves.
            let answered = partition_list(&self.topic, partitions.iter().map(|partition| (*partition, 0)))
                .and_then(|list| self.consumer.incremental_assign(&list));
            if let Err(error) = answered {
                tracing::debug!(%error, "an assignment could not be answered while leaving");
            }
        }
        drop(self.consumer);
        drop(self.transactions);
    }
}

fn copy_of_change(change: &Polled) -> Polled {
    Polled {
        revoked: change.revoked.clone(),
        assigned: change.assigned.clone(),
        records: Vec::new(),
    }
}
