//! JSON merge patches (RFC 7396) on events. Values that a patch does not touch stay the client's own bytes: a tree of values would
//! round numbers that no double holds, which is why no crate for patches serves here.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// A text that is no patch.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAPatch {
    #[error("the patch is no JSON: {0}")]
    NotJson(String),
    #[error("the patch must be a JSON object such as {{\"timestamp\":1700000000000}}; null removes a field")]
    NotAnObject,
}

/// A merge patch: an object.
#[derive(Debug, Clone)]
pub(crate) struct Patch(Box<RawValue>);

impl Patch {
    /// Reads a patch.
    pub(crate) fn parse(text: &str) -> Result<Self, NotAPatch> {
        let raw: Box<RawValue> = serde_json::from_str(text).map_err(|error| NotAPatch::NotJson(error.to_string()))?;
        match fields(&raw) {
            Some(_) => Ok(Self(raw)),
            None => Err(NotAPatch::NotAnObject),
        }
    }

    /// The patch as it was written.
    pub(crate) fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The event with the patch applied.
    pub(crate) fn apply(&self, event: &RawValue) -> Result<Box<RawValue>, serde_json::Error> {
        RawValue::from_string(merged(Some(event), &self.0))
    }
}

fn merged(target: Option<&RawValue>, patch: &RawValue) -> String {
    let Some(patches) = fields(patch) else {
        return patch.get().to_owned();
    };
    let targets = target.and_then(fields).unwrap_or_default();
    let patch_of = |name: &str| patches.iter().rev().find(|(patched, _)| patched == name);
    let mut parts: Vec<String> = Vec::with_capacity(targets.len() + patches.len());
    let mut done: Vec<&str> = Vec::with_capacity(patches.len());
    let mut push = |name: &str, value: &str| {
        // A string always has a JSON form.
        let name = serde_json::to_string(name).unwrap_or_default();
        parts.push(format!("{name}:{value}"));
    };
    for (name, value) in &targets {
        match patch_of(name) {
            None => push(name, value.get()),
            Some((name, patch)) if !done.contains(&name.as_str()) => {
                done.push(name);
                if !is_null(patch) {
                    push(name, &merged(Some(value), patch));
                }
            }
            Some(_) => {}
        }
    }
    for (index, (name, patch)) in patches.iter().enumerate() {
        let comes_again = patches[index + 1..].iter().any(|(later, _)| later == name);
        if !done.contains(&name.as_str()) && !comes_again && !is_null(patch) {
            push(name, &merged(None, patch));
        }
    }
    format!("{{{}}}", parts.join(","))
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// The fields of an object in their order; `None` where it is none.
fn fields(value: &RawValue) -> Option<Vec<(String, &RawValue)>> {
    if !value.get().starts_with('{') {
        return None;
    }
    let Fields(fields) = serde_json::from_str(value.get()).ok()?;
    Some(fields)
}

struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// One value that is another one after a patch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    /// JSON pointer (RFC 6901).
    pub(crate) path: String,
    /// Absent where the patch adds it.
    pub(crate) before: Option<Value>,
    /// Absent where the patch removes it.
    pub(crate) after: Option<Value>,
}

/// What is different, by path.
pub(crate) fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare(String::new(), Some(before), Some(after), &mut found);
    found
}

fn compare(path: String, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Change>) {
    if before == after {
        return;
    }
    if let (Some(Value::Object(old)), Some(Value::Object(new))) = (before, after) {
        let added = new.keys().filter(|name| !old.contains_key(*name));
        for name in old.keys().chain(added) {
            let escaped = name.replace('~', "~0").replace('/', "~1");
            compare(format!("{path}/{escaped}"), old.get(name), new.get(name), found);
        }
        return;
    }
    found.push(Change {
        path,
        before: before.cloned(),
        after: after.cloned(),
    });
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::{Change, NotAPatch, Patch, changes};

    fn patched(event: &str, patch: &str) -> String {
        let event = RawValue::from_string(event.to_owned()).unwrap();
        Patch::parse(patch).unwrap().apply(&event).unwrap().get().to_owned()
    }

    /// The cases of RFC 7396, appendix A, whose patch is an object.
    #[test]
    fn it_merges_as_the_standard_says() {
        for (event, patch, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            assert_eq!(patched(event, patch), expected, "{event} with {patch}");
        }
    }

    #[test]
    fn what_is_not_touched_stays_as_its_bytes() {
        let event = r#"{"payload": { "big": 12345678901234567890123, "f":1.0 },"t":1}"#;
        assert_eq!(
            patched(event, r#"{"t":2}"#),
            r#"{"payload":{ "big": 12345678901234567890123, "f":1.0 },"t":2}"#
        );
    }

    #[test]
    fn only_an_object_is_a_patch() {
        assert_eq!(Patch::parse("[1]").unwrap_err(), NotAPatch::NotAnObject);
        assert!(matches!(Patch::parse("{").unwrap_err(), NotAPatch::NotJson(_)));
    }

    #[test]
    fn changes_are_named_by_their_paths() {
        let (before, after) = (json!({"a":1,"b":{"c":2,"d/e":3}}), json!({"b":{"c":5},"f":6}));
        let change = |path: &str, before: Option<Value>, after: Option<Value>| Change {
            path: path.to_owned(),
            before,
            after,
        };
        assert_eq!(
            changes(&before, &after),
            [
                change("/a", Some(json!(1)), None),
                change("/b/c", Some(json!(2)), Some(json!(5))),
                change("/b/d~1e", Some(json!(3)), None),
                change("/f", None, Some(json!(6))),
            ]
        );
    }
}
