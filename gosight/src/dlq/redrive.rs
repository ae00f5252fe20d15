//! Redriving: rejects through today's enricher, what passes onto raw, each once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gosight_enricher::Assets;
use gosight_enricher::redrive::RedriveTopics;
use gosight_schemas::ledger::{JobEntry, JobKind, JobState, RejectResult};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::filter::Filter;
use super::letter::Letter;
use super::patch::Patch;
use super::published::{self, Events};
use super::source::{Scope, Source};
use super::trial::{Bench, Verdict, try_again};
use super::writer::{Order, Writer, first_entry, now_ms, spans_of, take_over};
use crate::failure::Failure;
use crate::ranges::CLOCK_SLACK_MS;

/// Records of one transaction at the most, entries included.
const TOGETHER: usize = 500;
/// Transactions a second at the rate's own pace: a slow rate still commits so often.
const COMMITS_A_SECOND: u32 = 5;

/// What a redrive is asked for. Written to the ledger, so that a resumed job asks for the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Request {
    #[serde(flatten)]
    pub(crate) filter: Filter,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) patch: Option<String>,
    pub(crate) max_attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) max: Option<u64>,
    /// Whether raw is searched for the events first.
    pub(crate) looks_for_duplicates: bool,
}

/// Where a job comes from.
pub(crate) enum Start {
    New { request: Box<Request>, who: String },
    Resume(String),
}

/// How a redrive works.
pub(crate) struct Means<'a> {
    pub(crate) source: &'a Source,
    pub(crate) assets: &'a Assets,
    /// Rejects a second at the most.
    pub(crate) rate: u32,
}

/// What a redrive did, or would do.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Outcome {
    /// Absent of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) job_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<JobState>,
    pub(crate) counts: BTreeMap<String, u64>,
}

impl Request {
    fn patch(&self) -> Result<Option<Patch>, Failure> {
        let patch = self.patch.as_deref().map(Patch::parse).transpose();
        patch.map_err(|error| Failure::usage(error.to_string()))
    }
}

/// What raw holds of the events that waiting rejects would become.
struct Survey {
    wanted: Events,
    /// When the oldest of them was received, Unix ms.
    oldest_ms: i64,
}

/// Says what would become of the rejects: the dry run. `look` sees each verdict.
pub(crate) async fn rehearse(
    means: &Means<'_>,
    request: &Request,
    mut look: impl FnMut(&Letter, &Verdict),
) -> Result<Outcome, Failure> {
    let source = means.source;
    let patch = request.patch()?;
    let topics = topics_of(source);
    let bench = bench(means, request, patch.as_ref(), &topics);
    let mut outcome = Outcome::default();
    let mut survey = Survey::new();
    let mut passing: Vec<(String, Uuid)> = Vec::new();
    let mut letters = source.letters(&request.filter, Scope::Waiting).await?;
    'reading: while let Some(seen) = letters.next().await? {
        for letter in seen.into_iter().filter_map(|seen| seen.letter) {
            let verdict = try_again(&letter, &bench, now_ms());
            look(&letter, &verdict);
            match &verdict {
                Verdict::Passes(redriven) if request.looks_for_duplicates => {
                    survey.want(&letter, redriven.event_id)?;
                    passing.push((letter.reject.project_id.clone(), redriven.event_id));
                }
                other => *outcome.counts.entry(other.as_str().to_owned()).or_default() += 1,
            }
            let tried: u64 = outcome.counts.values().sum::<u64>() + passing.len() as u64;
            if request.max.is_some_and(|max| tried >= max) {
                break 'reading;
            }
        }
    }
    let mut known = survey.on_raw(source).await?;
    for (project_id, event_id) in passing {
        let what = if known.insert(&project_id, event_id) {
            "passes"
        } else {
            "duplicate"
        };
        *outcome.counts.entry(what.to_owned()).or_default() += 1;
    }
    if letters.unreadable > 0 {
        outcome.counts.insert("unreadable".to_owned(), letters.unreadable);
    }
    Ok(outcome)
}

/// Does it. `step` hears how many records of the errors topic were dealt with; `stop` ends the job at the next reject, committed.
pub(crate) async fn redrive(
    means: &Means<'_>,
    start: Start,
    mut step: impl FnMut(u64),
    stop: impl Fn() -> bool,
) -> Result<Outcome, Failure> {
    let source = means.source;
    let before = source.ledger(&Filter::default()).await?;
    let mine = match &start {
        Start::New { .. } => None,
        Start::Resume(job_id) => Some(job_id.as_str()),
    };
    let job = take_over(source, &before, mine).await?;
    let (entry, request) = entry_of(source, start).await?;
    let patch = request.patch()?;
    let topics = topics_of(source);
    let bench = bench(means, &request, patch.as_ref(), &topics);
    let spans = spans_of(&entry);
    // Nobody else commits from here on.
    let ledger = source.ledger(&request.filter).await?;
    let mut known = if request.looks_for_duplicates {
        survey(source, &request, &bench, &entry).await?
    } else {
        Events::default()
    };
    let mut writer = Writer::new(job, source, entry);
    writer.commit(JobState::Running).await?;
    let mut pace = Pace::new(means.rate);
    let mut letters = source.letters_over(&spans, &request.filter, ledger).await?;
    while let Some(seen) = letters.next().await? {
        for seen in seen {
            let is_over = request.max.is_some_and(|max| writer.done() >= max);
            if stop() || is_over {
                let state = if is_over { JobState::Done } else { JobState::Cancelled };
                writer.commit(state).await?;
                return Ok(outcome(&writer, state));
            }
            if let Some(letter) = &seen.letter {
                settle(&mut writer, letter, try_again(letter, &bench, now_ms()), &mut known)?;
                pace.took_one();
            }
            writer.passed(&seen.position);
            step(1);
            if writer.waiting() >= TOGETHER || pace.is_due() {
                writer.commit(JobState::Running).await?;
                pace.wait().await;
            }
        }
    }
    writer.commit(JobState::Done).await?;
    Ok(outcome(&writer, JobState::Done))
}

