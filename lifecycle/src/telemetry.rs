//! Logs and metrics of a process.

use std::io::IsTerminal;

use gosight_config::telemetry::{LogFormat, LogSettings};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

/// Renders the metrics of this process.
pub use metrics_exporter_prometheus::PrometheusHandle;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// Upper bounds of the buckets of every histogram whose name ends in `_seconds`.
const SECONDS: &[f64] = &[
    0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not read.
    #[error("log.level {level:?} is no filter: {reason}; write for example info or gosight_edge=debug,info")]
    Filter {
        /// As configured.
        level: String,
        /// What tracing said.
        reason: String,
    },
    /// Something else is installed already.
    #[error("telemetry could not start: {0}")]
    Install(String),
}

/// What is logged now; it can be changed while running. Clones share it.
#[derive(Debug, Clone)]
pub struct LogFilter {
    handle: reload::Handle<EnvFilter, Registry>,
}

impl LogFilter {
    /// Logs by this filter from now on.
    ///
    /// # Errors
    /// It is no filter; the one before stays.
    pub fn set(&self, level: &str) -> Result<(), TelemetryError> {
        self.handle
            .reload(parse_filter(level)?)
            .map_err(|error| TelemetryError::Install(error.to_string()))
    }
}

fn parse_filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(level).map_err(|error| TelemetryError::Filter {
        level: level.to_owned(),
        reason: error.to_string(),
    })
}

/// Sends this process's log lines to standard error.
///
/// # Errors
/// The level is no filter, or a subscriber is installed already.
pub fn init_logs(settings: &LogSettings) -> Result<LogFilter, TelemetryError> {
    let (filter, handle) = reload::Layer::new(parse_filter(&settings.level)?);
    let lines = tracing_subscriber::fmt::layer()
        // Colours are for a terminal; in a file or a pipe they break `grep`.
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let lines = match settings.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Human => lines.boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .map_err(|error| TelemetryError::Install(error.to_string()))?;
    Ok(LogFilter { handle })
}

/// Installs the metrics recorder of this process; the handle renders `/metrics`.
///
/// # Errors
/// A recorder is installed already.
pub fn init_metrics() -> Result<PrometheusHandle, TelemetryError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| TelemetryError::Install(error.to_string()))
}
