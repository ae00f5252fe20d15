//! From a staged batch to its events: decoded, checked, each with its id. What [`super::process`] and [`super::dedupe_keys`] share,
//! so that both ask the window for the same ids.

use std::borrow::Cow;

use gosight_schemas::{Problem, RawBatch, RejectCode, Stage};
use uuid::Uuid;

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
    /// The id that the event has, or would have had; absent where no event could be told apart.
    pub(super) event_id: Option<Uuid>,
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
            event_id: None,
        }
    }

    /// The same of the event with that id.
    pub(super) fn of(self, event_id: Uuid) -> Self {
        Self {
            event_id: Some(event_id),
            ..self
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
    let events = body.events.into_iter().map(|mut encoded| {
        let result = event(&mut encoded, bounds, &mut ids);
        ReadEvent { encoded, result }
    });
    Ok(ReadBatch {
        events: events.collect(),
        facts: body.facts,
    })
}

fn event<'a>(encoded: &mut Encoded<'a>, bounds: Bounds<'_>, ids: &mut IdMaker<'_>) -> Result<ValidEvent<'a>, Refused> {
    let (id, event) = checked(encoded, bounds);
    // A refused event counts too: identical events are refused alike, and a redrive gives them the ids that they would have had.
    let id = ids.id(id, encoded.bytes());
    match event {
        Ok(event) => Ok(ValidEvent { event, id }),
        Err(refused) => Err(refused.of(id.id)),
    }
}

/// Reads an event again, under the id that was derived for it when it came.
pub(super) fn again<'a>(
    encoded: &mut Encoded<'a>,
    bounds: Bounds<'_>,
    event_id: Uuid,
) -> Result<ValidEvent<'a>, Refused> {
    let (id, event) = checked(encoded, bounds);
    let original = id.filter(|text| Uuid::try_parse(text).is_err());
    let id = EventId { id: event_id, original };
    match event {
        Ok(event) => Ok(ValidEvent { event, id }),
        Err(refused) => Err(refused.of(event_id)),
    }
}

/// An event, decoded and checked, beside the client's id for it.
fn checked<'a>(encoded: &mut Encoded<'a>, bounds: Bounds<'_>) -> (Option<Cow<'a, str>>, Result<Event<'a>, Refused>) {
    let mut problems = Problems::default();
    let refused = |stage: Stage, problems: Problems| Refused {
        stage,
        problems: problems.into_list(),
        event_id: None,
    };
    let Some(mut event) = decode::event(encoded, bounds.rules, &mut problems) else {
        return (None, Err(refused(Stage::Decode, problems)));
    };
    clock::adjust(&mut event, bounds, &problems);
    validate::check(&event, bounds, &mut problems);
    let id = event.id.take();
    if !problems.is_empty() {
        return (id, Err(refused(Stage::Validate, problems)));
    }
    masking::mask(&mut event);
    (id, Ok(event))
}
