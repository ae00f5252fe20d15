//! Logs and metrics of a process.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use gosight_config::Contradiction;
use gosight_config::telemetry::{LogFormat, LogSettings};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

/// Renders the metrics of this process.
pub use metrics_exporter_prometheus::PrometheusHandle;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// Upper bounds of the buckets of every histogram whose name ends in `_seconds`.
const SECONDS: &[f64] = &[
    0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];

/// Levels as they are written.
const EXAMPLES: &str = "info or gosight_edge=debug,info";

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not read.
    #[error("log.level {level:?} is no filter: {reason}; write for example {}", EXAMPLES)]
    Filter {
        /// As configured.
        level: String,
        /// What tracing said.
        reason: String,
    },
    /// The collector's address can't be used.
    #[error("tracing.otlp_endpoint {endpoint:?} can't be used: {reason}; write for example http://127.0.0.1:4317")]
    Collector {
        /// As configured.
        endpoint: String,
        /// What the exporter said.
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
    /// As it was written: an [`EnvFilter`] shows itself in another order.
    written: Arc<Mutex<String>>,
}

impl LogFilter {
    /// As it was set last.
    pub fn written(&self) -> String {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Logs by this filter from now on.
    ///
    /// # Errors
    /// It is no filter; the one before stays.
    pub fn set(&self, level: &str) -> Result<(), TelemetryError> {
        let filter = parse_filter(level)?;
        // Held over both, so that what is shown is what is in force.
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        self.handle
            .reload(filter)
            .map_err(|error| TelemetryError::Install(error.to_string()))?;
        level.trim().clone_into(&mut written);
        Ok(())
    }
}

fn parse_filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    let refused = |reason: String| TelemetryError::Filter {
        level: level.to_owned(),
        reason,
    };
    let level = level.trim();
    if level.is_empty() {
        return Err(refused("it is empty".to_owned()));
    }
    // A lone word would be taken for a target, and nothing else be logged any more: it is a level that was mistyped.
    let lone_word = level
        .split(',')
        .map(str::trim)
        .find(|part| !part.contains(['=', '[', ']', '}']) && part.parse::<LevelFilter>().is_err());
    if let Some(word) = lone_word {
        return Err(refused(format!("{word:?} is no level")));
    }
    EnvFilter::try_new(level).map_err(|error| refused(error.to_string()))
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
    Ok(LogFilter {
        handle,
        written: Arc::new(Mutex::new(settings.level.trim().to_owned())),
    })
}

/// Installs the metrics recorder of this process; the handle renders `/metrics`.
///
/// # Errors
/// A recorder is installed already.
pub fn init_metrics() -> Result<PrometheusHandle, TelemetryError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| TelemetryError::Install(error.to_string()))?;
    for metric in documented_metrics() {
        match metric.kind {
            "counter" => metrics::describe_counter!(metric.name, metric.help),
            "gauge" => metrics::describe_gauge!(metric.name, metric.help),
            _ => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
    Ok(handle)
}

/// Shows each documented counter that has no labels and whose name begins with `prefix` as 0: one that first appears as 1 is no
/// increase to Prometheus.
pub fn begin_at_zero(prefix: &str) {
    for metric in documented_metrics() {
        if metric.kind == "counter" && metric.labels.is_empty() && metric.name.starts_with(prefix) {
            metrics::counter!(metric.name).increment(0);
        }
    }
}

/// A row of docs/metrics.md.
#[derive(Debug, PartialEq, Eq)]
struct DocumentedMetric {
    name: &'static str,
    /// `counter`, `gauge` or `histogram`
    kind: &'static str,
    labels: &'static str,
    help: String,
}

/// The page is the source of the HELP lines, so that both say the same.
fn documented_metrics() -> impl Iterator<Item = DocumentedMetric> {
    include_str!("../../docs/metrics.md").lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        let name = cells.next()?.strip_suffix('`')?;
        let (kind, _unit, labels, help) = (cells.next()?, cells.next()?, cells.next()?, cells.next()?);
        Some(DocumentedMetric {
            name,
            kind,
            labels,
            help: help.replace('`', ""),
        })
    })
}

/// What [`init_logs`] would refuse, found before anything is installed. An empty level the settings refuse by themselves.
pub fn check_logs(settings: &LogSettings) -> Option<Contradiction> {
    match parse_filter(&settings.level) {
        Err(TelemetryError::Filter { level, reason }) if !level.trim().is_empty() => Some(Contradiction {
            keys: vec!["log.level"],
            item: None,
            what: format!("is no filter: {reason}; write for example {EXAMPLES}"),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{documented_metrics, parse_filter};

    #[test]
    fn every_row_of_the_page_is_read() {
        let rows = include_str!("../../docs/metrics.md").matches("\n| `").count();
        assert!(rows > 20, "{rows}");
        assert_eq!(documented_metrics().count(), rows);
        for metric in documented_metrics() {
            assert!(["counter", "gauge", "histogram"].contains(&metric.kind), "{metric:?}");
            assert!(!metric.help.is_empty(), "{metric:?}");
        }
    }

    #[test]
    fn a_filter_names_levels() {
        for good in [
            "info",
            " DEBUG\n",
            "off",
            "gosight_edge=debug,info",
            "warn,librdkafka=debug",
            "a[b{c}]=trace,info",
        ] {
            assert!(parse_filter(good).is_ok(), "{good}");
        }
        for (wrong, reason) in [
            ("", "empty"),
            ("dbug", "\"dbug\" is no level"),
            ("info,gosight_edge", "\"gosight_edge\" is no level"),
            ("gosight_edge=loud", "is no filter"),
        ] {
            let message = parse_filter(wrong).unwrap_err().to_string();
            assert!(
                message.contains(reason) && message.contains("write for example info"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_level_that_is_no_filter_is_found_before_the_start() {
        let settings = |level: &str| gosight_config::telemetry::LogSettings {
            format: gosight_config::telemetry::LogFormat::Human,
            level: level.to_owned(),
        };
        assert_eq!(super::check_logs(&settings("gosight_edge=debug,info")), None);
        let found = super::check_logs(&settings("gosight=[[")).unwrap();
        assert_eq!(found.keys, ["log.level"]);
        assert!(found.what.starts_with("is no filter: "), "{found:?}");
    }
}
