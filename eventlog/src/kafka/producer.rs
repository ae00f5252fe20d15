//! Appends: an idempotent producer behind a bounded count of bytes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use tokio::sync::oneshot;

use super::client::Lines;
use super::fault::{is_unknown_topic, refused_batch, settings_refused};
use super::limits::TopicLimits;
use super::record::{headers_out, size_on_broker};
use crate::{AppendError, LogError, NewRecord, Position};

/// What a record that waits costs beside its bytes: librdkafka's own structures and ours.
const WAITING_OVERHEAD: usize = 512;
/// How often a closing producer is asked whether anything is still on its way.
const DRAIN_STEP: Duration = Duration::from_millis(2);

/// What becomes of one record, in librdkafka's words; [`append_error`] has ours.
pub(super) type Outcome = Result<Position, KafkaError>;

pub(super) type AppendProducer = ThreadedProducer<Deliveries>;

/// Queues records and tells when they are durable.
pub(super) struct Appender {
    config: ClientConfig,
    /// Bytes that may wait for the brokers.
    capacity: usize,
    waiting: Arc<AtomicUsize>,
    /// `None` once closed. Sending holds the read lock, so that nothing is queued behind a close.
    producer: RwLock<Option<Arc<AppendProducer>>>,
}

impl Appender {
    /// Creates the producer; the brokers need not be there.
    pub(super) fn new(config: ClientConfig, capacity: usize) -> Result<Self, LogError> {
        let waiting = Arc::new(AtomicUsize::new(0));
        let producer = create(&config, &waiting).map_err(|error| settings_refused(&error))?;
        Ok(Self {
            config,
            capacity,
            waiting,
            producer: RwLock::new(Some(Arc::new(producer))),
        })
    }

    /// Queues a record and returns at once. `limit` is the topic's, where it is known.
    pub(super) fn enqueue(
        &self,
        record: NewRecord,
        limit: Option<usize>,
    ) -> Result<oneshot::Receiver<Outcome>, AppendError> {
        if let Some(limit) = limit.filter(|limit| size_on_broker(record.as_output()) > *limit) {
            return Err(AppendError::TooLarge {
                topic: record.topic.to_string(),
                size: record.size(),
                limit,
            });
        }
        let cost = record.size() + WAITING_OVERHEAD;
        self.reserve(cost)?;
        let sent = self.send(&record, cost);
        if sent.is_err() {
            self.waiting.fetch_sub(cost, Ordering::Relaxed);
        }
        sent
    }

