//! stub
use std::sync::Arc;

use gosight_config::EdgeSettings;
use gosight_eventlog::EventLog;
use gosight_lifecycle::{Readiness, Shutdown};
use tokio::net::TcpListener;

use crate::admission::{KeyDirectory, Limiter};

/// What the edge is made of.
pub struct EdgeParts {
    /// Who may send.
    pub keys: KeyDirectory,
    /// How much.
    pub limiter: Arc<dyn Limiter>,
    /// Where batches go.
    pub log: Arc<dyn EventLog>,
    /// Where the edge says whether it works.
    pub readiness: Readiness,
    /// Its settings.
    pub settings: EdgeSettings,
}

/// Bound sockets.
pub struct Listeners {
    /// HTTP and gRPC-Web.
    pub http: TcpListener,
    /// gRPC and gRPC-Web.
    pub grpc: TcpListener,
}

/// Why the edge ended without being asked to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct EdgeError(String);

/// Serves until the shutdown begins and requests in flight have their answers.
///
/// # Errors
/// A listener fails.
pub async fn serve(_parts: EdgeParts, _listeners: Listeners, shutdown: Shutdown) -> Result<(), EdgeError> {
    shutdown.begun().await;
    Ok(())
}
