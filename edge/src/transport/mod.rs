//! The transports: each reads and writes its protocol and nothing else. One router serves all of them on every public port, so that
//! gRPC-Web works wherever a browser is pointed at.

mod answer;
mod content;
mod cors;
mod entrance;
mod framing;
mod grpc;
mod header_limit;
mod health;
mod http;
mod incoming;
mod last_request;
mod meter;
mod reflection;
mod request_id;
mod sender;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use gosight_config::EdgeSettings;
use gosight_lifecycle::{Readiness, Shutdown};

use self::grpc::GrpcEntry;
use crate::body::BodyLimits;
use crate::ingest::{Ingest, bytes};

pub(crate) use self::answer::whole as whole_answer;
pub(crate) use self::entrance::Entrance;
pub(crate) use self::last_request::LAST_REQUEST;
pub(crate) use self::sender::Connection;

/// What every transport needs.
pub(crate) struct Context {
    ingest: Arc<Ingest>,
    readiness: Readiness,
    shutdown: Shutdown,
    batch_limits: BodyLimits,
    replay_limits: BodyLimits,
    /// Bytes of all headers together.
    header_limit: usize,
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
            header_limit: bytes(limits.header.as_u64()),
            stream_window: (limits.stream_window as usize).max(1),
        })
    }
}

/// Everything that a public port answers, but for what [`Entrance`] adds.
fn router(context: &Arc<Context>) -> Router {
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
}
