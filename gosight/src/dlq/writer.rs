//! A job that settles rejects: what becomes of them, their entries in the ledger and how far the job has come go into one
//! transaction, so that each reject is settled once, whatever is killed when.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use gosight_eventlog::{Job, JobError, NewRecord, Position};
use gosight_schemas::ledger::{JobEntry, JobKind, JobPosition, JobState, LedgerEntry, RejectEntry, RejectResult};
use serde_json::Value;
use uuid::Uuid;

use super::letter::Letter;
use super::source::Source;
use crate::failure::Failure;
use crate::ledger::{self, Ledger};
use crate::ranges::Span;

/// A job that said something in the last so many ms may still run.
const MAY_RUN_MS: i64 = 30_000;

/// Opened before the ledger is read: no other job of this kind commits any more, so what the ledger says is final.
pub(crate) struct Writer {
    job: Box<dyn Job>,
    topic: Arc<str>,
    entry: JobEntry,
    outputs: Vec<NewRecord>,
}

/// A job to start.
pub(crate) struct Order {
    pub(crate) kind: JobKind,
    pub(crate) who: String,
    pub(crate) filter: Value,
    pub(crate) reason: Option<String>,
}

/// What a failed commit means for the command.
pub(crate) fn failed(error: &JobError, job_id: &str) -> Failure {
    let resume = format!("go on with `gosight dlq redrive --resume {job_id} --yes`, or ask again for what is left");
    match error {
        JobError::Fenced { .. } => Failure::unavailable(format!("job {job_id} was stopped: {error}; {resume}")),
        JobError::InDoubt { .. } | JobError::Aborted { .. } => {
            Failure::unavailable(format!("job {job_id} was stopped: {error}; {resume}"))
        }
        JobError::OutputTooLarge { .. } => Failure::software(format!("job {job_id} was stopped: {error}")),
    }
}

/// Takes over the right to settle rejects: all redrives and discards of a ledger share one transactional id, because two at once
/// could settle the same reject twice. The older one ends at its next commit and can be resumed.
///
/// # Errors
/// Another job may still run.
pub(crate) async fn take_over(source: &Source, ledger: &Ledger, mine: Option<&str>) -> Result<Box<dyn Job>, Failure> {
    let now = now_ms();
    let running = ledger.jobs().find(|job| {
        job.kind != JobKind::Replay
            && job.state == JobState::Running
            && now.saturating_sub(job.updated_at) < MAY_RUN_MS
            && Some(job.job_id.as_str()) != mine
    });
    if let Some(job) = running {
        return Err(Failure::unavailable(format!(
            "job {} of {} may still run; wait until it is done, or for {} s after it was killed",
            job.job_id,
            job.who,
            MAY_RUN_MS / 1_000
        )));
    }
    let name = &source.topics.ledger;
    source.log.create_topics(&[ledger::topic(name)]).await?;
    Ok(source.log.job(&format!("{name}.dlq")).await?)
}

impl Writer {
    /// Starts a job over those spans of the errors topic, or goes on with one.
    pub(crate) fn new(job: Box<dyn Job>, source: &Source, entry: JobEntry) -> Self {
        Self {
            job,
            topic: source.topics.ledger.as_str().into(),
            entry,
            outputs: Vec::new(),
        }
    }

    pub(crate) fn job_id(&self) -> &str {
        &self.entry.job_id
    }

    pub(crate) fn counts(&self) -> &BTreeMap<String, u64> {
        &self.entry.counts
    }

    /// Rejects of this job that are settled or left, with those not yet committed.
    pub(crate) fn done(&self) -> u64 {
        self.entry.counts.values().sum()
    }

    /// How many records wait for a commit.
    pub(crate) fn waiting(&self) -> usize {
        self.outputs.len()
    }

    /// Settles a reject, with the record that it becomes.
    pub(crate) fn settle(
        &mut self,
        letter: &Letter,
        result: RejectResult,
        event_id: Option<Uuid>,
        output: Option<NewRecord>,
    ) -> Result<(), Failure> {
        let entry = LedgerEntry::Reject(RejectEntry {
            reject_id: letter.reject.reject_id,
            attempt: letter.reject.attempt,
            job_id: self.entry.job_id.clone(),
            at: now_ms(),
            result,
            event_id,
        });
        self.outputs.extend(output);
        self.outputs.push(ledger::record(&self.topic, &entry)?);
        self.count(result.as_str());
        Ok(())
    }

    /// Counts a reject that is left as it is.
    pub(crate) fn count(&mut self, what: &str) {
        *self.entry.counts.entry(what.to_owned()).or_default() += 1;
    }

    /// The record at that place is dealt with.
    pub(crate) fn passed(&mut self, position: &Position) {
        let places = &mut self.entry.positions;
        if let Some(place) = places.iter_mut().find(|place| place.partition == position.partition) {
            place.next = position.offset + 1;
        }
    }

    /// Commits everything since the last commit, with how far the job has come and whether it goes on.
    pub(crate) async fn commit(&mut self, state: JobState) -> Result<(), Failure> {
        self.entry.state = state;
        self.entry.updated_at = now_ms();
        let mut outputs = std::mem::take(&mut self.outputs);
        outputs.push(ledger::record(&self.topic, &LedgerEntry::Job(self.entry.clone()))?);
        let committed = self.job.commit(outputs).await;
        committed.map_err(|error| failed(&error, &self.entry.job_id))
    }
}

/// A new job's first entry.
pub(crate) fn first_entry(order: Order, topic: &str, spans: &[Span]) -> JobEntry {
    let now = now_ms();
    let positions = spans.iter().map(|span| JobPosition {
        topic: topic.to_owned(),
        partition: span.partition,
        next: span.from,
        end: span.to,
    });
    JobEntry {
        job_id: Uuid::now_v7().to_string(),
        kind: order.kind,
        who: order.who,
        started_at: now,
        updated_at: now,
        state: JobState::Running,
        filter: order.filter,
        positions: positions.collect(),
        counts: BTreeMap::new(),
        reason: order.reason,
    }
}

/// What is left of a job.
pub(crate) fn spans_of(entry: &JobEntry) -> Vec<Span> {
    let spans = entry.positions.iter().map(|place| Span {
        partition: place.partition,
        from: place.next,
        to: place.end,
    });
    spans.collect()
}

/// Unix ms.
pub(crate) fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
