//! What a person typed into a password field must not leave us, whatever the SDK forgot: the value is removed, the rest stays the
//! client's own bytes.

use std::borrow::Cow;

use bytes::Bytes;
use gosight_proto::Event as ProtobufEvent;
use gosight_proto::event::Payload;
use gosight_schemas::RawJson;
use prost::Message;

use super::event::{Encoded, Event, TypeName};
use super::json::{self, Element, Field, Raw};

/// The field that holds what was typed.
const VALUE: &str = "value";
/// Kinds of input whose value is a secret.
const SECRET_TYPE: &str = "password";
/// Values of an input's `autocomplete` that tell the same (WHATWG HTML §4.10.18.7).
const SECRET_AUTOCOMPLETE: [&str; 5] = [
    "current-password",
    "new-password",
    "one-time-code",
    "cc-number",
    "cc-csc",
];

/// An object without the value of its password-like input; `None` where there is nothing to remove.
fn masked(object: Raw<'_>) -> Option<String> {
    let fields = json::fields(object)?;
    if !holds_value(&fields) || !is_secret(fields.iter().map(|field| (&*field.name, field.value))) {
        return None;
    }
    without(object.get(), &fields, VALUE)
}

/// An event as it came, without the values of password-like inputs, be they in its payload or beside it.
fn masked_event(event: Raw<'_>) -> Option<String> {
    let beside = masked(event);
    let event = beside.as_deref().map_or(event, Raw::new);
    let mut text = Cow::Borrowed(event.get());
    // From the back, so that the places of those before stay.
    for field in json::fields(event)?
        .iter()
        .rev()
        .filter(|field| field.name == "payload")
    {
        if let Some(payload) = masked(field.value) {
            let from = offset(event.get(), field.value);
            let after = from + field.value.get().len();
            text.to_mut().replace_range(from..after, &payload);
        }
    }
    match text {
        Cow::Borrowed(_) => beside,
        Cow::Owned(text) => Some(text),
    }
}

/// An event's bytes without what was typed into a password field.
pub(super) enum MaskedBytes {
    Json(String),
    Protobuf(Bytes),
}

impl MaskedBytes {
    /// Of that event; `None` where there is nothing to remove, or the event can't be read.
    pub(super) fn of(encoded: &Encoded<'_>) -> Option<Self> {
        match encoded {
            Encoded::Json(event) => masked_event(event.value).map(Self::Json),
            Encoded::Protobuf(bytes) => masked_message(bytes).map(Self::Protobuf),
        }
    }

    pub(super) fn as_encoded(&self) -> Encoded<'_> {
        match self {
            Self::Json(event) => Encoded::Json(Element::unseen(Raw::new(event))),
            Self::Protobuf(bytes) => Encoded::Protobuf(bytes.clone()),
        }
    }
}

/// Removes from an event what was typed into a password field.
pub(super) fn mask(event: &mut Event<'_>) {
    let is_input = match &event.event_type {
        TypeName::Known(known) => known.is_input() || event.is_input,
        TypeName::Unknown(_) | TypeName::Missing => true,
    };
    if !is_input {
        return;
    }
    let payload = event.payload.as_ref().map(|payload| Raw::new(payload.get()));
    if let Some(payload) = payload.and_then(masked) {
        event.payload = Some(RawJson::owned(payload));
        event.is_masked = true;
    }
    let beside = event
        .properties
        .iter()
        .map(|(name, value)| (&**name, Raw::new(value.get())));
    if event.properties.contains_key(VALUE) && is_secret(beside) {
        event.properties.remove(VALUE);
        event.is_masked = true;
    }
}

fn masked_message(bytes: &Bytes) -> Option<Bytes> {
    let mut event = ProtobufEvent::decode(bytes.clone()).ok()?;
    let Some(Payload::Input(input)) = &mut event.payload else {
        return None;
    };
    let attribute = |name: &str| {
        let target = input.target.as_ref()?;
        target.attributes.get(name).map(String::as_str)
    };
    let secret = is_secret_type(&input.input_type)
        || attribute("type").is_some_and(is_secret_type)
        || attribute("autocomplete").is_some_and(is_secret_autocomplete);
    if !secret || input.value.is_empty() {
        return None;
    }
    input.value.clear();
    Some(event.encode_to_vec().into())
}

fn holds_value(fields: &[Field<'_>]) -> bool {
    let mut values = fields.iter().filter(|field| field.name == VALUE);
    values.any(|field| !matches!(field.value.get(), "null" | "\"\""))
}

fn is_secret<'f>(mut fields: impl Iterator<Item = (&'f str, Raw<'f>)>) -> bool {
    fields.any(|(name, value)| match name {
        "input_type" => is_text(value, is_secret_type),
        "target" => is_secret_target(value),
        _ => false,
    })
}

