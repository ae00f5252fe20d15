//! What becomes of a request: one closed list of reasons and one table that says what each means over every transport.
//! docs/outcomes.md shows the table; a test holds the two together.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use gosight_eventlog::Position;
use http::StatusCode;
use tonic::Code;
use uuid::Uuid;

use crate::quota::Quota;

/// The outcome of what a restriction drops: metric label and `X-GoSight-Reason`.
pub(crate) const DROPPED: &str = "dropped";

/// A batch or chunk that is answered as success: it is durable on the log, or an operator's restriction dropped it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Events staged; 0 for a replay chunk, for an empty batch and for one that was dropped.
    pub events: u32,
    /// The edge's id of it.
    pub batch_id: Uuid,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a batch or chunk that is answered as success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is durable, at this place.
    Staged(Position),
    /// A restriction keeps it out of the log.
    Dropped,
}

impl Accepted {
    /// The receipt that the sender gets: `topic:partition:offset;batch_id=UUID`; none for what was dropped.
    pub fn receipt(&self) -> Option<String> {
        match &self.fate {
            Fate::Staged(position) => Some(format!("{position};batch_id={}", self.batch_id)),
            Fate::Dropped => None,
        }
    }

    /// What the answer names in the place of a refusal's reason: `dropped`, where a restriction dropped it.
    pub fn reason_name(&self) -> Option<&'static str> {
        match self.fate {
            Fate::Staged(_) => None,
            Fate::Dropped => Some(DROPPED),
        }
    }
}

/// What becomes of a batch or a replay chunk.
pub type Outcome = Result<Accepted, Refusal>;

/// Why a batch or a chunk was refused. A refusal is of the whole batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    reason: Reason,
    message: Cow<'static, str>,
    events: u32,
    retry_after: Option<Duration>,
    quotas: Vec<Quota>,
}

/// Whether the same request may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It will fail again.
    Never,
    /// After this long, unless the refusal knows better.
    After(Duration),
}

/// What a reason means over each transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The reason's name: metric label, `X-GoSight-Reason` over HTTP, `ErrorInfo.reason` over gRPC.
    pub name: &'static str,
    /// HTTP status.
    pub http: StatusCode,
    /// gRPC status where the call refuses by status.
    pub grpc: Code,
    /// The retry hint: `Retry-After` over HTTP, `RetryInfo` over gRPC.
    pub retry: Retry,
    /// How a batch of a `SendEvents` stream is refused.
    pub in_stream: InStream,
}

/// How a `SendEvents` stream goes on after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InStream {
    /// The batch gets an ack with `success: false`; the stream goes on.
    Ack,
    /// The stream ends with the status, after the acks of what came before.
    Status,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident => $name:literal, $http:ident, $grpc:ident, $retry:expr, $in_stream:ident;)+) => {
        /// Every reason for which a request may be refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $variant,)+
        }

        impl Reason {
            /// The closed list, in the order of docs/outcomes.md.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// What it means over each transport.
            pub const fn rule(self) -> Rule {
                match self {
                    $(Self::$variant => Rule {
                        name: $name,
                        http: StatusCode::$http,
                        grpc: Code::$grpc,
                        retry: $retry,
                        in_stream: InStream::$in_stream,
                    },)+
                }
            }
        }
    };
}

const ONE_SECOND: Retry = Retry::After(Duration::from_secs(1));
const FIVE_SECONDS: Retry = Retry::After(Duration::from_secs(5));

