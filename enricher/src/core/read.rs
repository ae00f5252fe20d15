//! From a staged batch to its events: decoded, checked, each with its id. What [`super::process`] and [`super::dedupe_keys`] share,
//! so that both ask the window for the same ids.

use gosight_schemas::{Problem, RawBatch, RejectCode, Stage};

use super::clock;
use super::decode;
use super::event::{BatchFacts, Encoded, Event};
use super::ids::{EventId, IdMaker};
use super::masking;
use super::problems::Problems;
use super::rules::Rules;
use super::validate::{self, Bounds};

/// A batch that could be read.
pub(super) struct ReadBatch<'a> {
    pub(super) facts: BatchFacts<'a>,
    pub(super) events: Vec<ReadEvent<'a>>,
}

/// One event of it.
pub(super) struct ReadEvent<'a> {
    pub(super) encoded: Encoded<'a>,
    pub(super) result: Result<ValidEvent<'a>, Refused>,
}

/// A sound event.
pub(super) struct ValidEvent<'a> {
    pub(super) event: Event<'a>,
    pub(super) id: EventId<'a>,
}

/// Why an event is none; at least one problem.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) stage: Stage,
    pub(super) problems: Vec<Problem>,
}

impl Refused {
    /// For one reason that concerns the event, or the record, as a whole.
    pub(super) fn because(stage: Stage, code: RejectCode, message: impl Into<String>) -> Self {
        let problem = Problem {
            code,
            field: String::new(),
            message: message.into(),
        };
        Self {
            stage,
            problems: vec![problem],
        }
    }
}

/// Reads a batch.
///
/// # Errors
/// Its body is not of the format that the edge noted; the text says how.
pub(super) fn batch<'a>(batch: &'a RawBatch, rules: &Rules) -> Result<ReadBatch<'a>, String> {
    let body = decode::body(batch)?;
    let mut ids = IdMaker::new(&batch.project_id, &batch.session_id);
    let bounds = Bounds { rules, batch };
    let events = body.events.into_iter().map(|encoded| {
        let result = event(&encoded, bounds, &mut ids);
        ReadEvent { encoded, result }
    });
    Ok(ReadBatch {
        events: events.collect(),
        facts: body.facts,
    })
}

fn event<'a>(encoded: &Encoded<'a>, bounds: Bounds<'_>, ids: &mut IdMaker<'_>) -> Result<ValidEvent<'a>, Refused> {
    let mut problems = Problems::default();
    let Some(mut event) = decode::event(encoded, bounds.rules, &mut problems) else {
        return Err(Refused {
            stage: Stage::Decode,
            problems: problems.into_list(),
        });
    };
    clock::adjust(&mut event, bounds, &problems);
    validate::check(&event, bounds, &mut problems);
    if !problems.is_empty() {
        return Err(Refused {
            stage: Stage::Validate,
            problems: problems.into_list(),
        });
    }
    masking::mask(&mut event);
    let id = ids.id(event.id.take(), encoded.bytes());
    Ok(ValidEvent { event, id })
}
