//! What `gosight dlq` takes.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use gosight_schemas::RejectCode;
use uuid::Uuid;

use super::filter::Filter;
use crate::connection::LogArguments;
use crate::failure::Failure;
use crate::moment;
use crate::output::OutputFormat;

/// Look at rejected events, try them again, put them right
#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    Ls(LsArguments),
    Show(ShowArguments),
    Test(TestArguments),
    Redrive(RedriveArguments),
    Discard(DiscardArguments),
    Ledger(LedgerArguments),
    Export(ExportArguments),
}

// Which rejects a command is about: everything that is named must hold.
#[derive(Debug, Args)]
pub(crate) struct FilterArguments {
    /// Rejected for this code; several are alternatives
    #[arg(long, value_name = "CODE", value_parser = code, value_delimiter = ',')]
    pub(crate) code: Vec<RejectCode>,

    /// Of this project
    #[arg(long, value_name = "ID")]
    pub(crate) project: Option<String>,

    /// Of this session
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,

    /// Events of this type, in either spelling
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) event_type: Option<String>,

    /// Rejected at this time or later: 2026-01-31T12:00:00Z or an age such as 10m
    #[arg(long, value_name = "TIME|AGE")]
    pub(crate) from: Option<String>,

    /// Rejected before this time
    #[arg(long, value_name = "TIME|AGE")]
    pub(crate) to: Option<String>,

    /// This reject; several are alternatives
    #[arg(long, value_name = "REJECT_ID", value_delimiter = ',')]
    pub(crate) id: Vec<Uuid>,

    /// Rejected by this version of the enricher
    #[arg(long, value_name = "VERSION")]
    pub(crate) enricher_version: Option<String>,
}

impl FilterArguments {
    /// The filter; ages count back from now.
    pub(crate) fn filter(&self) -> Result<Filter, Failure> {
        let now = jiff::Timestamp::now();
        let time = |name: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => moment::parse(text, now)
                .map(|time| Some(time.as_millisecond()))
                .map_err(|error| Failure::usage(format!("--{name} {error}"))),
        };
        Ok(Filter {
            code: self.code.clone(),
            project: self.project.clone(),
            session: self.session.clone(),
            event_type: self.event_type.clone(),
            from: time("from", &self.from)?,
            to: time("to", &self.to)?,
            id: self.id.clone(),
            enricher_version: self.enricher_version.clone(),
        })
    }
}

fn code(text: &str) -> Result<RejectCode, String> {
    let found = RejectCode::ALL.into_iter().find(|code| code.as_str() == text);
    found.ok_or_else(|| {
        let known: Vec<&str> = RejectCode::ALL.iter().map(|code| code.as_str()).collect();
        format!("is no reject code; choose of {}", known.join(", "))
    })
}

/// Rejects in groups of code, project and enricher version: how many, since when, and one of them
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gosight dlq ls\n  gosight dlq ls --from 1h --project b0000000-0000-0000-0000-000000000001\n  \
                        gosight dlq ls --brokers 127.0.0.1:9092 --code missing_field,wrong_type --format json"
)]
pub(crate) struct LsArguments {
    #[command(flatten)]
    pub(crate) log: LogArguments,

    #[command(flatten)]
    pub(crate) filter: FilterArguments,

    /// Also what was redriven or discarded
    #[arg(long)]
    pub(crate) all: bool,

    /// Show addresses and user ids that messages name
    #[arg(long)]
    pub(crate) reveal: bool,

    /// How to show the groups
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
}

/// One reject: the event with the offending fields marked, every problem, its origin, and the other events of its batch
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gosight dlq show 0191b7a2-7f3c-5c39-9c2f-3b1d7e1f2a00\n  \
                        gosight dlq show 0191b7a2-7f3c-5c39-9c2f-3b1d7e1f2a00 --from 2d --format json"
)]
pub(crate) struct ShowArguments {
    /// The reject's id
    #[arg(value_name = "REJECT_ID")]
    pub(crate) id: Uuid,

    #[command(flatten)]
    pub(crate) log: LogArguments,

    /// Search from this time on: makes the search shorter
    #[arg(long, value_name = "TIME|AGE")]
    pub(crate) from: Option<String>,

    /// Enricher configuration: the rules by which the batch's other events are told
    #[arg(long, value_name = "FILE")]
    pub(crate) enricher_config: Option<PathBuf>,

    /// Show addresses and user ids
    #[arg(long)]
    pub(crate) reveal: bool,

    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
}

// Today's enricher, and what is changed before it is asked.
#[derive(Debug, Args)]
pub(crate) struct TrialArguments {
    /// Change each event first: a JSON merge patch (RFC 7396), or @FILE that holds one
    #[arg(long, value_name = "PATCH|@FILE")]
    pub(crate) patch: Option<String>,

