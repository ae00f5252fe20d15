//! The parts of a value that is known to be sound JSON: only their ends are looked for.

use std::borrow::Cow;

use gosight_schemas::json::plain_until;

use super::{Field, Raw};

/// The fields of an object, in their order; a name may stand twice. `None` of any other value, and where a name is no Unicode
/// (half of a surrogate pair).
pub(in crate::core) fn fields(object: Raw<'_>) -> Option<Vec<Field<'_>>> {
    let mut parts = Parts::new(object, b'{')?;
    let mut fields = Vec::with_capacity(8);
    while parts.has_more(b'}')? {
        let name = name_of(parts.text.get(parts.at..)?)?;
        parts.string()?;
        parts.space();
        // The colon.
        parts.at += 1;
        parts.space();
        let value = parts.value()?;
        fields.push(Field { name, value });
    }
    Some(fields)
}

/// The elements of an array; `None` of any other value.
pub(in crate::core) fn elements(array: Raw<'_>) -> Option<Vec<Raw<'_>>> {
    let mut parts = Parts::new(array, b'[')?;
    let mut elements = Vec::new();
    while parts.has_more(b']')? {
        elements.push(parts.value()?);
    }
    Some(elements)
}

/// The text of the string with which `json` begins, copied only where it has escapes; `None` for half a surrogate pair.
fn name_of(json: &str) -> Option<Cow<'_, str>> {
    let bytes = json.as_bytes();
    let end = plain_until(bytes, 1);
    if bytes.get(end) == Some(&b'"') {
        return json.get(1..end).map(Cow::Borrowed);
    }
    let mut parts = Parts { text: json, at: 0 };
    parts.string()?;
    serde_json::from_str(json.get(..parts.at)?).ok().map(Cow::Owned)
}

struct Parts<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parts<'a> {
    /// Behind the bracket with which the value opens.
    fn new(value: Raw<'a>, open: u8) -> Option<Self> {
        let text = value.get();
        (text.as_bytes().first() == Some(&open)).then_some(Self { text, at: 1 })
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    /// Goes to the next part, past a comma.
    #[inline]
    fn has_more(&mut self, close: u8) -> Option<bool> {
        self.space();
        let byte = self.peek()?;
        if byte == close {
            return Some(false);
        }
        if byte == b',' {
            self.at += 1;
            self.space();
        }
        Some(true)
    }

    #[inline]
    fn value(&mut self) -> Option<Raw<'a>> {
        let from = self.at;
        match self.peek()? {
            b'"' => self.string()?,
            b'{' | b'[' => self.nested()?,
            _ => self.scalar(),
        }
        self.text.get(from..self.at).map(Raw::new)
    }

    /// Past the string that begins here.
    #[inline]
    fn string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            self.at = plain_until(self.text.as_bytes(), self.at);
            if self.peek()? == b'"' {
                self.at += 1;
                return Some(());
            }
            self.at += 2;
        }
    }

    /// Past the object or array that begins here.
    fn nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Past the number or word that begins here.
    #[inline]
    fn scalar(&mut self) {
        while !matches!(
            self.peek(),
            None | Some(b',' | b'}' | b']' | b' ' | b'\n' | b'\t' | b'\r')
        ) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{elements, fields};
    use crate::core::json::Raw;

    #[test]
    fn parts_are_the_clients_own_bytes() {
        let object = r#"{ "a" : 1 ,"b\"":"x\\\"y,}", "c":{"d":[1,{"e":"]"}],"f":{}} , "g":[ ], "h":-1.5e3,"a":null }"#;
        let found = fields(Raw::new(object)).unwrap();
        let found: Vec<(&str, &str)> = found.iter().map(|field| (&*field.name, field.value.get())).collect();
        let expected = [
            ("a", "1"),
            ("b\"", r#""x\\\"y,}""#),
            ("c", r#"{"d":[1,{"e":"]"}],"f":{}}"#),
            ("g", "[ ]"),
            ("h", "-1.5e3"),
            ("a", "null"),
        ];
        assert_eq!(found, expected);
        let array = "[ 1,\"a,]\" , [2,[3]],{\"a\":1},true]";
        let found: Vec<&str> = elements(Raw::new(array))
            .unwrap()
            .iter()
            .map(|value| value.get())
            .collect();
        assert_eq!(found, ["1", "\"a,]\"", "[2,[3]]", "{\"a\":1}", "true"]);
        assert!(fields(Raw::new("{}")).unwrap().is_empty());
        assert!(elements(Raw::new("[ ]")).unwrap().is_empty());
    }

    #[test]
    fn other_kinds_have_no_parts() {
        for other in ["1", "\"{}\"", "null", "[]"] {
            assert!(fields(Raw::new(other)).is_none(), "{other}");
        }
        for other in ["1", "\"[]\"", "null", "{}"] {
            assert!(elements(Raw::new(other)).is_none(), "{other}");
        }
        assert!(fields(Raw::new(r#"{"\ud800":1}"#)).is_none());
    }

    /// Values as serde_json writes them, close together or with spaces.
    fn any_value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            r#"[\[\]{},:"\\ a-zé😀\n]{0,12}"#.prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                (r#"[\]}",:\\a]{0,4}"#, inner).prop_map(|(name, value)| json!({ name: value })),
            ]
        });
        (value, any::<bool>()).prop_map(|(value, is_pretty)| {
            let written = if is_pretty {
                serde_json::to_string_pretty(&value)
            } else {
                serde_json::to_string(&value)
            };
            written.unwrap()
        })
    }

    proptest! {
        #[test]
        fn whatever_serde_json_writes_comes_apart_into_what_it_was_made_of(
            parts in prop::collection::vec((r#"[\[\]{},:"\\ a-cé\n]{0,6}"#, any_value()), 0..6), space in r"[ \t\r\n]{0,2}"
        ) {
            let written = parts.iter().map(|(name, value)| {
                let name = serde_json::to_string(name).unwrap();
                format!("{space}{name}{space}:{space}{value}{space}")
            });
            let object = format!("{{{}}}", written.collect::<Vec<_>>().join(","));
            let found = fields(Raw::new(&object)).unwrap();
            let found: Vec<(&str, &str)> = found.iter().map(|field| (&*field.name, field.value.get())).collect();
            let expected: Vec<(&str, &str)> = parts.iter().map(|(name, value)| (&**name, &**value)).collect();
            prop_assert_eq!(found, expected, "{}", object);

            let written = parts.iter().map(|(_, value)| format!("{space}{value}{space}"));
            let array = format!("[{}]", written.collect::<Vec<_>>().join(","));
            let found = elements(Raw::new(&array)).unwrap();
            let found: Vec<&str> = found.iter().map(|value| value.get()).collect();
            let expected: Vec<&str> = parts.iter().map(|(_, value)| &**value).collect();
            prop_assert_eq!(found, expected, "{}", array);
        }
    }
}
