//! One JSON batch and one protobuf batch, and exactly the bytes that they become (invariant 5). A change here changes what stands on
//! the topics: make it on purpose, with `UPDATE_GOLDEN=1`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod core_support;

use core_support::{Asked, NOW, assets, batch, bytes, staged};
use gosight_enricher::core::{Outcome, process};
use gosight_proto::{
    ClickEvent, CustomEvent, Device, Event, EventBatch, EventType, InputEvent, JsErrorEvent, MouseMoveEvent,
    MousePosition, Page, PageLoadEvent, ScrollEvent, SessionMeta, TargetElement, WebVitalsEvent, event::Payload,
};
use gosight_schemas::{BodyFormat, PrivacyRules, RawBatch};
use prost::Message;

const JSON_BODY: &str = include_str!("fixtures/core_batch.json");
const TIME: i64 = 1_732_406_400_000;

fn outputs(batch: &RawBatch) -> String {
    let processed = process(&staged(batch), &assets(), &mut Asked::default(), NOW);
    let line = |outcome: &Outcome| match outcome {
        Outcome::Duplicate(duplicate) => format!("duplicate {} {}\n", duplicate.origin, duplicate.event_id),
        Outcome::Event(event) => format!("{} {} {}\n", event.event_type, event.origin, text(outcome)),
        Outcome::Reject(reject) => format!("{} {} {}\n", reject.code, reject.origin, text(outcome)),
    };
    processed.outcomes.iter().map(line).collect()
}

fn text(outcome: &Outcome) -> String {
    String::from_utf8(bytes(outcome).to_vec()).unwrap()
}

#[track_caller]
fn assert_golden(name: &str, found: &str) {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found, expected);
}

fn event(number: u8, event_type: EventType, payload: Option<Payload>) -> Event {
    Event {
        event_id: format!("0197f3a0-1111-7000-8000-0000000000{number:02x}"),
        r#type: event_type.into(),
        timestamp: TIME + i64::from(number),
        page: Some(Page {
            url: "https://shop.example/".to_owned(),
            path: "/".to_owned(),
            ..Page::default()
        }),
        payload,
    }
}

fn protobuf_events() -> Vec<Event> {
    let target = TargetElement {
        tag: "a".to_owned(),
        selector: "nav > a.buy".to_owned(),
        classes: vec!["buy".to_owned(), "big".to_owned()],
        id: "buy".to_owned(),
        text: "Buy \"now\"".to_owned(),
        href: "/buy".to_owned(),
        attributes: [
            ("role", "button"),
            ("data-b", "2"),
            ("data-a", "1"),
            ("aria-label", "Buy"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
    };
    let click = ClickEvent {
        x: 10,
        y: -2,
        target: Some(target.clone()),
    };
    let scroll = ScrollEvent {
        scroll_top: 100,
        scroll_height: 2_000,
        viewport_height: 900,
        depth_percent: 50,
    };
    let input = InputEvent {
        target: Some(target),
        input_type: "email".to_owned(),
        is_masked: true,
        value: String::new(),
    };
    let position = |x, y, t| MousePosition { x, y, t };
    let moves = MouseMoveEvent {
        positions: vec![position(1, 2, 0), position(3, 4, 9_007_199_254_740_993)],
    };
    let error = JsErrorEvent {
        message: "x is undefined".to_owned(),
        stack: "at a.js:1:2".to_owned(),
        source: "a.js".to_owned(),
        line: 1,
        column: 2,
        error_type: "TypeError".to_owned(),
    };
    let vitals = WebVitalsEvent {
        lcp: Some(2_500.5),
        cls: Some(0.0),
        ..WebVitalsEvent::default()
    };
    let load = PageLoadEvent {
        dns_lookup: 1,
        tcp_connect: 2,
        request_start: 3,
        response_start: 4,
        response_end: 5,
        dom_interactive: 6,
        dom_complete: 7,
        load_complete: 9_007_199_254_740_993,
    };
    let custom = CustomEvent {
        name: "upgrade".to_owned(),
        properties: ["c", "a", "d", "b"]
            .map(|name| (name.to_owned(), name.to_uppercase()))
            .into(),
    };
    let nan = WebVitalsEvent {
        inp: Some(f64::NAN),
        ttfb: Some(f64::INFINITY),
        ..WebVitalsEvent::default()
    };
    vec![
        event(1, EventType::PageView, None),
        event(2, EventType::Click, Some(Payload::Click(click))),
        event(3, EventType::Scroll, Some(Payload::Scroll(scroll))),
        event(4, EventType::InputChange, Some(Payload::Input(input))),
        event(5, EventType::MouseMove, Some(Payload::MouseMove(moves))),
        event(6, EventType::JsError, Some(Payload::JsError(error))),
        event(7, EventType::WebVitals, Some(Payload::WebVitals(vitals))),
        event(8, EventType::PageLoad, Some(Payload::PageLoad(load))),
        event(9, EventType::Custom, Some(Payload::Custom(custom))),
        event(10, EventType::WebVitals, Some(Payload::WebVitals(nan))),
        event(11, EventType::Unspecified, None),
        event(1, EventType::PageView, None),
    ]
}

#[test]
fn a_json_batch_becomes_exactly_these_bytes() {
    let mut batch = batch(BodyFormat::Json, JSON_BODY, 9);
    batch.user_id = Some("user-1".to_owned());
    batch.sent_at = Some(TIME);
    assert_golden("core_json.golden", &outputs(&batch));
}

#[test]
fn a_protobuf_batch_becomes_exactly_these_bytes() {
    let device = Device {
        browser: "Chrome".to_owned(),
        browser_version: "131.0".to_owned(),
        os: "Android".to_owned(),
        os_version: "15".to_owned(),
        device_type: "Phone".to_owned(),
        screen_width: 1080,
        screen_height: 2400,
        viewport_width: 412,
        viewport_height: 0,
    };
    let body = EventBatch {
        project_key: "gs_test_key".to_owned(),
        session: Some(SessionMeta {
            session_id: "sess-1".to_owned(),
            user_id: "user-1".to_owned(),
            device: Some(device),
            timezone: "Europe/Vienna".to_owned(),
            language: "de-AT".to_owned(),
        }),
        events: protobuf_events(),
        sent_at: TIME,
    };
    let mut batch = batch(BodyFormat::Protobuf, body.encode_to_vec(), 12);
    batch.user_id = Some("user-1".to_owned());
    batch.user_agent = Some("grpc-java-okhttp/1.68.0".to_owned());
    batch.privacy = PrivacyRules { anonymize_ip: true };
    assert_golden("core_protobuf.golden", &outputs(&batch));
}
