//! What was typed into a password field leaves neither on raw nor on errors.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod core_support;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use core_support::{RECEIVED_AT, assets, bytes, json_batch, protobuf_batch, run, value};
use gosight_enricher::core::Outcome;
use gosight_proto::event::Payload;
use gosight_proto::{Event, EventType, InputEvent, TargetElement};
use gosight_schemas::RawBatch;
use prost::Message;

const SECRET: &str = "hunter2-and-more";

/// The only outcome's bytes, and whether it counts as masked.
fn outcome(batch: &RawBatch) -> (String, bool) {
    let processed = run(batch, &assets());
    let [outcome] = &processed.outcomes[..] else { panic!() };
    let is_masked = match outcome {
        Outcome::Event(event) => event.is_masked,
        Outcome::Reject(reject) => reject.is_masked,
        Outcome::Duplicate(_) => panic!(),
    };
    (String::from_utf8(bytes(outcome).to_vec()).unwrap(), is_masked)
}

fn input(event_type: &str, payload: &str) -> RawBatch {
    json_batch(&[format!(
        r#"{{"type":"{event_type}","timestamp":{RECEIVED_AT},"payload":{payload}}}"#
    )])
}

#[test]
fn a_password_is_removed_from_json_and_the_rest_stays_exact() {
    let payload = format!(r#"{{ "input_type":"password", "is_masked" : false,"value":"{SECRET}", "n":1.50 }}"#);
    for event_type in ["input_change", "input_blur", "EVENT_TYPE_INPUT_FOCUS"] {
        let (text, is_masked) = outcome(&input(event_type, &payload));
        assert!(is_masked && !text.contains(SECRET), "{text}");
        let left = r#""payload":{ "input_type":"password", "is_masked" : false, "n":1.50 }"#;
        assert!(text.contains(left), "{text}");
    }
    let beside =
        format!(r#"{{"type":"input_change","timestamp":{RECEIVED_AT},"input_type":"password","value":"{SECRET}"}}"#);
    let (text, is_masked) = outcome(&json_batch(&[beside]));
    assert!(is_masked && !text.contains(SECRET), "{text}");
}

#[test]
fn other_values_stay() {
    for payload in [
        format!(r#"{{"input_type":"search","is_masked":false,"value":"{SECRET}"}}"#),
        format!(r#"{{"input_type":"email","value":"{SECRET}"}}"#),
    ] {
        let (text, is_masked) = outcome(&input("input_change", &payload));
        assert!(!is_masked && text.contains(&payload), "{text}");
    }
}

#[test]
fn a_reject_does_not_tell_it_either() {
    let payload = format!(r#"{{"input_type":"password","is_masked":"no","value":"{SECRET}"}}"#);
    let rest = r#""payload":{"input_type":"password","is_masked":"no"}"#;
    for event_type in ["input_change", "teleport"] {
        let (text, is_masked) = outcome(&input(event_type, &payload));
        assert!(is_masked && !text.contains(SECRET) && text.contains(rest), "{text}");
    }
    // In base64, for the number; in the beginning of one that is cut.
    let number = payload.replace("\"no\"", "1e999");
    let large = payload.replace("\"no\"", &format!("\"{}\"", "x".repeat(2 << 20)));
    for payload in [number, large] {
        let processed = run(&input("input_change", &payload), &assets());
        let written = value(&processed.outcomes[0]);
        let original = &written["original"];
        let base64 = original["base64"].as_str().or(original["cut"]["beginning"].as_str());
        let left = BASE64_STANDARD.decode(base64.unwrap()).unwrap();
        let left = String::from_utf8(left).unwrap();
        assert!(!left.contains(SECRET) && left.contains("input_type"), "{left}");
    }
}

#[test]
fn a_password_is_removed_from_protobuf_and_its_rejects() {
    let event = |event_type: EventType, timestamp, attributes: &[(&str, &str)], input_type: &str| Event {
        r#type: event_type.into(),
        timestamp,
        payload: Some(Payload::Input(InputEvent {
            target: Some(TargetElement {
                attributes: attributes
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
                ..TargetElement::default()
            }),
            input_type: input_type.to_owned(),
            is_masked: false,
            value: SECRET.to_owned(),
        })),
        ..Event::default()
    };
    for secret in [
        event(EventType::InputChange, RECEIVED_AT, &[], "password"),
        event(EventType::Click, RECEIVED_AT, &[], "Password"),
        event(EventType::InputBlur, RECEIVED_AT, &[("type", "password")], ""),
        event(
            EventType::InputBlur,
            RECEIVED_AT,
            &[("autocomplete", "one-time-code")],
            "text",
        ),
    ] {
        let (text, is_masked) = outcome(&protobuf_batch(vec![secret]));
        assert!(
            is_masked && !text.contains(SECRET) && text.contains("\"is_masked\":false"),
            "{text}"
        );
    }
    let (text, is_masked) = outcome(&protobuf_batch(vec![event(
        EventType::InputChange,
        RECEIVED_AT,
        &[],
        "text",
    )]));
    assert!(!is_masked && text.contains(SECRET));

    let rejected = protobuf_batch(vec![event(EventType::InputChange, 0, &[], "password")]);
    let written = value(&run(&rejected, &assets()).outcomes[0]);
    let original = BASE64_STANDARD
        .decode(written["original"]["base64"].as_str().unwrap())
        .unwrap();
    let original = Event::decode(&*original).unwrap();
    let Some(Payload::Input(input)) = original.payload else {
        panic!()
    };
    assert_eq!((input.value.as_str(), input.input_type.as_str()), ("", "password"));
    assert!(outcome(&rejected).1);
}
