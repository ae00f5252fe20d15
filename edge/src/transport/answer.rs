//! HTTP answers: the contract's JSON and the headers that go with each outcome.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use crate::outcome::{Accepted, Refusal};
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
}

/// The answer of `/v1/replay`.
#[derive(Serialize)]
struct ReplayAnswer<'a> {
    success: bool,
    message: &'a str,
}

/// A batch is durable, or was dropped.
pub(super) fn batch_accepted(accepted: &Accepted) -> Response {
    let answer = EventsAnswer {
        success: true,
        accepted_count: accepted.events,
        rejected_count: 0,
        errors: None,
    };
    with_receipt(accepted, Json(answer).into_response())
}

/// A chunk is durable, or was dropped.
pub(super) fn chunk_accepted(accepted: &Accepted) -> Response {
    let answer = ReplayAnswer {
        success: true,
        message: "Chunk received",
    };
    with_receipt(accepted, Json(answer).into_response())
}

/// A batch, or a request for which there is no route, is refused.
pub(super) fn refused(refusal: &Refusal) -> Response {
    let answer = EventsAnswer {
        success: false,
        accepted_count: 0,
        rejected_count: refusal.events(),
        errors: Some([refusal.message()]),
    };
    with_reason(refusal, (refusal.reason().rule().http, Json(answer)).into_response())
}

/// A chunk is refused.
pub(super) fn chunk_refused(refusal: &Refusal) -> Response {
    let answer = ReplayAnswer {
        success: false,
        message: refusal.message(),
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
