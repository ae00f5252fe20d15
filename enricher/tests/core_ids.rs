//! Identity and duplicates: what a retry gives, what the window is asked.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod core_support;

use core_support::{Asked, NOW, RECEIVED_AT, assets, json_batch, protobuf_batch, staged};
use gosight_enricher::core::{Outcome, dedupe_keys, process};
use gosight_proto::{Event, EventType};
use gosight_schemas::RawBatch;

const UUID: &str = "0197f3a0-1111-7000-8000-000000000001";

fn event(id: &str) -> String {
    format!(r#"{{"type":"page_view","timestamp":{RECEIVED_AT}{id}}}"#)
}

/// One letter per outcome, and what the window was asked.
fn outcomes(batch: &RawBatch, window: &mut Asked) -> String {
    let processed = process(&staged(batch), &assets(), window, NOW);
    let letters = processed.outcomes.iter().enumerate().map(|(index, outcome)| {
        assert_eq!(outcome.origin().index as usize, index);
        match outcome {
            Outcome::Event(_) => 'e',
            Outcome::Reject(_) => 'r',
            Outcome::Duplicate(_) => 'd',
        }
    });
    letters.collect()
}

#[test]
fn another_project_s_event_of_the_same_id_is_no_duplicate() {
    let ours = json_batch(&[event(&format!(r#","event_id":"{UUID}""#))]);
    let theirs = RawBatch {
        project_id: "b0000000-0000-0000-0000-000000000002".to_owned(),
        ..ours.clone()
    };
    let mut window = Asked::default();
    assert_eq!(outcomes(&ours, &mut window), "e");
    assert_eq!(outcomes(&theirs, &mut window), "e");
    assert_eq!(outcomes(&ours, &mut window), "d");
}

#[test]
fn a_retry_is_all_duplicates_and_identical_events_of_one_batch_are_none() {
    let named = event(r#","event_id":"e-1""#);
    let json = json_batch(&[
        &event(""),
        &event(""),
        "null",
        &named,
        &event(&format!(r#","event_id":"{UUID}""#)),
    ]);
    let plain = Event {
        r#type: EventType::PageView.into(),
        timestamp: RECEIVED_AT,
        ..Event::default()
    };
    let untyped = Event {
        r#type: 0,
        ..plain.clone()
    };
    let protobuf = protobuf_batch(vec![plain.clone(), plain, untyped]);
    for (batch, first, retry) in [(json, "eeree", "ddrdd"), (protobuf, "eer", "ddr")] {
        let mut window = Asked::default();
        assert_eq!(outcomes(&batch, &mut window), first);
        assert_eq!(window.0, dedupe_keys(&staged(&batch), &assets()), "in order");
        assert_eq!(outcomes(&batch, &mut window), retry);
    }
}

#[test]
fn an_id_that_stands_twice_in_a_batch_is_a_duplicate() {
    let named = event(r#","event_id":"e-1""#);
    let batch = json_batch(&[&named, &named, &event(r#","event_id":"E-1""#)]);
    assert_eq!(outcomes(&batch, &mut Asked::default()), "ede");
}

#[test]
fn the_same_event_in_another_session_or_project_is_another_event() {
    let batch = json_batch(&[event("")]);
    let mut session = batch.clone();
    session.session_id = "sess-2".to_owned();
    let mut project = batch.clone();
    project.project_id = "b0000000-0000-0000-0000-000000000002".to_owned();
    let mut window = Asked::default();
    for batch in [batch, session, project] {
        assert_eq!(outcomes(&batch, &mut window), "e");
    }
}

#[test]
fn an_output_that_is_too_large_counts_as_an_earlier_event() {
    let mut assets = assets();
    assets.rules.max_raw_value = 10;
    let batch = json_batch(&[event("")]);
    let mut window = Asked::default();
    let processed = process(&staged(&batch), &assets, &mut window, NOW);
    assert!(matches!(processed.outcomes[..], [Outcome::Reject(_)]));
    assert_eq!(window.0, dedupe_keys(&staged(&batch), &assets));
    assert_eq!(window.0.len(), 1);
}
