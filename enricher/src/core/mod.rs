//! The pure core: a staged record, the assets and the partition's window of ids give one outcome per event. No I/O, no clock,
//! no failure: whatever is wrong with a record or an event becomes a reject of that record or event.
//!
//! A record goes through [`read`] (decode, validate, ids), the window, [`enrich`] and [`encode`]. docs/events.md says what a valid
//! event is.

mod assets;
mod catalogue;
mod clock;
mod decode;
mod encode;
mod enrich;
mod event;
mod geo;
mod ids;
mod json;
mod masking;
mod numbers;
mod outcome;
mod problems;
mod read;
mod reprocess;
mod rules;
mod staged;
#[doc(hidden)]
pub mod steps;
mod user_agents;
mod validate;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use gosight_eventlog::LogRecord;
use gosight_schemas::{DecodeError, Origin, RawBatch, RejectCode, Stage, decode_raw_batch, topics};
use uuid::Uuid;

use encode::{ADDED, Original, Rejecter, metric_name, write_raw_value};
use enrich::Facts;
use ids::DedupeKeys;
use read::{ReadBatch, ReadEvent, Refused, ValidEvent};

pub use assets::Assets;
pub use clock::TimeChange;
pub use geo::{Details, Geo, GeoError, GeoReader, Network, Place, Stamp};
pub use outcome::{DuplicateOutput, EventOutput, Outcome, Processed, RejectOutput};
pub use reprocess::{Again, Reprocessed, Unrepeatable, event_type_of, original_json, reprocess};
pub use rules::Rules;
pub use staged::{Staged, staged};
pub use user_agents::{Agent, UserAgents, is_library};

/// The events that came lately in one partition, by keys of project and event id.
pub trait DedupeWindow {
    /// Whether the key came before within the window; it counts as seen from now on, either way.
    fn seen(&mut self, key: Uuid, append_time_ms: i64) -> bool;
}

/// Turns a staged record into one outcome per event; a record that can't be read gives one reject of the whole, under index 0. The
/// window is asked for valid events only, in their order. `now_ms` (Unix ms) only dates rejects.
pub fn process(record: &LogRecord, assets: &Assets, window: &mut dyn DedupeWindow, now_ms: i64) -> Processed {
    let batch = match staged_batch(record) {
        Ok(batch) => batch,
        Err(refused) => {
            let rejecter = Rejecter::new(record, assets, now_ms);
            return unread(record, None, &rejecter, refused, &record.value);
        }
    };
    let rejecter = Rejecter::new(record, assets, now_ms).of_batch(&batch);
    match events_of(&batch, assets) {
        Ok(read) => processed(record, &batch, read, &rejecter, window),
        Err(refused) => unread(record, Some(&batch), &rejecter, refused, &batch.body),
    }
}

/// The dedupe keys of a staged record's valid events, in order: what [`process`] would ask the window for.
pub fn dedupe_keys(record: &LogRecord, assets: &Assets) -> Vec<Uuid> {
    staged(record, assets).keys.into_iter().flatten().collect()
}

fn staged_batch(record: &LogRecord) -> Result<RawBatch, Refused> {
    let decoded = guarded(Stage::Staging, || decode_raw_batch(&record.value))?;
    decoded.map_err(|error| {
        let code = match &error {
            DecodeError::UnknownSchema { .. } => RejectCode::UnknownSchema,
            DecodeError::NotSingleObject | DecodeError::Malformed(_) => RejectCode::UndecodableRecord,
        };
        Refused::because(Stage::Staging, code, error.to_string())
    })
}

fn events_of<'a>(batch: &'a RawBatch, assets: &Assets) -> Result<ReadBatch<'a>, Refused> {
    let read = guarded(Stage::Decode, || read::batch(batch, &assets.rules))?;
    read.map_err(|reason| Refused::because(Stage::Staging, RejectCode::UndecodableRecord, reason))
}