reasons! {
    /// No key in the body, the headers or the metadata.
    MissingKey => "missing_key", UNAUTHORIZED, Unauthenticated, Retry::Never, Status;
    /// A key that is unknown, inactive, expired or too long.
    InvalidKey => "invalid_key", UNAUTHORIZED, Unauthenticated, Retry::Never, Status;
    /// Two keys that differ in one request.
    KeyConflict => "key_conflict", BAD_REQUEST, InvalidArgument, Retry::Never, Ack;
    /// A valid key whose permissions do not include `ingest`.
    KeyNotPermitted => "key_not_permitted", FORBIDDEN, PermissionDenied, Retry::Never, Status;
    /// An operator's restriction refuses it.
    Restricted => "restricted", FORBIDDEN, PermissionDenied, Retry::Never, Ack;
    /// The key could not be checked, because no store of keys answered.
    KeysUnavailable => "keys_unavailable", SERVICE_UNAVAILABLE, Unavailable, ONE_SECOND, Ack;
    /// A token bucket of the project, or the key's own, is empty.
    RateLimited => "rate_limited", TOO_MANY_REQUESTS, ResourceExhausted, ONE_SECOND, Ack;
    /// The body is no JSON.
    InvalidJson => "invalid_json", BAD_REQUEST, InvalidArgument, Retry::Never, Ack;
    /// The body is no protobuf message of its type.
    InvalidProtobuf => "invalid_protobuf", BAD_REQUEST, InvalidArgument, Retry::Never, Ack;
    /// A field of the envelope is missing, too long or of the wrong type.
    InvalidField => "invalid_field", BAD_REQUEST, InvalidArgument, Retry::Never, Ack;
    /// Replay events that are no JSON array, or base64 that is none.
    InvalidReplay => "invalid_replay", BAD_REQUEST, InvalidArgument, Retry::Never, Ack;
    /// Bytes that call themselves gzip and are not, or end too early.
    InvalidCompression => "invalid_compression", BAD_REQUEST, InvalidArgument, Retry::Never, Ack;
    /// The request broke off, or its gRPC framing is broken.
    BrokenRequest => "broken_request", BAD_REQUEST, InvalidArgument, Retry::Never, Status;
    /// A Content-Encoding other than gzip.
    UnsupportedEncoding => "unsupported_encoding", UNSUPPORTED_MEDIA_TYPE, Unimplemented, Retry::Never, Status;
    /// A Content-Type that the route does not read.
    UnsupportedType => "unsupported_type", UNSUPPORTED_MEDIA_TYPE, Unimplemented, Retry::Never, Status;
    /// The body is too large as it arrives, or after decompression.
    BodyTooLarge => "body_too_large", PAYLOAD_TOO_LARGE, OutOfRange, Retry::Never, Status;
    /// More events than one batch may have.
    TooManyEvents => "too_many_events", PAYLOAD_TOO_LARGE, OutOfRange, Retry::Never, Ack;
    /// The record would be over the topic's limit.
    RecordTooLarge => "record_too_large", PAYLOAD_TOO_LARGE, OutOfRange, Retry::Never, Ack;
    /// The body did not arrive in time.
    BodyTimeout => "body_timeout", REQUEST_TIMEOUT, DeadlineExceeded, ONE_SECOND, Status;
    /// No such route.
    NotFound => "not_found", NOT_FOUND, Unimplemented, Retry::Never, Status;
    /// The route exists, for another method.
    MethodNotAllowed => "method_not_allowed", METHOD_NOT_ALLOWED, Unimplemented, Retry::Never, Status;
    /// The edge holds as many bytes as it may.
    Overloaded => "overloaded", SERVICE_UNAVAILABLE, Unavailable, ONE_SECOND, Ack;
    /// The queue in front of the log is full.
    LogBusy => "log_busy", SERVICE_UNAVAILABLE, Unavailable, ONE_SECOND, Ack;
    /// The log did not confirm the record: it may or may not be there.
    LogUnavailable => "log_unavailable", SERVICE_UNAVAILABLE, Unavailable, FIVE_SECONDS, Ack;
    /// The process is stopping; another one will answer.
    ShuttingDown => "shutting_down", SERVICE_UNAVAILABLE, Unavailable, ONE_SECOND, Status;
    /// A defect of ours.
    Internal => "internal", INTERNAL_SERVER_ERROR, Internal, ONE_SECOND, Ack;
}

impl Reason {
    /// The reason's name.
    pub const fn name(self) -> &'static str {
        self.rule().name
    }
}

