use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::super::{fields, lone_surrogate, too_deep};
use super::{Field, MAX_DEPTH, Seen, fields_around};
use crate::core::numbers::beyond_double;

fn seen(value: &str) -> Option<Seen> {
    let body = format!(r#"{{"events":[{value}]}}"#);
    let around = fields_around(&body, "events").ok()?;
    let [element] = around.elements.as_deref()? else {
        return None;
    };
    assert_eq!(element.value.get(), value.trim_matches([' ', '\n', '\t', '\r']));
    Some(element.seen)
}

/// Serde_json decides what is JSON; and what was not seen must not be there.
fn assert_judged(value: &str) {
    let is_sound = serde_json::from_str::<&RawValue>(value).is_ok();
    let seen = seen(value);
    assert_eq!(seen.is_some(), is_sound, "{value}");
    let Some(seen) = seen else { return };
    assert!(seen.escapes || lone_surrogate(value).is_none(), "{value}");
    assert!(seen.wide_number || beyond_double(value).is_none(), "{value}");
    assert_eq!(seen.depth, too_deep(value), "{value}");
}

#[test]
fn what_serde_json_refuses_is_refused() {
    for value in [
        "0",
        "-0",
        "01",
        "-",
        "-a",
        "1.",
        ".1",
        "1.5",
        "1e5",
        "1E+5",
        "1e",
        "1e+",
        "+1",
        "1-",
        "0x1",
        "NaN",
        "tru",
        "true",
        "truex",
        "null",
        "nul",
        "false",
        "fals",
        r#""""#,
        r#"""#,
        r#""\""#,
        r#""\x""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\u1234""#,
        r#""\ud800""#,
        "\"\u{1}\"",
        "\"\n\"",
        "\"\u{7f}\"",
        "\"é😀\"",
        "[]",
        "[ ]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1,2]",
        "{}",
        "{ }",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a":1 , "b" : [ ] }"#,
        r#"{a:1}"#,
        r#"{"a":1]"#,
        "[1}",
        "]",
        "}",
        "{",
        "[",
        r#"{"a":{"b":[{"c":null}]}}"#,
        " 1 ",
        "\u{a0}1",
        "// 1",
        "'a'",
        "\u{feff}1",
        "1e999",
        "-1E400",
        r#"{"\ud800":1}"#,
    ] {
        assert_judged(value);
    }
}

#[test]
fn depth_and_wide_numbers_are_seen_at_their_limits() {
    for levels in [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1] {
        assert_judged(&format!("{}{}", "[".repeat(levels), "]".repeat(levels)));
        assert_judged(&format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels)));
        assert_judged(&format!("[{},{{}}]", "[]".to_owned() + &",[]".repeat(levels)));
    }
    for digits in 306..312 {
        for sign in ["", "-"] {
            assert_judged(&format!("{sign}{}", "9".repeat(digits)));
            assert_judged(&format!("{sign}{}.5", "9".repeat(digits)));
        }
    }
}

#[test]
fn nesting_takes_no_stack() {
    let levels = 1_000_000;
    let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(seen(&deep).unwrap().depth);
    assert!(seen(&deep[1..]).is_none());
}

