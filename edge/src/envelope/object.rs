//! One JSON object, read field by field from the client's own bytes: what batches and replay chunks share. Values that nobody
//! reads are passed over without recursion, so that no depth of nesting costs stack, and without a look at what strings and
//! numbers mean: a lone surrogate or `1e999` inside an event is the enricher's to judge.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::outcome::{Reason, Refusal};

/// The fields that a reader wants of an object.
pub(crate) trait Fields<'a>: Default {
    /// Takes the value of the field `name`, or passes over it.
    fn take<A: MapAccess<'a>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

/// Reads a body that is one JSON object.
///
/// # Errors
/// `InvalidJson` where the body is no JSON, whatever else is wrong with it; `InvalidField` where it is no object, or names one
/// field twice.
pub(crate) fn read<'a, F: Fields<'a>>(body: &'a [u8]) -> Result<F, Refusal> {
    let text = std::str::from_utf8(body).map_err(|_| Refusal::invalid_json())?;
    if !begins_with(text, '{') {
        return Err(match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Refusal::new(Reason::InvalidField, "The body is JSON, but not an object; send {…}"),
            Err(_) => Refusal::invalid_json(),
        });
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let fields = reader.deserialize_map(Reader(PhantomData));
    let fields = fields.and_then(|fields| reader.end().map(|()| fields));
    fields.map_err(|error| match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Refusal::new(Reason::InvalidField, format!("The body could not be read: {error}")),
        Err(_) => Refusal::invalid_json(),
    })
}

/// Whether the first character of a JSON text, after white space, is this one.
pub(crate) fn begins_with(json: &str, first: char) -> bool {
    json.trim_start_matches([' ', '\t', '\r', '\n']).starts_with(first)
}

/// Takes a value as it stands. A name that stands twice is refused: readers further on might take the other one.
pub(crate) fn take_raw<'a, A: MapAccess<'a>>(
    slot: &mut Option<&'a RawValue>,
    name: &'static str,
    map: &mut A,
) -> Result<(), A::Error> {
    take_once(slot, name, map.next_value()?)
}

/// Keeps the value of a name that may stand only once.
pub(crate) fn take_once<T, E: Error>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), E> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::custom(format_args!("{name} stands twice; send it once"))),
    }
}

/// Passes over a value.
pub(crate) fn pass_over<'a, A: MapAccess<'a>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

struct Reader<F>(PhantomData<F>);

impl<'a, F: Fields<'a>> Visitor<'a> for Reader<F> {
    type Value = F;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<F, A::Error> {
        let mut fields = F::default();
        while let Some(name) = map.next_key_seed(Name)? {
            fields.take(&name, &mut map)?;
        }
        Ok(fields)
    }
}

/// A field's name, copied only where it is written with escapes.
struct Name;

impl<'a> DeserializeSeed<'a> for Name {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Name {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'a str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}
