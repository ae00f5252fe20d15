//! How both services log and stop.

use serde::Deserialize;

/// `log`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// Form of a line.
    pub format: LogFormat,
    /// What is logged, as tracing's env-filter reads it: `info`, `gosight_edge=debug,info`.
    pub level: String,
}

/// `log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Human,
}

/// `tracing`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TracingSettings {
    /// `http://host:port` of a collector that takes OTLP over gRPC. Empty: no traces.
    pub otlp_endpoint: String,
    /// The share of traces that is kept, 0 to 1.
    #[serde(deserialize_with = "crate::forms::share")]
    pub sampling_ratio: f64,
}

/// `batch`: keys of the Go ingestor. Accepted so that an old file still loads; they do nothing, and a line at start says so.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct LegacyBatchSettings {
    /// Ignored: the edge never waits to fill a batch, and the enricher's transactions have keys of their own.
    pub max_size: Option<u64>,
    /// Ignored, likewise.
    pub flush_interval: Option<String>,
}

impl Default for TracingSettings {
    fn default() -> Self {
        Self {
            otlp_endpoint: String::new(),
            sampling_ratio: 0.1,
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::Human,
            level: "info".to_owned(),
        }
    }
}
