//! What `gosight send` takes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};

use crate::output::OutputFormat;

/// Send events from a file, or realistic sessions at a rate, and check that each is acknowledged
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("what").args(["file", "generate"]).required(true),
    after_help = "Examples:\n  gosight send batch.json\n  gosight send events.jsonl --session sess-7\n  \
                  gosight send --generate --count 200 --rate 1000 --bad 0.05\n  \
                  gosight send --generate --for 2s --rate 100 --transport grpc --to http://127.0.0.1:50051 --format json\n\n\
                  Exit code 1 when something was not acknowledged."
)]
pub(crate) struct SendArguments {
    /// A batch (JSON object, or protobuf gosight.EventBatch), an array of events, or one JSON event a line; - reads standard input
    #[arg(value_name = "FILE|-")]
    pub(crate) file: Option<PathBuf>,

    /// Make sessions as visitors of a shop would
    #[arg(long)]
    pub(crate) generate: bool,

    /// Where the edge is [default: http://127.0.0.1:8080, over gRPC http://127.0.0.1:50051]
    #[arg(long, value_name = "URL", env = "GOSIGHT_URL")]
    pub(crate) to: Option<String>,

    /// How to send
    #[arg(long, value_enum, default_value_t = TransportChoice::Http)]
    pub(crate) transport: TransportChoice,

    /// API key; a batch that names its own keeps it
    #[arg(
        long,
        value_name = "KEY",
        env = "GOSIGHT_KEY",
        default_value = "gs_test_key",
        hide_env_values = true
    )]
    pub(crate) key: String,

    /// Session of events that come without a batch; a new one where absent
    #[arg(long, value_name = "ID", conflicts_with = "generate")]
    pub(crate) session: Option<String>,

    /// Events of one batch; a batch of a file is sent as it is
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) batch: u32,

    /// Generated events a second
    #[arg(long, value_name = "N", default_value_t = 100.0, value_parser = rate, requires = "generate")]
    pub(crate) rate: f64,

    /// Generate so many events; without it, and without --for, until Ctrl-C
    #[arg(long, value_name = "N", requires = "generate")]
    pub(crate) count: Option<u64>,

    /// Generate for so long, for example 30s
    #[arg(long = "for", value_name = "DURATION", requires = "generate", value_parser = humantime::parse_duration)]
    pub(crate) lasting: Option<Duration>,

    /// Share of generated events that the enricher will reject, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share, requires = "generate")]
    pub(crate) bad: f64,

    /// Generated batches that may wait for their ack at the same time, each on a connection of its own
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) in_flight: u32,

    /// How often a batch is tried before it counts as not acknowledged
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) attempts: u32,

    /// One try may take so long
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,

    /// How to show the summary
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TransportChoice {
    Http,
    Grpc,
}

fn rate(text: &str) -> Result<f64, String> {
    number_within(text, 0.001, 1_000_000.0)
}

fn share(text: &str) -> Result<f64, String> {
    number_within(text, 0.0, 1.0)
}

fn number_within(text: &str, least: f64, most: f64) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("give a number from {least} to {most}"))
}
