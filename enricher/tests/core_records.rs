//! Records that no edge wrote, originals that are too large or must not be told, and what stands around an original.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod core_support;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use core_support::{
    APPENDED_AT, Asked, NOW, PROJECT, RECEIVED_AT, assets, batch, json_batch, protobuf_batch, record, reject, run,
    staged, value, with_payload,
};
use gosight_config::EnricherSettings;
use gosight_enricher::core::{Assets, Outcome, dedupe_keys, process};
use gosight_eventlog::LogRecord;
use gosight_proto::{Event, EventType};
use gosight_schemas::{BodyFormat, RawBatch, Reject, RejectCode};
use prost::Message;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn whole_reject(record: &LogRecord) -> (RejectCode, Value) {
    let mut window = Asked::default();
    let processed = process(record, &assets(), &mut window, NOW);
    assert!(window.0.is_empty());
    assert!(dedupe_keys(record, &assets()).is_empty());
    let [Outcome::Reject(found)] = &processed.outcomes[..] else {
        panic!("{processed:?}")
    };
    assert_eq!(found.origin.index, 0);
    assert_eq!(found.reject_id, found.origin.reject_id());
    (found.code, value(&processed.outcomes[0]))
}

/// What stands for an original that must not be told.
fn withheld(bytes: &[u8]) -> Value {
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "withheld": { "size": bytes.len(), "sha256": hash } })
}

#[test]
fn a_record_that_cannot_be_read_is_one_reject_with_its_bytes_where_no_edge_wrote_it() {
    let staged = staged(&json_batch(&["{}"]));
    let mut unknown = staged.value.to_vec();
    unknown[4] ^= 1;
    let without_key = json!({ "type": "page_view" }).to_string();
    let with_key = json!({ "project_key": "gs_test_key", "events": [] }).to_string();
    let truncated = staged.value.slice(..staged.value.len() - 1);
    for (bytes, code, is_shown) in [
        (Bytes::new(), RejectCode::UndecodableRecord, true),
        (without_key.into(), RejectCode::UndecodableRecord, true),
        (with_key.into(), RejectCode::UndecodableRecord, false),
        (truncated, RejectCode::UndecodableRecord, false),
        (unknown.into(), RejectCode::UnknownSchema, false),
    ] {
        let (found, written) = whole_reject(&record(bytes.clone()));
        assert_eq!(found, code);
        let expected = match is_shown {
            true => json!({ "base64": BASE64_STANDARD.encode(&bytes) }),
            false => withheld(&bytes),
        };
        assert_eq!(written["original"], expected);
        assert_eq!(written["stage"], "staging");
        assert_eq!(written["received_at"], APPENDED_AT);
        assert_eq!(written["project_id"], "");
    }
}

#[test]
fn a_body_that_the_edge_would_have_refused_is_one_reject() {
    let bodies: [(BodyFormat, &[u8]); 7] = [
        (BodyFormat::Json, b""),
        (BodyFormat::Json, b"[]"),
        (BodyFormat::Json, b"{}"),
        (BodyFormat::Json, b"{\"events\":{}}"),
        (BodyFormat::Json, b"{\"events\":[{}]"),
        (BodyFormat::Json, b"{\"events\":[\"\xff\"]}"),
        (BodyFormat::Protobuf, b"\xff\x07\x9e"),
    ];
    for (format, body) in bodies {
        let mut batch = batch(format, body, 3);
        let (code, written) = whole_reject(&staged(&batch));
        assert_eq!(code, RejectCode::UndecodableRecord);
        assert_eq!(written["original"], withheld(body), "it may hold the client's key");
        assert_eq!(
            (&written["project_id"], &written["session_id"]),
            (&json!(PROJECT), &json!("sess-1"))
        );
        batch.privacy.anonymize_ip = true;
        let (_, written) = whole_reject(&staged(&batch));
        assert_eq!(written["original"], withheld(body));
        assert_eq!(written["context"]["client_ip"], "203.0.113.0");
    }
}