fn settle(writer: &mut Writer, letter: &Letter, verdict: Verdict, known: &mut Events) -> Result<(), Failure> {
    match verdict {
        Verdict::Passes(redriven) => {
            let event_id = Some(redriven.event_id);
            if known.insert(&letter.reject.project_id, redriven.event_id) {
                writer.settle(letter, RejectResult::Redriven, event_id, Some(redriven.record))
            } else {
                writer.settle(letter, RejectResult::Duplicate, event_id, None)
            }
        }
        Verdict::Fails(redriven) => {
            let event_id = Some(redriven.event_id);
            writer.settle(letter, RejectResult::RejectedAgain, event_id, Some(redriven.record))
        }
        // They stay as they are: nothing about them would be different afterwards.
        other => {
            writer.count(other.as_str());
            Ok(())
        }
    }
}

fn outcome(writer: &Writer, state: JobState) -> Outcome {
    Outcome {
        job_id: Some(writer.job_id().to_owned()),
        state: Some(state),
        counts: writer.counts().clone(),
    }
}

/// The job's entry as it stands, and what it was asked for.
async fn entry_of(source: &Source, start: Start) -> Result<(JobEntry, Request), Failure> {
    match start {
        Start::New { request, who } => {
            let errors = &source.topics.errors;
            let spans = request.filter.times().spans(&*source.log, errors).await?;
            let filter = serde_json::to_value(&request).map_err(|error| Failure::software(error.to_string()))?;
            let order = Order {
                kind: JobKind::Redrive,
                who,
                filter,
                reason: None,
            };
            Ok((first_entry(order, errors, &spans), *request))
        }
        Start::Resume(job_id) => {
            let ledger = source.ledger(&Filter::default()).await?;
            let entry = ledger
                .job(&job_id)
                .filter(|job| job.kind == JobKind::Redrive)
                .ok_or_else(|| {
                    Failure::usage(format!(
                        "the ledger knows no redrive {job_id}; see `gosight dlq ledger`"
                    ))
                })?;
            if entry.state == JobState::Done {
                return Err(Failure::usage(format!(
                    "redrive {job_id} is done; there is nothing to resume"
                )));
            }
            let request = Request::deserialize(&entry.filter).map_err(|error| {
                Failure::software(format!("what redrive {job_id} was asked for can't be read: {error}"))
            })?;
            Ok((entry.clone(), request))
        }
    }
}

/// The events of the job's rejects that stand on raw now.
async fn survey(source: &Source, request: &Request, bench: &Bench<'_>, entry: &JobEntry) -> Result<Events, Failure> {
    let ledger = source.ledger(&request.filter).await?;
    let mut survey = Survey::new();
    let mut letters = source.letters_over(&spans_of(entry), &request.filter, ledger).await?;
    while let Some(seen) = letters.next().await? {
        for letter in seen.into_iter().filter_map(|seen| seen.letter) {
            if let Verdict::Passes(redriven) = try_again(&letter, bench, now_ms()) {
                survey.want(&letter, redriven.event_id)?;
            }
        }
    }
    survey.on_raw(source).await
}

impl Survey {
    fn new() -> Self {
        Self {
            wanted: Events::default(),
            oldest_ms: i64::MAX,
        }
    }

    fn want(&mut self, letter: &Letter, event_id: Uuid) -> Result<(), Failure> {
        if self.wanted.is_full() {
            return Err(Failure::usage(
                "these are too many rejects to look for on raw at once; name fewer by --from and --to",
            ));
        }
        self.wanted.insert(&letter.reject.project_id, event_id);
        self.oldest_ms = self.oldest_ms.min(letter.reject.received_at);
        Ok(())
    }

    async fn on_raw(&self, source: &Source) -> Result<Events, Failure> {
        let since = self.oldest_ms.saturating_sub(CLOCK_SLACK_MS);
        published::on_raw(source, &self.wanted, since, |_| {}).await
    }
}

fn topics_of(source: &Source) -> RedriveTopics {
    RedriveTopics {
        raw: source.topics.events.as_str().into(),
        errors: source.topics.errors.as_str().into(),
    }
}

fn bench<'a>(means: &Means<'a>, request: &Request, patch: Option<&'a Patch>, topics: &'a RedriveTopics) -> Bench<'a> {
    Bench {
        assets: means.assets,
        topics,
        patch,
        max_attempts: request.max_attempts,
    }
}

/// Spreads rejects over time.
struct Pace {
    rate: u32,
    began: Instant,
    taken: u32,
}

impl Pace {
    fn new(rate: u32) -> Self {
        Self {
            rate,
            began: Instant::now(),
            taken: 0,
        }
    }

    fn took_one(&mut self) {
        self.taken += 1;
    }

    /// Whether it is time to commit what was taken.
    fn is_due(&self) -> bool {
        self.taken >= (self.rate / COMMITS_A_SECOND).max(1)
    }

    /// Waits until what was taken is within the rate.
    async fn wait(&mut self) {
        let due = Duration::from_secs_f64(f64::from(self.taken) / f64::from(self.rate));
        tokio::time::sleep(due.saturating_sub(self.began.elapsed())).await;
        self.began = Instant::now();
        self.taken = 0;
    }
}
