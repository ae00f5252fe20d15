//! From the tree to typed settings: a serde deserializer that knows where it stands.

use std::fmt;

use serde::Deserializer;
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use crate::document::{Entry, Node, Scalar, Shape, Written};
use crate::errors::{Fault, MOST_FAULTS};
use crate::nearest::nearest;

/// Reads settings. Each mistake is named and passed over, its default standing in, so that one start shows them all.
/// `known` are the paths of all keys that there are, for hints.
///
/// # Errors
/// None of its own: the settings are absent when not even passing over helps.
pub(crate) fn read<S: DeserializeOwned>(root: &Node, known: &[&str], faults: &mut Vec<Fault>) -> Option<S> {
    for _ in 0..MOST_FAULTS {
        match S::deserialize(Value(root)) {
            Ok(settings) => return Some(settings),
            Err(error) => faults.push(error.into_fault(known)),
        }
    }
    None
}

/// Why a value could not be read.
#[derive(Debug)]
struct ReadError {
    /// Without a key until the error has passed the value that it is about.
    fault: Option<Box<Fault>>,
    what: String,
    unknown: Option<Box<UnknownKey>>,
}

#[derive(Debug)]
struct UnknownKey {
    key: String,
    siblings: &'static [&'static str],
}

impl ReadError {
    fn says(what: impl fmt::Display) -> Self {
        Self {
            fault: None,
            what: what.to_string(),
            unknown: None,
        }
    }

    /// Places the error at a value, unless one inside it is known to be to blame; that value is passed over from now on.
    fn at(mut self, node: &Node) -> Self {
        if self.fault.is_none() {
            node.faulty.set(true);
            self.fault = Some(Box::new(shown(node, Fault::at(node.place, &node.path, &self.what))));
        }
        self
    }

    /// Places the error at a key. The value stays out: nobody knows whether it is a secret.
    fn at_key(mut self, entry: &Entry) -> Self {
        if self.fault.is_none() {
            entry.value.faulty.set(true);
            self.fault = Some(Box::new(Fault::at(entry.place, &entry.value.path, &self.what)));
        }
        self
    }

    /// The value stays out: it may be a password whose key was forgotten.
    fn no_section(node: &Node) -> Self {
        node.faulty.set(true);
        let what = "is no section; write its keys indented below it";
        Self {
            fault: Some(Box::new(Fault::at(node.place, &node.path, what))),
            ..Self::says(what)
        }
    }

    fn into_fault(self, known: &[&str]) -> Fault {
        let fault = self.fault.map_or_else(|| Fault::whole(self.what), |fault| *fault);
        match self.unknown {
            Some(unknown) => fault.because(&unknown.told(known)),
            None => fault,
        }
    }
}

impl UnknownKey {
    fn told(&self, known: &[&str]) -> String {
        if let Some(near) = nearest(&self.key, self.siblings.iter().copied()) {
            return format!("there is no such key; did you mean `{near}`?");
        }
        let elsewhere = known
            .iter()
            .find(|path| path.rsplit_once('.').is_some_and(|(_, key)| key == self.key));
        if let Some(elsewhere) = elsewhere {
            return format!("there is no such key here; did you mean `{elsewhere}`?");
        }
        format!("there is no such key; the keys here are {}", self.siblings.join(", "))
    }
}

/// The fault together with the node's value, where it is a single one and may be shown.
pub(crate) fn shown(node: &Node, fault: Fault) -> Fault {
    let Shape::Scalar(scalar) = &node.shape else {
        return fault;
    };
    let variables = match &scalar.written {
        Written::Interpolated(names) => names.as_slice(),
        _ => &[],
    };
    match node.secret.get() {
        _ if scalar.is_null() => fault,
        true => fault.hiding(variables),
        // An address with `user:password@` in it, whichever key it was written to.
        false if scalar.text.contains('@') => fault.hiding(variables),
        false => fault.showing(&scalar.text, variables),
    }
}

impl std::error::Error for ReadError {}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self::says(what)
    }

    // The value is told by its place, and only where it is no secret: the text that serde found stays out of all of these.
    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::says(format_args!("has the wrong type; write {expected}"))
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::says(format_args!("can't be used; write {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::says(format_args!(
            "is none of the choices; write one of {}",
            expected.join(", ")
        ))
    }

    fn unknown_field(key: &str, siblings: &'static [&'static str]) -> Self {
        Self {
            unknown: Some(Box::new(UnknownKey {
                key: key.to_owned(),
                siblings,
            })),
            ..Self::says("there is no such key")
        }
    }
}