#[test]
fn the_last_array_of_the_name_counts_and_another_kind_is_refused() {
    let around = fields_around(r#" {"a":1,"events":[1],"b":"x","events" : [ 2 , 3 ] } "#, "events").unwrap();
    let names: Vec<&str> = around.fields.iter().map(|field| &*field.name).collect();
    assert_eq!(names, ["a", "b"]);
    let elements: Vec<&str> = around
        .elements
        .unwrap()
        .iter()
        .map(|element| element.value.get())
        .collect();
    assert_eq!(elements, ["2", "3"]);
    let escaped = fields_around(r#"{"e\u0076ents":[]}"#, "events").unwrap();
    assert!(escaped.elements.is_some_and(|elements| elements.is_empty()));
    assert!(fields_around("{}", "events").unwrap().elements.is_none());
    for refused in [
        "",
        "[]",
        "null",
        r#"{"events":{}}"#,
        r#"{"events":null}"#,
        "{} x",
        r#"{"\ud800":1}"#,
    ] {
        assert!(fields_around(refused, "events").is_err(), "{refused}");
    }
}

#[test]
fn bodies_with_any_byte_changed_are_judged_as_serde_json_does() {
    let body = r#" { "a": 1 ,"events" : [ {"b":[2]}, 3 ] ,"c":{} } "#;
    for at in 0..body.len() {
        for byte in ["", "[", "]", "{", "}", ",", ":", "\"", " ", "0", "a", "\n"] {
            let mut changed = body.to_owned();
            changed.replace_range(at..=at, byte);
            let fields = serde_json::from_str::<BTreeMap<String, &RawValue>>(&changed).ok();
            let is_sound = fields.is_some_and(|fields| {
                let events = fields.get("events");
                events.is_none_or(|events| events.get().starts_with('['))
            });
            assert_eq!(fields_around(&changed, "events").is_ok(), is_sound, "{changed}");
        }
    }
}

/// What the pass took apart is what a reader of its own finds.
fn assert_taken_apart(value: &str) {
    let body = format!(r#"{{"events":[{value}]}}"#);
    let Ok(around) = fields_around(&body, "events") else {
        return;
    };
    let Some([element]) = around.elements.as_deref() else {
        return;
    };
    let Some(parts) = &element.parts else {
        assert!(fields(element.value).is_none(), "{value}");
        return;
    };
    let expected = fields(element.value).unwrap();
    assert_eq!(parts.len(), expected.len(), "{value}");
    for (part, field) in parts.iter().zip(&expected) {
        assert_eq!((&part.name, part.value), (&field.name, field.value), "{value}");
        let inner = |fields: &Option<Vec<Field<'_>>>| {
            let fields = fields.as_ref()?.iter();
            Some(
                fields
                    .map(|field| format!("{}={}", field.name, field.value.get()))
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(inner(&part.fields), inner(&fields(field.value)), "{value}");
    }
}

#[test]
fn names_and_values_are_those_that_a_reader_finds() {
    for value in [
        "{}",
        "{ }",
        "1",
        "[{}]",
        r#"{"a":1,"b":{"c":{"d":[1,{"e":2}]},"f":"}"},"g":{}}"#,
        r#" { "a\u0062" : { "\"" : null , "\ud800" : 1 } , "x" : [ ] } "#,
        r#"{"\ud800":1,"a":2}"#,
        r#"{"a":2,"\ud800":1,"b":3}"#,
        r#"{"a":1,"a":{"a":1,"a":2}}"#,
    ] {
        assert_taken_apart(value);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_comes_is_taken_apart_as_a_reader_does(
        names in prop::collection::vec(r#"[a-c"\\é]{0,3}"#, 1..4), inner in r#"[\[\]{},:"a 0-9]{0,12}"#, space in "[ \n]{0,2}"
    ) {
        let names: Vec<String> = names.iter().map(|name| serde_json::to_string(name).unwrap()).collect();
        let plain: Vec<String> = names.iter().map(|name| format!("{space}{name}{space}:{space}{name}{space}")).collect();
        let object = format!("{{{}}}", plain.join(","));
        assert_taken_apart(&object);
        assert_taken_apart(&format!("{{{}:{space}{object}{space},\"x\":[{object}]}}", names[0]));
        assert_taken_apart(&format!("{{{}:{{{inner}}}}}", names[0]));
    }

    #[test]
    fn texts_of_jsons_own_characters_are_judged_as_serde_json_does(
        value in r#"[\[\]{},:"\\ \n0-9eE+.\-a-fnrtu]{0,24}"#
    ) {
        assert_judged(&value);
    }

    #[test]
    fn sound_values_with_a_byte_changed_are_judged_as_serde_json_does(
        text in "\\PC{0,12}", number in any::<f64>(), at in any::<prop::sample::Index>(), byte in any::<char>()
    ) {
        let value = serde_json::json!({ "a": text, "b": [number, null, true, { text: -1 }], "c": {} }).to_string();
        assert_judged(&value);
        let mut characters: Vec<char> = value.chars().collect();
        let at = at.index(characters.len());
        characters[at] = byte;
        assert_judged(&characters.iter().collect::<String>());
        characters.remove(at);
        assert_judged(&characters.iter().collect::<String>());
    }
}
