//! A lane's or a job's transactional producer: outputs and positions, all or nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaError, RDKafkaErrorCode};
use rdkafka::message::Headers;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientConfig, Message, TopicPartitionList};

use crate::NewRecord;
use crate::kafka::client::Lines;
use crate::kafka::fault::{Question, is_unknown_topic, refused_batch, settings_refused};
use crate::kafka::limits::TopicLimits;
use crate::kafka::record::{headers_out, size_on_broker};
use crate::{LaneError, LogError};

/// How long to wait before looking again whether the outputs are confirmed. rdkafka's own flush waits 100 ms each time, which would
/// rule the commit's time; and its polls with a timeout spin through the last millisecond, so they are never given one.
const DRAIN_STEP: Duration = Duration::from_micros(300);
/// The least that a call of librdkafka is given, which counts in milliseconds.
const LEAST_TIMEOUT: Duration = Duration::from_millis(1);
/// How long one call that can be resumed waits, before delivery reports are served again.
const RESUME_STEP: Duration = Duration::from_millis(200);
/// What the last phase of a commit or abort has beyond the transaction's own time.
const END_GRACE: Duration = Duration::from_secs(5);

/// How a transaction failed, and where that leaves the producer.
#[derive(Debug)]
pub(in crate::kafka) enum Failure {
    /// Nothing happened; the next transaction may begin.
    Aborted(String),
    /// An output is over its topic's limit; nothing happened.
    TooLarge { topic: String, size: usize, limit: usize },
    /// Another producer has taken over the transactional id.
    Fenced,
    /// The producer can't be used any more, and whether the transaction happened is not known here.
    Broken(String),
}

/// The producer.
pub(in crate::kafka) struct Transactions {
    producer: BaseProducer<Outputs>,
    timeout: Duration,
    limits: Arc<TopicLimits>,
}

/// What a transaction commits beside its outputs: positions, under the membership that consumed them.
pub(in crate::kafka) struct Consumed {
    pub(in crate::kafka) positions: TopicPartitionList,
    pub(in crate::kafka) member: ConsumerGroupMetadata,
}

impl Transactions {
    /// Registers the transactional id, which fences an older producer and ends its open transaction. Blocks.
    pub(in crate::kafka) fn open(
        config: &ClientConfig,
        timeout: Duration,
        limits: Arc<TopicLimits>,
        question: &Question,
    ) -> Result<Self, LogError> {
        let outputs = Outputs::default();
        let producer =
            BaseProducer::from_config_and_context(config, outputs).map_err(|error| settings_refused(&error))?;
        producer
            .init_transactions(question.timeout)
            .map_err(|error| question.failed(&error))?;
        Ok(Self {
            producer,
            timeout,
            limits,
        })
    }

    /// Commits `outputs` and `consumed` together. Blocks.
    pub(in crate::kafka) fn commit(&self, outputs: &[NewRecord], consumed: Option<&Consumed>) -> Result<(), Failure> {
        self.check_sizes(outputs)?;
        self.producer.context().forget();
        let began = Instant::now();
        let deadline = began + self.timeout;
        self.producer
            .begin_transaction()
            .map_err(|error| self.classify(&error))?;
        let failure = match self.fill(outputs, consumed, deadline) {
            Ok(()) => match self.end(deadline + END_GRACE) {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            },
            Err(failure) => failure,
        };
        let failure = match failure {
            Failure::Aborted(_) | Failure::TooLarge { .. } => match self.abort(deadline + END_GRACE) {
                Ok(()) => failure,
                Err(worse) => worse,
            },
            other => other,
        };
        // The brokers end a transaction that has been open for too long by fencing its own producer: nobody else has come.
        Err(match failure {
            Failure::Fenced if began.elapsed() >= self.timeout => Failure::Broken(format!(
                "the brokers ended the transaction, which was open for over {:?}",
                self.timeout
            )),
            other => other,
        })
    }