    fn reserve(&self, cost: usize) -> Result<(), AppendError> {
        self.waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
                waiting.checked_add(cost).filter(|total| *total <= self.capacity)
            })
            .map(drop)
            .map_err(|in_flight_bytes| AppendError::QueueFull { in_flight_bytes })
    }

    fn send(&self, record: &NewRecord, cost: usize) -> Result<oneshot::Receiver<Outcome>, AppendError> {
        match self.try_send(record, cost) {
            Err(Refused::Broken(broken)) => {
                self.replace(&broken)?;
                self.try_send(record, cost)
            }
            other => other,
        }
        .map_err(|refused| match refused {
            Refused::Closed => AppendError::Closed,
            Refused::Broken(_) => AppendError::InDoubt {
                reason: "the producer failed twice in a row".to_owned(),
            },
        })
    }

    fn try_send(&self, record: &NewRecord, cost: usize) -> Result<oneshot::Receiver<Outcome>, Refused> {
        let slot = self.producer.read().unwrap_or_else(PoisonError::into_inner);
        let producer = slot.as_ref().ok_or(Refused::Closed)?;
        let (outcome, receiver) = oneshot::channel();
        let waiting = Waiting {
            topic: Arc::clone(&record.topic),
            cost,
            outcome,
        };
        let message = BaseRecord {
            topic: record.topic.as_ref(),
            partition: None,
            payload: Some(record.value.as_ref()),
            key: Some(record.key.as_ref()),
            timestamp: None,
            headers: headers_out(&record.headers),
            delivery_opaque: Box::new(waiting),
        };
        match producer.send::<[u8], [u8]>(message) {
            Ok(()) => Ok(receiver),
            Err((error, _)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) => {
                Err(Refused::Broken(Arc::clone(producer)))
            }
            Err((error, back)) => {
                back.delivery_opaque.settle(&self.waiting, Err(error));
                Ok(receiver)
            }
        }
    }

    /// Puts a new producer in the place of one that has failed for good. What the old one had not sent ends in doubt.
    pub(super) fn replace(&self, broken: &Arc<AppendProducer>) -> Result<(), AppendError> {
        let mut slot = self.producer.write().unwrap_or_else(PoisonError::into_inner);
        let current = slot.as_ref().ok_or(AppendError::Closed)?;
        if !Arc::ptr_eq(current, broken) {
            return Ok(());
        }
        if let Some((code, reason)) = broken.client().fatal_error() {
            tracing::warn!(%code, reason, "the producer failed for good; going on with a new one");
        }
        let fresh = create(&self.config, &self.waiting).map_err(|error| AppendError::InDoubt {
            reason: error.to_string(),
        })?;
        let old = slot.replace(Arc::new(fresh));
        retire(old);
        Ok(())
    }

    /// The producer that sends now; `None` once closed.
    pub(super) fn producer(&self) -> Option<Arc<AppendProducer>> {
        self.producer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Refuses later appends and waits until nothing is on its way, at most for `timeout`. Blocks.
    pub(super) fn close(&self, timeout: Duration) -> Closing {
        let producer = self.producer.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(producer) = producer else {
            return Closing::Drained;
        };
        let deadline = Instant::now() + timeout;
        while producer.in_flight_count() > 0 {
            if Instant::now() >= deadline {
                let left = producer.in_flight_count();
                retire(Some(producer));
                return Closing::Left(left);
            }
            thread::sleep(DRAIN_STEP);
        }
        drop(producer);
        Closing::Drained
    }

    /// Why librdkafka did not take a record of `size` bytes, or could not deliver it.
    pub(super) async fn append_error(
        &self,
        error: &KafkaError,
        topic: &str,
        size: usize,
        limits: &TopicLimits,
    ) -> AppendError {
        let in_doubt = |reason: String| AppendError::InDoubt { reason };
        match error.rdkafka_error_code() {
            Some(code) if is_unknown_topic(code) => AppendError::UnknownTopic {
                topic: topic.to_owned(),
            },
            Some(RDKafkaErrorCode::QueueFull) => AppendError::QueueFull {
                in_flight_bytes: self.waiting.load(Ordering::Relaxed),
            },
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                let limit = limits.over(topic, size).await;
                match refused_batch(topic, size, limit) {
                    Some(reason) => in_doubt(reason),
                    None => AppendError::TooLarge {
                        topic: topic.to_owned(),
                        size,
                        limit,
                    },
                }
            }
            Some(RDKafkaErrorCode::MessageTimedOut) => {
                in_doubt("no broker confirmed it within the delivery timeout".to_owned())
            }
            Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight) => {
                in_doubt("the log was closed while the record was on its way".to_owned())
            }
            _ => in_doubt(error.to_string()),
        }
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        let slot = self.producer.get_mut().unwrap_or_else(PoisonError::into_inner);
        retire(slot.take());
    }
}

/// How a close ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// Everything is durable or failed.
    Drained,
    /// So many records were given up.
    Left(i32),
}

enum Refused {
    Closed,
    /// The producer failed for good: this one.
    Broken(Arc<AppendProducer>),
}

fn create(config: &ClientConfig, waiting: &Arc<AtomicUsize>) -> Result<AppendProducer, KafkaError> {
    let deliveries = Deliveries {
        waiting: Arc::clone(waiting),
        lines: Lines,
    };
    ThreadedProducer::from_config_and_context(config, deliveries)
}

/// Drops a producer away from the caller: it joins a thread and waits for what it still has.
fn retire(producer: Option<Arc<AppendProducer>>) {
    if let Some(producer) = producer {
        let spawned = thread::Builder::new()
            .name("kafka-retire".to_owned())
            .spawn(move || drop(producer));
        if let Err(error) = spawned {
            tracing::warn!(%error, "no thread to drop a producer in");
        }
    }
}

/// A record on its way.
pub(super) struct Waiting {
    topic: Arc<str>,
    cost: usize,
    outcome: oneshot::Sender<Outcome>,
}

impl Waiting {
    fn settle(self, waiting: &AtomicUsize, result: Result<(i32, i64), KafkaError>) {
        waiting.fetch_sub(self.cost, Ordering::Relaxed);
        let outcome = result.map(|(partition, offset)| Position {
            topic: self.topic,
            partition,
            offset,
        });
        // Nobody may be waiting any more, for example because a client went away.
        let _ = self.outcome.send(outcome);
    }
}

/// Receives what became of each record.
pub(super) struct Deliveries {
    waiting: Arc<AtomicUsize>,
    lines: Lines,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.lines.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.lines.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Waiting>;

    fn delivery(&self, result: &DeliveryResult<'_>, waiting: Box<Waiting>) {
        let result = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.clone()),
        };
        waiting.settle(&self.waiting, result);
    }
}
