//! A lane's or a job's transactional producer: outputs and positions, all or nothing.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::bindings::rd_kafka_flush;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, TopicPartitionList};

use super::filling::Filling;
use super::reports::{Reports, Undelivered};
use crate::kafka::fault::{Question, is_unknown_topic, refused_batch, settings_refused};
use crate::kafka::limits::TopicLimits;
use crate::kafka::record::headers_out;
use crate::work::run;
use crate::{Ended, LaneError, LogError, Output, Verdict, Work};

/// How long to wait for confirmations before it is looked whether an output has failed.
const DRAIN_STEP: Duration = Duration::from_millis(20);
/// How long to wait before trying again what librdkafka could not do yet. Its polls with a timeout spin through the last millisecond,
/// so they are never given one.
const RETRY_STEP: Duration = Duration::from_micros(300);
/// How long the report of what failed may be on its way once librdkafka refuses outputs for it.
const REPORT_GRACE: Duration = Duration::from_millis(20);
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
    producer: BaseProducer<Reports>,
    timeout: Duration,
    limits: Arc<TopicLimits>,
}

/// A transaction that has begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    began: Instant,
    /// Until its outputs and positions have to be with the brokers.
    pub(super) deadline: Instant,
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
        let reports = Reports::default();
        let producer =
            BaseProducer::from_config_and_context(config, reports).map_err(|error| settings_refused(&error))?;
        producer
            .init_transactions(question.timeout)
            .map_err(|error| question.failed(&error))?;
        Ok(Self {
            producer,
            timeout,
            limits,
        })
    }

    /// Runs `work` and commits the outputs that it makes together with what `consumed` gives, which is asked after the work. Blocks.
    pub(in crate::kafka) fn transact(
        &self,
        work: Work,
        consumed: impl FnOnce() -> Result<Option<Consumed>, Failure>,
    ) -> Result<Ended, Failure> {
        self.producer.context().forget();
        let mut filling = Filling::new(self);
        let verdict = run(work, &mut filling);
        let ended = match (filling.take_failure(), verdict) {
            (Some(failure), _) => Err(failure),
            (None, Err(panicked)) => Err(Failure::Broken(panicked)),
            (None, Ok(Verdict::GiveBack)) => Ok(Ended::GivenBack),
            (None, Ok(Verdict::Commit)) => consumed()
                .and_then(|consumed| self.commit(&mut filling, consumed.as_ref()))
                .map(|()| Ended::Committed),
        };
        let Some(open) = filling.open() else { return ended };
        let ended = match ended {
            Ok(Ended::GivenBack) | Err(Failure::Aborted(_) | Failure::TooLarge { .. }) => {
                self.abort(open.deadline + END_GRACE).and(ended)
            }
            Ok(Ended::Committed) | Err(Failure::Fenced | Failure::Broken(_)) => ended,
        };
        // The brokers end a transaction that has been open for too long by fencing its own producer: nobody else has come.
        ended.map_err(|failure| match failure {
            Failure::Fenced if open.began.elapsed() >= self.timeout => Failure::Broken(format!(
                "the brokers ended the transaction, which was open for over {:?}",
                self.timeout
            )),
            other => other,
        })
    }

    /// Begins a transaction.
    pub(super) fn begin(&self) -> Result<Open, Failure> {
        let began = Instant::now();
        self.producer
            .begin_transaction()
            .map_err(|error| self.classify(&error))?;
        Ok(Open {
            began,
            deadline: began + self.timeout,
        })
    }

    fn commit(&self, filling: &mut Filling<'_>, consumed: Option<&Consumed>) -> Result<(), Failure> {
        if filling.open().is_none() && consumed.is_none() {
            return Ok(());
        }
        let Open { deadline, .. } = filling.begun()?;
        if let Some(consumed) = consumed {
            self.send_positions_beside_outputs(consumed, deadline)?;
        }
        self.drain(deadline)?;
        self.end(deadline + END_GRACE)
    }

    /// Sends the positions while the last outputs travel.
    fn send_positions_beside_outputs(&self, consumed: &Consumed, deadline: Instant) -> Result<(), Failure> {
        if self.producer.in_flight_count() == 0 {
            return self.send_positions(consumed, deadline);
        }
        thread::scope(|scope| {
            let flushing = thread::Builder::new()
                .name("lane-flush".to_owned())
                .spawn_scoped(scope, || self.flush(DRAIN_STEP));
            if let Err(error) = flushing {
                tracing::warn!(%error, "outputs travel after the positions: no thread could be started");
            }
            self.send_positions(consumed, deadline)
        })
    }

    fn send_positions(&self, consumed: &Consumed, deadline: Instant) -> Result<(), Failure> {
        let Consumed { positions, member } = consumed;
        let sent = self.retry_until(deadline, || {
            self.producer
                .send_offsets_to_transaction(positions, member, remaining(deadline))
        });
        match sent {
            Err(Failure::Aborted(reason)) => {
                // Where an output has failed, that is why the positions were not taken.
                Err(self
                    .culprit()
                    .map_or(Failure::Aborted(reason), |undelivered| self.undelivered(undelivered)))
            }
            other => other,
        }
    }

    /// Hands an output to librdkafka.
    pub(super) fn send(&self, output: Output<'_>, deadline: Instant) -> Result<(), Failure> {
        let mut message = BaseRecord {
            topic: output.topic.as_ref(),
            partition: None,
            payload: Some(output.value.as_ref()),
            key: Some(output.key.as_ref()),
            timestamp: None,
            headers: headers_out(output.headers),
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
                    let earlier = match error.rdkafka_error_code() {
                        Some(RDKafkaErrorCode::State) => self.culprit(),
                        _ => None,
                    };
                    let undelivered = earlier.unwrap_or_else(|| Undelivered {
                        error,
                        topic: output.topic.to_string(),
                        size: output.size(),
                    });
                    return Err(self.undelivered(undelivered));
                }
            }
        }
    }

    /// The output that failed by itself, where its report comes soon; else any that failed. It says more than what librdkafka refuses
    /// from then on.
    fn culprit(&self) -> Option<Undelivered> {
        let until = Instant::now() + REPORT_GRACE;
        let mut any = None;
        loop {
            self.serve_reports();
            any = self.producer.context().take_first().or(any);
            let found = any.as_ref().is_some_and(|failed| !failed.is_consequence());
            if found || Instant::now() >= until {
                return any;
            }
            thread::sleep(RETRY_STEP);
        }
    }

    /// Waits until every output is confirmed.
    fn drain(&self, deadline: Instant) -> Result<(), Failure> {
        loop {
            if let Some(failed) = self.producer.context().take_first() {
                let culprit = failed.is_consequence().then(|| self.culprit()).flatten();
                return Err(self.undelivered(culprit.unwrap_or(failed)));
            }
            if self.producer.in_flight_count() == 0 {
                return Ok(());
            }
            self.check_deadline(deadline, "the brokers did not confirm the outputs")?;
            self.flush(DRAIN_STEP);
            // What failed is still in flight until its report is served.
            self.serve_reports();
        }
    }

    /// Sends what lingers, and waits until everything is confirmed, at most so long. rdkafka's own flush gives librdkafka no time, in
    /// which nothing is sent, and then waits 100 ms for a report.
    #[expect(
        unsafe_code,
        reason = "rdkafka has no safe call that lets librdkafka flush for a time"
    )]
    fn flush(&self, at_most: Duration) {
        let milliseconds = i32::try_from(at_most.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the client lives as long as the producer that is borrowed here, and librdkafka allows this call from any thread.
        // What it returns is known from the count in flight.
        unsafe { rd_kafka_flush(self.producer.client().native_ptr(), milliseconds) };
    }

    /// Serves the delivery reports that are there, then waits a little.
    fn wait(&self) {
        self.serve_reports();
        thread::sleep(RETRY_STEP);
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

    /// Bytes that a record of the topic may have on the broker, where that is known.
    pub(super) fn limit(&self, topic: &str) -> Option<usize> {
        self.limits.get(topic)
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
