//! The admin port, apart from the public ones: `/health`, `/ready`, `/metrics`, `/loglevel`. Errors are JSON.

use std::time::Duration;

use axum::extract::rejection::StringRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::net::TcpListener;

use crate::telemetry::LogFilter;
use crate::{Readiness, Shutdown};

/// Histograms and counters are folded together at least so often, whether anyone scrapes or not: it bounds their memory.
const UPKEEP: Duration = Duration::from_secs(5);
/// Bytes of a log filter.
const MAX_FILTER: usize = 4 * 1024;

/// What the admin port shows and changes.
#[derive(Clone)]
pub struct AdminParts {
    /// Behind `/ready`.
    pub readiness: Readiness,
    /// Behind `/metrics`.
    pub metrics: PrometheusHandle,
    /// Behind `/loglevel`.
    pub log_filter: LogFilter,
}

/// Serves the admin port until the shutdown begins.
///
/// # Errors
/// The listener fails.
pub async fn serve(listener: TcpListener, parts: AdminParts, shutdown: Shutdown) -> std::io::Result<()> {
    let upkeep = tokio::spawn(fold_metrics(parts.metrics.clone(), shutdown.clone()));
    let router = Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(render_metrics))
        .route("/loglevel", get(log_level).put(set_log_level))
        .layer(DefaultBodyLimit::max(MAX_FILTER))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(parts);
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

/// Whether the process lives: what a supervisor asks before it kills. A dependency that is down is no reason.
async fn health(State(state): State<AdminParts>) -> Response {
    match state.readiness.report().stuck() {
        None => "OK".into_response(),
        Some(component) => {
            let reason = component.detail.as_deref().unwrap_or("it is stuck");
            refused(
                StatusCode::SERVICE_UNAVAILABLE,
                &format!("{}: {reason}", component.name),
            )
        }
    }
}

async fn ready(State(state): State<AdminParts>) -> Response {
    ready_response(&state.readiness)
}

async fn render_metrics(State(state): State<AdminParts>) -> String {
    state.metrics.render()
}

async fn log_level(State(state): State<AdminParts>) -> String {
    state.log_filter.written()
}

/// Until the process ends: the next start logs by the configuration again.
async fn set_log_level(State(state): State<AdminParts>, body: Result<String, StringRejection>) -> Response {
    let before = state.log_filter.written();
    let level = match body {
        Ok(level) => level,
        Err(rejection) => {
            let message = format!(
                "{}; write for example info or gosight_edge=debug,info",
                rejection.body_text()
            );
            return refused(rejection.status(), &message);
        }
    };
    match state.log_filter.set(&level) {
        Ok(()) => {
            let level = state.log_filter.written();
            tracing::warn!(before, now = level, "the log filter was changed");
            level.into_response()
        }
        Err(error) => refused(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

async fn not_found(uri: Uri) -> Response {
    let message = format!(
        "there is nothing at {}; try /health, /ready, /metrics or /loglevel",
        uri.path()
    );
    refused(StatusCode::NOT_FOUND, &message)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    let message = format!(
        "{method} is not for {}; only /loglevel takes more than GET: PUT",
        uri.path()
    );
    refused(StatusCode::METHOD_NOT_ALLOWED, &message)
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
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
