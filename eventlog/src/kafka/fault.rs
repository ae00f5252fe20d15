//! rdkafka's errors in our words.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::LogError;

/// Whether the brokers said that the topic, or the partition, is not there.
pub(super) fn is_unknown_topic(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::UnknownTopicId
    )
}

/// Whether no broker answered.
pub(super) fn is_silence(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::WaitingForCoordinator
    )
}

/// Brokers compare a topic's limit with whole batches: why a record that is far below it was refused all the same.
pub(super) fn refused_batch(topic: &str, size: usize, limit: usize) -> Option<String> {
    (size <= limit / 2).then(|| {
        format!("a batch of records was over the limit of {limit} bytes of topic {topic}; give it a max.message.bytes of at least 1 MiB")
    })
}

/// The code of an error, if it has one; rdkafka leaves out those of admin requests.
pub(super) fn code_of(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// Questions to the brokers: what was asked, for how long, and of whom.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) what: String,
    pub(super) topic: Option<String>,
    pub(super) timeout: Duration,
    pub(super) address: String,
}

impl Question {
    /// The error for a question that rdkafka could not answer.
    pub(super) fn failed(&self, error: &KafkaError) -> LogError {
        match (code_of(error), &self.topic) {
            (Some(code), Some(topic)) if is_unknown_topic(code) => LogError::UnknownTopic { topic: topic.clone() },
            (Some(code), _) if is_silence(code) => self.timed_out(),
            _ => self.refused(error),
        }
    }

    /// The error for a question without an answer.
    pub(super) fn timed_out(&self) -> LogError {
        LogError::Timeout {
            what: self.what.clone(),
            timeout: self.timeout,
            address: self.address.clone(),
        }
    }

    /// The error for anything else.
    pub(super) fn refused(&self, reason: impl std::fmt::Display) -> LogError {
        LogError::Failed {
            what: self.what.clone(),
            reason: reason.to_string(),
        }
    }
}

/// The error for a client that librdkafka would not create.
pub(super) fn settings_refused(error: &KafkaError) -> LogError {
    LogError::Settings {
        reason: error.to_string(),
    }
}
