//! The page Dead letters: what `gosight dlq` does, asked by a page.

use std::collections::BTreeMap;
use std::sync::Arc;

use gosight_config::EnricherSettings;
use gosight_enricher::Assets;
use gosight_schemas::RejectCode;
use gosight_schemas::ledger::{JobEntry, JobKind, JobState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::jobs::{Jobs, Standing};
use super::{ConsoleParts, Personal};
use crate::dlq::discard::{Discard, discard};
use crate::dlq::filter::Filter;
use crate::dlq::groups::Group;
use crate::dlq::letter::Letter;
use crate::dlq::neighbours::{self, Neighbour};
use crate::dlq::patch::{Change, Patch, changes};
use crate::dlq::redact::{REDACTED, is_personal_path, redact, redacted_message};
use crate::dlq::redrive::{Means, Request, Start, redrive, rehearse};
use crate::dlq::source::{Scope, Source};
use crate::dlq::trial::Verdict;
use crate::failure::Failure;
use crate::ledger::Ledger;
use crate::moment;

/// Rejects of a list at the most.
const MOST_LISTED: usize = 200;
/// Events a second: live traffic does not wait.
const RATE: u32 = 1_000;
/// As the commands have it by default.
const MAX_ATTEMPTS: u32 = 5;
/// Jobs of the ledger that are shown, the newest.
const MOST_JOBS: usize = 50;

/// Which rejects, as the page asks.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    code: String,
    project: String,
    session: String,
    #[serde(rename = "type")]
    event_type: String,
    id: String,
    /// An age or a time; all where empty.
    since: String,
    limit: usize,
}

