//! Logs and metrics of a process.

use std::io::IsTerminal;

use gosight_config::telemetry::{LogFormat, LogSettings};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

/// Renders the metrics of this process.
pub use metrics_exporter_prometheus::PrometheusHandle;
use tracing_subscriber::EnvFilter;

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

/// Sends this process's log lines to standard error.
///
/// # Errors
/// The level is no filter, or a subscriber is installed already.
pub fn init_logs(settings: &LogSettings) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&settings.level).map_err(|error| TelemetryError::Filter {
        level: settings.level.clone(),
        reason: error.to_string(),
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Colours are for a terminal; in a file or a pipe they break `grep`.
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Human => builder.try_init(),
    }
    .map_err(|error| TelemetryError::Install(error.to_string()))
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

/// Checks what [`init_logs`] would refuse, and installs nothing.
///
/// # Errors
/// The level is no filter.
pub fn check_logs(settings: &LogSettings) -> Result<(), TelemetryError> {
    match EnvFilter::try_new(&settings.level) {
        Ok(_) => Ok(()),
        Err(error) => Err(TelemetryError::Filter {
            level: settings.level.clone(),
            reason: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use gosight_config::telemetry::{LogFormat, LogSettings};

    use super::check_logs;

    #[test]
    fn a_level_that_is_no_filter_is_found_before_the_start() {
        let settings = |level: &str| LogSettings {
            format: LogFormat::Human,
            level: level.to_owned(),
        };
        assert!(check_logs(&settings("gosight_edge=debug,info")).is_ok());
        let error = check_logs(&settings("gosight=[[")).unwrap_err();
        assert!(error.to_string().contains("log.level \"gosight=[[\""), "{error}");
    }
}
