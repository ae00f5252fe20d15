//! A staged body as it may be shown: a terminal's scrollback and a ticket are no places for a client's key.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gosight_proto::wire;
use gosight_schemas::{BodyFormat, is_single_object};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

/// The field that holds the key in a JSON body.
const KEY_FIELD: &str = "project_key";
/// The same in a protobuf body (`gosight.EventBatch`).
const KEY_NUMBER: u32 = 1;
/// What stands for it.
const REDACTED: &str = "(not shown)";

/// A body without its key: JSON as it is, protobuf as base64 of the other fields. One that can't be read is not shown, since the key
/// can't be told from the rest.
pub(super) fn shown(body: &[u8], format: BodyFormat) -> Value {
    let shown = match format {
        BodyFormat::Json => without_key(body),
        BodyFormat::Protobuf => other_fields(body).map(|bytes| json!({ "base64": STANDARD.encode(bytes) })),
    };
    shown.unwrap_or_else(|| json!({ "unreadable_bytes": body.len() }))
}

/// A staging record that can't be decoded: shown only where no edge wrote it.
pub(super) fn undecodable(record: &[u8], reason: &str) -> Value {
    let names_a_key = record
        .windows(KEY_FIELD.len())
        .any(|window| window == KEY_FIELD.as_bytes());
    if is_single_object(record) || names_a_key {
        json!({ "undecodable": reason, "unreadable_bytes": record.len() })
    } else {
        json!({ "undecodable": reason, "base64": STANDARD.encode(record) })
    }
}

fn without_key(body: &[u8]) -> Option<Value> {
    if let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) {
        if let Some(key) = fields.get_mut(KEY_FIELD) {
            *key = json!(REDACTED);
        }
        return Some(Value::Object(fields));
    }
    // Half a surrogate pair or `1e999`, which a value can't hold: a text of the JSON.
    let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body).ok()?;
    if let Some(key) = fields.get_mut(KEY_FIELD) {
        *key = to_raw_value(REDACTED).ok()?;
    }
    serde_json::to_string(&fields).ok().map(Value::String)
}

fn other_fields(body: &[u8]) -> Option<Vec<u8>> {
    let mut kept = Vec::with_capacity(body.len());
    for field in wire::fields(body) {
        let field = field.ok()?;
        if field.number != KEY_NUMBER {
            kept.extend(field.bytes);
        }
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use gosight_schemas::BodyFormat;
    use serde_json::json;

    use super::{shown, undecodable};

    const KEY: &str = "gs_test_key";

    #[test]
    fn a_body_is_shown_without_its_key() {
        for (body, expected) in [
            (
                r#"{"project_key":"gs_test_key","session_id":"s","events":[{"a":1}]}"#,
                json!({ "project_key": "(not shown)", "session_id": "s", "events": [{ "a": 1 }] }),
            ),
            (
                r#"{"project\u005fkey":"gs_test_key"}"#,
                json!({ "project_key": "(not shown)" }),
            ),
            (r#"{"events":[]}"#, json!({ "events": [] })),
            (
                r#"{"project_key":"gs_test_key","events":[{"x":1e999}]}"#,
                json!(r#"{"events":[{"x":1e999}],"project_key":"(not shown)"}"#),
            ),
            (
                r#"{"project_key":"gs_test_key","events":["#,
                json!({ "unreadable_bytes": 38 }),
            ),
            (r#"["gs_test_key"]"#, json!({ "unreadable_bytes": 15 })),
        ] {
            assert_eq!(shown(body.as_bytes(), BodyFormat::Json), expected, "{body}");
        }
        // Key, session, sent_at.
        let mut protobuf = vec![0x0a, 11];
        protobuf.extend(KEY.bytes());
        let others = [0x12, 0x00, 0x20, 0x05];
        protobuf.extend(others);
        assert_eq!(
            shown(&protobuf, BodyFormat::Protobuf),
            json!({ "base64": STANDARD.encode(others) })
        );
        protobuf.push(0xff);
        assert_eq!(
            shown(&protobuf, BodyFormat::Protobuf),
            json!({ "unreadable_bytes": protobuf.len() })
        );
    }

    #[test]
    fn a_record_that_an_edge_may_have_written_is_not_shown_where_it_cannot_be_read() {
        for (record, is_shown) in [
            (&b"\xff"[..], true),
            (b"\xc3\x01 and a key", false),
            (br#"{"project_key":"gs_test_key"}"#, false),
        ] {
            let value = undecodable(record, "why");
            assert_eq!(value.get("base64").is_some(), is_shown, "{value}");
            assert_eq!(value.get("unreadable_bytes").is_some(), !is_shown, "{value}");
        }
    }
}
