//! What the payload of a type must look like. One file per kind of payload, all of one shape: `check(payload, bounds, problems)`.
//! Fields that no rule names may be anything.

pub(in crate::core) mod custom;
pub(in crate::core) mod error;
pub(in crate::core) mod input;
pub(in crate::core) mod page_load;
pub(in crate::core) mod pointer;
pub(in crate::core) mod scroll;
pub(in crate::core) mod vitals;

use std::borrow::Cow;

use super::Bounds;
use crate::core::event::{Event, TypeName};
use crate::core::json::{self, Field, Kind, Raw};
use crate::core::problems::Problems;

/// Checks the payload of one type.
pub(in crate::core) type PayloadRule = fn(&Payload<'_>, Bounds<'_>, &mut Problems);

/// The payload's fields; empty where the event has none.
pub(in crate::core) struct Payload<'a> {
    fields: &'a [Field<'a>],
}

/// Runs the rule of the event's type.
pub(super) fn check(event: &Event<'_>, bounds: Bounds<'_>, problems: &mut Problems) {
    let TypeName::Known(event_type) = &event.event_type else {
        return;
    };
    let Some(rule) = event_type.rule else { return };
    if problems.concern("/payload") {
        return;
    }
    let fields = match (&event.payload_fields, &event.payload) {
        (Some(fields), _) => Cow::Borrowed(fields.as_slice()),
        // It was well-formed when it was decoded.
        (None, Some(payload)) => Cow::Owned(json::fields(Raw::new(payload.get())).unwrap_or_default()),
        (None, None) => Cow::default(),
    };
    rule(&Payload { fields: &fields }, bounds, problems);
}

impl<'a> Payload<'a> {
    /// A field that is there and not `null`. Of two under one name the last counts, as for readers downstream.
    fn get(&self, name: &str) -> Option<Raw<'a>> {
        let last = self.fields.iter().rev().find(|field| field.name == name)?;
        Some(last.value).filter(|value| json::kind(*value) != Kind::Null)
    }

    /// Those of the named fields that are there must be finite numbers.
    fn numbers(&self, names: &[&str], problems: &mut Problems) {
        for name in names {
            self.number(name, problems);
        }
    }

    /// A finite number, where the field is there and is one; a problem where it is something else.
    fn number(&self, name: &str, problems: &mut Problems) -> Option<f64> {
        let value = self.get(name)?;
        finite(|| pointer(name), value, problems)
    }

    /// Those of the named fields that are there must have that kind.
    fn kinds(&self, names: &[&str], wanted: Kind, problems: &mut Problems) {
        for name in names {
            if let Some(value) = self.get(name).filter(|value| json::kind(*value) != wanted) {
                problems.wrong_type(pointer(name), &wanted.to_string(), value);
            }
        }
    }

    /// A text that must be there and not be empty.
    fn required_text(&self, name: &str, advice: &str, problems: &mut Problems) -> Option<Cow<'a, str>> {
        let Some(value) = self.get(name) else {
            problems.missing(pointer(name), advice);
            return None;
        };
        match json::text(value) {
            None => problems.wrong_type(pointer(name), "a string", value),
            Some(text) if text.is_empty() => problems.missing(pointer(name), advice),
            Some(text) => return Some(text),
        }
        None
    }
}

fn pointer(name: &str) -> String {
    format!("/payload/{name}")
}

/// `pointer` is asked for only where there is something to tell.
fn finite(pointer: impl Fn() -> String, value: Raw<'_>, problems: &mut Problems) -> Option<f64> {
    match json::number(value) {
        None => problems.wrong_type(pointer(), "a number", value),
        Some(number) if !number.is_finite() => {
            problems.out_of_range(pointer(), "a number that a double can hold", &json::shown(value));
        }
        Some(number) => return Some(number),
    }
    None
}