fn processed(
    record: &LogRecord,
    batch: &RawBatch,
    read: ReadBatch<'_>,
    rejecter: &Rejecter<'_>,
    window: &mut dyn DedupeWindow,
) -> Processed {
    let assets = rejecter.assets();
    let facts = guarded(Stage::Enrich, || Facts::of(batch, &read.facts, assets));
    let place = facts.as_ref().ok().map(Facts::place);
    let rejecter = rejecter.with_facts(&read.facts, place);
    let keys = DedupeKeys::of(&batch.project_id);
    // The values of a batch share one buffer: two allocations for each event would be the dearest part of it.
    let mut values = Vec::with_capacity(batch.body.len() + read.events.len() * ADDED);
    let mut ends = Vec::with_capacity(read.events.len());
    let outcome = |(index, event): (u32, ReadEvent<'_>)| {
        let ReadEvent { encoded, result } = event;
        let origin = || Origin {
            topic: Arc::clone(&record.position.topic),
            partition: record.position.partition,
            offset: record.position.offset,
            index,
        };
        let original = Original::Event(&encoded);
        let valid = match result {
            Ok(valid) => valid,
            Err(refused) => return Outcome::Reject(rejecter.reject(index, refused, original)),
        };
        let event_id = valid.id.id;
        if window.seen(keys.key(event_id), record.timestamp_ms) {
            return Outcome::Duplicate(DuplicateOutput {
                origin: origin(),
                event_id,
            });
        }
        let event_type = metric_name(&valid.event.event_type);
        let time_change = valid.event.original_time.map(|original| original.change);
        let is_masked = valid.event.is_masked;
        let facts = facts.as_ref().map_err(Refused::clone);
        let start = values.len();
        let written = facts.and_then(|facts| enriched(valid, batch, facts, &assets.rules, &mut values));
        if let Err(refused) = written {
            values.truncate(start);
            return Outcome::Reject(rejecter.reject(index, refused.of(event_id), original));
        }
        ends.push(values.len());
        Outcome::Event(EventOutput {
            origin: origin(),
            event_id,
            event_type,
            value: Bytes::new(),
            time_change,
            is_masked,
        })
    };
    let mut outcomes: Vec<Outcome> = (0..).zip(read.events).map(outcome).collect();
    let values = Bytes::from(values);
    let events = outcomes.iter_mut().filter_map(Outcome::event_mut);
    let mut start = 0;
    for (event, end) in events.zip(ends) {
        event.value = values.slice(start..end);
        start = end;
    }
    Processed {
        batch_id: batch.batch_id.as_str().into(),
        project_id: batch.project_id.as_str().into(),
        session_key: session_key(record, Some(batch)),
        received_at: batch.received_at,
        traceparent: batch.traceparent.clone(),
        outcomes,
    }
}

/// Appends the value for the raw topic to `values`, or says why there can be none; what was appended then is to be cut off.
fn enriched<'a>(
    valid: ValidEvent<'a>,
    batch: &'a RawBatch,
    facts: &'a Facts<'a>,
    rules: &Rules,
    values: &mut Vec<u8>,
) -> Result<(), Refused> {
    let start = values.len();
    guarded(Stage::Enrich, || write_raw_value(valid, batch, facts, values))?;
    let size = values.len() - start;
    if size <= rules.max_raw_value {
        return Ok(());
    }
    let message = format!(
        "the enriched event has {size} bytes; at most {} fit the raw topic: send less in one event",
        rules.max_raw_value
    );
    Err(Refused::because(Stage::Publish, RejectCode::OutputTooLarge, message))
}

/// The one reject of a record whose events can't be told apart.
fn unread(
    record: &LogRecord,
    batch: Option<&RawBatch>,
    rejecter: &Rejecter<'_>,
    refused: Refused,
    original: &[u8],
) -> Processed {
    let reject = rejecter.reject(0, refused, Original::Unreadable(original));
    Processed {
        batch_id: batch.map(|batch| batch.batch_id.as_str().into()).unwrap_or_default(),
        project_id: batch.map(|batch| batch.project_id.as_str().into()).unwrap_or_default(),
        session_key: session_key(record, batch),
        received_at: batch.map_or(record.timestamp_ms, |batch| batch.received_at),
        traceparent: batch.and_then(|batch| batch.traceparent.clone()),
        outcomes: vec![Outcome::Reject(reject)],
    }
}

/// The staging key; made anew only where a record came without.
fn session_key(record: &LogRecord, batch: Option<&RawBatch>) -> Bytes {
    match (&record.key, batch) {
        (Some(key), _) => key.clone(),
        (None, Some(batch)) if batch.session_id.is_empty() => {
            topics::session_key(&batch.project_id, &batch.batch_id).into()
        }
        (None, Some(batch)) => topics::session_key(&batch.project_id, &batch.session_id).into(),
        (None, None) => Bytes::new(),
    }
}

/// Runs a step so that a defect of ours ends as a reject and never stops the partition.
fn guarded<T>(stage: Stage, step: impl FnOnce() -> T) -> Result<T, Refused> {
    catch_unwind(AssertUnwindSafe(step)).map_err(|panic| {
        let message = format!("a defect of the enricher: {}; report it", panic_text(&*panic));
        Refused::because(stage, RejectCode::InternalError, message)
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it panicked")
}

#[cfg(test)]
mod tests {
    use gosight_schemas::{RejectCode, Stage};

    use super::guarded;

    #[test]
    fn a_panic_becomes_a_refusal_that_is_our_fault() {
        let index = std::hint::black_box(3);
        let refused = guarded(Stage::Decode, || [1, 2, 3][index]).unwrap_err();
        let problem = &refused.problems[0];
        assert_eq!(
            (refused.stage, problem.code),
            (Stage::Decode, RejectCode::InternalError)
        );
        assert!(problem.message.contains("index out of bounds"), "{}", problem.message);
        assert!(problem.code.is_our_fault());
        assert_eq!(guarded(Stage::Decode, || 1).unwrap(), 1);
    }
}
