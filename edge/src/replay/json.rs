//! A chunk as JSON. `null` means absent; a name may stand only once; a fraction of a millisecond is cut off.

use std::borrow::Cow;

use bytes::Bytes;
use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::{Chunk, ReplayLimits, events};
use crate::budget::Held;
use crate::envelope::object::{self, Fields};
use crate::envelope::values;
use crate::outcome::{Reason, Refusal};

/// Reads `{project_key, session_id, chunk_index, timestamp_start, timestamp_end, events | data, has_full_snapshot}`.
pub(super) fn read(body: &Bytes, limits: ReplayLimits, held: &mut Held) -> Result<Chunk, Refusal> {
    let fields: ChunkFields<'_> = object::read(body)?;
    Ok(Chunk {
        project_key: values::text("project_key", fields.project_key)?.map(Cow::into_owned),
        session_id: values::id("session_id", fields.session_id)?,
        chunk_index: chunk_index(fields.chunk_index)?,
        timestamp_start: timestamp("timestamp_start", fields.timestamp_start)?,
        timestamp_end: timestamp("timestamp_end", fields.timestamp_end)?,
        has_full_snapshot: flag("has_full_snapshot", fields.has_full_snapshot)?,
        events: fields.events(body, limits, held)?,
    })
}

#[derive(Default)]
struct ChunkFields<'a> {
    project_key: Option<&'a RawValue>,
    session_id: Option<&'a RawValue>,
    chunk_index: Option<&'a RawValue>,
    timestamp_start: Option<&'a RawValue>,
    timestamp_end: Option<&'a RawValue>,
    has_full_snapshot: Option<&'a RawValue>,
    events: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
}

impl<'a> Fields<'a> for ChunkFields<'a> {
    fn take<A: MapAccess<'a>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "project_key" => object::take_raw(&mut self.project_key, "project_key", map),
            "session_id" => object::take_raw(&mut self.session_id, "session_id", map),
            "chunk_index" => object::take_raw(&mut self.chunk_index, "chunk_index", map),
            "timestamp_start" => object::take_raw(&mut self.timestamp_start, "timestamp_start", map),
            "timestamp_end" => object::take_raw(&mut self.timestamp_end, "timestamp_end", map),
            "has_full_snapshot" => object::take_raw(&mut self.has_full_snapshot, "has_full_snapshot", map),
            "events" => object::take_raw(&mut self.events, "events", map),
            "data" => object::take_raw(&mut self.data, "data", map),
            _ => object::pass_over(map),
        }
    }
}

impl ChunkFields<'_> {
    fn events(&self, body: &Bytes, limits: ReplayLimits, held: &mut Held) -> Result<Bytes, Refusal> {
        match (values::present(self.events), values::present(self.data)) {
            (Some(array), None) => events::from_json(body.slice_ref(array.get().as_bytes()), limits),
            (None, Some(data)) => {
                let text = values::text("data", Some(data))?.unwrap_or_default();
                events::from_base64(&text, limits, held)
            }
            (None, None) => Err(Refusal::new(
                Reason::InvalidReplay,
                "events is missing; send events as a JSON array, or data as base64",
            )),
            (Some(_), Some(_)) => Err(Refusal::new(
                Reason::InvalidReplay,
                "events and data stand side by side; send one of them",
            )),
        }
    }
}

fn chunk_index(value: Option<&RawValue>) -> Result<i32, Refusal> {
    let value = values::present(value).ok_or_else(|| missing("chunk_index"))?;
    let index = values::integer(value).and_then(|index| i32::try_from(index).ok());
    index.ok_or_else(|| values::wrong_type("chunk_index", "an integer from 0 to 2147483647", value))
}

fn timestamp(name: &str, value: Option<&RawValue>) -> Result<i64, Refusal> {
    let value = values::present(value).ok_or_else(|| missing(name))?;
    values::millis(value).ok_or_else(|| values::wrong_type(name, "Unix milliseconds", value))
}

fn flag(name: &str, value: Option<&RawValue>) -> Result<bool, Refusal> {
    match values::present(value).map(RawValue::get) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Refusal::new(
            Reason::InvalidField,
            format!("{name} must be true or false"),
        )),
    }
}

fn missing(name: &str) -> Refusal {
    Refusal::new(Reason::InvalidField, format!("{name} is missing"))
}
