//! The size of all headers together, for every protocol alike.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use gosight_schemas::Transport;

use super::sender::transport_of;
use super::{Context, http as plain, status};
use crate::outcome::Refusal;

/// Whether the headers are larger than `limits.header`. Over HTTP/1 hyper has already refused most of those.
pub(super) fn is_over(context: &Context, request: &Request) -> bool {
    size(request) > context.header_limit
}

/// The answer to such a request.
pub(super) fn refused(context: &Context, request: Request) -> Response {
    let refusal = Refusal::header_too_large(context.header_limit);
    match transport_of(request.headers()) {
        Transport::Http => plain::turned_away(&context.ingest, request, refusal),
        transport => {
            let refusal = context.ingest.accounts.open(transport).refuse(refusal);
            status::of(&refusal).into_http::<Body>()
        }
    }
}

/// As they would stand in HTTP/1: `name: value` and a line break each.
fn size(request: &Request) -> usize {
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| name.as_str().len() + value.len() + 4;
    path + request.headers().iter().map(line).sum::<usize>()
}
