//! Where the group stands: questions that the brokers answer.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::group::Group;
use super::positions::{Start, start};
use crate::{Assigned, LaneError};

/// How long one question about positions may take before the poll goes on.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// A group's standing on a topic.
pub(super) struct Standing<'a> {
    pub(super) consumer: &'a BaseConsumer<Group>,
    pub(super) topic: &'a str,
    pub(super) group: &'a str,
}

impl Standing<'_> {
    /// The partition whose next offset has been deleted.
    pub(super) fn find_lost(&self, next: Vec<(i32, i64)>) -> Option<LaneError> {
        next.into_iter().find_map(|(partition, next)| {
            let (earliest, _) = self
                .consumer
                .fetch_watermarks(self.topic, partition, ASK_TIMEOUT)
                .ok()?;
            (next < earliest).then(|| self.lost(partition, next, earliest))
        })
    }

    fn lost(&self, partition: i32, next: i64, earliest: i64) -> LaneError {
        LaneError::OffsetsLost {
            topic: self.topic.to_owned(),
            partition,
            next,
            earliest,
        }
    }

    /// Where the group stands in partitions that it has given us; `None` while the brokers can't tell.
    pub(super) fn find_starts(&self, partitions: &[i32]) -> Result<Option<Vec<Assigned>>, LaneError> {
        let mut starts = Vec::with_capacity(partitions.len());
        let Some(committed) = self.ask(self.committed(partitions)) else {
            return Ok(None);
        };
        for (partition, committed) in committed {
            let bounds = self.consumer.fetch_watermarks(self.topic, partition, ASK_TIMEOUT);
            let Some((earliest, end)) = self.ask(bounds) else {
                return Ok(None);
            };
            match start(committed, earliest, end) {
                Start::At(next_offset) => starts.push(Assigned { partition, next_offset }),
                Start::Lost { next } => return Err(self.lost(partition, next, earliest)),
                Start::PastEnd { next } => {
                    return Err(broken(format!(
                        "group {} stands at offset {next} of topic {} partition {partition}, which ends at {end}: is it another \
                         topic of the same name? reset the group's offset to go on",
                        self.group, self.topic
                    )));
                }
            }
        }
        Ok(Some(starts))
    }

    fn committed(&self, partitions: &[i32]) -> Result<Vec<(i32, Option<i64>)>, KafkaError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(self.topic, *partition);
        }
        let committed = self.consumer.committed_offsets(list, ASK_TIMEOUT)?;
        let elements = committed.elements();
        elements
            .iter()
            .map(|element| {
                element.error()?;
                let offset = match element.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                };
                Ok((element.partition(), offset))
            })
            .collect()
    }

    fn ask<T>(&self, answer: Result<T, KafkaError>) -> Option<T> {
        answer
            .inspect_err(|error| tracing::debug!(topic = self.topic, %error, "the brokers can't tell a position yet"))
            .ok()
    }
}

/// An error after which the lane can't go on.
pub(super) fn broken(reason: String) -> LaneError {
    LaneError::Broken { reason }
}

/// Offsets of partitions, as librdkafka takes them.
pub(super) fn partition_list(
    topic: &str,
    offsets: impl IntoIterator<Item = (i32, i64)>,
) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    }
    Ok(list)
}
