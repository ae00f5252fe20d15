//! What the group tells a lane: partitions come and go.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;

use crate::kafka::client::Lines;

/// A change of the assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// These partitions are to be taken. librdkafka waits for the answer, which the worker gives when it knows where to begin.
    Assigned(Vec<i32>),
    /// These partitions are gone; they were given up at once, since nothing of them is in hand during a poll but what it gathered.
    Revoked(Vec<i32>),
}

/// Collects the changes; called on the lane's own thread, from inside its polls.
#[derive(Debug, Default)]
pub(super) struct Group {
    changes: Mutex<VecDeque<Change>>,
    leaving: AtomicBool,
    lines: Lines,
}

impl Group {
    /// The oldest change that has not been taken.
    pub(super) fn next_change(&self) -> Option<Change> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Whether changes wait.
    pub(super) fn has_changes(&self) -> bool {
        !self.changes.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// From now on assignments are answered at once, since librdkafka does not leave the group before.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    fn push(&self, change: Change) {
        self.changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(change);
    }
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.lines.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.lines.error(error, reason);
    }
}

impl ConsumerContext for Group {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = list.elements().iter().map(|element| element.partition()).collect();
        let answer = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            if !self.leaving.load(Ordering::Relaxed) {
                self.push(Change::Assigned(partitions));
                return;
            }
            consumer.incremental_assign(list)
        } else {
            self.push(Change::Revoked(partitions));
            match consumer.rebalance_protocol() {
                RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
                RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
            }
        };
        if let Err(error) = answer {
            tracing::warn!(%error, "librdkafka did not take the answer to a rebalance");
        }
    }
}