    /// A record over the limit would abort every transaction that it is in, so none is begun.
    fn check_sizes(&self, outputs: &[NewRecord]) -> Result<(), Failure> {
        let mut last: Option<(&Arc<str>, Option<usize>)> = None;
        for record in outputs {
            let limit = match last {
                Some((topic, limit)) if Arc::ptr_eq(topic, &record.topic) => limit,
                _ => self.limits.get(&record.topic),
            };
            last = Some((&record.topic, limit));
            if let Some(limit) = limit.filter(|limit| size_on_broker(record) > *limit) {
                return Err(Failure::TooLarge {
                    topic: record.topic.to_string(),
                    size: record.size(),
                    limit,
                });
            }
        }
        Ok(())
    }

    fn fill(&self, outputs: &[NewRecord], consumed: Option<&Consumed>, deadline: Instant) -> Result<(), Failure> {
        for record in outputs {
            self.send(record, deadline)?;
        }
        // The outputs travel meanwhile.
        if let Some(consumed) = consumed {
            self.send_positions(consumed, deadline)?;
        }
        self.drain(deadline)
    }

    fn send_positions(&self, consumed: &Consumed, deadline: Instant) -> Result<(), Failure> {
        let Consumed { positions, member } = consumed;
        let sent = self.retry_until(deadline, || {
            self.producer
                .send_offsets_to_transaction(positions, member, remaining(deadline))
        });
        match sent {
            Err(Failure::Aborted(reason)) => {
                // Where an output has failed, that is why the positions were not taken, and it says more.
                self.serve_reports();
                let undelivered = self.producer.context().take_first();
                Err(undelivered.map_or(Failure::Aborted(reason), |undelivered| self.undelivered(undelivered)))
            }
            other => other,
        }
    }

    fn send(&self, record: &NewRecord, deadline: Instant) -> Result<(), Failure> {
        let mut message = BaseRecord {
            topic: record.topic.as_ref(),
            partition: None,
            payload: Some(record.value.as_ref()),
            key: Some(record.key.as_ref()),
            timestamp: None,
            headers: headers_out(&record.headers),
            delivery_opaque: (),
        };
        loop {
            match self.producer.send::<[u8], [u8]>(message) {
                Ok(()) => return Ok(()),
                Err((error, back)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                    self.check_deadline(deadline, "the outputs did not fit into the producer's queue")?;
                    message = back;
                    self.wait();
                }
                Err((error, _)) => {
                    let undelivered = Undelivered {
                        error,
                        topic: record.topic.to_string(),
                        size: record.size(),
                    };
                    return Err(self.undelivered(undelivered));
                }
            }
        }
    }

    /// Waits until every output is confirmed.
    fn drain(&self, deadline: Instant) -> Result<(), Failure> {
        loop {
            if let Some(undelivered) = self.producer.context().take_first() {
                return Err(self.undelivered(undelivered));
            }
            if self.producer.in_flight_count() == 0 {
                return Ok(());
            }
            self.check_deadline(deadline, "the brokers did not confirm the outputs")?;
            self.wait();
        }
    }

    /// Serves the delivery reports that are there, then waits a little.
    fn wait(&self) {
        self.serve_reports();
        thread::sleep(DRAIN_STEP);
    }

    /// A poll without a timeout serves one report, of one batch: an abort leaves one for each batch, and goes on after the last.
    fn serve_reports(&self) {
        let mut in_flight = self.producer.in_flight_count();
        loop {
            self.producer.poll(Duration::ZERO);
            let left = self.producer.in_flight_count();
            if left >= in_flight {
                return;
            }
            in_flight = left;
        }
    }

    fn check_deadline(&self, deadline: Instant, what: &str) -> Result<(), Failure> {
        if Instant::now() < deadline {
            return Ok(());
        }
        Err(Failure::Aborted(format!("{what} within {:?}", self.timeout)))
    }

