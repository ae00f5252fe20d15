//! Single values of the envelope, from JSON as it stands to what the edge works with.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::outcome::{Reason, Refusal};

/// Characters of a number that a message repeats.
const MAX_SHOWN: usize = 24;

/// A value that is there and not `null`, which means the same as absent everywhere in the contract.
pub(crate) fn present(value: Option<&RawValue>) -> Option<&RawValue> {
    value.filter(|value| value.get() != "null")
}

/// A string; `None` where it is absent, `null` or empty.
pub(crate) fn text<'a>(name: &str, value: Option<&'a RawValue>) -> Result<Option<Cow<'a, str>>, Refusal> {
    let Some(value) = present(value) else { return Ok(None) };
    let json = value.get();
    let Some(inner) = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Err(wrong_type(name, "a string", value));
    };
    if inner.is_empty() {
        return Ok(None);
    }
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(Some(Cow::Borrowed(inner)));
    }
    let unescaped = serde_json::from_str(json).map_err(|_| {
        Refusal::new(
            Reason::InvalidField,
            format!("{name} holds half of a surrogate pair; send valid Unicode"),
        )
    })?;
    Ok(Some(Cow::Owned(unescaped)))
}

/// An id: a string, or a number as the client wrote it, because applications hand their database's numbers to the SDK as user ids.
pub(crate) fn id(name: &str, value: Option<&RawValue>) -> Result<Option<String>, Refusal> {
    match present(value) {
        Some(number) if is_number(number) => Ok(Some(number.get().to_owned())),
        other => Ok(text(name, other)?.map(Cow::into_owned)),
    }
}

/// Refuses an id that is too long.
pub(crate) fn check_length(name: &str, id: &str, limit: usize) -> Result<(), Refusal> {
    if id.len() <= limit {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::InvalidField,
        format!("{name} has {} bytes; the limit is {limit}", id.len()),
    ))
}

/// Whole Unix ms. A fraction of a millisecond is cut off (browsers' clocks have one); `None` for what is no number of ms at all.
pub(crate) fn millis(value: &RawValue) -> Option<i64> {
    if !is_number(value) {
        return None;
    }
    let json = value.get();
    json.parse().ok().or_else(|| whole(json.parse::<f64>().ok()?.trunc()))
}

/// An integer, also where it is written as `1.0` or `1e3`.
pub(crate) fn integer(value: &RawValue) -> Option<i64> {
    if !is_number(value) {
        return None;
    }
    let json = value.get();
    json.parse().ok().or_else(|| whole(json.parse().ok()?))
}

/// A value of the wrong type, in words.
pub(crate) fn wrong_type(name: &str, wanted: &str, value: &RawValue) -> Refusal {
    let found = match value.get().as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        // A person recognises the number; what is longer than any honest one is not sent back.
        _ if value.get().len() <= MAX_SHOWN => value.get(),
        _ => "a number",
    };
    Refusal::new(Reason::InvalidField, format!("{name} must be {wanted}, but is {found}"))
}

fn is_number(value: &RawValue) -> bool {
    matches!(value.get().as_bytes().first(), Some(b'-' | b'0'..=b'9'))
}

fn whole(number: f64) -> Option<i64> {
    // Between these bounds the conversion is exact; beyond them it would saturate silently.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (number.fract() == 0.0 && (-LIMIT..LIMIT).contains(&number)).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::{id, integer, millis, text};

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn numbers_read_exactly_or_not_at_all() {
        for (json, as_millis, as_integer) in [
            ("0", Some(0), Some(0)),
            ("-7", Some(-7), Some(-7)),
            ("1704067200000", Some(1_704_067_200_000), Some(1_704_067_200_000)),
            (
                "9007199254740993",
                Some(9_007_199_254_740_993),
                Some(9_007_199_254_740_993),
            ),
            ("9223372036854775807", Some(i64::MAX), Some(i64::MAX)),
            ("9223372036854775808", None, None),
            ("-9223372036854775808", Some(i64::MIN), Some(i64::MIN)),
            ("-9223372036854775809.5", Some(i64::MIN), Some(i64::MIN)),
            ("1.0", Some(1), Some(1)),
            ("1.5e3", Some(1_500), Some(1_500)),
            ("1704067200000.75", Some(1_704_067_200_000), None),
            ("-0.5", Some(0), None),
            ("1e999", None, None),
            ("-1e999", None, None),
            ("\"1\"", None, None),
            ("true", None, None),
            ("null", None, None),
            ("[1]", None, None),
            ("{}", None, None),
        ] {
            assert_eq!(millis(&raw(json)), as_millis, "{json}");
            assert_eq!(integer(&raw(json)), as_integer, "{json}");
        }
    }

    #[test]
    fn strings_are_unescaped_and_other_types_named() {
        for (json, expected) in [
            ("null", Ok(None)),
            (r#""""#, Ok(None)),
            (r#""plain""#, Ok(Some("plain"))),
            (r#""\u00e9\n\"\\\/\ud83d\ude00""#, Ok(Some("é\n\"\\/😀"))),
            (r#""\ud83d""#, Err("half of a surrogate pair")),
            (r#""\ude00 x""#, Err("half of a surrogate pair")),
            ("1", Err("must be a string, but is 1")),
            ("true", Err("must be a string, but is a boolean")),
            ("[]", Err("must be a string, but is an array")),
            ("{}", Err("must be a string, but is an object")),
        ] {
            let value = raw(json);
            match (text("it", Some(&value)), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.as_deref(), expected, "{json}"),
                (Err(refusal), Err(expected)) => assert!(refusal.message().contains(expected), "{json}: {refusal}"),
                (found, expected) => panic!("{json}: {found:?}, expected {expected:?}"),
            }
        }
        assert_eq!(text("it", None).unwrap(), None);
    }

    #[test]
    fn an_id_may_be_a_number() {
        assert_eq!(id("it", Some(&raw("12345"))).unwrap().as_deref(), Some("12345"));
        assert_eq!(
            id("it", Some(&raw("9007199254740993"))).unwrap().as_deref(),
            Some("9007199254740993")
        );
        assert_eq!(id("it", Some(&raw("\"u-1\""))).unwrap().as_deref(), Some("u-1"));
        assert!(id("it", Some(&raw("{}"))).is_err());
    }
}
