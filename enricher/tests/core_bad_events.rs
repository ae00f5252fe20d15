//! Everything that may be wrong with one event: its code, its field, and its neighbours come out.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod core_support;

use core_support::{RECEIVED_AT, assets, bytes, event, json_batch, protobuf_batch, reject, run, value, with_payload};
use gosight_config::EnricherSettings;
use gosight_config::enricher::UnknownTypes;
use gosight_enricher::core::{Assets, Outcome};
use gosight_proto::event::Payload;
use gosight_proto::{Event, EventType, JsErrorEvent, ScrollEvent};
use gosight_schemas::{BodyFormat, RejectCode};
use serde_json::{Value, json};

const DAY: i64 = 86_400_000;

fn page_view(fields: &str) -> String {
    format!(r#"{{"type":"page_view","timestamp":{RECEIVED_AT}{fields}}}"#)
}

fn at(timestamp: impl std::fmt::Display) -> String {
    format!(r#"{{"type":"page_view","timestamp":{timestamp}}}"#)
}

#[test]
fn each_problem_has_its_code_and_field() {
    use RejectCode::*;
    let long = "x".repeat(257);
    let text = "x".repeat(8 * 1024 + 1);
    let long_property = format!("/payload/properties/{long}");
    let many: serde_json::Map<String, Value> = (0..257).map(|number| (number.to_string(), json!(number))).collect();
    let payload = |event_type: &str, payload: Value| with_payload(event_type, &payload);
    let table: Vec<(String, RejectCode, &str)> = vec![
        ("null".to_owned(), NotAnObject, ""),
        ("17".to_owned(), NotAnObject, ""),
        ("\"x\"".to_owned(), NotAnObject, ""),
        ("[{}]".to_owned(), NotAnObject, ""),
        ("{}".to_owned(), MissingField, "/type"),
        (r#"{"type":null,"timestamp":1}"#.to_owned(), MissingField, "/type"),
        (r#"{"type":"","timestamp":1}"#.to_owned(), MissingField, "/type"),
        (r#"{"type":3,"timestamp":1}"#.to_owned(), WrongType, "/type"),
        (r#"{"event_type":3,"timestamp":1}"#.to_owned(), WrongType, "/event_type"),
        (payload("teleport", json!({})), UnknownType, "/type"),
        (payload("PAGE_VIEW", json!({})), UnknownType, "/type"),
        (payload(&long, json!({})), FieldTooLong, "/type"),
        (r#"{"type":"page_view"}"#.to_owned(), MissingField, "/timestamp"),
        (at("\"2024-11-24T00:00:00Z\""), WrongType, "/timestamp"),
        (at("\"1732406400123\""), WrongType, "/timestamp"),
        (at("{}"), WrongType, "/timestamp"),
        (at(0), TimestampOutOfRange, "/timestamp"),
        (at(-1), TimestampOutOfRange, "/timestamp"),
        (at("1e999"), OutOfRange, "/timestamp"),
        (
            page_view(r#","payload":{"a":[1,{"b/c":-1e999}]}"#),
            OutOfRange,
            "/payload/a/1/b~1c",
        ),
        (page_view(r#","anything":{"x":1E+400}"#), OutOfRange, "/anything/x"),
        (page_view(r#","page":{"hash":1e999}"#), OutOfRange, "/page/hash"),
        (page_view(r#","event_id":1e999"#), OutOfRange, "/event_id"),
        (page_view(&format!(r#","n":{}"#, "9".repeat(400))), OutOfRange, "/n"),
        (
            payload("custom", json!({ "name": "n", "v": 0 })).replace(":0", ":1e999"),
            OutOfRange,
            "/payload/v",
        ),
        (at("1e-999"), TimestampOutOfRange, "/timestamp"),
        (at(RECEIVED_AT / 1_000), TimestampOutOfRange, "/timestamp"),
        (at(RECEIVED_AT + DAY + 1), TimestampOutOfRange, "/timestamp"),
        (at(RECEIVED_AT - 365 * DAY - 1), TimestampOutOfRange, "/timestamp"),
        (at(i64::MAX), TimestampOutOfRange, "/timestamp"),
        (at(i64::MIN), TimestampOutOfRange, "/timestamp"),
        (page_view(r#","event_id":{}"#), WrongType, "/event_id"),
        (
            page_view(&format!(r#","event_id":"{long}""#)),
            FieldTooLong,
            "/event_id",
        ),
        (page_view(r#","user_id":[1]"#), WrongType, "/user_id"),
        (page_view(&format!(r#","user_id":"{long}""#)), FieldTooLong, "/user_id"),
        (page_view(r#","page":"https://a.b/""#), WrongType, "/page"),
        (page_view(r#","page":{"url":7}"#), WrongType, "/page/url"),
        (page_view(r#","url":7"#), WrongType, "/url"),
        (
            page_view(&format!(r#","page":{{"title":"{text}"}}"#)),
            FieldTooLong,
            "/page/title",
        ),
        (page_view(&format!(r#","title":"{text}""#)), FieldTooLong, "/title"),
        (
            page_view(r#","page":{"viewport_width":"800"}"#),
            WrongType,
            "/page/viewport_width",
        ),
        (
            page_view(r#","page":{"screen_height":-1}"#),
            OutOfRange,
            "/page/screen_height",
        ),
        (
            page_view(r#","page":{"screen_height":1e999}"#),
            OutOfRange,
            "/page/screen_height",
        ),
        (page_view(r#","payload":[]"#), WrongType, "/payload"),
        (page_view(r#","payload":"{}""#), WrongType, "/payload"),
        (page_view(r#","type":"click""#), InvalidJson, "/type"),
        (page_view(r#","a/b":1,"a/b":2"#), InvalidJson, "/a~1b"),
        (
            page_view(r#","payload":{"a":[{"b":"\ud800"}]}"#),
            InvalidJson,
            "/payload/a/0/b",
        ),
        (page_view(r#","note":"\udc00 x""#), InvalidJson, "/note"),
        (page_view(r#","page":{"title":"\ud83d"}"#), InvalidJson, "/page/title"),
        (page_view(r#","\ud800":1"#), InvalidJson, ""),
        (page_view(r#","payload":{"\ud800":1}"#), InvalidJson, "/payload"),
        (payload("click", json!({ "x": "12", "y": 3 })), WrongType, "/payload/x"),
        (
            payload("click", json!({ "target_classes": "a b" })),
            WrongType,
            "/payload/target_classes",
        ),
        (
            payload("dblclick", json!({ "target_tag": 1 })),
            WrongType,
            "/payload/target_tag",
        ),
        (
            payload("mouse_move", json!({ "positions": [1] })),
            WrongType,
            "/payload/positions/0",
        ),
        (
            payload("mouse_move", json!({ "positions": [{ "x": 1 }, { "x": null }] })),
            WrongType,
            "/payload/positions/1/x",
        ),
        (
            payload("scroll", json!({ "depth_percent": 100.5 })),
            OutOfRange,
            "/payload/depth_percent",
        ),
        (
            payload("scroll", json!({ "depth_percent": -1 })),
            OutOfRange,
            "/payload/depth_percent",
        ),
        (
            payload("scroll_milestone", json!({ "depth_percent": "50" })),
            WrongType,
            "/payload/depth_percent",
        ),
        (
            payload("input_change", json!({ "is_masked": 1 })),
            WrongType,
            "/payload/is_masked",
        ),
        (
            payload("input_blur", json!({ "input_type": 1 })),
            WrongType,
            "/payload/input_type",
        ),
        (
            at(RECEIVED_AT).replace("page_view", "js_error"),
            MissingField,
            "/payload/message",
        ),
        (
            payload("js_error", json!({ "message": "" })),
            MissingField,
            "/payload/message",
        ),
        (
            payload("js_error", json!({ "message": null })),
            MissingField,
            "/payload/message",
        ),
        (
            payload("js_error", json!({ "message": {} })),
            WrongType,
            "/payload/message",
        ),
        (
            payload("js_error", json!({ "message": "x", "line": "1" })),
            WrongType,
            "/payload/line",
        ),
        (
            payload("unhandled_rejection", json!({ "message": 1 })),
            WrongType,
            "/payload/message",
        ),
        (
            payload("web_vitals", json!({ "lcp": -0.1 })),
            OutOfRange,
            "/payload/lcp",
        ),
        (
            payload("web_vitals", json!({ "cls": "NaN" })),
            WrongType,
            "/payload/cls",
        ),
        (
            payload("web_vitals", json!({ "metric": "LCP" })),
            MissingField,
            "/payload/value",
        ),
        (
            payload("web_vitals", json!({ "metric": "LCP", "value": -1 })),
            OutOfRange,
            "/payload/value",
        ),
        (
            payload("web_vitals", json!({ "lcp": 0 })).replace(":0}", ":1e999}"),
            OutOfRange,
            "/payload/lcp",
        ),
        (
            payload("page_load", json!({ "dom_complete": true })),
            WrongType,
            "/payload/dom_complete",
        ),
        (payload("custom", json!({})), MissingField, "/payload/name"),
        (
            payload("EVENT_TYPE_CUSTOM", json!({ "name": 1 })),
            WrongType,
            "/payload/name",
        ),
        (
            payload("custom_event", json!({ "name": long })),
            FieldTooLong,
            "/payload/name",
        ),
        (
            payload("custom", json!({ "name": "a", "properties": [] })),
            WrongType,
            "/payload/properties",
        ),
        (
            payload("custom", json!({ "name": "a", "properties": { "a/b": text } })),
            FieldTooLong,
            "/payload/properties/a~1b",
        ),
        (
            payload("custom", json!({ "name": "a", "properties": { long.clone(): 1 } })),
            FieldTooLong,
            &long_property,
        ),
        (
            payload("custom", json!({ "name": "a", "properties": many })),
            OutOfRange,
            "/payload/properties",
        ),
    ];
    let assets = assets();
    let good = page_view(r#","event_id":"0197f3a0-1111-7000-8000-000000000001""#);
    let after = page_view("");
    for (bad, code, field) in table {
        let processed = run(&json_batch(&[&good, &bad, &after]), &assets);
        let [Outcome::Event(_), Outcome::Reject(found), Outcome::Event(_)] = &processed.outcomes[..] else {
            panic!("{bad}: {:?}", processed.outcomes);
        };
        let written: Value = serde_json::from_slice(&found.value).unwrap();
        assert_eq!(
            (found.code, &written["field"]),
            (code, &json!(field)),
            "{bad}: {written}"
        );
        assert_eq!(written["code"], code.as_str());
        assert_eq!(written["problems"][0]["message"], written["message"]);
        assert!(!written["message"].as_str().unwrap().is_empty(), "{written}");
        assert_eq!(written["origin"], "gosight.events.staging:3:42:1");
    }
}

#[test]
fn what_is_at_the_edge_of_the_rules_passes() {
    let id = "x".repeat(256);
    let text = "x".repeat(8 * 1024);
    let table = [
        at(RECEIVED_AT + DAY),
        at(RECEIVED_AT - 365 * DAY),
        at(format!("{RECEIVED_AT}.0")),
        at("1.732406400123e12"),
        page_view(&format!(
            r#","event_id":"{id}","user_id":"{id}","page":{{"url":"{text}"}}"#
        )),
        page_view(r#","payload":null,"page":null,"url":null,"event_id":null,"user_id":null,"event_type":null"#),
        page_view(r#","payload":{"x":1e308,"y":1e-999,"z":"1e999","deep":[[[[{}]]]]},"😀":"\ud83d\ude00""#),
        page_view(&format!(r#","payload":{{"exact":{}}}"#, "9".repeat(308))),
        with_payload("click", &json!({ "x": -7, "y": 12.5 })),
        with_payload(
            "custom",
            &json!({ "name": "n", "properties": { id.clone(): text.clone(), "n": 1, "o": {} } }),
        ),
        with_payload("scroll", &json!({ "depth_percent": 100 })),
        with_payload("scroll", &json!({ "depth_percent": 0.0 })),
        with_payload("click", &json!({ "x": null, "target_classes": null })),
        with_payload("unhandled_rejection", &json!({})),
        with_payload("web_vitals", &json!({ "metric": "LCP", "value": 0, "rating": "good" })),
        with_payload("EVENT_TYPE_CUSTOM", &json!({ "name": id })),
    ];
    let assets = assets();
    for good in table {
        let processed = run(&json_batch(&[&good]), &assets);
        let [outcome] = &processed.outcomes[..] else { panic!() };
        assert!(matches!(outcome, Outcome::Event(_)), "{good}: {}", value(outcome));
    }
}

#[test]
fn all_problems_are_told() {
    let bad =
        r#"{"type":"scroll","timestamp":"x","page":{"title":7},"payload":{"depth_percent":101,"scroll_top":"12"}}"#;
    let (code, written) = reject(&json_batch(&[bad]), &assets());
    let problems = written["problems"].as_array().unwrap();
    let fields: Vec<&str> = problems
        .iter()
        .map(|problem| problem["field"].as_str().unwrap())
        .collect();
    assert_eq!(code, RejectCode::WrongType);
    assert_eq!(
        fields,
        [
            "/timestamp",
            "/page/title",
            "/payload/scroll_top",
            "/payload/depth_percent"
        ]
    );
    assert_eq!(
        problems[0]["message"],
        "timestamp must be a number (Unix milliseconds, as Date.now() gives them), but is a string (\"x\")"
    );
    assert_eq!(written["stage"], "validate");
}

#[test]
fn thousands_of_problems_stay_a_short_list() {
    let positions: Vec<Value> = (0..5_000).map(|_| json!("x")).collect();
    let (_, written) = reject(
        &json_batch(&[with_payload("mouse_move", &json!({ "positions": positions }))]),
        &assets(),
    );
    let problems = written["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 50);
    assert!(
        problems[49]["message"]
            .as_str()
            .unwrap()
            .ends_with("(and 4950 problems more)")
    );
}

#[test]
fn the_wrong_unit_of_time_is_named() {
    for (timestamp, unit) in [
        (RECEIVED_AT / 1_000, "seconds"),
        (RECEIVED_AT * 1_000, "microseconds"),
        (RECEIVED_AT * 1_000_000, "nanoseconds"),
    ] {
        let (_, written) = reject(&json_batch(&[at(timestamp)]), &assets());
        let message = written["message"].as_str().unwrap();
        assert!(message.contains(&format!("in {unit}")), "{message}");
    }
}

#[test]
fn an_event_of_2_mb_is_rejected_and_cut() {
    let large = page_view(&format!(r#","payload":{{"x":"{}"}}"#, "x".repeat(2 << 20)));
    let (code, written) = reject(&json_batch(&[&large]), &assets());
    assert_eq!((code, &written["stage"]), (RejectCode::EventTooLarge, &json!("decode")));
    assert_eq!(written["original"]["cut"]["size"], large.len());

    let limit = assets().rules.max_event;
    let fitting = page_view(&format!(
        r#","payload":{{"x":"{}"}}"#,
        "x".repeat(limit - page_view(r#","payload":{"x":""}"#).len())
    ));
    assert_eq!(fitting.len(), limit);
    event(&json_batch(&[&fitting]), &assets());
    let (code, _) = reject(
        &json_batch(&[fitting.replacen('x', "xx", 1).replace("xxx\"", "xxx\" ")]),
        &assets(),
    );
    assert_eq!(code, RejectCode::EventTooLarge);
}

#[test]
fn no_depth_of_nesting_costs_stack() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let assets = assets();
    for levels in [10_000, 400_000] {
        let deep = page_view(&format!(r#","payload":{{"x":{}}}"#, nested(levels)));
        let (code, written) = reject(&json_batch(&[&deep]), &assets);
        assert_eq!(code, RejectCode::OutOfRange);
        assert!(
            written["original"]["base64"].is_string(),
            "strict readers have a limit too"
        );
    }
    let (code, _) = reject(&json_batch(&[nested(10_000)]), &assets);
    assert_eq!(code, RejectCode::NotAnObject);
    event(
        &json_batch(&[page_view(&format!(r#","payload":{{"x":{}}}"#, nested(98)))]),
        &assets,
    );
}

#[test]
fn payloads_pass_as_the_clients_bytes() {
    let payload = r#"{ "exact" : 9007199254740993, "huge":-123456789012345678901234567890.5e-3,"é":"\u00e9\/" }"#;
    let processed = run(
        &json_batch(&[page_view(&format!(r#","payload":{payload}"#))]),
        &assets(),
    );
    let written = String::from_utf8(bytes(&processed.outcomes[0]).to_vec()).unwrap();
    assert!(written.contains(&format!(r#""payload":{payload},"#)), "{written}");
}

#[test]
fn unknown_types_pass_where_the_configuration_says_so() {
    let mut settings = EnricherSettings::default();
    settings.validation.unknown_types = UnknownTypes::Pass;
    let assets = Assets::new(&settings, None);
    let processed = run(&json_batch(&[with_payload("Teleport", &json!({}))]), &assets);
    let [Outcome::Event(event)] = &processed.outcomes[..] else {
        panic!("{processed:?}")
    };
    assert_eq!(event.event_type, "other", "metrics have a bounded list of types");
    assert_eq!(value(&processed.outcomes[0])["type"], "Teleport");
}

#[test]
fn both_spellings_leave_in_the_one_that_downstream_needs() {
    for (sent, expected) in [
        ("page_view", "page_view"),
        ("EVENT_TYPE_PAGE_VIEW", "page_view"),
        ("EVENT_TYPE_WEB_VITALS", "web_vitals"),
        ("EVENT_TYPE_SESSION_START", "session_start"),
        ("custom", "EVENT_TYPE_CUSTOM"),
        ("custom_event", "EVENT_TYPE_CUSTOM"),
        ("EVENT_TYPE_CUSTOM", "EVENT_TYPE_CUSTOM"),
    ] {
        let sent = with_payload(sent, &json!({ "name": "n" }));
        assert_eq!(event(&json_batch(&[&sent]), &assets())["type"], expected);
        let alias = sent.replace("\"type\"", "\"event_type\"");
        assert_eq!(event(&json_batch(&[alias]), &assets())["type"], expected);
    }
}

#[test]
fn bad_protobuf_events_are_rejected_one_by_one() {
    let good = Event {
        r#type: EventType::PageView.into(),
        timestamp: RECEIVED_AT,
        ..Event::default()
    };
    let of = |event_type: i32, payload: Option<Payload>| Event {
        r#type: event_type,
        payload,
        ..good.clone()
    };
    let deep = ScrollEvent {
        depth_percent: 101,
        ..ScrollEvent::default()
    };
    let events = vec![
        of(0, None),
        of(4711, None),
        Event {
            timestamp: 0,
            ..good.clone()
        },
        of(
            EventType::JsError.into(),
            Some(Payload::JsError(JsErrorEvent::default())),
        ),
        of(EventType::Custom.into(), None),
        of(EventType::Scroll.into(), Some(Payload::Scroll(deep))),
        good.clone(),
    ];
    let mut batch = protobuf_batch(events);
    let mut body = batch.body.to_vec();
    body.extend([0x1a, 0x03, 0xff, 0xff, 0xff]);
    batch.body = body.into();
    let processed = run(&batch, &assets());
    let found: Vec<String> = processed
        .outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Reject(reject) => format!("{} {}", reject.code, value(outcome)["field"].as_str().unwrap()),
            Outcome::Event(_) => "event".to_owned(),
            Outcome::Duplicate(_) => "duplicate".to_owned(),
        })
        .collect();
    let expected = [
        "unknown_type /type",
        "unknown_type /type",
        "timestamp_out_of_range /timestamp",
        "missing_field /payload/message",
        "missing_field /payload/name",
        "out_of_range /payload/depth_percent",
        "event",
        "invalid_protobuf ",
    ];
    assert_eq!(found, expected);
    assert_eq!(value(&processed.outcomes[7])["original"], json!({ "base64": "////" }));
    assert_eq!(batch.body_format, BodyFormat::Protobuf);
}
