//! What `gosight topics` takes.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::connection::LogArguments;
use crate::output::OutputFormat;

/// Manage the topics of the log
#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    Check(CheckArguments),
    Create(CreateArguments),
}

/// Name each difference between the topics that stand and those that the services need
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gosight topics check\n  gosight topics check --brokers 127.0.0.1:9092\n  \
                  gosight topics check --config edge.yaml --enricher-config enricher.yaml --format json\n\n\
                  Exit code 1 when there is a difference."
)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    pub(crate) log: LogArguments,

    /// Enricher configuration: sizes of raw and errors
    #[arg(long, value_name = "FILE")]
    pub(crate) enricher_config: Option<PathBuf>,

    /// How to show the differences
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
}

/// Create the topics that do not exist on Kafka; existing ones stay as they are
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gosight topics create --brokers 127.0.0.1:9092\n  \
                  gosight topics create --config edge.yaml --enricher-config enricher.yaml")]
pub(crate) struct CreateArguments {
    /// Kafka brokers, host:port separated by commas; over those of the configuration
    #[arg(long, value_name = "BROKERS", env = "KAFKA_BROKERS")]
    pub(crate) brokers: Option<String>,

    /// Edge configuration: how to reach the brokers, names and sizes of staging and replay
    #[arg(long, value_name = "FILE", env = "CONFIG_PATH")]
    pub(crate) config: Option<PathBuf>,

    /// Enricher configuration: sizes of raw and errors
    #[arg(long, value_name = "FILE")]
    pub(crate) enricher_config: Option<PathBuf>,

    /// How to show the topics
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
}