fn is_secret_target(target: Raw<'_>) -> bool {
    let attributes = json::fields(target).unwrap_or_default().into_iter();
    let mut attributes = attributes.filter(|field| field.name == "attributes");
    attributes.any(|field| {
        let attributes = json::fields(field.value).unwrap_or_default();
        attributes.iter().any(|attribute| match &*attribute.name {
            "type" => is_text(attribute.value, is_secret_type),
            "autocomplete" => is_text(attribute.value, is_secret_autocomplete),
            _ => false,
        })
    })
}

fn is_text(value: Raw<'_>, holds: fn(&str) -> bool) -> bool {
    json::text(value).is_some_and(|text| holds(&text))
}

fn is_secret_type(input_type: &str) -> bool {
    input_type.trim().eq_ignore_ascii_case(SECRET_TYPE)
}

/// The attribute is a list of words, of which the last names the field.
fn is_secret_autocomplete(words: &str) -> bool {
    let mut words = words.split_ascii_whitespace();
    words.any(|word| {
        SECRET_AUTOCOMPLETE
            .iter()
            .any(|secret| secret.eq_ignore_ascii_case(word))
    })
}

/// The object without the fields of that name; every other byte stays.
fn without(object: &str, fields: &[Field<'_>], name: &str) -> Option<String> {
    let mut text = String::with_capacity(object.len());
    text.push('{');
    let mut end = object.find('{')? + 1;
    let mut is_first = true;
    for (index, field) in fields.iter().enumerate() {
        let start = match index {
            0 => end,
            _ => end + object.get(end..)?.find(',')? + 1,
        };
        end = offset(object, field.value) + field.value.get().len();
        if field.name == name {
            continue;
        }
        if !is_first {
            text.push(',');
        }
        is_first = false;
        text.push_str(object.get(start..end)?);
    }
    text.push_str(object.get(end..)?);
    Some(text)
}

/// Where a part of `whole` stands in it.
fn offset(whole: &str, part: Raw<'_>) -> usize {
    part.get().as_ptr().addr() - whole.as_ptr().addr()
}

#[cfg(test)]
mod tests {
    use super::{Raw, masked, masked_event};

    #[test]
    fn a_value_goes_and_every_other_byte_stays() {
        for (payload, expected) in [
            (
                r#"{"input_type":"password","value":"x"}"#,
                r#"{"input_type":"password"}"#,
            ),
            (
                r#"{ "value" : "x" , "input_type" :"PassWord", "n": 1.0 }"#,
                r#"{ "input_type" :"PassWord", "n": 1.0 }"#,
            ),
            (
                r#"{"a":1, "value":"x" ,"input_type":"password"}"#,
                r#"{"a":1,"input_type":"password"}"#,
            ),
            (
                r#"{"value":1,"input_type":"password","val\u0075e":[2]}"#,
                r#"{"input_type":"password"}"#,
            ),
            (
                r#"{"target":{"attributes":{"type":"password"}},"value":"x"}"#,
                r#"{"target":{"attributes":{"type":"password"}}}"#,
            ),
            (
                r#"{"input_type":"text","target":{"attributes":{"autocomplete":"billing cc-number"}},"value":"4111"}"#,
                r#"{"input_type":"text","target":{"attributes":{"autocomplete":"billing cc-number"}}}"#,
            ),
        ] {
            assert_eq!(masked(Raw::new(payload)).as_deref(), Some(expected), "{payload}");
        }
        for untouched in [
            r#"{"input_type":"text","value":"x"}"#,
            r#"{"input_type":"password"}"#,
            r#"{"input_type":"password","value":""}"#,
            r#"{"input_type":"password","value":null,"is_masked":true}"#,
            r#"{"input_type":"text","inner":{"input_type":"password"},"value":"x"}"#,
            r#""password""#,
            "{}",
        ] {
            assert_eq!(masked(Raw::new(untouched)), None, "{untouched}");
        }
    }

    #[test]
    fn an_event_loses_the_value_of_its_payload_and_beside_it() {
        let event = r#"{ "payload": {"value":"x","input_type":"password"}, "value":"y", "input_type":"password" }"#;
        let expected = r#"{ "payload": {"input_type":"password"}, "input_type":"password" }"#;
        assert_eq!(masked_event(Raw::new(event)).as_deref(), Some(expected));
        let beside = r#"{"value":"y","input_type":"password","payload":3}"#;
        let expected = r#"{"input_type":"password","payload":3}"#;
        assert_eq!(masked_event(Raw::new(beside)).as_deref(), Some(expected));
        let twice = r#"{"payload":{"value":1,"input_type":"password"},"payload":{"value":2,"input_type":"password"}}"#;
        let expected = r#"{"payload":{"input_type":"password"},"payload":{"input_type":"password"}}"#;
        assert_eq!(masked_event(Raw::new(twice)).as_deref(), Some(expected));
        assert_eq!(masked_event(Raw::new(r#"{"payload":{"value":1}}"#)), None);
    }
}
