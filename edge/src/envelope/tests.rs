//! Tables of what clients send, and properties that hold for any bytes.

use bytes::Bytes;
use gosight_proto::envelope::{EventBatchEnvelope, SessionEnvelope};
use gosight_schemas::BodyFormat;
use proptest::prelude::*;
use prost::Message;
use serde_json::json;

use super::{Envelope, EnvelopeLimits, read};
use crate::outcome::{Reason, Refusal};

const LIMITS: EnvelopeLimits = EnvelopeLimits {
    events: 100,
    id_length: 16,
};

fn json_envelope(body: impl AsRef<[u8]>) -> Result<Envelope, Refusal> {
    read(&Bytes::copy_from_slice(body.as_ref()), BodyFormat::Json, LIMITS)
}

fn protobuf_envelope(body: &[u8]) -> Result<Envelope, Refusal> {
    read(&Bytes::copy_from_slice(body), BodyFormat::Protobuf, LIMITS)
}

fn refused(result: Result<Envelope, Refusal>, reason: Reason, words: &str, body: &str) {
    let refusal = result.expect_err(body);
    assert_eq!(refusal.reason(), reason, "{body}: {refusal}");
    assert!(refusal.message().contains(words), "{body}: {refusal}");
    assert!(refusal.message().len() < 300, "a client's value in full: {refusal}");
}

#[test]
fn the_whole_envelope_reads() {
    let envelope = json_envelope(
        r#" {"project_key":"gs_\u0074est","device":{"os":"x","screen_width":1},"session_id":"s-1","user_id":"ü",
        "events":[{"type":"click","payload":{"a":[1,2,{"b":"]}"}]}}, 7 ,"x"],"sent_at":1704067200000,"later":{"new":[]}} "#,
    );
    let expected = Envelope {
        project_key: Some("gs_test".to_owned()),
        session_id: "s-1".to_owned(),
        user_id: Some("ü".to_owned()),
        sent_at: Some(1_704_067_200_000),
        events: 3,
    };
    assert_eq!(envelope.unwrap(), expected);
}

