//! HTTP answers: the contract's JSON and the headers that go with each outcome.

use axum::Json;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use super::request_id::{REQUEST_ID, made_id};
use crate::decompress;
use crate::outcome::{Accepted, Reason, Refusal};
use crate::quota;

pub(super) const RECEIPT: HeaderName = HeaderName::from_static("x-gosight-receipt");
pub(super) const REASON: HeaderName = HeaderName::from_static("x-gosight-reason");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The answer of `/v1/events`, and of everything that has no form of its own.
#[derive(Serialize)]
struct EventsAnswer<'a> {
    success: bool,
    accepted_count: u32,
    rejected_count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<[&'a str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
}

/// The answer of `/v1/replay`.
#[derive(Serialize)]
struct ReplayAnswer<'a> {
    success: bool,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
}

/// Where a receipt stands beside its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReceiptIn {
    /// Nowhere: the contract's answers have no such field.
    HeaderOnly,
    /// In the JSON too.
    Body,
}

impl ReceiptIn {
    /// What the query of a URL asks for: `receipt=1`. A parameter and no header, since sendBeacon can set none.
    pub(super) fn asked(query: Option<&str>) -> Self {
        match query.is_some_and(|query| query.split('&').any(|pair| pair == "receipt=1")) {
            true => Self::Body,
            false => Self::HeaderOnly,
        }
    }

    fn receipt(self, accepted: &Accepted) -> Option<String> {
        (self == Self::Body).then(|| accepted.receipt()).flatten()
    }
}

/// A batch is durable, or was dropped.
pub(super) fn batch_accepted(accepted: &Accepted, receipt_in: ReceiptIn) -> Response {
    let answer = EventsAnswer {
        success: true,
        accepted_count: accepted.events,
        rejected_count: 0,
        errors: None,
        receipt: receipt_in.receipt(accepted),
    };
    with_receipt(accepted, Json(answer).into_response())
}

/// A chunk is durable, or was dropped.
pub(super) fn chunk_accepted(accepted: &Accepted, receipt_in: ReceiptIn) -> Response {
    let answer = ReplayAnswer {
        success: true,
        message: "Chunk received",
        receipt: receipt_in.receipt(accepted),
    };
    with_receipt(accepted, Json(answer).into_response())
}

/// A batch, or a request for which there is no route, is refused.
pub(super) fn refused(refusal: &Refusal) -> Response {
    let answer = refused_json(refusal);
    with_reason(refusal, (refusal.reason().rule().http, Json(answer)).into_response())
}

fn refused_json(refusal: &Refusal) -> EventsAnswer<'_> {
    EventsAnswer {
        success: false,
        accepted_count: 0,
        rejected_count: refusal.events(),
        errors: Some([refusal.message()]),
        receipt: None,
    }
}

/// The same as it stands in HTTP/1, for a connection that ends with it before a request could be read.
pub(crate) fn whole(refusal: &Refusal) -> Bytes {
    let status = refusal.reason().rule().http;
    let json = serde_json::to_string(&refused_json(refusal)).unwrap_or_default();
    let mut headers = HeaderMap::new();
    put_reason(refusal, &mut headers);
    headers.extend(made_id().map(|id| (REQUEST_ID, id)));
    let mut text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        json.len()
    )
    .into_bytes();
    for (name, value) in &headers {
        text.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    text.extend([b"connection: close\r\n\r\n", json.as_bytes()].concat());
    text.into()
}

/// A chunk is refused.
pub(super) fn chunk_refused(refusal: &Refusal) -> Response {
    let answer = ReplayAnswer {
        success: false,
        message: refusal.message(),
        receipt: None,
    };
    with_reason(refusal, (refusal.reason().rule().http, Json(answer)).into_response())
}

fn with_receipt(accepted: &Accepted, mut response: Response) -> Response {
    // A topic's name is ASCII in every engine; one that is not costs the receipt, never the answer.
    let receipt = accepted
        .receipt()
        .and_then(|receipt| HeaderValue::try_from(receipt).ok());
    if let Some(receipt) = receipt {
        response.headers_mut().insert(RECEIPT, receipt);
    }
    if let Some(reason) = accepted.reason_name() {
        response.headers_mut().insert(REASON, HeaderValue::from_static(reason));
    }
    response
}

fn with_reason(refusal: &Refusal, mut response: Response) -> Response {
    put_reason(refusal, response.headers_mut());
    if response.status() == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(http::header::WWW_AUTHENTICATE, scheme);
    }
    if refusal.reason() == Reason::UnsupportedEncoding {
        let supported = HeaderValue::from_static(decompress::SUPPORTED);
        response.headers_mut().insert(ACCEPT_ENCODING, supported);
    }
    response
}

/// The reason and the retry hint, as headers.
pub(super) fn put_reason(refusal: &Refusal, headers: &mut HeaderMap) {
    headers.insert(REASON, HeaderValue::from_static(refusal.reason().name()));
    if let Some(seconds) = refusal.retry_after_seconds() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refusal.quotas().is_empty() {
        return;
    }
    let fields = [
        (RATE_LIMIT_POLICY, quota::policy_field(refusal.quotas())),
        (RATE_LIMIT, quota::limit_field(refusal.quotas())),
    ];
    for (name, field) in fields {
        if let Ok(value) = HeaderValue::try_from(field) {
            headers.insert(name, value);
        }
    }
}
