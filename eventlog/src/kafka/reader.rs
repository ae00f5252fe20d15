//! Reading committed records of given partitions.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::blocking;
use super::client::Lines;
use super::fault::{Question, settings_refused};
use super::record::record_in;
use crate::{LogError, LogRecord, PartitionBounds, Reader};

/// Reads with a consumer that is given its partitions.
pub(super) struct KafkaReader {
    shared: Arc<Mutex<Fetching>>,
    positions: BTreeMap<i32, i64>,
    question: Question,
}

/// The consumer and what it has brought. It stands apart from the reader because a read goes on in its thread when the caller has
/// stopped waiting; what it brings then is handed out by the next call.
struct Fetching {
    topic: Arc<str>,
    consumer: BaseConsumer<Lines>,
    records: VecDeque<LogRecord>,
    /// The next offset of each partition, past markers that are no records.
    read_to: BTreeMap<i32, i64>,
}

impl KafkaReader {
    /// Opens a reader. A start before the earliest offset begins there; one past the end is refused.
    pub(super) async fn open(
        config: ClientConfig,
        topic: &str,
        starts: &[(i32, i64)],
        bounds: &[PartitionBounds],
        question: Question,
    ) -> Result<Self, LogError> {
        let positions = starts
            .iter()
            .map(|&(partition, start)| Ok((partition, first_offset(partition, start, bounds, &question)?)))
            .collect::<Result<BTreeMap<_, _>, LogError>>()?;
        let name: Arc<str> = topic.into();
        let read_to = positions.clone();
        let fetching = blocking(move || {
            let consumer: BaseConsumer<Lines> = config
                .create_with_context(Lines)
                .map_err(|error| settings_refused(&error))?;
            let mut list = TopicPartitionList::with_capacity(read_to.len());
            let assigned = read_to
                .iter()
                .try_for_each(|(partition, offset)| {
                    list.add_partition_offset(&name, *partition, Offset::Offset(*offset))
                })
                .and_then(|()| consumer.assign(&list));
            match assigned {
                Ok(()) => Ok(Fetching {
                    topic: name,
                    consumer,
                    records: VecDeque::new(),
                    read_to,
                }),
                Err(error) => Err(LogError::Failed {
                    what: format!("reading topic {name}"),
                    reason: error.to_string(),
                }),
            }
        })
        .await??;
        Ok(Self {
            shared: Arc::new(Mutex::new(fetching)),
            positions,
            question,
        })
    }
}

#[async_trait]
impl Reader for KafkaReader {
    async fn next(&mut self, max_records: usize, max_wait: Duration) -> Result<Vec<LogRecord>, LogError> {
        let shared = Arc::clone(&self.shared);
        let question = self.question.clone();
        blocking(move || {
            let mut fetching = shared.lock().unwrap_or_else(PoisonError::into_inner);
            fetching
                .fetch(max_records, max_wait)
                .map_err(|error| match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => question
                        .refused("records were deleted before they were read; start again from the earliest offset"),
                    _ => question.failed(&error),
                })
        })
        .await??;
        let mut fetching = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let count = max_records.min(fetching.records.len());
        let records: Vec<LogRecord> = fetching.records.drain(..count).collect();
        for record in &records {
            self.positions
                .insert(record.position.partition, record.position.offset + 1);
        }
        if fetching.records.is_empty() {
            for (partition, offset) in &fetching.read_to {
                let position = self.positions.entry(*partition).or_insert(*offset);
                *position = (*position).max(*offset);
            }
        }
        Ok(records)
    }

    fn positions(&self) -> Vec<(i32, i64)> {
        self.positions
            .iter()
            .map(|(partition, offset)| (*partition, *offset))
            .collect()
    }
}

impl Fetching {
    /// Fetches until there are `max_records`, or nothing more is there. Blocks at most `max_wait`.
    fn fetch(&mut self, max_records: usize, max_wait: Duration) -> Result<(), KafkaError> {
        let deadline = Instant::now() + max_wait;
        while self.records.len() < max_records {
            let wait = if self.records.is_empty() {
                deadline.saturating_duration_since(Instant::now())
            } else {
                Duration::ZERO
            };
            match self.consumer.poll(wait) {
                Some(Ok(message)) => self.records.push_back(record_in(&message, &self.topic)),
                Some(Err(error)) if is_lasting(&error) => return Err(error),
                Some(Err(error)) => tracing::debug!(topic = &*self.topic, %error, "reading goes on after an error"),
                None if self.records.is_empty() && Instant::now() < deadline => {}
                None => break,
            }
        }
        for element in self.consumer.position()?.elements() {
            if let Offset::Offset(offset) = element.offset() {
                self.read_to.insert(element.partition(), offset);
            }
        }
        Ok(())
    }
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        // Closing a consumer waits for its threads.
        let shared = Arc::clone(&self.shared);
        let spawned = thread::Builder::new()
            .name("kafka-reader-close".to_owned())
            .spawn(move || drop(shared));
        if let Err(error) = spawned {
            tracing::warn!(%error, "no thread to close a reader in");
        }
    }
}

/// Errors that waiting does not mend; librdkafka goes on by itself after the others.
fn is_lasting(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        || matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::AutoOffsetReset
                    | RDKafkaErrorCode::OffsetOutOfRange
                    | RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::UnknownTopic
                    | RDKafkaErrorCode::UnknownPartition
                    | RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::GroupAuthorizationFailed
            )
        )
}

fn first_offset(partition: i32, start: i64, bounds: &[PartitionBounds], question: &Question) -> Result<i64, LogError> {
    let bound = bounds
        .iter()
        .find(|bound| bound.partition == partition)
        .ok_or_else(|| question.refused(format!("there is no partition {partition}")))?;
    if start > bound.end {
        let end = bound.end;
        return Err(question.refused(format!(
            "partition {partition} ends at offset {end}, before the start {start}"
        )));
    }
    Ok(start.max(bound.earliest))
}