    /// Leave alone what was tried so often
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_attempts: u32,

    /// Enricher configuration: rules, privacy and GeoIP of today
    #[arg(long, value_name = "FILE")]
    pub(crate) enricher_config: Option<PathBuf>,
}

/// Run rejects through today's enricher and say what would become of them; writes nothing
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gosight dlq test --code timestamp_out_of_range\n  \
                  gosight dlq test --from 1h --patch '{\"page\":{\"title\":null}}'\n\nExit code 1 when some would not pass.")]
pub(crate) struct TestArguments {
    #[command(flatten)]
    pub(crate) log: LogArguments,

    #[command(flatten)]
    pub(crate) filter: FilterArguments,

    #[command(flatten)]
    pub(crate) trial: TrialArguments,

    /// Show addresses and user ids that messages name
    #[arg(long)]
    pub(crate) reveal: bool,

    /// How to show the result
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
}

/// What to do about a reject whose event stands on raw already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnDuplicate {
    /// Settle the reject as a duplicate
    Skip,
    /// Publish it all the same, without looking
    Publish,
}

/// Run rejects through today's enricher and publish what passes, each once; a dry run unless --yes
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gosight dlq redrive --code missing_field --from 1h --patch '{\"timestamp\":1700000000000}'\n  \
                  gosight dlq redrive --code missing_field --from 1h --rate 500 --yes\n  \
                  gosight dlq redrive --resume 0191b7a2-7f3c-7c39-9c2f-3b1d7e1f2a00 --yes"
)]
pub(crate) struct RedriveArguments {
    #[command(flatten)]
    pub(crate) log: LogArguments,

    #[command(flatten)]
    pub(crate) filter: FilterArguments,

    #[command(flatten)]
    pub(crate) trial: TrialArguments,

    /// Do it: without this only what would be done is shown
    #[arg(long)]
    pub(crate) yes: bool,

    /// Rejects a second at the most, so that live traffic does not wait
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,

    /// Publish or reject again so many at the most
    #[arg(long, value_name = "N")]
    pub(crate) max: Option<u64>,

    /// Events that stand on raw already (the client may have sent them again): looked for from the oldest reject's receipt on
    #[arg(long, value_enum, default_value_t = OnDuplicate::Skip)]
    pub(crate) on_duplicate: OnDuplicate,

    /// Go on with a job that was stopped or killed: its filter and patch count
    #[arg(long, value_name = "JOB", conflicts_with_all = ["code", "project", "session", "event_type", "from", "to", "id", "enricher_version", "patch"])]
    pub(crate) resume: Option<Uuid>,

    /// Who does it, for the ledger [default: user@host]
    #[arg(long, value_name = "NAME")]
    pub(crate) who: Option<String>,

    /// Show addresses and user ids
    #[arg(long)]
    pub(crate) reveal: bool,

    /// How to show the result
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
}

/// Settle rejects that nobody needs: they stay on the topic, but are listed no more; a dry run unless --yes
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gosight dlq discard --code unknown_type --to 1d --reason 'old SDK' --yes")]
pub(crate) struct DiscardArguments {
    #[command(flatten)]
    pub(crate) log: LogArguments,

    #[command(flatten)]
    pub(crate) filter: FilterArguments,

    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,

    /// Do it: without this only what would be done is shown
    #[arg(long)]
    pub(crate) yes: bool,

    /// Who does it, for the ledger [default: user@host]
    #[arg(long, value_name = "NAME")]
    pub(crate) who: Option<String>,

    /// How to show the result
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
}

/// What was done by whom: replays, redrives, discards
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gosight dlq ledger\n  gosight dlq ledger --from 7d --format json")]
pub(crate) struct LedgerArguments {
    #[command(flatten)]
    pub(crate) log: LogArguments,

    /// Jobs that did something at this time or later
    #[arg(long, value_name = "TIME|AGE")]
    pub(crate) from: Option<String>,

    /// How to show the jobs
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
}

/// Write rejects as JSON lines
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gosight dlq export --from 1h > rejects.jsonl\n  \
                        gosight dlq export --code invalid_json --reveal --output rejects.jsonl")]
pub(crate) struct ExportArguments {
    #[command(flatten)]
    pub(crate) log: LogArguments,

    #[command(flatten)]
    pub(crate) filter: FilterArguments,

    /// Also what was redriven or discarded
    #[arg(long)]
    pub(crate) all: bool,

    /// Write addresses and user ids too: each reject is exactly as it stands
    #[arg(long)]
    pub(crate) reveal: bool,

    /// To this file, which must not exist [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}