impl Refusal {
    /// A refusal with its message to the sender: what is wrong, with the value, and what to do.
    pub fn new(reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason,
            message: message.into(),
            events: 0,
            retry_after: match reason.rule().retry {
                Retry::Never => None,
                Retry::After(delay) => Some(delay),
            },
            quotas: Vec::new(),
        }
    }

    /// No key was presented. The text is the contract's for every 401; the reason tells the two apart.
    pub fn missing_key() -> Self {
        Self::new(Reason::MissingKey, "Invalid API key")
    }

    /// The key is not valid.
    pub fn invalid_key() -> Self {
        Self::new(Reason::InvalidKey, "Invalid API key")
    }

    /// The project sends more than it may.
    pub fn rate_limited(retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(Reason::RateLimited, "Rate limit exceeded")
        }
    }

    /// The body is no JSON.
    pub fn invalid_json() -> Self {
        Self::new(Reason::InvalidJson, "Invalid JSON")
    }

    /// A body over its limit in bytes.
    pub fn body_too_large(limit: usize) -> Self {
        Self::new(
            Reason::BodyTooLarge,
            format!("The body is larger than the limit of {limit} bytes; send smaller batches"),
        )
    }

    /// The edge holds as much as it may.
    pub fn overloaded() -> Self {
        Self::new(Reason::Overloaded, "The service is overloaded; try again")
    }

    /// The process is stopping.
    pub fn shutting_down() -> Self {
        Self::new(
            Reason::ShuttingDown,
            "The server is stopping; reconnect and send again what was not acknowledged",
        )
    }

    /// Names how many events the refused batch had, once they are known.
    #[must_use]
    pub fn of_events(mut self, events: u32) -> Self {
        self.events = events;
        self
    }

    /// Says what is left of the buckets that refused it.
    #[must_use]
    pub(crate) fn with_quotas(mut self, quotas: Vec<Quota>) -> Self {
        self.quotas = quotas;
        self
    }

    /// The buckets that refused it; empty for other reasons.
    pub(crate) fn quotas(&self) -> &[Quota] {
        &self.quotas
    }

    /// The reason, from the closed list.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The text for the sender.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Events of the refused batch; 0 where they were not counted.
    pub fn events(&self) -> u32 {
        self.events
    }

    /// When to try again; `None` where that is of no use.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// `Retry-After` in whole seconds, rounded up: sooner would be too soon.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        let delay = self.retry_after?;
        Some(delay.as_millis().div_ceil(1000).max(1) as u64)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.name(), self.message)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write;
    use std::time::Duration;

    use super::{InStream, Reason, Refusal, Retry};

    #[test]
    fn every_reason_has_a_name_of_its_own_and_an_error_over_each_transport() {
        let names: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let rule = reason.rule();
            assert!(rule.http.is_client_error() || rule.http.is_server_error(), "{reason:?}");
            assert_ne!(rule.grpc, tonic::Code::Ok, "{reason:?}");
        }
    }

    #[test]
    fn a_retry_hint_and_a_retryable_status_go_together() {
        for reason in Reason::ALL {
            let rule = reason.rule();
            let retryable = matches!(rule.http.as_u16(), 408 | 429 | 500..);
            assert_eq!(rule.retry != Retry::Never, retryable, "{reason:?}");
            assert_eq!(
                Refusal::new(*reason, "").retry_after().is_some(),
                retryable,
                "{reason:?}"
            );
        }
    }

    #[test]
    fn a_retry_hint_is_never_too_soon() {
        assert_eq!(
            Refusal::rate_limited(Duration::from_millis(1_001)).retry_after_seconds(),
            Some(2)
        );
        assert_eq!(Refusal::rate_limited(Duration::ZERO).retry_after_seconds(), Some(1));
        assert_eq!(Refusal::invalid_key().retry_after_seconds(), None);
    }

    #[test]
    fn the_document_shows_the_table() {
        let document = include_str!("../../docs/outcomes.md");
        let rows: Vec<&str> = document.lines().filter(|line| line.starts_with("| `")).collect();
        let expected: Vec<String> = Reason::ALL.iter().map(|reason| row(*reason)).collect();
        for (row, expected) in rows.iter().zip(&expected) {
            assert!(
                row.starts_with(expected.as_str()),
                "docs/outcomes.md has\n{row}\nthe code says\n{expected}"
            );
        }
        assert_eq!(
            rows.len(),
            expected.len(),
            "rows of docs/outcomes.md; the code says:\n{}",
            expected.join("\n")
        );
    }

    fn row(reason: Reason) -> String {
        let rule = reason.rule();
        let mut row = format!(
            "| `{}` | {} | {} | ",
            rule.name,
            rule.http.as_u16(),
            screaming(&format!("{:?}", rule.grpc))
        );
        row.push_str(match rule.in_stream {
            InStream::Ack => "ack, stream goes on",
            InStream::Status => "status, stream ends",
        });
        match rule.retry {
            Retry::Never => row.push_str(" | no |"),
            Retry::After(delay) => write!(row, " | {} s |", delay.as_secs()).unwrap(),
        }
        row
    }

    /// `InvalidArgument` → `INVALID_ARGUMENT`
    fn screaming(name: &str) -> String {
        let mut text = String::new();
        for letter in name.chars() {
            if letter.is_uppercase() && !text.is_empty() {
                text.push('_');
            }
            text.push(letter.to_ascii_uppercase());
        }
        text
    }
}
