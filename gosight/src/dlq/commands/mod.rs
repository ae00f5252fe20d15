//! The commands: each asks, and prints the answer.

mod discard;
mod export;
mod ledger;
mod ls;
mod redrive;
mod show;
mod test;

use gosight_enricher::Assets;

use super::arguments::{DlqCommand, TrialArguments};
use super::patch::Patch;
use super::source::Source;
use crate::connection::{self, LogArguments};
use crate::failure::Failure;

/// `gosight dlq`
pub(crate) async fn run(command: DlqCommand) -> Result<(), Failure> {
    match command {
        DlqCommand::Ls(arguments) => ls::run(arguments).await,
        DlqCommand::Show(arguments) => show::run(arguments).await,
        DlqCommand::Test(arguments) => test::run(arguments).await,
        DlqCommand::Redrive(arguments) => redrive::run(arguments).await,
        DlqCommand::Discard(arguments) => discard::run(arguments).await,
        DlqCommand::Ledger(arguments) => ledger::run(arguments).await,
        DlqCommand::Export(arguments) => export::run(arguments).await,
    }
}

async fn open(arguments: &LogArguments) -> Result<Source, Failure> {
    let opened = connection::open_existing(arguments, "gosight-dlq").await?;
    Ok(Source {
        log: opened.log,
        topics: opened.topics,
    })
}

/// Today's rules and assets.
fn assets(enricher_config: Option<&std::path::Path>) -> Result<Assets, Failure> {
    let settings = connection::enricher_settings(enricher_config)?;
    Assets::load(&settings).map_err(|error| Failure::usage(error.to_string()))
}

/// The patch, checked, as its text.
fn patch(arguments: &TrialArguments) -> Result<Option<String>, Failure> {
    let Some(text) = &arguments.patch else {
        return Ok(None);
    };
    let text = match text.strip_prefix('@') {
        None => text.clone(),
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| Failure::usage(format!("the patch file {file} can't be read: {error}")))?,
    };
    let patch = Patch::parse(&text).map_err(|error| Failure::usage(format!("--patch: {error}")))?;
    Ok(Some(patch.as_str().to_owned()))
}
