//! `gosight dlq redrive`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gosight_schemas::ledger::JobState;
use serde_json::Value;

use super::super::arguments::{OnDuplicate, RedriveArguments};
use super::super::letter::Letter;
use super::super::patch::{Change, Patch, changes};
use super::super::redact::{REDACTED, is_personal_path, redact};
use super::super::redrive::{Means, Outcome, Request, Start, redrive, rehearse};
use super::test::TestGroups;
use super::{assets, open, patch};
use crate::failure::Failure;
use crate::output::{self, OutputFormat, printable};
use crate::{ledger, progress};

pub(super) async fn run(arguments: RedriveArguments) -> Result<(), Failure> {
    if arguments.resume.is_some() && !arguments.yes {
        return Err(Failure::usage("--resume goes on with what was begun; add --yes"));
    }
    let request = Request {
        filter: arguments.filter.filter()?,
        patch: patch(&arguments.trial)?,
        max_attempts: arguments.trial.max_attempts,
        max: arguments.max,
        looks_for_duplicates: arguments.on_duplicate == OnDuplicate::Skip,
    };
    let assets = assets(arguments.trial.enricher_config.as_deref())?;
    let source = open(&arguments.log).await?;
    let means = Means {
        source: &source,
        assets: &assets,
        rate: arguments.rate,
    };
    if !arguments.yes {
        return dry_run(&means, &request, &arguments).await;
    }
    let who = arguments.who.clone().unwrap_or_else(ledger::operator);
    let start = match arguments.resume {
        Some(job) => Start::Resume(job.to_string()),
        None => Start::New {
            request: Box::new(request),
            who,
        },
    };
    let stopped = stop_on_signal();
    let bar = progress::count("rejects");
    let done = redrive(&means, start, |read| bar.inc(read), || stopped.load(Ordering::Relaxed)).await;
    bar.finish_and_clear();
    let outcome = done?;
    show(&outcome, arguments.format)?;
    if outcome.state == Some(JobState::Cancelled) {
        let job_id = outcome.job_id.unwrap_or_default();
        return Err(Failure::finding(format!(
            "stopped; `gosight dlq redrive --resume {job_id} --yes` goes on"
        )));
    }
    Ok(())
}

async fn dry_run(means: &Means<'_>, request: &Request, arguments: &RedriveArguments) -> Result<(), Failure> {
    let patch = match request.patch.as_deref().map(Patch::parse) {
        Some(Ok(patch)) => Some(patch),
        Some(Err(_)) | None => None,
    };
    let mut sample: Option<(uuid::Uuid, Vec<Change>)> = None;
    let mut groups = TestGroups::default();
    let bar = progress::count("rejects");
    let rehearsed = rehearse(means, request, |letter, verdict| {
        bar.inc(1);
        if sample.is_none()
            && let Some(patch) = &patch
        {
            sample = changes_of(letter, patch).map(|changes| (letter.reject.reject_id, changes));
        }
        groups.add(letter, verdict);
    })
    .await;
    bar.finish_and_clear();
    let outcome = rehearsed?;
    if arguments.format == OutputFormat::Json {
        show(&outcome, arguments.format)?;
    } else {
        if let Some((reject_id, changes)) = &sample {
            output::say(&format!("The patch changes reject {reject_id} so:"))?;
            for change in changes {
                output::say(&shown(change, arguments.reveal))?;
            }
            output::say("")?;
        }
        output::rows(arguments.format, &groups.into_list())?;
        show(&outcome, arguments.format)?;
    }
    output::note("Nothing was written: this was a dry run; add --yes to do it.");
    Ok(())
}

fn changes_of(letter: &Letter, patch: &Patch) -> Option<Vec<Change>> {
    let event = gosight_enricher::core::original_json(&letter.reject).ok()??;
    let patched = patch.apply(&event).ok()?;
    let tree = |json: &str| serde_json::from_str::<Value>(json).ok();
    Some(changes(&tree(event.get())?, &tree(patched.get())?))
}

fn shown(change: &Change, reveal: bool) -> String {
    let value = |value: &Option<Value>| match value {
        None => "(absent)".to_owned(),
        Some(_) if !reveal && is_personal_path(&change.path) => REDACTED.to_owned(),
        Some(value) => {
            let mut value = value.clone();
            if !reveal {
                redact(&mut value);
            }
            printable(&value.to_string())
        }
    };
    format!(
        "  {}: {} -> {}",
        printable(&change.path),
        value(&change.before),
        value(&change.after)
    )
}

pub(super) fn show(outcome: &Outcome, format: OutputFormat) -> Result<(), Failure> {
    if format == OutputFormat::Json {
        return output::json_line(outcome);
    }
    let counts: Vec<String> = outcome
        .counts
        .iter()
        .map(|(what, count)| format!("{count} {}", what.replace('_', " ")))
        .collect();
    let counts = if counts.is_empty() {
        "nothing to do".to_owned()
    } else {
        counts.join(", ")
    };
    match &outcome.job_id {
        Some(job_id) => output::say(&format!("Job {job_id}: {counts}")),
        None => output::say(&counts),
    }
}

/// Set by the first Ctrl-C or SIGTERM: the job then ends at its next reject, with what it did committed.
fn stop_on_signal() -> Arc<AtomicBool> {
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stopped);
    tokio::spawn(async move {
        let Ok(shutdown) = gosight_lifecycle::Shutdown::on_signals() else {
            return;
        };
        shutdown.begun().await;
        flag.store(true, Ordering::Relaxed);
    });
    stopped
}
