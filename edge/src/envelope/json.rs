//! The envelope of a JSON batch. What is decided where the contract is silent:
//! - `null` means absent. A session or user id may be a number: it stands for its own text.
//! - A name that the edge or the enricher reads may stand only once: of two `events` arrays each reader might count another.
//! - `sent_at` is a remark of the client about its clock. What is no number there, and 0, counts as absent; no batch is lost for it.
//! - Inside an event anything goes that is JSON: lone surrogates, `1e999`, any depth.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::object::{self, Fields};
use super::{Envelope, EnvelopeLimits, values};
use crate::outcome::{Reason, Refusal};

/// Reads the envelope of `{project_key, session_id, user_id?, events, sent_at?, device?}`.
pub(super) fn read(body: &Bytes, limits: EnvelopeLimits) -> Result<Envelope, Refusal> {
    let batch: Batch<'_> = object::read(body)?;
    let events = match batch.events {
        Some(Events::Counted(count)) => count,
        Some(Events::NoArray) => {
            return Err(Refusal::new(Reason::InvalidField, "events must be an array"));
        }
        None => {
            return Err(Refusal::new(
                Reason::InvalidField,
                "events is missing; send an array of events",
            ));
        }
    };
    batch
        .envelope(events)
        .and_then(|envelope| envelope.within(limits))
        .map_err(|refusal| refusal.of_events(events))
}

#[derive(Default)]
struct Batch<'a> {
    project_key: Option<&'a RawValue>,
    session_id: Option<&'a RawValue>,
    user_id: Option<&'a RawValue>,
    sent_at: Option<&'a RawValue>,
    device: Option<()>,
    events: Option<Events>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Events {
    Counted(u32),
    NoArray,
}

impl<'a> Fields<'a> for Batch<'a> {
    fn take<A: MapAccess<'a>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "project_key" => object::take_raw(&mut self.project_key, "project_key", map),
            "session_id" => object::take_raw(&mut self.session_id, "session_id", map),
            "user_id" => object::take_raw(&mut self.user_id, "user_id", map),
            "sent_at" => object::take_raw(&mut self.sent_at, "sent_at", map),
            "device" => object::take_once(&mut self.device, "device", object::pass_over(map)?),
            "events" => object::take_once(&mut self.events, "events", map.next_value_seed(Counter)?),
            _ => object::pass_over(map),
        }
    }
}

impl Batch<'_> {
    fn envelope(&self, events: u32) -> Result<Envelope, Refusal> {
        Ok(Envelope {
            project_key: values::text("project_key", self.project_key)?.map(Cow::into_owned),
            session_id: values::id("session_id", self.session_id)?.unwrap_or_default(),
            user_id: values::id("user_id", self.user_id)?,
            sent_at: self.sent_at.and_then(values::millis).filter(|ms| *ms != 0),
            events,
        })
    }
}

/// Counts the elements of an array and keeps none.
struct Counter;

impl<'a> DeserializeSeed<'a> for Counter {
    type Value = Events;

    fn deserialize<D: Deserializer<'a>>(self, reader: D) -> Result<Events, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Counter {
    type Value = Events;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut events: A) -> Result<Events, A::Error> {
        let mut count = 0_u32;
        while events.next_element::<IgnoredAny>()?.is_some() {
            count = count.saturating_add(1);
        }
        Ok(Events::Counted(count))
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Events, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Events::NoArray)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Events, E> {
        Ok(Events::NoArray)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Events, E> {
        Ok(Events::NoArray)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Events, E> {
        Ok(Events::NoArray)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Events, E> {
        Ok(Events::NoArray)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Events, E> {
        Ok(Events::NoArray)
    }

    fn visit_unit<E: Error>(self) -> Result<Events, E> {
        Ok(Events::NoArray)
    }
}
