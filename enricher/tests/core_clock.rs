//! Timestamps of clients whose clocks are wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod core_support;

use core_support::{RECEIVED_AT, assets, event, json_batch, reject, run};
use gosight_config::EnricherSettings;
use gosight_config::enricher::{ClockCorrection, OutOfRange};
use gosight_enricher::core::{Assets, Outcome, TimeChange};
use gosight_schemas::{RawBatch, RejectCode};
use serde_json::Value;

const DAY: i64 = 86_400_000;
const TOLERANCE: i64 = 10_000;

/// A batch of one event at that time, sent at that time, both by the client's clock.
fn sent(timestamp: i64, sent_at: Option<i64>) -> RawBatch {
    let mut batch = json_batch(&[format!(r#"{{"type":"page_view","timestamp":{timestamp}}}"#)]);
    batch.sent_at = sent_at;
    batch
}

fn times(batch: &RawBatch, assets: &Assets) -> (i64, Option<i64>) {
    let event = event(batch, assets);
    (
        event["timestamp"].as_i64().unwrap(),
        event.get("original_timestamp").and_then(Value::as_i64),
    )
}

#[test]
fn a_wrong_clock_is_corrected_and_the_original_kept() {
    let assets = assets();
    // The event came 3 s before its sending, by whatever clock.
    for off in [TOLERANCE + 1, -TOLERANCE - 1, DAY * 400, -DAY * 400, 3_600_000] {
        let (timestamp, sent_at) = (RECEIVED_AT + off - 3_000, RECEIVED_AT + off);
        let batch = sent(timestamp, Some(sent_at));
        assert_eq!(times(&batch, &assets), (RECEIVED_AT - 3_000, Some(timestamp)), "{off}");
        let Outcome::Event(output) = &run(&batch, &assets).outcomes[0] else {
            panic!()
        };
        assert_eq!(output.time_change, Some(TimeChange::Corrected));
    }
}

#[test]
fn what_tells_nothing_of_the_clock_changes_nothing() {
    let mut off = EnricherSettings::default();
    off.clock.correction = ClockCorrection::Off;
    let (off, on) = (Assets::new(&off, None), assets());
    let timestamp = RECEIVED_AT - 3_600_000;
    for (sent_at, assets, why) in [
        (None, &on, "no sent_at"),
        (Some(0), &on, "protobuf's default"),
        (
            Some(RECEIVED_AT - TOLERANCE),
            &on,
            "as long as a batch may be under way",
        ),
        (Some(RECEIVED_AT + TOLERANCE), &on, "as wrong as a clock may be"),
        (Some(RECEIVED_AT / 1_000), &on, "in seconds"),
        (Some(RECEIVED_AT * 1_000), &on, "in microseconds"),
        (Some(i64::MAX), &on, "no time"),
        (Some(i64::MIN), &on, "no time"),
        (
            Some(timestamp - TOLERANCE - 1),
            &on,
            "before its event: by another clock",
        ),
        (Some(RECEIVED_AT + DAY), &off, "switched off"),
    ] {
        assert_eq!(times(&sent(timestamp, sent_at), assets), (timestamp, None), "{why}");
    }
}

#[test]
fn times_out_of_range_are_rejected_or_clamped_as_configured() {
    let mut clamp = EnricherSettings::default();
    clamp.clock.out_of_range = OutOfRange::Clamp;
    let clamp = Assets::new(&clamp, None);
    for (timestamp, nearest) in [
        (RECEIVED_AT + DAY + 1, RECEIVED_AT + DAY),
        (RECEIVED_AT - 365 * DAY - 1, RECEIVED_AT - 365 * DAY),
        (i64::MAX, RECEIVED_AT + DAY),
        (1, RECEIVED_AT - 365 * DAY),
    ] {
        let batch = sent(timestamp, None);
        assert_eq!(reject(&batch, &assets()).0, RejectCode::TimestampOutOfRange);
        assert_eq!(times(&batch, &clamp), (nearest, Some(timestamp)));
    }
    for none in [0, -1] {
        assert_eq!(
            reject(&sent(none, None), &clamp).0,
            RejectCode::TimestampOutOfRange,
            "no time is not the wrong one"
        );
    }
}

#[test]
fn a_retry_with_another_sent_at_keeps_its_id() {
    let assets = assets();
    let id = |sent_at| event(&sent(RECEIVED_AT, Some(sent_at)), &assets)["event_id"].clone();
    assert_eq!(id(RECEIVED_AT), id(RECEIVED_AT + DAY));
}
