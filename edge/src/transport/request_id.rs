//! Every answer carries an id by which a person finds the request in the logs of whoever stands in between.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use crate::new_id::new_id;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A request id from outside is kept if it is no longer; one hop's id is a UUID or something alike.
const MAX_REQUEST_ID: usize = 128;

/// Names the answer as the request is named, or anew.
pub(super) async fn name_request(request: Request, next: Next) -> Response {
    let id = kept_id(request.headers()).or_else(made_id);
    let mut response = next.run(request).await;
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
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