/// What is to be done with them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    filter: Asked,
    #[serde(default)]
    patch: Option<Box<serde_json::value::RawValue>>,
    #[serde(default)]
    reason: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Groups {
    groups: Vec<Group>,
    searched: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Listed {
    rejects: Vec<Value>,
    more: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Shown {
    reject: Value,
    original: Option<Value>,
    neighbours: Vec<Neighbour>,
}

#[derive(Debug, Serialize)]
pub(super) struct Tested {
    would_pass: u64,
    still_fail: u64,
    failures: Vec<Failing>,
    /// What a patch changes in the first reject that it changes, as lines with `-` and `+`.
    example: Option<String>,
}

#[derive(Debug, Serialize)]
struct Failing {
    code: String,
    count: u64,
    sample: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Done {
    at_ms: i64,
    who: String,
    kind: &'static str,
    filter: String,
    state: &'static str,
    result: String,
}

/// Answers the page.
pub(super) struct DeadLetters {
    source: Source,
    settings: EnricherSettings,
    operator: String,
    personal: Personal,
    jobs: Arc<Jobs>,
}

impl DeadLetters {
    pub(super) fn new(parts: &ConsoleParts, operator: String) -> Self {
        Self {
            source: Source {
                log: Arc::clone(&parts.log),
                topics: parts.topics.clone(),
            },
            settings: parts.enricher.clone(),
            operator: format!("{operator} (console)"),
            personal: parts.personal,
            jobs: Arc::default(),
        }
    }

    pub(super) async fn groups(&self, asked: &Asked) -> Result<Groups, Failure> {
        let listing = self.source.groups(&asked.filter()?, Scope::Waiting, |_| {}).await?;
        let mut groups = listing.groups;
        if self.personal == Personal::Redacted {
            for group in &mut groups {
                group.sample = redacted_message(&group.sample);
            }
        }
        Ok(Groups {
            groups,
            searched: format!(
                "{} records of {} were read; what was redriven or discarded is left out",
                listing.records, self.source.topics.errors
            ),
        })
    }

    pub(super) async fn list(&self, asked: &Asked) -> Result<Listed, Failure> {
        let limit = asked.limit.clamp(1, MOST_LISTED);
        let mut letters = self.source.letters(&asked.filter()?, Scope::Waiting).await?;
        let mut rejects = Vec::new();
        while let Some(seen) = letters.next().await? {
            for letter in seen.into_iter().filter_map(|seen| seen.letter) {
                if rejects.len() == limit {
                    return Ok(Listed { rejects, more: true });
                }
                rejects.push(self.shown(&letter)?);
            }
        }
        Ok(Listed { rejects, more: false })
    }

    pub(super) async fn show(&self, asked: &Asked) -> Result<Shown, Failure> {
        let mut letters = self.source.letters(&asked.filter()?, Scope::All).await?;
        let mut found = None;
        // The last attempt counts.
        while let Some(seen) = letters.next().await? {
            found = seen.into_iter().filter_map(|seen| seen.letter).next_back().or(found);
        }
        let letter = found.ok_or_else(|| Failure::usage(format!("there is no reject {}", asked.id)))?;
        let neighbours = neighbours::of(&self.source, &letter.reject, &self.assets()?)
            .await?
            .events;
        let mut original = letter.event().unwrap_or(Value::Null);
        if self.personal == Personal::Redacted {
            redact(&mut original);
        }
        Ok(Shown {
            reject: self.shown(&letter)?,
            original: Some(original),
            neighbours,
        })
    }

    pub(super) async fn test(&self, order: &Order) -> Result<Tested, Failure> {
        let request = order.request()?;
        let patch = order.parsed_patch()?;
        let assets = self.assets()?;
        let mut failing: BTreeMap<String, Failing> = BTreeMap::new();
        let mut example = None;
        let outcome = rehearse(&self.means(&assets), &request, |letter, verdict| {
            if example.is_none()
                && let Some(patch) = &patch
            {
                example = self.example(letter, patch);
            }
            if !matches!(verdict, Verdict::Passes(_)) {
                let group = failing.entry(verdict.as_str().to_owned()).or_insert_with(|| Failing {
                    code: verdict.as_str().to_owned(),
                    count: 0,
                    sample: self.message(&verdict.reason()),
                });
                group.count += 1;
            }
        })
        .await?;
        let would_pass = outcome.counts.get("passes").copied().unwrap_or(0);
        Ok(Tested {
            would_pass,
            still_fail: outcome.counts.values().sum::<u64>() - would_pass,
            failures: failing.into_values().collect(),
            example,
        })
    }

    /// Begins a redrive; the job's id in this console.
    pub(super) async fn redrive(&self, order: &Order) -> Result<Uuid, Failure> {
        let request = Box::new(order.request()?);
        let assets = self.assets()?;
        let total = self
            .source
            .groups(&request.filter, Scope::Waiting, |_| {})
            .await?
            .records;
        let (id, job) = self.jobs.begin(total);
        let (source, who) = (self.source.clone(), self.operator.clone());
        tokio::spawn(async move {
            let means = Means {
                source: &source,
                assets: &assets,
                rate: RATE,
            };
            let done = redrive(
                &means,
                Start::New { request, who },
                |records| job.step(records),
                || false,
            )
            .await;
            job.end(
                done.map(|outcome| outcome.counts)
                    .map_err(|failure| failure.message().to_owned()),
            );
        });
        Ok(id)
    }

    /// Begins a discard; the job's id in this console.
    pub(super) async fn discard(&self, order: &Order) -> Result<Uuid, Failure> {
        if order.reason.trim().is_empty() {
            return Err(Failure::usage("say why they are discarded: it stands in the ledger"));
        }
        let filter = order.filter.filter()?;
        let total = self.source.groups(&filter, Scope::Waiting, |_| {}).await?.records;
        let (id, job) = self.jobs.begin(total);
        let (source, who, reason) = (self.source.clone(), self.operator.clone(), order.reason.clone());
        tokio::spawn(async move {
            let done = discard(&source, Discard { filter, who, reason }, |records| job.step(records)).await;
            let counts = done.map(|done| BTreeMap::from([("discarded".to_owned(), done.count)]));
            job.end(counts.map_err(|failure| failure.message().to_owned()));
        });
        Ok(id)
    }

    pub(super) fn job(&self, id: &str) -> Option<Standing> {
        self.jobs.standing(id.parse().ok()?)
    }

    pub(super) async fn ledger(&self) -> Result<Vec<Done>, Failure> {
        let ledger = Ledger::read(&*self.source.log, &self.source.topics.ledger, None).await?;
        let mut jobs: Vec<&JobEntry> = ledger.jobs().collect();
        jobs.sort_by_key(|job| std::cmp::Reverse(job.started_at));
        Ok(jobs.into_iter().take(MOST_JOBS).map(done).collect())
    }

    /// Today's rules and files.
    fn assets(&self) -> Result<Assets, Failure> {
        Assets::load(&self.settings).map_err(|error| Failure::usage(error.to_string()))
    }

    fn means<'a>(&'a self, assets: &'a Assets) -> Means<'a> {
        Means {
            source: &self.source,
            assets,
            rate: RATE,
        }
    }

    fn message(&self, message: &str) -> String {
        match self.personal {
            Personal::Redacted => redacted_message(message),
            Personal::Shown => message.to_owned(),
        }
    }

    fn shown(&self, letter: &Letter) -> Result<Value, Failure> {
        let mut value = serde_json::to_string(&letter.reject)
            .and_then(|text| serde_json::from_str(&text))
            .map_err(|error| Failure::software(format!("JSON: {error}")))?;
        if self.personal == Personal::Redacted {
            redact(&mut value);
        }
        Ok(value)
    }

    fn example(&self, letter: &Letter, patch: &Patch) -> Option<String> {
        let event = gosight_enricher::core::original_json(&letter.reject).ok()??;
        let patched = patch.apply(&event).ok()?;
        let tree = |json: &str| serde_json::from_str::<Value>(json).ok();
        let lines: Vec<String> = changes(&tree(event.get())?, &tree(patched.get())?)
            .iter()
            .flat_map(|change| self.lines(change))
            .collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    fn lines(&self, change: &Change) -> Vec<String> {
        let hidden = self.personal == Personal::Redacted && is_personal_path(&change.path);
        let line = |sign: char, value: &Option<Value>| {
            let value = value.as_ref()?;
            let text = if hidden { REDACTED.to_owned() } else { value.to_string() };
            Some(format!("{sign} {}: {text}", change.path))
        };
        [line('-', &change.before), line('+', &change.after)]
            .into_iter()
            .flatten()
            .collect()
    }
}

impl Asked {
    fn filter(&self) -> Result<Filter, Failure> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let code = given(&self.code)
            .map(|text| {
                let known = RejectCode::ALL.into_iter().find(|code| code.as_str() == text);
                known.ok_or_else(|| Failure::usage(format!("{text:?} is no reject code; docs/events.md has them")))
            })
            .transpose()?;
        let id = given(&self.id)
            .map(|text| text.parse::<Uuid>())
            .transpose()
            .map_err(|_| Failure::usage(format!("{:?} is no reject id", self.id)))?;
        let since = given(&self.since)
            .map(|text| moment::parse(&text, Timestamp::now()))
            .transpose()
            .map_err(|error| Failure::usage(format!("since {error}")))?;
        Ok(Filter {
            from: since.map(|time| time.as_millisecond()),
            code: code.into_iter().collect(),
            project: given(&self.project),
            session: given(&self.session),
            event_type: given(&self.event_type),
            id: id.into_iter().collect(),
            ..Filter::default()
        })
    }
}

impl Order {
    fn parsed_patch(&self) -> Result<Option<Patch>, Failure> {
        let text = self
            .patch
            .as_ref()
            .map(|patch| patch.get())
            .filter(|text| *text != "null");
        text.map(|text| Patch::parse(text).map_err(|error| Failure::usage(error.to_string())))
            .transpose()
    }

    fn request(&self) -> Result<Request, Failure> {
        Ok(Request {
            filter: self.filter.filter()?,
            patch: self.parsed_patch()?.map(|patch| patch.as_str().to_owned()),
            max_attempts: MAX_ATTEMPTS,
            max: None,
            looks_for_duplicates: true,
        })
    }
}

fn done(job: &JobEntry) -> Done {
    let counts: Vec<String> = job
        .counts
        .iter()
        .map(|(what, count)| format!("{what} {count}"))
        .collect();
    Done {
        at_ms: job.started_at,
        who: job.who.clone(),
        kind: match job.kind {
            JobKind::Redrive => "redrive",
            JobKind::Replay => "replay",
            JobKind::Discard => "discard",
        },
        filter: job.filter.to_string(),
        state: match job.state {
            JobState::Running => "running",
            JobState::Cancelled => "cancelled",
            JobState::Done => "done",
        },
        result: match &job.reason {
            Some(reason) => format!("{}; {reason}", counts.join(", ")),
            None => counts.join(", "),
        },
    }
}

/// An answer that names a job.
pub(super) fn begun(id: Uuid) -> Value {
    json!({ "job": id })
}
