//! What holds for any batch whatsoever.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod core_support;

use core_support::{
    Asked, NOW, RECEIVED_AT, assets, batch, bytes, event, json_batch, protobuf_batch, record, staged, value,
};
use gosight_enricher::core::{Outcome, Processed, dedupe_keys, process};
use gosight_eventlog::LogRecord;
use gosight_proto::event::Payload;
use gosight_proto::{
    ClickEvent, CustomEvent, Event, EventType, InputEvent, JsErrorEvent, MouseMoveEvent, MousePosition, Page,
    PageLoadEvent, ScrollEvent, TargetElement, WebVitalsEvent,
};
use gosight_schemas::{BodyFormat, RejectCode};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Strings as they may stand in JSON, with escapes of all kinds, sound and broken.
fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z ]{0,6}",
        1 => Just("\\ud83d\\ude00".to_owned()),
        1 => Just("\\ud800".to_owned()),
        1 => Just("\\udc00".to_owned()),
        1 => Just("\\\"\\\\\\/\\n\\u0000".to_owned()),
        1 => Just("é😀".to_owned()),
    ];
    proptest::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        (-1_000_i64..1_000).prop_map(|near| (RECEIVED_AT + near).to_string()),
        any::<f64>()
            .prop_filter("JSON has no NaN", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        Just("123456789012345678901234567890".to_owned()),
        Just("-0.0".to_owned()),
    ]
}

/// Names that rules know, and others.
fn name() -> impl Strategy<Value = String> {
    let known = vec![
        "type",
        "event_type",
        "timestamp",
        "event_id",
        "user_id",
        "page",
        "payload",
        "url",
        "title",
        "viewport_width",
        "x",
        "positions",
        "depth_percent",
        "message",
        "lcp",
        "metric",
        "value",
        "name",
        "properties",
        "is_masked",
    ];
    prop_oneof![
        5 => proptest::sample::select(known).prop_map(|name| format!("\"{name}\"")),
        1 => string(),
    ]
}

fn any_json() -> impl Strategy<Value = String> {
    let types = vec![
        "page_view",
        "EVENT_TYPE_CLICK",
        "scroll",
        "js_error",
        "web_vitals",
        "custom",
        "mouse_move",
        "x",
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        number(),
        string(),
        proptest::sample::select(types).prop_map(|name| format!("\"{name}\"")),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        let array = proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", ")));
        let field = (name(), inner).prop_map(|(name, value)| format!("{name} : {value}"));
        let object = proptest::collection::vec(field, 0..8).prop_map(|fields| format!("{{ {} }}", fields.join(",")));
        prop_oneof![1 => array, 3 => object]
    })
}

