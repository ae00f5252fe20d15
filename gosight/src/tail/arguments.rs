//! What `gosight tail` takes.

use clap::{Args, ValueEnum};

use crate::connection::LogArguments;

/// Show records of a topic as they come
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gosight tail\n  gosight tail --topic errors --from start --limit 10\n  \
                  gosight tail --from 10m --format json\n  gosight tail --brokers 127.0.0.1:9092 --topic staging"
)]
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