#[test]
fn absent_null_and_empty_are_the_same() {
    let bare = json_envelope(r#"{"events":[]}"#).unwrap();
    assert_eq!(
        bare,
        Envelope {
            project_key: None,
            session_id: String::new(),
            user_id: None,
            sent_at: None,
            events: 0
        }
    );
    for body in [
        r#"{"project_key":null,"session_id":null,"user_id":null,"sent_at":null,"device":null,"events":[]}"#,
        r#"{"project_key":"","session_id":"","user_id":"","sent_at":0,"events":[ ]}"#,
    ] {
        assert_eq!(json_envelope(body).unwrap(), bare, "{body}");
    }
}

#[test]
fn what_is_no_json_is_refused_in_the_contract_s_words() {
    let unclosed_bomb = "[".repeat(100_000);
    let inner_bomb = format!("{{\"events\":[{}", "[".repeat(100_000));
    for body in [
        "",
        " ",
        "x",
        "{",
        "{]",
        "{\"events\":[}",
        "{\"events\":[1,]}",
        "{\"events\":[1 2]}",
        "{\"events\":[]",
        "{\"events\":[]},",
        "{\"events\":[]} {}",
        "{\"events\":[NaN]}",
        "{\"events\":[-Infinity]}",
        "{\"events\":NaN}",
        "{\"events\":[],\"sent_at\":NaN}",
        "{\"events\":[01]}",
        "{\"events\":[1.]}",
        "{\"events\":['a']}",
        "{\"events\":[\"\\x\"]}",
        "{\"events\":[\"\\ud8\"]}",
        "{\"events\":[\"a\nb\"]}",
        "{events:[]}",
        "{\"events\":[],}",
        "{\"events\":[], // c\n}",
        // Wrong in two ways: no JSON wins, wherever the other fault stands.
        "{\"events\":7,\"x\":tru}",
        "{\"events\":[],\"events\":[]",
        "\u{feff}{\"events\":[]}",
        "key=value&events=1",
        &unclosed_bomb,
        &inner_bomb,
    ] {
        let shown = &body[..body.len().min(60)];
        let refusal = json_envelope(body).expect_err(shown);
        assert_eq!(refusal.reason(), Reason::InvalidJson, "{shown}");
        assert_eq!(refusal.message(), "Invalid JSON", "{shown}");
    }
    for body in [
        &b"{\"events\":[\"\xff\"]}"[..],
        b"\xff\xfe{\0}\0",
        b"{\"\xc3\":1,\"events\":[]}",
        b"\0",
    ] {
        assert_eq!(
            json_envelope(body).unwrap_err().reason(),
            Reason::InvalidJson,
            "{body:?}"
        );
    }
}

#[test]
fn json_of_the_wrong_shape_is_refused_by_name() {
    let closed_bomb = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let long_text = format!("\"{}\"", "x".repeat(10_000));
    let long_events = format!("{{\"events\":{long_text}}}");
    for (body, words) in [
        ("[]", "not an object"),
        ("null", "not an object"),
        ("7", "not an object"),
        ("1e999", "not an object"),
        ("\"\\ud800\"", "not an object"),
        (&long_text, "not an object"),
        ("[[[[[{\"a\":[0]}]]]]]", "not an object"),
        (&closed_bomb, "not an object"),
        ("{}", "events is missing"),
        ("{\"event\":[]}", "events is missing"),
        ("{\"events\":null}", "events must be an array"),
        ("{\"events\":{}}", "events must be an array"),
        ("{\"events\":{\"a\":[1],\"b\":\"\\ud800\"}}", "events must be an array"),
        ("{\"events\":\"[]\"}", "events must be an array"),
        (&long_events, "events must be an array"),
        ("{\"events\":true}", "events must be an array"),
        ("{\"events\":-1}", "events must be an array"),
        ("{\"events\":1}", "events must be an array"),
        ("{\"events\":1.5}", "events must be an array"),
        ("{\"events\":1e999}", "number out of range"),
        (
            "{\"events\":[],\"project_key\":7}",
            "project_key must be a string, but is 7",
        ),
        (
            "{\"events\":[],\"project_key\":[]}",
            "project_key must be a string, but is an array",
        ),
        (
            "{\"events\":[],\"session_id\":{}}",
            "session_id must be a string, but is an object",
        ),
        (
            "{\"events\":[],\"session_id\":\"\\ud800\"}",
            "session_id holds half of a surrogate pair",
        ),
        (
            "{\"events\":[],\"user_id\":false}",
            "user_id must be a string, but is a boolean",
        ),
        ("{\"events\":[],\"\\ud800\":1}", "could not be read"),
        ("{\"events\":[1],\"events\":[]}", "events stands twice"),
        ("{\"events\":[1],\"\\u0065vents\":[1]}", "events stands twice"),
        (
            "{\"events\":[],\"project_key\":\"a\",\"project_key\":\"b\"}",
            "project_key stands twice",
        ),
        (
            "{\"events\":[],\"session_id\":null,\"session_id\":\"b\"}",
            "session_id stands twice",
        ),
        (
            "{\"events\":[],\"user_id\":\"a\",\"user_id\":\"a\"}",
            "user_id stands twice",
        ),
        ("{\"events\":[],\"sent_at\":1,\"sent_at\":2}", "sent_at stands twice"),
        ("{\"events\":[],\"device\":{},\"device\":{}}", "device stands twice"),
        (
            "{\"events\":[],\"session_id\":\"12345678901234567\"}",
            "session_id has 17 bytes; the limit is 16",
        ),
        (
            "{\"events\":[],\"session_id\":12345678901234567}",
            "session_id has 17 bytes; the limit is 16",
        ),
        (
            "{\"events\":[],\"user_id\":\"éééééééée\"}",
            "user_id has 17 bytes; the limit is 16",
        ),
    ] {
        refused(
            json_envelope(body),
            Reason::InvalidField,
            words,
            &body[..body.len().min(60)],
        );
    }
}

#[test]
fn events_are_counted_unseen() {
    let deep = format!("{{\"events\":[{}{},1]}}", "[".repeat(100_000), "]".repeat(100_000));
    let large = format!("{{\"events\":[\"{}\"]}}", "x".repeat(2 << 20));
    for (body, count) in [
        ("{\"events\":[null]}", 1),
        ("{\"events\":[null,true,0,\"\",[],{}]}", 6),
        ("{\"events\":[[[[[[]]]]],[[],[]]]}", 2),
        ("{\"events\":[\"\\ud800\",{\"a\\udfff\":\"\\ud800\\ud800\"}]}", 2),
        ("{\"events\":[1e999,-1e-999,12345678901234567890123]}", 3),
        ("{\"events\":[{\"a\":1,\"a\":2}]}", 1),
        ("{\"events\":[{\"events\":[1,2,3]}],\"x\":1,\"x\":2}", 1),
        ("{\"events\":[\"],[\",\"\\\"],[\"]}", 2),
        (&deep, 2),
        (&large, 1),
    ] {
        let shown = &body[..body.len().min(60)];
        assert_eq!(json_envelope(body).expect(shown).events, count, "{shown}");
    }
}

#[test]
fn more_events_than_the_limit_are_refused_with_their_number() {
    let json = |count: usize| format!("{{\"events\":[{}]}}", vec!["{}"; count].join(","));
    assert_eq!(json_envelope(json(100)).unwrap().events, 100);
    let protobuf = |count| [0x1a, 0x00].repeat(count);
    assert_eq!(protobuf_envelope(&protobuf(100)).unwrap().events, 100);
    for result in [json_envelope(json(101)), protobuf_envelope(&protobuf(101))] {
        let refusal = result.unwrap_err();
        assert_eq!(refusal.reason(), Reason::TooManyEvents);
        assert_eq!(refusal.events(), 101);
        assert!(refusal.message().contains("101 events; the limit is 100"), "{refusal}");
    }
}

#[test]
fn a_refusal_for_a_field_says_how_many_events_it_costs() {
    let refusal = json_envelope(r#"{"session_id":[],"events":[1,2,3]}"#).unwrap_err();
    assert_eq!(refusal.events(), 3);
}

#[test]
fn a_sent_at_of_garbage_costs_no_batch() {
    for (sent_at, expected) in [
        ("1704067200000", Some(1_704_067_200_000)),
        ("1704067200000.0", Some(1_704_067_200_000)),
        ("1.7040672e12", Some(1_704_067_200_000)),
        ("-5", Some(-5)),
        ("1e999", None),
        ("99999999999999999999", None),
        ("\"2024-01-01T00:00:00Z\"", None),
        ("\"\\ud800\"", None),
        ("{}", None),
        ("true", None),
        ("0", None),
        ("null", None),
    ] {
        let envelope = json_envelope(format!("{{\"events\":[1],\"sent_at\":{sent_at}}}")).expect(sent_at);
        assert_eq!(envelope.sent_at, expected, "{sent_at}");
    }
}

#[test]
fn ids_may_be_numbers() {
    let envelope = json_envelope(r#"{"events":[],"user_id":9007199254740993,"session_id":-1.50}"#).unwrap();
    assert_eq!(envelope.user_id.as_deref(), Some("9007199254740993"));
    assert_eq!(envelope.session_id, "-1.50");
}

#[test]
fn broken_protobuf_is_refused() {
    for body in [
        &b"{\"events\":[]}"[..],
        b"\xff",
        b"\x00",
        b"\x0a\x05ab",                                       // project_key breaks off
        b"\x0a\x01\xff",                                     // project_key is no UTF-8
        b"\x12\x03\x0a\x01\xff",                             // session.session_id is no UTF-8
        b"\x12\x02\x0a\x05",                                 // session.session_id is longer than the session
        b"\x1a\xff\xff\xff\xff\x0f",                         // an event of 4 GB
        b"\x18\x01",                                         // events as a number
        b"\x22\x01\x01",                                     // sent_at as bytes
        b"\x2b",                                             // a group without its end
        b"\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", // a varint of eleven bytes
    ] {
        refused(
            protobuf_envelope(body),
            Reason::InvalidProtobuf,
            "gosight.EventBatch",
            &format!("{body:x?}"),
        );
    }
    let nested_groups = [0x2b].repeat(100_000);
    refused(
        protobuf_envelope(&nested_groups),
        Reason::InvalidProtobuf,
        "recursion",
        "groups",
    );
}

#[test]
fn protobuf_sessions_merge_and_events_stay_unseen() {
    let half = |session_id: &str, user_id: &str| EventBatchEnvelope {
        session: Some(SessionEnvelope {
            session_id: session_id.to_owned(),
            user_id: user_id.to_owned(),
            ..SessionEnvelope::default()
        }),
        events: vec![Bytes::from_static(b"\xff no message")],
        ..EventBatchEnvelope::default()
    };
    let mut body = half("s-1", "u-1").encode_to_vec();
    body.extend(half("s-2", "").encode_to_vec());
    body.extend(b"\x2b\x08\x01\x2c\x58\x01\x58\x01"); // an unknown group, and an unknown field twice
    let envelope = protobuf_envelope(&body).unwrap();
    assert_eq!(envelope.session_id, "s-2");
    assert_eq!(envelope.user_id.as_deref(), Some("u-1"));
    assert_eq!(envelope.events, 2);
    assert_eq!(protobuf_envelope(b"").unwrap().events, 0);
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..8).prop_map(String::from_iter)
}

/// Bytes that look like JSON more often than any bytes do.
fn almost_json() -> impl Strategy<Value = Vec<u8>> {
    let piece = proptest::sample::select(
        &[
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "\\",
            "\\ud800",
            "null",
            "-",
            "0",
            "1e999",
            "\"events\"",
            "\"session_id\"",
            "\"data\"",
            "\"events\":[",
            "{\"events\":[{}]",
            "\u{e9}",
            " ",
        ][..],
    );
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), almost_json()]
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_it_agrees_with_whole_decoders(body in any_bytes()) {
        let json = json_envelope(&body);
        let reference = serde_json::from_slice::<serde_json::Value>(&body);
        if let Ok(value) = &reference {
            let object_with_events = value.get("events").is_some_and(|events| events.is_array());
            prop_assert!(object_with_events || json.is_err());
            prop_assert!(!matches!(&json, Err(refusal) if refusal.reason() == Reason::InvalidJson));
        }
        if let Ok(envelope) = &json && let Ok(value) = &reference {
            prop_assert_eq!(envelope.events as usize, value["events"].as_array().map_or(0, Vec::len));
        }
        let protobuf = protobuf_envelope(&body);
        let reference = EventBatchEnvelope::decode(body.as_slice());
        let undecodable = matches!(&protobuf, Err(refusal) if refusal.reason() == Reason::InvalidProtobuf);
        prop_assert_eq!(undecodable, reference.is_err());
        if let (Ok(envelope), Ok(batch)) = (protobuf, reference) {
            prop_assert_eq!(envelope.events as usize, batch.events.len());
            prop_assert_eq!(envelope.sent_at.unwrap_or(0), batch.sent_at);
            prop_assert_eq!(envelope.session_id, batch.session.unwrap_or_default().session_id);
        }
    }

    #[test]
    fn both_formats_give_the_same_envelope(
        project_key in text(), session_id in text(), user_id in text(), sent_at in any::<i64>(), events in 0_usize..130,
    ) {
        let body = json!({
            "project_key": project_key, "session_id": session_id, "user_id": user_id, "sent_at": sent_at,
            "events": vec![json!({"type": "click"}); events],
        });
        let message = EventBatchEnvelope {
            project_key,
            session: Some(SessionEnvelope { session_id, user_id, ..SessionEnvelope::default() }),
            events: vec![Bytes::from_static(b"\x10\x02"); events],
            sent_at,
        };
        prop_assert_eq!(json_envelope(body.to_string()), protobuf_envelope(&message.encode_to_vec()));
    }

    #[test]
    fn a_broken_off_body_is_never_taken(cut in 1_usize..170) {
        let whole = r#"{"project_key":"gs_test_key","session_id":"sess-1","user_id":"u-1","sent_at":1704067200000,"device":{},"events":[{"type":"page_view","timestamp":1704067200000,"page":{}}]}"#;
        let body = &whole[..whole.len().saturating_sub(cut)];
        prop_assert_eq!(json_envelope(body).map_err(|refusal| refusal.reason()), Err(Reason::InvalidJson));
    }
}
