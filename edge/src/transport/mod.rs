//! The transports: each reads and writes its protocol and nothing else. One router serves all of them on every public port, so that
//! gRPC-Web works wherever a browser is pointed at.

mod answer;
mod content;
mod cors;
mod framing;
mod grpc;
mod health;
mod http;
mod incoming;
mod last_request;
mod meter;
mod reflection;
mod sender;
mod status;

use std::sync::Arc;

use ::http::header::HeaderName;
use ::http::{HeaderMap, HeaderValue};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use gosight_config::EdgeSettings;
use gosight_lifecycle::{Readiness, Shutdown};
use uuid::Uuid;

use self::grpc::GrpcEntry;
use crate::body::BodyLimits;
use crate::ingest::{Ingest, bytes};
use crate::new_id::new_id;

pub(crate) use self::last_request::LAST_REQUEST;
pub(crate) use self::sender::Peer;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A request id from outside is kept if it is no longer; one hop's id is a UUID or something alike.
const MAX_REQUEST_ID: usize = 128;

/// What every transport needs.
pub(crate) struct Context {
    ingest: Arc<Ingest>,
    readiness: Readiness,
    shutdown: Shutdown,
    batch_limits: BodyLimits,
    replay_limits: BodyLimits,
    /// Batches of one stream that wait for the log; at least 1.
    stream_window: usize,
}

impl Context {
    pub(crate) fn new(
        ingest: Arc<Ingest>,
        readiness: Readiness,
        shutdown: Shutdown,
        settings: &EdgeSettings,
    ) -> Arc<Self> {
        let limits = &settings.limits;
        let batch_limits = BodyLimits {
            arriving: bytes(limits.body.as_u64()),
            decompressed: bytes(limits.decompressed.as_u64()),
            timeout: limits.body_timeout,
        };
        Arc::new(Self {
            ingest,
            readiness,
            shutdown,
            batch_limits,
            replay_limits: BodyLimits {
                decompressed: bytes(limits.replay_decompressed.as_u64()),
                ..batch_limits
            },
            stream_window: (limits.stream_window as usize).max(1),
        })
    }
}

/// Everything that a public port answers.
pub(crate) fn router(context: &Arc<Context>, settings: &EdgeSettings) -> Router {
    let calls = Router::new()
        .route("/gosight.IngestService/{method}", post(grpc::call))
        .with_state(Arc::new(GrpcEntry::new(Arc::clone(context))));
    Router::new()
        .route("/v1/events", post(http::events))
        .route("/v1/replay", post(http::replay))
        .route("/health", get(http::health))
        .route("/ready", get(http::ready))
        .fallback(http::not_found)
        .method_not_allowed_fallback(http::method_not_allowed)
        .with_state(Arc::clone(context))
        .merge(calls)
        .merge(health::routes(context))
        .merge(reflection::routes(&context.shutdown))
        .layer(cors::layer(&settings.cors))
        .layer(from_fn(name_request))
        .layer(from_fn_with_state(context.shutdown.clone(), last_request::tell))
}

/// Every answer carries an id by which a person finds the request in the logs of whoever stands in between.
async fn name_request(request: Request, next: Next) -> Response {
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

fn made_id() -> Option<HeaderValue> {
    let mut text = Uuid::encode_buffer();
    HeaderValue::from_str(new_id().as_hyphenated().encode_lower(&mut text)).ok()
}
