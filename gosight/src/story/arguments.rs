//! What `gosight where` takes.

use std::path::PathBuf;

use clap::Args;

use crate::connection::LogArguments;
use crate::output::OutputFormat;

/// Tell the story of one event: received, staged, and what became of it; exit code 1 when it isn't found
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gosight where 0197f3a0-1111-7000-8000-00000000000a\n  \
                  gosight where 'gosight.events.staging:3:42;batch_id=0197f3a0-2222-7000-8000-00000000000b'\n  \
                  gosight where gosight.events.raw:3:120\n  gosight where checkout-4711 --from 24h --format json\n\n\
                  An event id that is a UUIDv7 tells its own time, and is looked for from five minutes before it; other ids are looked for in \
                  the last hour, unless --from says otherwise. A receipt or a position needs no search for the batch.")]
pub(crate) struct WhereArguments {
    #[command(flatten)]
    pub(crate) log: LogArguments,

    /// Enricher configuration: its group, dedupe window and rules
    #[arg(long, value_name = "FILE")]
    pub(crate) enricher_config: Option<PathBuf>,

    /// An event's id as the client gave it or as it stands on raw, the edge's receipt, or a record's position
    #[arg(value_name = "EVENT_ID|RECEIPT|TOPIC:PARTITION:OFFSET")]
    pub(crate) asked: String,

    /// Look for the id from here on
    #[arg(long, value_name = "start|TIME|AGE")]
    pub(crate) from: Option<String>,

    /// Look for the id up to here [default: what stands there now]
    #[arg(long, value_name = "TIME|AGE")]
    pub(crate) to: Option<String>,

    /// How it is shown
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
}
