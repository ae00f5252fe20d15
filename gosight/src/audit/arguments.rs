//! What `gosight audit` takes.

use std::path::PathBuf;

use clap::Args;

use crate::connection::LogArguments;
use crate::output::OutputFormat;

/// Check that every staged event became exactly one record or counted duplicate; exit code 1 when the books don't balance
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gosight audit\n  gosight audit --from 24h --format json\n  \
                  gosight audit --from 2026-01-31T12:00:00Z --to 2026-01-31T13:00:00Z --project b0000000-0000-0000-0000-000000000001\n  \
                  gosight audit --brokers 127.0.0.1:9092 --from 3:120000 --to 3:130000\n\n\
                  Events that the enricher has not consumed yet are in flight. Records of replays and redrives count apart. Duplicates are \
                  found again by the enricher's own rules: name its configuration where it is not the default."
)]
pub(crate) struct AuditArguments {
    #[command(flatten)]
    pub(crate) log: LogArguments,

    /// Enricher configuration: its group, dedupe window and rules
    #[arg(long, value_name = "FILE")]
    pub(crate) enricher_config: Option<PathBuf>,

    /// First staged batch: start, a time, an age, or offsets such as 0:120,3:98 (those partitions alone)
    #[arg(long, value_name = "start|TIME|AGE|OFFSETS", default_value = "1h")]
    pub(crate) from: String,

    /// End of the staged batches, likewise [default: what stands there now]
    #[arg(long, value_name = "TIME|AGE|OFFSETS")]
    pub(crate) to: Option<String>,

    /// Only this project
    #[arg(long, value_name = "ID")]
    pub(crate) project: Option<String>,

    /// How many of the events that break the books are named; all are counted
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: u16,

    /// How it is shown
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
}
