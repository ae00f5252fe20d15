//! From a batch's body to events of one form, whatever it was encoded as. A body first becomes events that are still encoded;
//! then each event is decoded on its own, so that a bad one never takes its batch along.

mod batch_properties;
mod json_batch;
mod json_device;
mod json_event;
mod protobuf_batch;
mod protobuf_event;
mod protobuf_payload;
mod unknown_fields;

use gosight_schemas::{BodyFormat, RawBatch, RejectCode};
use serde_json::value::RawValue;

use super::event::{BatchFacts, Device, Encoded, Event};
use super::json::Raw;
use super::problems::Problems;
use super::rules::Rules;

/// A batch's body: its events, still encoded, and what it says for all of them.
pub(super) struct Body<'a> {
    pub(super) events: Vec<Encoded<'a>>,
    pub(super) facts: BatchFacts<'a>,
}

/// Reads a batch's body.
///
/// # Errors
/// It is not of the format that the edge noted; the text says how. The edge stages no such body.
pub(super) fn body(batch: &RawBatch) -> Result<Body<'_>, String> {
    match batch.body_format {
        BodyFormat::Json => json_batch::read(&batch.body),
        BodyFormat::Protobuf => protobuf_batch::read(&batch.body),
    }
}

/// Reads a device that an earlier reading kept.
pub(super) fn read_device<'a>(value: &'a RawValue, device: &mut Device<'a>) {
    // What was not understood stands among the batch's properties.
    json_device::read(Raw::new(value.get()), device);
}

/// Reads one event. `None` where nothing of it could be read; a problem says why.
pub(super) fn event<'a>(encoded: &mut Encoded<'a>, rules: &Rules, problems: &mut Problems) -> Option<Event<'a>> {
    let size = encoded.bytes().len();
    if size > rules.max_event {
        let message = format!(
            "the event has {size} bytes; at most {} are allowed: send less in one event",
            rules.max_event
        );
        problems.add(RejectCode::EventTooLarge, "", message);
        return None;
    }
    read_event(encoded, problems)
}

/// The same, however large it is.
pub(super) fn read_event<'a>(encoded: &mut Encoded<'a>, problems: &mut Problems) -> Option<Event<'a>> {
    match encoded {
        Encoded::Json(element) => json_event::read(element, problems),
        Encoded::Protobuf(bytes) => protobuf_event::read(bytes, problems),
    }
}
