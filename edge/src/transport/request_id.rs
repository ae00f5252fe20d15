//! Every answer carries an id by which a person finds the request in the logs of whoever stands in between.

use axum::response::Response;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use crate::new_id::new_id;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A request id from outside is kept if it is no longer; one hop's id is a UUID or something alike.
const MAX_REQUEST_ID: usize = 128;

/// The id of a request: the one that it has, or a new one.
pub(super) fn of(headers: &HeaderMap) -> Option<HeaderValue> {
    kept_id(headers).or_else(made_id)
}

/// Names an answer.
pub(super) fn name(response: &mut Response, id: Option<HeaderValue>) {
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
}

fn kept_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(REQUEST_ID)?;
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    let is_id = (1..=MAX_REQUEST_ID).contains(&value.len()) && value.as_bytes().iter().all(is_plain);
    is_id.then(|| value.clone())
}

/// An id of ours.
pub(super) fn made_id() -> Option<HeaderValue> {
    let mut text = Uuid::encode_buffer();
    HeaderValue::from_str(new_id().as_hyphenated().encode_lower(&mut text)).ok()
}