    fn undelivered(&self, Undelivered { error, topic, size }: Undelivered) -> Failure {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) {
            let limit = self.limits.over_blocking(&topic, size);
            return match refused_batch(&topic, size, limit) {
                Some(reason) => Failure::Aborted(reason),
                None => Failure::TooLarge { topic, size, limit },
            };
        }
        match self.classify(&error) {
            Failure::Aborted(_) if error.rdkafka_error_code().is_some_and(is_unknown_topic) => {
                Failure::Aborted(LogError::UnknownTopic { topic }.to_string())
            }
            Failure::Aborted(reason) => Failure::Aborted(format!("topic {topic}: {reason}")),
            other => other,
        }
    }

    fn end(&self, deadline: Instant) -> Result<(), Failure> {
        self.retry_until(deadline, || self.producer.commit_transaction(remaining(deadline)))
            .map_err(|failure| match failure {
                // The brokers may have committed: only a new producer learns how it ended.
                Failure::Aborted(reason) if Instant::now() >= deadline => Failure::Broken(reason),
                other => other,
            })
    }

    fn abort(&self, deadline: Instant) -> Result<(), Failure> {
        loop {
            match self.producer.abort_transaction(RESUME_STEP) {
                Ok(()) => return Ok(()),
                Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {
                    // It waits for delivery reports, which only polls serve.
                    self.wait();
                }
                Err(error) => {
                    return Err(match self.classify(&error) {
                        Failure::Fenced => Failure::Fenced,
                        _ => Failure::Broken(format!("a transaction could not be aborted: {error}")),
                    });
                }
            }
        }
    }

    fn retry_until(&self, deadline: Instant, mut call: impl FnMut() -> Result<(), KafkaError>) -> Result<(), Failure> {
        loop {
            match call() {
                Ok(()) => return Ok(()),
                Err(KafkaError::Transaction(error)) if may_repeat(&error) && Instant::now() < deadline => {
                    self.wait();
                }
                Err(error) => return Err(self.classify(&error)),
            }
        }
    }

    fn classify(&self, error: &KafkaError) -> Failure {
        if let Some((code, reason)) = self.producer.client().fatal_error() {
            return if is_fencing(code) {
                Failure::Fenced
            } else {
                Failure::Broken(reason)
            };
        }
        match error {
            KafkaError::Transaction(error) if is_fencing(error.code()) => Failure::Fenced,
            KafkaError::Transaction(error) if error.is_fatal() => Failure::Broken(error.string()),
            KafkaError::Transaction(error) => Failure::Aborted(error.string()),
            other => Failure::Aborted(other.to_string()),
        }
    }
}

impl Failure {
    /// The same for a lane's caller.
    pub(in crate::kafka) fn into_lane_error(self, transactional_id: &str) -> LaneError {
        match self {
            Self::Aborted(reason) => LaneError::Aborted { reason },
            Self::TooLarge { topic, size, limit } => LaneError::OutputTooLarge { topic, size, limit },
            Self::Fenced => LaneError::Fenced {
                transactional_id: transactional_id.to_owned(),
            },
            Self::Broken(reason) => LaneError::Broken { reason },
        }
    }
}

fn may_repeat(error: &RDKafkaError) -> bool {
    error.is_retriable() && !error.txn_requires_abort() && !error.is_fatal()
}

fn is_fencing(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch
    )
}

fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(LEAST_TIMEOUT)
}

/// An output that the brokers did not take.
struct Undelivered {
    error: KafkaError,
    topic: String,
    size: usize,
}

/// Remembers the first output of a transaction that failed: one is enough to abort it.
#[derive(Default)]
pub(in crate::kafka) struct Outputs {
    first: Mutex<Option<Undelivered>>,
    lines: Lines,
}

impl Outputs {
    fn forget(&self) {
        self.take_first();
    }

    fn take_first(&self) -> Option<Undelivered> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Outputs {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.lines.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.lines.error(error, reason);
    }
}

impl ProducerContext for Outputs {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            let headers: usize = message.headers().map_or(0, |headers| {
                headers
                    .iter()
                    .map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len))
                    .sum()
            });
            let size = message.payload_len() + message.key_len() + headers;
            let undelivered = Undelivered {
                error: error.clone(),
                topic: message.topic().to_owned(),
                size,
            };
            self.first
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(undelivered);
        }
    }
}
