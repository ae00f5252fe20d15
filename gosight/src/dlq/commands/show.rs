//! `gosight dlq show`

use serde_json::{Value, json};

use super::super::arguments::{FilterArguments, ShowArguments};
use super::super::letter::Letter;
use super::super::neighbours::{self, Neighbour};
use super::super::redact::{redact, redacted_message};
use super::super::source::Scope;
use super::{assets, open};
use crate::failure::Failure;
use crate::marked::marked;
use crate::moment;
use crate::output::{self, OutputFormat, Row, printable};

pub(super) async fn run(arguments: ShowArguments) -> Result<(), Failure> {
    let filter = FilterArguments {
        code: Vec::new(),
        project: None,
        session: None,
        event_type: None,
        from: arguments.from.clone(),
        to: None,
        id: vec![arguments.id],
        enricher_version: None,
    }
    .filter()?;
    let source = open(&arguments.log).await?;
    let mut letters = source.letters(&filter, Scope::All).await?;
    let mut found: Vec<Letter> = Vec::new();
    while let Some(seen) = letters.next().await? {
        found.extend(seen.into_iter().filter_map(|seen| seen.letter));
    }
    let Some(mut letter) = found.pop() else {
        let since = arguments.from.as_deref().unwrap_or("its oldest record");
        return Err(Failure::finding(format!(
            "no reject {} stands on {} from {since} on",
            arguments.id, source.topics.errors
        )));
    };
    let ledger = source.ledger(&filter).await?;
    let settled = ledger.settled(letter.reject.reject_id, letter.reject.attempt);
    let batch = neighbours::of(&source, &letter.reject, &assets(arguments.enricher_config.as_deref())?).await?;
    let mut reject = tree(&letter)?;
    if !arguments.reveal {
        redact(&mut reject);
        for problem in &mut letter.reject.problems {
            problem.message = redacted_message(&problem.message);
        }
    }
    let settled = settled.map(gosight_schemas::ledger::RejectResult::as_str);
    if arguments.format == OutputFormat::Json {
        return output::json_line(&json!({
            "position": letter.position.to_string(), "settled": settled, "reject": reject, "batch": batch,
        }));
    }
    output::say(&head(&letter, settled))?;
    let event = letter.event().map(|mut event| {
        if !arguments.reveal {
            redact(&mut event);
        }
        marked(&event, &letter.reject.problems)
    });
    match event {
        Some(event) => output::say(&format!("Event:\n{event}"))?,
        None => output::say(&format!(
            "Event, not as JSON: {}",
            printable(&reject["original"].to_string())
        ))?,
    }
    output::say(&format!("Context: {}\n", printable(&reject["context"].to_string())))?;
    output::say(&format!("Its batch, by {}:", batch.found_in))?;
    output::rows(arguments.format, &batch.events)
}

fn tree(letter: &Letter) -> Result<Value, Failure> {
    let failed = |error: serde_json::Error| Failure::software(format!("JSON: {error}"));
    let text = serde_json::to_string(&letter.reject).map_err(failed)?;
    serde_json::from_str(&text).map_err(failed)
}

fn head(letter: &Letter, settled: Option<&str>) -> String {
    let reject = &letter.reject;
    let mut lines = vec![
        format!("Reject    {}", reject.reject_id),
        format!("Stands at {}", letter.position),
        format!("Origin    {}, batch {}", reject.origin, printable(&reject.batch_id)),
        format!(
            "Project   {}, session {}",
            printable(&reject.project_id),
            printable(&reject.session_id)
        ),
        format!(
            "Received  {}, rejected {} by enricher {}",
            moment::shown(reject.received_at),
            moment::shown(reject.rejected_at),
            printable(&reject.enricher_version)
        ),
        format!("Attempt   {}, {}", reject.attempt, settled.unwrap_or("waiting")),
        String::new(),
        "Problems:".to_owned(),
    ];
    let problems = reject.problems.iter().map(|problem| {
        let field = if problem.field.is_empty() {
            "(the event)"
        } else {
            &problem.field
        };
        format!(
            "  {} at {}: {}",
            problem.code,
            printable(field),
            printable(&problem.message)
        )
    });
    lines.extend(problems);
    lines.push(String::new());
    lines.join("\n")
}

impl Row for Neighbour {
    const HEADINGS: &'static [&'static str] = &["INDEX", "OUTCOME", "WHAT", "ID"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.index.to_string(),
            self.outcome.to_owned(),
            self.what.clone(),
            self.id.clone(),
        ]
    }
}
