//! What became of each event, for a person and for a machine.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gosight_edge::Refusal;
use gosight_enricher::core::{Outcome, Processed};
use gosight_schemas::{OriginalEvent, Problem, Reject};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::failure::Failure;
use crate::marked::marked;
use crate::output::{self, OutputFormat, printable};
use crate::pretty_json::{self, Colours};

/// One event's outcome.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    index: u32,
    #[serde(flatten)]
    outcome: Became,
}

#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Became {
    /// The record that would stand on raw.
    Event { event: Box<RawValue> },
    Reject {
        problems: Vec<Problem>,
        original: OriginalEvent,
    },
    /// The same id came before in the batch.
    Duplicate { event_id: Uuid },
}

/// A batch that the edge would not take.
#[derive(Debug, Serialize)]
struct Refused<'a> {
    outcome: &'static str,
    reason: &'static str,
    message: &'a str,
    http_status: u16,
    retry_after_seconds: Option<u64>,
}

impl Verdict {
    pub(super) fn is_reject(&self) -> bool {
        matches!(self.outcome, Became::Reject { .. })
    }
}

/// The outcomes of a batch, in its order.
pub(super) fn verdicts(processed: &Processed) -> Result<Vec<Verdict>, Failure> {
    let defect = |error: serde_json::Error| Failure::software(format!("an outcome is no JSON: {error}"));
    let verdict = |outcome: &Outcome| {
        let became = match outcome {
            Outcome::Event(event) => Became::Event {
                event: serde_json::from_slice(&event.value).map_err(defect)?,
            },
            Outcome::Reject(reject) => {
                let reject: Reject = serde_json::from_slice(&reject.value).map_err(defect)?;
                Became::Reject {
                    problems: reject.problems,
                    original: reject.original,
                }
            }
            Outcome::Duplicate(duplicate) => Became::Duplicate {
                event_id: duplicate.event_id,
            },
        };
        Ok(Verdict {
            index: outcome.origin().index,
            outcome: became,
        })
    };
    processed.outcomes.iter().map(verdict).collect()
}

/// Prints them all.
pub(super) fn print(format: OutputFormat, verdicts: &[Verdict]) -> Result<(), Failure> {
    match format {
        OutputFormat::Json => verdicts.iter().try_for_each(output::json_line),
        OutputFormat::Table => verdicts.iter().try_for_each(|verdict| output::say(&shown(verdict))),
    }
}

/// Prints why the edge would take none of it.
pub(super) fn print_refusal(format: OutputFormat, refusal: &Refusal) -> Result<(), Failure> {
    let rule = refusal.reason().rule();
    match format {
        OutputFormat::Json => output::json_line(&Refused {
            outcome: "refused",
            reason: rule.name,
            message: refusal.message(),
            http_status: rule.http.as_u16(),
            retry_after_seconds: refusal.retry_after_seconds(),
        }),
        OutputFormat::Table => output::say(&format!(
            "The batch would be refused with HTTP status {} ({}): {}",
            rule.http.as_u16(),
            rule.name,
            printable(refusal.message())
        )),
    }
}

fn shown(verdict: &Verdict) -> String {
    let index = verdict.index;
    match &verdict.outcome {
        Became::Event { event } => format!(
            "Event {index} is good; it would stand on raw as\n{}",
            pretty_json::pretty(event.get(), Colours::of_stdout())
        ),
        Became::Duplicate { event_id } => {
            format!("Event {index} is a duplicate: the id {event_id} came before in the batch")
        }
        Became::Reject { problems, original } => {
            let mut text = format!("Event {index} would be rejected:\n");
            for problem in problems {
                let field = if problem.field.is_empty() {
                    "the event"
                } else {
                    &problem.field
                };
                text.push_str(&format!("  {}  {}\n", printable(field), problem.code));
            }
            text.push_str(&original_shown(original, problems));
            text
        }
    }
}

fn original_shown(original: &OriginalEvent, problems: &[Problem]) -> String {
    match original {
        OriginalEvent::Json(text) => event_shown(text.get(), problems),
        OriginalEvent::Base64(base64) => match STANDARD.decode(base64).map(String::from_utf8) {
            Ok(Ok(text)) => event_shown(&text, problems),
            _ => format!("{}base64 {base64}", messages(problems)),
        },
        OriginalEvent::Cut { size, .. } | OriginalEvent::Withheld { size, .. } => {
            format!("{}({size} bytes)", messages(problems))
        }
    }
}

fn event_shown(json: &str, problems: &[Problem]) -> String {
    match serde_json::from_str(json) {
        Ok(event) => marked(&event, problems),
        Err(_) => format!("{}{}", messages(problems), printable(json)),
    }
}

/// Where there is no field that they could stand at.
fn messages(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| format!("  {}\n", printable(&problem.message)))
        .collect()
}
