//! The admin port, apart from the public ones: `/health`, `/ready`, `/metrics`.

use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;

use crate::{Readiness, Shutdown};

/// Histograms and counters are folded together at least so often, whether anyone scrapes or not: it bounds their memory.
const UPKEEP: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct AdminState {
    readiness: Readiness,
    metrics: PrometheusHandle,
}

/// Serves the admin port until the shutdown begins.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    metrics: PrometheusHandle,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    let upkeep = tokio::spawn(fold_metrics(metrics.clone(), shutdown.clone()));
    let router = Router::new()
        .route("/health", get(|| async { "OK" }))
        .route("/ready", get(ready))
        .route("/metrics", get(render_metrics))
        .with_state(AdminState { readiness, metrics });
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(async move { shutdown.begun().await })
        .await;
    upkeep.abort();
    served
}

/// The answer of `/ready`, for any port that offers it.
pub fn ready_response(readiness: &Readiness) -> Response {
    let report = readiness.report();
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report)).into_response()
}

async fn ready(State(state): State<AdminState>) -> Response {
    ready_response(&state.readiness)
}

async fn render_metrics(State(state): State<AdminState>) -> String {
    state.metrics.render()
}

async fn fold_metrics(metrics: PrometheusHandle, shutdown: Shutdown) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            _ = ticks.tick() => metrics.run_upkeep(),
            () = shutdown.begun() => return,
        }
    }
}