/// A node as serde reads it.
struct Value<'a>(&'a Node);

impl<'a> Value<'a> {
    fn scalar(&self, expected: &str) -> Result<&'a Scalar, ReadError> {
        match &self.0.shape {
            Shape::Scalar(scalar) if !scalar.is_null() => Ok(scalar),
            Shape::Scalar(_) => Err(ReadError::says(format_args!(
                "has no value; write {expected}, or leave the key out for its default"
            ))),
            Shape::List(_) => Err(ReadError::says(format_args!("is a list; write {expected}"))),
            Shape::Section(_) => Err(ReadError::says(format_args!("is a section of keys; write {expected}"))),
        }
    }

    fn number<N: std::str::FromStr>(&self, least: impl fmt::Display, most: impl fmt::Display) -> Result<N, ReadError> {
        let expected = format!("a whole number from {least} to {most}");
        let scalar = self.scalar(&expected)?;
        if scalar.written == Written::Quoted {
            return Err(ReadError::says(format_args!(
                "is a text; write {expected}, without quotes"
            )));
        }
        // Variables often come with a line break at their end.
        let text = scalar.text.trim();
        text.parse()
            .map_err(|_| ReadError::says(format_args!("is no number that fits; write {expected}")))
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $number:ident),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            self.number($number::MIN, $number::MAX)
                .and_then(|number| visitor.$visit(number))
                .map_err(|error| error.at(self.0))
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'_> {
    type Error = ReadError;

    numbers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64
    }

    /// For what may be one text or a list; what looks like a number is a text as well.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.shape {
            Shape::Scalar(_) => self.deserialize_str(visitor),
            Shape::List(_) => self.deserialize_seq(visitor),
            Shape::Section(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.scalar("one value")
            .and_then(|scalar| visitor.visit_str(&scalar.text))
            .map_err(|error| error.at(self.0))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.shape {
            Shape::Scalar(scalar) if scalar.is_null() || scalar.is_empty_variable() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if name == "Secret" {
            self.0.secret.set(true);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.shape {
            Shape::List(items) => visitor.visit_seq(Items(items.iter())),
            _ => Err(ReadError::says(
                "is no list; write [first, second], or each item on a line after `- `",
            )),
        }
        .map_err(|error| error.at(self.0))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.shape {
            Shape::Section(entries) => visitor.visit_map(Entries {
                entries: entries.iter(),
                current: None,
            }),
            // A section whose keys are all commented out.
            Shape::Scalar(scalar) if scalar.is_null() => visitor.visit_map(Entries {
                entries: [].iter(),
                current: None,
            }),
            _ => Err(ReadError::no_section(self.0)),
        }
        .map_err(|error| error.at(self.0))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        choices: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.scalar(&format!("one of {}", choices.join(", ")))
            .and_then(|scalar| visitor.visit_enum(Choice(&scalar.text)))
            .map_err(|error| error.at(self.0))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

struct Items<'a>(std::slice::Iter<'a, Node>);

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        match self.0.find(|item| !item.faulty.get()) {
            Some(item) => seed.deserialize(Value(item)).map(Some).map_err(|error| error.at(item)),
            None => Ok(None),
        }
    }
}

struct Entries<'a> {
    entries: std::slice::Iter<'a, Entry>,
    current: Option<&'a Entry>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        self.current = self.entries.find(|entry| !entry.value.faulty.get());
        let Some(entry) = self.current else { return Ok(None) };
        let key: StrDeserializer<'_, ReadError> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.at_key(entry))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let Some(entry) = self.current.take() else {
            return Err(ReadError::says("a value was asked for before its key"));
        };
        // Errors of `deserialize_with` come from outside the node's own deserializer.
        seed.deserialize(Value(&entry.value))
            .map_err(|error| error.at(&entry.value))
    }
}

/// The name of an enum's variant; none of ours holds anything.
struct Choice<'a>(&'a str);

impl<'de> EnumAccess<'de> for Choice<'_> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), ReadError> {
        let name: StrDeserializer<'_, ReadError> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Choice<'_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, ReadError> {
        Err(ReadError::says("can't be used; write the choice alone"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, ReadError> {
        Err(ReadError::says("can't be used; write the choice alone"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, ReadError> {
        Err(ReadError::says("can't be used; write the choice alone"))
    }
}
