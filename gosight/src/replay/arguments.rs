//! What `gosight replay` takes.

use std::path::PathBuf;

use clap::Args;

use crate::connection::LogArguments;
use crate::output::OutputFormat;

/// Run staged batches again through today's enricher, to another topic; or compare what would come out with what stands
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gosight replay --from 2h --to-topic gosight.events.again --create --dry-run\n  \
                  gosight replay --from 2026-01-31T12:00:00Z --to 2026-01-31T13:00:00Z --to-topic gosight.events.again --create --rate 2000\n  \
                  gosight replay --from 3:120000 --to 3:130000 --to-topic gosight.events.again --type page_view\n  \
                  gosight replay --resume 0197f3a0-1111-7000-8000-00000000000a\n  gosight replay --from 24h --diff\n\n\
                  Every record has the header replay-id, and stands there once however often the replay is killed and resumed. Rejects go to \
                  TOPIC.errors. Duplicates are told by the window before --from, too. An address leaves as the stricter of the project's \
                  settings when it was staged and today's configuration has it."
)]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    pub(crate) log: LogArguments,

    /// Enricher configuration: rules, GeoIP files and privacy of today
    #[arg(long, value_name = "FILE")]
    pub(crate) enricher_config: Option<PathBuf>,

    /// GeoLite2-City or GeoIP2-City file, in place of the configuration's
    #[arg(long, value_name = "FILE")]
    pub(crate) geoip: Option<PathBuf>,

    /// First staged batch: start, a time, an age, or offsets such as 0:120,3:98 (those partitions alone)
    #[arg(long, value_name = "start|TIME|AGE|OFFSETS", required_unless_present = "resume")]
    pub(crate) from: Option<String>,

    /// End of the staged batches, likewise [default: what stands there now]
    #[arg(long, value_name = "TIME|AGE|OFFSETS")]
    pub(crate) to: Option<String>,

    /// Topic for the events; their rejects go to TOPIC.errors
    #[arg(long, value_name = "TOPIC", required_unless_present_any = ["resume", "diff"])]
    pub(crate) to_topic: Option<String>,

    /// Create the topic and TOPIC.errors where they do not exist, as wide as raw
    #[arg(long)]
    pub(crate) create: bool,

    /// Only events of this project
    #[arg(long, value_name = "ID")]
    pub(crate) project: Option<String>,

    /// Only events of this session
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,

    /// Only events of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) event_type: Option<String>,

    /// At most so many records a second [default: as fast as one core goes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,

    /// Treat every project as one that wants no full address, and don't ask the database which do
    #[arg(long)]
    pub(crate) anonymize: bool,

    /// Write nothing; count what would be written
    #[arg(long, conflicts_with_all = ["resume", "diff"])]
    pub(crate) dry_run: bool,

    /// Write nothing; report what would come out different from what stands on raw and errors, by field
    #[arg(long, conflicts_with_all = ["to_topic", "resume", "create"])]
    pub(crate) diff: bool,

    /// Write to the raw topic itself, where downstream reads every event a second time
    #[arg(long)]
    pub(crate) yes: bool,

    /// Go on with a replay that was stopped or killed; a runner that still works on it is fenced off
    #[arg(long, value_name = "ID", conflicts_with_all = ["from", "to", "to_topic", "project", "session", "event_type", "create"])]
    pub(crate) resume: Option<String>,

    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
}
