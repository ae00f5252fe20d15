//! Tables of chunks as SDKs send them, and properties that hold for any bytes.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use gosight_proto::ReplayChunk;
use proptest::prelude::*;
use prost::Message;
use serde_json::json;

use super::{Chunk, ReplayLimits, read_json, read_protobuf};
use crate::budget::Budget;
use crate::outcome::{Reason, Refusal};

const LIMITS: ReplayLimits = ReplayLimits {
    decompressed: 100_000,
    id_length: 16,
};
const EVENTS: &str = "[{\"type\":2,\"data\":{\"big\":9007199254740993, \"half\":\"\\ud800\"},\"timestamp\":1}, 1e999]";

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn from_json(body: impl AsRef<[u8]>) -> Result<Chunk, Refusal> {
    let mut held = Budget::new(1 << 20).hold();
    read_json(&Bytes::copy_from_slice(body.as_ref()), LIMITS, &mut held)
}

fn from_protobuf(message: &[u8]) -> Result<Chunk, Refusal> {
    let mut held = Budget::new(1 << 20).hold();
    read_protobuf(&Bytes::copy_from_slice(message), LIMITS, &mut held)
}

/// A valid chunk with one part put in place of `events`.
fn with(part: &str) -> String {
    format!(r#"{{"project_key":"k","session_id":"s","chunk_index":3,"timestamp_start":1,"timestamp_end":2,{part}}}"#)
}

fn with_data(data: &[u8]) -> String {
    with(&format!(r#""data":"{}""#, STANDARD.encode(data)))
}

fn message(data: impl Into<Bytes>) -> ReplayChunk {
    ReplayChunk {
        chunk_index: 3,
        timestamp_start: 1,
        timestamp_end: 2,
        data: data.into(),
        has_full_snapshot: false,
        project_key: Some("k".to_owned()),
        session_id: Some("s".to_owned()),
    }
}

fn refused(result: Result<Chunk, Refusal>, reason: Reason, words: &str, what: &str) {
    let refusal = result.expect_err(what);
    assert_eq!(refusal.reason(), reason, "{what}: {refusal}");
    assert!(refusal.message().contains(words), "{what}: {refusal}");
    assert!(refusal.message().len() < 300, "a client's value in full: {refusal}");
}

#[test]
fn every_way_to_send_the_events_gives_the_same_chunk() {
    let expected = Chunk {
        project_key: Some("k".to_owned()),
        session_id: Some("s".to_owned()),
        chunk_index: 3,
        timestamp_start: 1,
        timestamp_end: 2,
        has_full_snapshot: false,
        events: Bytes::from_static(EVENTS.as_bytes()),
    };
    let unpadded = STANDARD_NO_PAD.encode(gzip(EVENTS.as_bytes()));
    let escaped = STANDARD.encode(EVENTS).replace('/', "\\/");
    for (body, way) in [
        (with(&format!("\"events\":{EVENTS}")), "events"),
        (
            with(&format!("\"data\":null,\"events\" : {EVENTS} ")),
            "events, data null",
        ),
        (with_data(EVENTS.as_bytes()), "plain data"),
        (
            with_data(format!(" \n{EVENTS}\n").as_bytes()),
            "plain data in white space",
        ),
        (with_data(&gzip(EVENTS.as_bytes())), "gzip data"),
        (with(&format!(r#""data":"{unpadded}""#)), "data without padding"),
        (with(&format!(r#""data":"{escaped}""#)), "data with escapes"),
    ] {
        assert_eq!(from_json(body).expect(way), expected, "{way}");
    }
    for (data, way) in [(EVENTS.as_bytes().to_vec(), "plain"), (gzip(EVENTS.as_bytes()), "gzip")] {
        assert_eq!(
            from_protobuf(&message(data).encode_to_vec()).expect(way),
            expected,
            "{way}"
        );
    }
}

#[test]
fn plain_events_are_not_copied() {
    let body = Bytes::from(with(&format!("\"events\":{EVENTS}")));
    let encoded = Bytes::from(message(EVENTS).encode_to_vec());
    let mut nothing = Budget::new(0).hold();
    for (whole, chunk) in [
        (&body, read_json(&body, LIMITS, &mut nothing).unwrap()),
        (&encoded, read_protobuf(&encoded, LIMITS, &mut nothing).unwrap()),
    ] {
        assert!(whole.as_ptr_range().contains(&chunk.events.as_ptr()));
    }
}

#[test]
fn unpacked_events_hold_their_own_size_and_nothing_else() {
    let budget = Budget::new(1 << 20);
    let events = format!("[\"{}\"]", "x".repeat(50_000));
    let mut held = budget.hold();
    read_json(&with_data(&gzip(events.as_bytes())).into(), LIMITS, &mut held).unwrap();
    assert_eq!(budget.in_flight(), events.len());
    drop(held);

    let mut little = Budget::new(20_000).hold();
    for body in [with_data(&gzip(events.as_bytes())), with_data(events.as_bytes())] {
        let refusal = read_json(&body.into(), LIMITS, &mut little).unwrap_err();
        assert_eq!(refusal.reason(), Reason::Overloaded);
    }
}

#[test]
fn chunks_of_the_wrong_shape_are_refused_by_name() {
    use Reason::{InvalidCompression, InvalidField, InvalidJson, InvalidReplay};
    let whole = |fields: &str| format!("{{{fields}}}");
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let truncated = STANDARD.encode(&gzip(EVENTS.as_bytes())[..30]);
    for (body, reason, words) in [
        (String::new(), InvalidJson, "Invalid JSON"),
        ("{".to_owned(), InvalidJson, "Invalid JSON"),
        ("[]".to_owned(), InvalidField, "not an object"),
        ("{}".to_owned(), InvalidField, "chunk_index is missing"),
        (
            whole(r#""chunk_index":0,"events":[]"#),
            InvalidField,
            "timestamp_start is missing",
        ),
        (
            whole(r#""chunk_index":0,"timestamp_start":1"#),
            InvalidField,
            "timestamp_end is missing",
        ),
        (
            whole(r#""chunk_index":"0""#),
            InvalidField,
            "chunk_index must be an integer",
        ),
        (whole(r#""chunk_index":1.5"#), InvalidField, "but is 1.5"),
        (whole(r#""chunk_index":2147483648"#), InvalidField, "but is 2147483648"),
        (
            whole(r#""chunk_index":0,"timestamp_start":"now""#),
            InvalidField,
            "timestamp_start must be Unix milliseconds",
        ),
        (
            whole(r#""chunk_index":0,"timestamp_start":1e999"#),
            InvalidField,
            "timestamp_start must be Unix milliseconds",
        ),
        (
            whole(r#""chunk_index":0,"chunk_index":1"#),
            InvalidField,
            "chunk_index stands twice",
        ),
        (with(r#""events":[],"events":[1]"#), InvalidField, "events stands twice"),
        (
            with(r#""events":[],"has_full_snapshot":1"#),
            InvalidField,
            "has_full_snapshot must be true or false",
        ),
        (with(r#""has_full_snapshot":true"#), InvalidReplay, "events is missing"),
        (with(r#""events":null,"data":null"#), InvalidReplay, "events is missing"),
        (with(r#""events":[],"data":"W10=""#), InvalidReplay, "side by side"),
        (with(r#""events":{}"#), InvalidReplay, "must be a JSON array"),
        (with(r#""events":"[]""#), InvalidReplay, "must be a JSON array"),
        (with(r#""data":[]"#), InvalidField, "data must be a string"),
        (with(r#""data":"""#), InvalidReplay, "must be a JSON array"),
        (with(r#""data":"[1]""#), InvalidReplay, "not base64"),
        (with_data(b"{}"), InvalidReplay, "must be a JSON array"),
        (with_data(b"[1] x"), InvalidReplay, "not JSON"),
        (with_data(b"[NaN]"), InvalidReplay, "not JSON"),
        (with_data(b"[\"\xff\"]"), InvalidReplay, "not UTF-8"),
        (with_data(&gzip(b"{}")), InvalidReplay, "must be a JSON array"),
        (with_data(&gzip(&gzip(b"[]"))), InvalidReplay, "not UTF-8"),
        (with(&format!(r#""data":"{truncated}""#)), InvalidCompression, "gzip"),
        (
            with(&format!(r#""events":{}"#, deep(5_001))),
            InvalidReplay,
            "deeper than 5000",
        ),
        (with_data(deep(5_001).as_bytes()), InvalidReplay, "deeper than 5000"),
    ] {
        refused(from_json(&body), reason, words, &body[..body.len().min(120)]);
    }
    let negative = with("\"events\":[]").replace(":3", ":-1");
    refused(from_json(negative), InvalidField, "chunk_index is -1", "negative");
    let long = with("\"events\":[]").replace("\"s\"", "\"12345678901234567\"");
    refused(from_json(long), InvalidField, "session_id has 17 bytes", "long");
    assert!(from_json(with(&format!(r#""events":{}"#, deep(5_000)))).is_ok());
    let many_in_strings = format!(
        r#""events":["{}\"[","\\",{}]"#,
        "[{".repeat(9_000),
        "[],".repeat(9_000) + "0"
    );
    assert!(from_json(with(&many_in_strings)).is_ok());
}

#[test]
fn protobuf_chunks_of_the_wrong_shape_are_refused_by_name() {
    use Reason::{InvalidCompression, InvalidField, InvalidProtobuf, InvalidReplay};
    for (chunk, reason, words) in [
        (message(""), InvalidReplay, "must be a JSON array"),
        (message("{}"), InvalidReplay, "must be a JSON array"),
        (message("[1"), InvalidReplay, "not JSON"),
        (message(&b"[\"\xff\"]"[..]), InvalidReplay, "not UTF-8"),
        (message(&b"\x1f\x8b\x08"[..]), InvalidCompression, "gzip"),
        (
            ReplayChunk {
                chunk_index: -1,
                ..message("[]")
            },
            InvalidField,
            "chunk_index is -1",
        ),
        (
            ReplayChunk {
                session_id: Some("12345678901234567".to_owned()),
                ..message("[]")
            },
            InvalidField,
            "session_id has 17 bytes",
        ),
    ] {
        refused(
            from_protobuf(&chunk.encode_to_vec()),
            reason,
            words,
            &format!("{chunk:?}"),
        );
    }
    refused(
        from_protobuf(b"\xff"),
        InvalidProtobuf,
        "gosight.ReplayChunk",
        "no protobuf",
    );
    let bare = ReplayChunk {
        project_key: None,
        session_id: Some(String::new()),
        ..message("[]")
    };
    let chunk = from_protobuf(&bare.encode_to_vec()).unwrap();
    assert_eq!((chunk.project_key, chunk.session_id), (None, None));
}

#[test]
fn too_many_bytes_of_events_are_refused_with_the_limit_in_every_form() {
    let events = |size: usize| format!("[\"{}\"]", "x".repeat(size - 4));
    for (size, allowed) in [(100_000, true), (100_001, false), (500_000, false)] {
        let plain = events(size);
        for result in [
            from_json(with(&format!("\"events\":{plain}"))),
            from_json(with_data(plain.as_bytes())),
            from_json(with_data(&gzip(plain.as_bytes()))),
            from_protobuf(&message(plain.clone()).encode_to_vec()),
            from_protobuf(&message(gzip(plain.as_bytes())).encode_to_vec()),
        ] {
            if allowed {
                assert_eq!(result.unwrap().events.len(), size);
            } else {
                refused(result, Reason::BodyTooLarge, "100000", "too large");
            }
        }
    }
}

#[test]
fn the_record_has_the_contract_s_names_and_the_client_s_own_bytes() {
    let mut chunk = from_json(with(&format!("\"events\":{EVENTS}"))).unwrap();
    chunk.has_full_snapshot = true;
    chunk.timestamp_start = 1_704_067_200_000;
    let value = chunk.record_value("p-1", "s \"\\\u{1}é");
    let expected = format!(
        r#"{{"project_id":"p-1","session_id":"s \"\\\u0001é","chunk_index":3,"timestamp_start":1704067200000,"timestamp_end":2,"events":{EVENTS},"has_full_snapshot":true}}"#
    );
    assert_eq!(std::str::from_utf8(&value).unwrap(), expected);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), magic in any::<bool>()) {
        let mut data = if magic { vec![0x1f, 0x8b] } else { Vec::new() };
        data.extend(&bytes);
        let _ = (from_json(&data), from_protobuf(&data), from_json(with_data(&data)));
        let _ = from_protobuf(&message(data).encode_to_vec());
    }

    #[test]
    fn what_is_taken_becomes_a_record_that_reads_back(
        chunk_index in any::<i32>(), start in any::<i64>(), end in any::<i64>(), snapshot in any::<bool>(),
        texts in proptest::collection::vec(any::<String>(), 0..4), session in any::<String>(),
    ) {
        let body = json!({
            "chunk_index": chunk_index, "timestamp_start": start, "timestamp_end": end, "has_full_snapshot": snapshot,
            "events": texts,
        });
        let encoded = ReplayChunk {
            chunk_index, timestamp_start: start, timestamp_end: end, has_full_snapshot: snapshot,
            data: gzip(body["events"].to_string().as_bytes()).into(), project_key: None, session_id: None,
        };
        let chunk = from_json(body.to_string());
        prop_assert_eq!(&chunk, &from_protobuf(&encoded.encode_to_vec()));
        prop_assert_eq!(chunk.is_ok(), chunk_index >= 0);
        if let Ok(chunk) = chunk {
            let record: serde_json::Value = serde_json::from_slice(&chunk.record_value("p", &session)).unwrap();
            prop_assert_eq!(record, json!({
                "project_id": "p", "session_id": session, "chunk_index": chunk_index, "timestamp_start": start,
                "timestamp_end": end, "events": texts, "has_full_snapshot": snapshot,
            }));
        }
    }
}
