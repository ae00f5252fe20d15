//! `gosight dlq ledger`

use gosight_schemas::ledger::{JobEntry, JobKind, JobState};
use serde::Serialize;

use super::super::arguments::LedgerArguments;
use super::open;
use crate::failure::Failure;
use crate::ledger::Ledger;
use crate::moment;
use crate::output::{self, Row};

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Job<'a>(&'a JobEntry);

pub(super) async fn run(arguments: LedgerArguments) -> Result<(), Failure> {
    let since = arguments
        .from
        .as_deref()
        .map(|text| moment::parse(text, jiff::Timestamp::now()))
        .transpose()
        .map_err(|error| Failure::usage(format!("--from {error}")))?
        .map(|time| time.as_millisecond());
    let source = open(&arguments.log).await?;
    let ledger = Ledger::read(&*source.log, &source.topics.ledger, since).await?;
    let jobs: Vec<Job<'_>> = ledger.jobs().map(Job).collect();
    output::rows(arguments.format, &jobs)
}

impl Row for Job<'_> {
    const HEADINGS: &'static [&'static str] = &[
        "JOB", "KIND", "STATE", "WHO", "STARTED", "UPDATED", "RESULTS", "FILTER", "REASON",
    ];

    fn cells(&self) -> Vec<String> {
        let job = self.0;
        let kind = match job.kind {
            JobKind::Redrive => "redrive",
            JobKind::Replay => "replay",
            JobKind::Discard => "discard",
        };
        let state = match job.state {
            JobState::Running => "running",
            JobState::Cancelled => "cancelled",
            JobState::Done => "done",
        };
        let counts: Vec<String> = job
            .counts
            .iter()
            .map(|(what, count)| format!("{what} {count}"))
            .collect();
        vec![
            job.job_id.clone(),
            kind.to_owned(),
            state.to_owned(),
            job.who.clone(),
            moment::shown(job.started_at),
            moment::shown(job.updated_at),
            counts.join(", "),
            job.filter.to_string(),
            job.reason.clone().unwrap_or_default(),
        ]
    }
}