#[test]
fn a_reject_carries_what_a_redrive_needs() {
    let mut batch = json_batch(&[r#"{ "type" : "teleport" }"#]);
    batch.user_id = Some("user-1".to_owned());
    batch.user_agent = Some("Mozilla/5.0".to_owned());
    batch.sent_at = Some(RECEIVED_AT - 5);
    batch.client_hints = [("sec-ch-ua".to_owned(), "x".to_owned())].into();
    let body = String::from_utf8(batch.body.to_vec()).unwrap();
    let device = r#"{"os":"Linux", "cores":8}"#;
    batch.body = body
        .replacen(
            '{',
            &format!(r#"{{"device":{device},"timezone":"Europe/Vienna","language":"de","#),
            1,
        )
        .into();
    let processed = run(&batch, &assets());
    let text = String::from_utf8(core_support::bytes(&processed.outcomes[0]).to_vec()).unwrap();
    assert!(
        text.contains(r#""original":{"json":{ "type" : "teleport" }}"#),
        "as it came: {text}"
    );
    let reject: Reject = serde_json::from_str(&text).unwrap();
    assert_eq!(reject.batch_id, batch.batch_id);
    assert_eq!(
        (reject.received_at, reject.rejected_at, reject.attempt),
        (RECEIVED_AT, NOW, 1)
    );
    let context = serde_json::to_value(&reject.context).unwrap();
    let expected = json!({
        "transport": "HTTP", "body_format": "JSON", "user_id": "user-1", "sent_at": RECEIVED_AT - 5,
        "client_ip": "203.0.113.77", "user_agent": "Mozilla/5.0", "client_hints": { "sec-ch-ua": "x" },
        "device": { "os": "Linux", "cores": 8 }, "timezone": "Europe/Vienna", "language": "de", "anonymize_ip": false
    });
    assert_eq!(context, expected);
}

#[test]
fn what_cannot_be_parsed_is_withheld_where_the_project_wants_privacy() {
    let broken = r#"{"type":"page_view","timestamp":1,"x":"\ud800"}"#;
    let mut private = json_batch(&[broken]);
    let (_, open) = reject(&private, &assets());
    assert_eq!(open["original"]["base64"], BASE64_STANDARD.encode(broken));
    private.privacy.anonymize_ip = true;
    let (code, written) = reject(&private, &assets());
    assert_eq!(code, RejectCode::InvalidJson);
    assert_eq!(written["original"], withheld(broken.as_bytes()));

    let mut parsed = json_batch(&["{}"]);
    parsed.privacy.anonymize_ip = true;
    assert_eq!(reject(&parsed, &assets()).1["original"], json!({ "json": {} }));
}

/// Assets whose topics take records so large.
fn limited(raw: usize, errors: usize) -> Assets {
    let mut assets = assets();
    assets.rules.max_raw_value = raw;
    assets.rules.max_reject_value = errors;
    assets
}

#[test]
fn an_output_at_the_limit_passes_and_one_byte_more_is_a_reject() {
    let sent = json_batch(&[with_payload("page_view", &json!({ "x": "y".repeat(5_000) }))]);
    let size = core_support::bytes(&run(&sent, &assets()).outcomes[0]).len();
    let processed = run(&sent, &limited(size, 1 << 20));
    assert!(matches!(processed.outcomes[..], [Outcome::Event(_)]));
    let (code, written) = reject(&sent, &limited(size - 1, 1 << 20));
    assert_eq!(
        (code, &written["stage"]),
        (RejectCode::OutputTooLarge, &json!("publish"))
    );
    assert!(written["original"]["json"].is_object());
}

#[test]
fn a_reject_always_fits_its_topic() {
    let json: RawBatch = json_batch(&[format!(r#"{{"type":"nothing","x":"{}"}}"#, "é\\n".repeat(10_000))]);
    let mut protobuf = protobuf_batch(vec![Event {
        event_id: "x".repeat(40_000),
        r#type: EventType::PageView.into(),
        timestamp: RECEIVED_AT,
        ..Event::default()
    }]);
    protobuf.user_agent = Some("u".repeat(8_000));
    for sent in [json, protobuf] {
        let whole = core_support::bytes(&run(&sent, &assets()).outcomes[0]).len();
        assert!(whole > 40_000);
        let mut forms = [0; 2];
        for limit in (2_000..whole + 2).rev().step_by(97).chain([whole, whole - 1]) {
            let processed = run(&sent, &limited(1 << 20, limit));
            let size = core_support::bytes(&processed.outcomes[0]).len();
            assert!(size <= limit, "{size} bytes for a limit of {limit}");
            let written = value(&processed.outcomes[0]);
            forms[usize::from(written["original"]["cut"].is_object())] += 1;
            assert_eq!(size == whole, limit >= whole, "cut only where it must be");
        }
        assert!(forms[0] > 0 && forms[1] > 0, "{forms:?}");
    }
}

/// With the default settings: an event that is rejected can be redriven from errors unless it is too large to be one.
#[test]
fn a_rejected_event_of_the_largest_size_is_kept_whole_and_one_byte_more_is_cut() {
    let limit = assets().rules.max_event;
    let json = |size: usize| {
        let around = r#"{"type":"teleport","x":""}"#.len();
        json_batch(&[format!(r#"{{"type":"teleport","x":"{}"}}"#, "y".repeat(size - around))])
    };
    let protobuf = |size: usize| {
        let with = |length: usize| Event {
            event_id: "e".repeat(length),
            r#type: 99,
            ..Event::default()
        };
        let around = with(size - 100).encoded_len() - (size - 100);
        let event = with(size - around);
        assert_eq!(event.encoded_len(), size);
        protobuf_batch(vec![event])
    };
    for (size, json_form, protobuf_form) in [
        (limit - 1, "json", "base64"),
        (limit, "json", "base64"),
        (limit + 1, "cut", "cut"),
    ] {
        for (batch, form) in [(json(size), json_form), (protobuf(size), protobuf_form)] {
            let (code, written) = reject(&batch, &assets());
            assert_eq!(code == RejectCode::EventTooLarge, size > limit, "{size} {form}");
            assert!(
                !written["original"][form].is_null(),
                "{size} {form}: {}",
                written["original"]
            );
        }
    }
}

#[test]
fn a_record_without_a_key_gets_the_sessions() {
    let mut staged = staged(&json_batch(&["{}"]));
    staged.key = None;
    let processed = process(&staged, &assets(), &mut Asked::default(), NOW);
    assert_eq!(processed.session_key, format!("{PROJECT}:sess-1"));
}

#[test]
fn ids_that_are_too_long_for_this_stage_are_named() {
    let mut settings = EnricherSettings::default();
    settings.validation.max_id_length = 5;
    let mut sent = json_batch(&[with_payload("page_view", &json!({}))]);
    sent.user_id = Some("user-1".to_owned());
    let (code, written) = reject(&sent, &Assets::new(&settings, None));
    let fields: Vec<&Value> = written["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| &problem["field"])
        .collect();
    assert_eq!(
        (code, fields),
        (
            RejectCode::FieldTooLong,
            vec![&json!("/session_id"), &json!("/user_id")]
        )
    );
}

/// Whatever is wrong with a record, its key stays on staging, and so does its address where privacy is on.
#[test]
fn neither_key_nor_private_address_stands_on_errors() {
    const KEY: &str = "gs_test_key";
    const ADDRESS: &str = "203.0.113.77";
    let event = with_payload("teleport", &json!({}));
    let broken = r#"{"type":"page_view","x":"\ud800"}"#;
    let mut batches = vec![
        json_batch(&[&*event, broken, "null"]),
        protobuf_batch(vec![Event::default()]),
    ];
    for format in [BodyFormat::Json, BodyFormat::Protobuf] {
        let cut = format!(r#"{{"project_key":"{KEY}","events":[{{"#);
        batches.push(batch(format, cut, 1));
    }
    for mut batch in batches {
        batch.privacy.anonymize_ip = true;
        let whole = staged(&batch).value;
        assert!(holds(&whole, KEY) && holds(&whole, ADDRESS));
        for length in [whole.len(), whole.len() - 1, whole.len() / 2] {
            let record = record(whole.slice(..length));
            let processed = process(&record, &assets(), &mut Asked::default(), NOW);
            for outcome in &processed.outcomes {
                assert!(matches!(outcome, Outcome::Reject(_)));
                let written = core_support::bytes(outcome);
                let original = &value(outcome)["original"];
                let decoded = BASE64_STANDARD
                    .decode(original["base64"].as_str().unwrap_or_default())
                    .unwrap();
                for secret in [KEY, ADDRESS] {
                    assert!(
                        !holds(written, secret) && !holds(&decoded, secret),
                        "{secret}: {original}"
                    );
                }
            }
        }
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
