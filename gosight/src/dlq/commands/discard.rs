//! `gosight dlq discard`

use std::collections::BTreeMap;

use gosight_schemas::ledger::JobState;

use super::super::arguments::DiscardArguments;
use super::super::discard::{Discard, discard};
use super::super::redrive::Outcome;
use super::super::source::Scope;
use super::open;
use super::redrive::show;
use crate::failure::Failure;
use crate::{ledger, output, progress};

pub(super) async fn run(arguments: DiscardArguments) -> Result<(), Failure> {
    let filter = arguments.filter.filter()?;
    let source = open(&arguments.log).await?;
    let bar = progress::count("rejects");
    if !arguments.yes {
        let listing = source.groups(&filter, Scope::Waiting, |read| bar.inc(read)).await;
        bar.finish_and_clear();
        output::rows(arguments.format, &listing?.groups)?;
        output::note("Nothing was written: this was a dry run; add --yes to discard them.");
        return Ok(());
    }
    let order = Discard {
        filter,
        who: arguments.who.unwrap_or_else(ledger::operator),
        reason: arguments.reason,
    };
    let done = discard(&source, order, |read| bar.inc(read)).await;
    bar.finish_and_clear();
    let done = done?;
    let outcome = Outcome {
        job_id: Some(done.job_id),
        state: Some(JobState::Done),
        counts: BTreeMap::from([("discarded".to_owned(), done.count)]),
    };
    show(&outcome, arguments.format)
}
