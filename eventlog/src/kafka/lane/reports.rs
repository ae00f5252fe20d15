//! What the brokers say of a transaction's outputs.

use std::sync::{Mutex, PoisonError};

use rdkafka::Message;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Headers;
use rdkafka::producer::{DeliveryResult, ProducerContext};

use crate::kafka::client::Lines;

/// An output that the brokers did not take.
pub(super) struct Undelivered {
    pub(super) error: KafkaError,
    pub(super) topic: String,
    pub(super) size: usize,
}

impl Undelivered {
    /// Whether it failed only because another did: what waits is dropped then.
    pub(super) fn is_consequence(&self) -> bool {
        matches!(
            self.error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight)
        )
    }
}

/// Remembers the first output of a transaction that failed by itself: one is enough to abort it.
#[derive(Default)]
pub(in crate::kafka) struct Reports {
    first: Mutex<Option<Undelivered>>,
    lines: Lines,
}

impl Reports {
    /// Whatever failed was of an earlier transaction.
    pub(super) fn forget(&self) {
        self.take_first();
    }

    /// The first output that failed by itself, or else any that failed.
    pub(super) fn take_first(&self) -> Option<Undelivered> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.lines.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.lines.error(error, reason);
    }
}

impl ProducerContext for Reports {
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
            let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
            if first.as_ref().is_none_or(Undelivered::is_consequence) {
                *first = Some(undelivered);
            }
        }
    }
}
