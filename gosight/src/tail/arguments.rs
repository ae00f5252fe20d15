//! What `gosight tail` takes.

use clap::{Args, ValueEnum};

use crate::connection::LogArguments;

/// Show records of a topic as they come
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gosight tail\n  gosight tail --topic errors --from start --limit 10\n  \
                  gosight tail --from 10m --format json --type page_view\n  gosight tail --topic errors --code missing_field\n  \
                  gosight tail --brokers 127.0.0.1:9092 --topic staging --project b0000000-0000-0000-0000-000000000001\n\n\
                  Who reads more slowly than records come is moved to the newest ones, and told how many were skipped."
)]
pub(crate) struct TailArguments {
    #[command(flatten)]
    pub(crate) log: LogArguments,

    /// Which topic
    #[arg(long, value_enum, default_value_t = TopicChoice::Raw)]
    pub(crate) topic: TopicChoice,

    /// Where to begin: start, a time (2026-01-31T12:00:00Z), an age (10m) or offsets (0:120,3:98); without it, at what comes now
    #[arg(long, value_name = "start|TIME|AGE|OFFSETS")]
    pub(crate) from: Option<String>,

    /// Only records of this project
    #[arg(long, value_name = "ID")]
    pub(crate) project: Option<String>,

    /// Only records of this session
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,

    /// Only events of this type, on raw and errors
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) event_type: Option<String>,

    /// Only rejects with this code
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,

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