/// Events that are mostly sound, with anything in some fields.
fn likely_event() -> impl Strategy<Value = String> {
    let types = vec![
        "page_view",
        "EVENT_TYPE_CLICK",
        "scroll",
        "js_error",
        "web_vitals",
        "custom",
        "mouse_move",
        "copy",
    ];
    let more = proptest::collection::vec((name(), any_json()), 0..4);
    (proptest::sample::select(types), more).prop_map(|(event_type, more)| {
        let more: String = more.iter().map(|(name, value)| format!(",{name}:{value}")).collect();
        format!(r#"{{"type":"{event_type}","timestamp":{RECEIVED_AT}{more}}}"#)
    })
}

fn any_event() -> impl Strategy<Value = String> {
    prop_oneof![any_json(), likely_event()]
}

/// Runs a record and checks what must hold for every one.
fn checked(record: &LogRecord) -> Result<Processed, TestCaseError> {
    let assets = assets();
    let mut window = Asked::default();
    let processed = process(record, &assets, &mut window, NOW);
    prop_assert_eq!(&window.0, &dedupe_keys(record, &assets), "the same ids are asked for");
    let again = process(record, &assets, &mut Asked::default(), NOW);
    for (index, (outcome, repeated)) in processed.outcomes.iter().zip(&again.outcomes).enumerate() {
        prop_assert_eq!(outcome.origin().index as usize, index);
        if matches!(outcome, Outcome::Duplicate(_)) {
            prop_assert!(matches!(repeated, Outcome::Duplicate(_)));
            continue;
        }
        prop_assert_eq!(bytes(outcome), bytes(repeated), "the same bytes");
        let written = serde_json::from_slice::<Value>(bytes(outcome));
        let written = written.map_err(|error| TestCaseError::fail(format!("{error}: {:?}", bytes(outcome))))?;
        match outcome {
            Outcome::Event(event) => {
                prop_assert_eq!(&written["event_id"], &json!(event.event_id));
                prop_assert!(written["timestamp"].is_i64() && written["type"].is_string());
                prop_assert!(written.get("payload").is_none_or(Value::is_object), "{}", written);
            }
            Outcome::Reject(reject) => {
                prop_assert_ne!(reject.code, RejectCode::InternalError, "{}", written);
                prop_assert!(!written["problems"].as_array().unwrap().is_empty());
                prop_assert!(reject.value.len() <= assets.rules.max_reject_value);
            }
            Outcome::Duplicate(_) => {}
        }
    }
    Ok(processed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_json_event_has_one_outcome(events in proptest::collection::vec(any_event(), 0..6)) {
        let processed = checked(&staged(&json_batch(&events)))?;
        prop_assert_eq!(processed.outcomes.len(), events.len());
    }

    #[test]
    fn any_bytes_as_protobuf_events_have_one_outcome_each(
        events in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..6)
    ) {
        let mut body = Vec::new();
        for event in &events {
            body.push(0x1a);
            body.push(u8::try_from(event.len()).unwrap());
            body.extend_from_slice(event);
        }
        let processed = checked(&staged(&batch(BodyFormat::Protobuf, body, events.len())))?;
        prop_assert_eq!(processed.outcomes.len(), events.len());
    }

    #[test]
    fn any_bytes_as_a_body_or_a_record_end_as_rejects(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for format in [BodyFormat::Json, BodyFormat::Protobuf] {
            checked(&staged(&batch(format, bytes.clone(), 1)))?;
        }
        let processed = checked(&record(bytes))?;
        prop_assert_eq!(processed.outcomes.len(), 1);
    }

    #[test]
    fn json_and_protobuf_of_one_event_leave_alike(
        id in any::<u128>(), time in -1_000_i64..1_000, (x, y, t) in any::<(i32, i32, i64)>(), depth in 0..=100_i32,
        texts in proptest::array::uniform4("[a-zé\"\\\\\n]{1,12}"), vital in 0.0..1e9_f64, which in 0..9_usize,
    ) {
        let (event_type, payload, payload_json) = sample(which, (x, y, t), depth, &texts, vital);
        let id = uuid::Uuid::from_u128(id | 1).to_string();
        let page = Page { url: texts[0].clone(), title: texts[1].clone(), ..Page::default() };
        let protobuf = Event {
            event_id: id.clone(),
            r#type: event_type.into(),
            timestamp: RECEIVED_AT + time,
            page: Some(page),
            payload,
        };
        let mut json = json!({
            "event_id": id, "type": event_type.as_str_name(), "timestamp": RECEIVED_AT + time,
            "page": { "url": texts[0], "title": texts[1] }
        });
        if let Some(payload) = payload_json {
            json["payload"] = payload;
        }
        let of_json = event(&json_batch(&[json.to_string()]), &assets());
        let of_protobuf = event(&protobuf_batch(vec![protobuf]), &assets());
        prop_assert_eq!(of_json, of_protobuf);
    }
}

/// A payload of each kind, and the JSON that it must become.
fn sample(
    which: usize,
    (x, y, t): (i32, i32, i64),
    depth: i32,
    texts: &[String; 4],
    vital: f64,
) -> (EventType, Option<Payload>, Option<Value>) {
    let [a, b, c, d] = texts.clone();
    let target = TargetElement {
        tag: a.clone(),
        selector: b.clone(),
        classes: vec![c.clone()],
        href: d.clone(),
        attributes: [("role".to_owned(), c.clone()), ("z".to_owned(), d.clone())].into(),
        ..TargetElement::default()
    };
    let target_json = json!({
        "tag": a, "selector": b, "classes": [c], "href": d, "attributes": { "role": c, "z": d }
    });
    let (event_type, payload, json) = match which {
        0 => return (EventType::PageView, None, None),
        1 => (
            EventType::Click,
            Payload::Click(ClickEvent {
                x,
                y,
                target: Some(target),
            }),
            json!({
                "x": x, "y": y, "target": target_json, "target_tag": a, "target_selector": b, "target_classes": [c],
                "target_href": d, "target_role": c
            }),
        ),
        2 => (
            EventType::Scroll,
            Payload::Scroll(ScrollEvent {
                scroll_top: x,
                scroll_height: y,
                viewport_height: 3,
                depth_percent: depth,
            }),
            json!({ "scroll_top": x, "scroll_height": y, "viewport_height": 3, "depth_percent": depth }),
        ),
        3 => (
            EventType::InputFocus,
            Payload::Input(InputEvent {
                target: Some(target),
                input_type: a.clone(),
                is_masked: false,
                value: b.clone(),
            }),
            json!({ "target": target_json, "input_type": a, "is_masked": false, "value": b }),
        ),
        4 => (
            EventType::MouseMove,
            Payload::MouseMove(MouseMoveEvent {
                positions: vec![MousePosition { x: 1, y: 2, t: 3 }, MousePosition { x, y, t }],
            }),
            json!({ "positions": [{ "x": 1, "y": 2, "t": 3 }, { "x": x, "y": y, "t": t }], "mouse_x": x, "mouse_y": y }),
        ),
        5 => (
            EventType::JsError,
            Payload::JsError(JsErrorEvent {
                message: a.clone(),
                stack: b.clone(),
                source: c.clone(),
                line: 1,
                column: depth + 1,
                error_type: d.clone(),
            }),
            json!({ "message": a, "stack": b, "source": c, "line": 1, "column": depth + 1, "error_type": d }),
        ),
        6 => (
            EventType::WebVitals,
            Payload::WebVitals(WebVitalsEvent {
                lcp: Some(vital),
                inp: Some(0.0),
                ..WebVitalsEvent::default()
            }),
            json!({ "lcp": vital, "inp": 0.0 }),
        ),
        7 => (
            EventType::PageLoad,
            Payload::PageLoad(PageLoadEvent {
                dns_lookup: t,
                load_complete: t.wrapping_add(1),
                ..PageLoadEvent::default()
            }),
            json!({
                "dns_lookup": t, "tcp_connect": 0, "request_start": 0, "response_start": 0, "response_end": 0,
                "dom_interactive": 0, "dom_complete": 0, "load_complete": t.wrapping_add(1)
            }),
        ),
        _ => (
            EventType::Custom,
            Payload::Custom(CustomEvent {
                name: a.clone(),
                properties: [(b.clone(), c.clone())].into(),
            }),
            json!({ "name": a, "properties": { b: c } }),
        ),
    };
    (event_type, Some(payload), Some(json))
}

#[test]
fn the_samples_cover_every_outcome() {
    let table = ["null", r#"{"type":"page_view","timestamp":1732406400123}"#];
    let processed = checked(&staged(&json_batch(&table))).unwrap();
    assert_eq!(value(&processed.outcomes[0])["code"], "not_an_object");
    assert!(matches!(processed.outcomes[1], Outcome::Event(_)));
}
