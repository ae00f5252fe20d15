//! gRPC statuses: the same refusal as over HTTP, with google.rpc's `RetryInfo` and `ErrorInfo` as details.

use std::collections::HashMap;

use prost::Message;
use prost_types::{Any, Duration};
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Code, Status};

use super::answer;
use crate::outcome::{Accepted, Reason, Refusal};

/// Metadata name of the receipt.
const RECEIPT: &str = "x-gosight-receipt";
/// Metadata name of what became of a record that is on no log.
const REASON: &str = "x-gosight-reason";
/// `ErrorInfo.domain`.
const DOMAIN: &str = "gosight";

/// google.rpc.Status, as `grpc-status-details-bin` carries it.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// google.rpc.RetryInfo
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Duration>,
}

/// google.rpc.ErrorInfo
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(map = "string, string", tag = "3")]
    metadata: HashMap<String, String>,
}

/// The status of a refused call.
pub(super) fn of(refusal: &Refusal) -> Status {
    build(refusal, refusal.message().to_owned(), HashMap::new())
}

/// The status of a replay stream that stops. `last` is the index of the last durable chunk of this call.
pub(super) fn of_replay(refusal: &Refusal, last: Option<i32>) -> Status {
    let (message, facts) = match last {
        Some(index) => (
            format!("{}; the last stored chunk is {index}", refusal.message()),
            HashMap::from([("last_chunk_index".to_owned(), index.to_string())]),
        ),
        None => (
            format!("{}; no chunk of this call is stored", refusal.message()),
            HashMap::new(),
        ),
    };
    build(refusal, message, facts)
}

fn build(refusal: &Refusal, message: String, mut facts: HashMap<String, String>) -> Status {
    let rule = refusal.reason().rule();
    if refusal.events() > 0 {
        facts.insert("rejected_count".to_owned(), refusal.events().to_string());
    }
    let error_info = ErrorInfo {
        reason: rule.name.to_owned(),
        domain: DOMAIN.to_owned(),
        metadata: facts,
    };
    let mut details = vec![any("google.rpc.ErrorInfo", &error_info)];
    if let Some(delay) = refusal.retry_after() {
        // Never more than a few seconds; a value that does not fit would be a defect, and then no hint is better than a wrong one.
        let retry_info = RetryInfo {
            retry_delay: Duration::try_from(delay).ok(),
        };
        details.push(any("google.rpc.RetryInfo", &retry_info));
    }
    let rpc_status = RpcStatus {
        code: rule.grpc as i32,
        message: message.clone(),
        details,
    };
    let mut metadata = MetadataMap::new().into_headers();
    answer::put_reason(refusal, &mut metadata);
    Status::with_details_and_metadata(
        rule.grpc,
        message,
        rpc_status.encode_to_vec().into(),
        MetadataMap::from_headers(metadata),
    )
}

fn any(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/{name}"),
        value: message.encode_to_vec(),
    }
}

/// What the metadata of a call that succeeds say of its records.
#[derive(Default)]
pub(super) struct Success {
    /// Of the record that was acknowledged last.
    receipt: Option<String>,
    /// `dropped`, where any was.
    reason: Option<&'static str>,
}

impl Success {
    /// A record has been acknowledged.
    pub(super) fn add(&mut self, accepted: &Accepted) {
        self.receipt = accepted.receipt().or(self.receipt.take());
        self.reason = self.reason.or(accepted.reason_name());
    }

    /// The end of the call: status OK, with all this as trailing metadata.
    pub(super) fn finished(&self) -> Status {
        let mut metadata = MetadataMap::new();
        self.put(&mut metadata);
        Status::with_metadata(Code::Ok, "", metadata)
    }

    /// Names it in metadata.
    pub(super) fn put(&self, metadata: &mut MetadataMap) {
        // A topic's name is ASCII in every engine; one that is not costs the receipt, never the answer.
        let receipt = self.receipt.as_ref().and_then(|receipt| receipt.parse().ok());
        if let Some(receipt) = receipt {
            metadata.insert(RECEIPT, receipt);
        }
        if let Some(reason) = self.reason {
            metadata.insert(REASON, AsciiMetadataValue::from_static(reason));
        }
    }
}

/// What a message that could not be taken from its frame means. tonic tells the cases apart by code and text only.
pub(super) fn framing_refusal(status: &Status, limit: usize) -> Refusal {
    let text = status.message();
    match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => Refusal::body_too_large(limit),
        _ if text.starts_with("Error decompressing") => Refusal::new(
            Reason::InvalidCompression,
            "The message could not be decompressed as gzip",
        ),
        _ => Refusal::new(
            Reason::BrokenRequest,
            "The call broke off, or its gRPC framing is broken",
        ),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use tonic::Code;

    use super::{ErrorInfo, RetryInfo, RpcStatus, of, of_replay};
    use crate::outcome::Refusal;

    #[test]
    fn a_status_carries_reason_and_retry_hint() {
        let refusal = Refusal::rate_limited(std::time::Duration::from_millis(1_500)).of_events(7);
        let status = of(&refusal);
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.metadata().get("x-gosight-reason").unwrap(), "rate_limited");
        assert_eq!(status.metadata().get("retry-after").unwrap(), "2");
        let details = RpcStatus::decode(status.details()).unwrap();
        assert_eq!(details.code, Code::ResourceExhausted as i32);
        assert_eq!(details.details[0].type_url, "type.googleapis.com/google.rpc.ErrorInfo");
        let info = ErrorInfo::decode(details.details[0].value.as_slice()).unwrap();
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            ("rate_limited", "gosight")
        );
        assert_eq!(info.metadata["rejected_count"], "7");
        assert_eq!(details.details[1].type_url, "type.googleapis.com/google.rpc.RetryInfo");
        let retry = RetryInfo::decode(details.details[1].value.as_slice()).unwrap();
        let delay = retry.retry_delay.unwrap();
        assert_eq!((delay.seconds, delay.nanos), (1, 500_000_000));
    }

    #[test]
    fn what_can_not_succeed_later_has_no_retry_hint() {
        let details = RpcStatus::decode(of(&Refusal::invalid_key()).details()).unwrap();
        assert_eq!(details.details.len(), 1);
    }

    #[test]
    fn a_replay_status_names_the_last_stored_chunk() {
        let status = of_replay(&Refusal::overloaded(), Some(4));
        assert!(
            status.message().ends_with("the last stored chunk is 4"),
            "{}",
            status.message()
        );
        let status = of_replay(&Refusal::overloaded(), None);
        assert!(
            status.message().ends_with("no chunk of this call is stored"),
            "{}",
            status.message()
        );
    }
}
