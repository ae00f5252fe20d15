//! What the fuzz targets share: a staged record around the fuzzer's bytes, and what must hold for whatever comes out of it. A panic
//! anywhere ends the run, also one that the enricher would catch.

use std::collections::HashSet;
use std::sync::OnceLock;

use bytes::Bytes;
use gosight_config::EnricherSettings;
use gosight_enricher::core::{Assets, DedupeWindow, Outcome, dedupe_keys, process};
use gosight_eventlog::{LogRecord, Position};
use gosight_schemas::{BodyFormat, PrivacyRules, RawBatch, Transport, encode_raw_batch};
use serde_json::Value;
use uuid::Uuid;

/// When every batch is received, Unix ms; events of the seeds are about as old.
const RECEIVED_AT: i64 = 1_732_406_400_123;

/// The default settings' assets, without a city file.
fn assets() -> &'static Assets {
    static ASSETS: OnceLock<Assets> = OnceLock::new();
    ASSETS.get_or_init(|| Assets::new(&EnricherSettings::default(), None))
}

/// Remembers every id, and what it was asked.
#[derive(Default)]
struct Window {
    asked: Vec<Uuid>,
    seen: HashSet<Uuid>,
}

impl DedupeWindow for Window {
    fn seen(&mut self, key: Uuid, _append_time_ms: i64) -> bool {
        self.asked.push(key);
        !self.seen.insert(key)
    }
}

/// Stages a body as an edge would.
pub fn staged(format: BodyFormat, body: &[u8]) -> Option<Bytes> {
    let batch = RawBatch {
        batch_id: "01937b5e-7c1a-7000-8000-000000000001".to_owned(),
        received_at: RECEIVED_AT,
        project_id: "b0000000-0000-0000-0000-000000000001".to_owned(),
        key_id: "c0000000-0000-0000-0000-000000000001".to_owned(),
        session_id: "sess-1".to_owned(),
        user_id: None,
        transport: Transport::Http,
        body_format: format,
        body: Bytes::copy_from_slice(body),
        event_count: 0,
        sent_at: Some(RECEIVED_AT - 30_000),
        client_ip: Some("203.0.113.77".to_owned()),
        user_agent: Some("okhttp/4.12.0".to_owned()),
        client_hints: Default::default(),
        accept_language: Some("de-AT,de;q=0.9".to_owned()),
        origin: Some("https://shop.example".to_owned()),
        referer: Some("https://shop.example/".to_owned()),
        privacy: PrivacyRules::default(),
        traceparent: None,
    };
    encode_raw_batch(&batch).ok().map(Bytes::from)
}

/// Processes a staged record and checks what comes out: one outcome at least, records that strict readers take and that fit their
/// topics, the same again, and a window that is asked for what [`dedupe_keys`] says.
pub fn check(value: Bytes) {
    let assets = assets();
    let record = LogRecord {
        position: Position {
            topic: "gosight.events.staging".into(),
            partition: 3,
            offset: 42,
        },
        timestamp_ms: RECEIVED_AT + 7,
        key: None,
        value,
        headers: Vec::new(),
    };
    let mut window = Window::default();
    let first = process(&record, assets, &mut window, RECEIVED_AT);
    assert_eq!(
        window.asked,
        dedupe_keys(&record, assets),
        "the window is asked for other ids"
    );
    let again = process(&record, assets, &mut Window::default(), RECEIVED_AT);
    assert_eq!(first.outcomes.len(), again.outcomes.len());
    for (outcome, repeated) in first.outcomes.iter().zip(&again.outcomes) {
        assert_eq!(bytes(outcome), bytes(repeated), "not the same again");
        let (Some(bytes), limit) = (bytes(outcome), limit(outcome, assets)) else {
            continue;
        };
        assert!(bytes.len() <= limit, "{} bytes of at most {limit}", bytes.len());
        let read: Result<Value, _> = serde_json::from_slice(bytes);
        assert!(
            read.is_ok_and(|value| value.is_object()),
            "no strict reader takes {}",
            String::from_utf8_lossy(bytes)
        );
    }
}

fn bytes(outcome: &Outcome) -> Option<&Bytes> {
    match outcome {
        Outcome::Event(event) => Some(&event.value),
        Outcome::Reject(reject) => Some(&reject.value),
        Outcome::Duplicate(_) => None,
    }
}

fn limit(outcome: &Outcome, assets: &Assets) -> usize {
    match outcome {
        Outcome::Event(_) => assets.rules.max_raw_value,
        Outcome::Reject(_) | Outcome::Duplicate(_) => assets.rules.max_reject_value,
    }
}
