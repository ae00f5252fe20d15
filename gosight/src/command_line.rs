//! What can be typed.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The operator's tool of GoSight Ingest.
#[derive(Debug, Parser)]
#[command(
    name = "gosight",
    version,
    about = "The operator's tool of GoSight Ingest",
    propagate_version = true
)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything on this machine in one process: edge, enricher and an embedded log
    #[command(after_help = "Examples:\n  gosight dev\n  gosight dev --data /var/lib/gosight --http-port 9080")]
    Dev(DevArguments),
    /// Show records of a topic as they come
    #[command(
        after_help = "Examples:\n  gosight tail\n  gosight tail --topic errors --from start --limit 10\n  \
                            gosight tail --from 10m --format json\n  gosight tail --brokers 127.0.0.1:9092 --topic staging"
    )]
    Tail(TailArguments),
    /// Manage the topics on Kafka
    #[command(subcommand)]
    Topics(TopicsCommand),
}

#[derive(Debug, Args)]
pub(crate) struct DevArguments {
    /// Directory of the log and the keys
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub(crate) data: PathBuf,

    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,

    /// HTTP port; 0 takes any free one
    #[arg(long, value_name = "PORT", env = "HTTP_PORT", default_value_t = 8080)]
    pub(crate) http_port: u16,

    /// gRPC port; 0 takes any free one
    #[arg(long, value_name = "PORT", env = "GRPC_PORT", default_value_t = 50051)]
    pub(crate) grpc_port: u16,

    /// Port of health, readiness and metrics; 0 takes any free one
    #[arg(long, value_name = "PORT", env = "ADMIN_PORT", default_value_t = 9464)]
    pub(crate) admin_port: u16,

    /// GeoLite2-City or GeoIP2-City file; without one country and city stay empty
    #[arg(long, value_name = "FILE", env = "GEOIP_DATABASE")]
    pub(crate) geoip: Option<PathBuf>,

    /// What to log, for example info or gosight_edge=debug,warn
    #[arg(long, value_name = "FILTER", env = "LOG_LEVEL", default_value = "warn")]
    pub(crate) log_level: String,

    /// Collector for traces, OTLP over gRPC, for example http://127.0.0.1:4317
    #[arg(
        long,
        value_name = "URL",
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) otlp_endpoint: String,
}

/// Which log a command works on: Kafka where brokers or a configuration are named, else the embedded log of `--data`.
#[derive(Debug, Args)]
pub(crate) struct LogArguments {
    /// Directory of an embedded log [default: data, unless Kafka is named]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["brokers", "config"])]
    pub(crate) data: Option<PathBuf>,

    /// Kafka brokers, host:port separated by commas
    #[arg(long, value_name = "BROKERS", env = "KAFKA_BROKERS")]
    pub(crate) brokers: Option<String>,

    /// Edge configuration whose `kafka` section says how to reach the brokers
    #[arg(long, value_name = "FILE", env = "CONFIG_PATH")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TailArguments {
    #[command(flatten)]
    pub(crate) log: LogArguments,

    /// Which topic
    #[arg(long, value_enum, default_value_t = TopicChoice::Raw)]
    pub(crate) topic: TopicChoice,

    /// Where to begin: start, a time (2026-01-31T12:00:00Z) or an age (10m); without it, at what comes now
    #[arg(long, value_name = "start|TIME|AGE")]
    pub(crate) from: Option<String>,

    /// Stop after so many records
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// json: the record's value, one line each; pretty: with position, key and headers
    #[arg(long, value_enum, default_value_t = TailFormat::Pretty)]
    pub(crate) format: TailFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TopicChoice {
    /// Enriched events
    Raw,
    /// Rejects
    Errors,
    /// Raw batches as the edge staged them
    Staging,
    /// Replay chunks
    Replay,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TailFormat {
    Json,
    Pretty,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    /// Create the topics that do not exist; existing ones stay as they are
    #[command(after_help = "Examples:\n  gosight topics create --brokers 127.0.0.1:9092\n  \
                            gosight topics create --config edge.yaml --enricher-config enricher.yaml")]
    Create(TopicsArguments),
}

#[derive(Debug, Args)]
pub(crate) struct TopicsArguments {
    /// Kafka brokers, host:port separated by commas; over those of the configuration
    #[arg(long, value_name = "BROKERS", env = "KAFKA_BROKERS")]
    pub(crate) brokers: Option<String>,

    /// Edge configuration: how to reach the brokers, names and sizes of staging and replay
    #[arg(long, value_name = "FILE", env = "CONFIG_PATH")]
    pub(crate) config: Option<PathBuf>,

    /// Enricher configuration: sizes of raw and errors
    #[arg(long, value_name = "FILE")]
    pub(crate) enricher_config: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::CommandLine;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
