//! What the core's tests share: batches as an edge would stage them, and outcomes as their records' values.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::collections::BTreeMap;

use bytes::Bytes;
use gosight_config::EnricherSettings;
use gosight_enricher::core::{Assets, DedupeWindow, Outcome, Processed, process};
use gosight_eventlog::{LogRecord, Position};
use gosight_proto::{Event, EventBatch, SessionMeta};
use gosight_schemas::{BodyFormat, PrivacyRules, RawBatch, RejectCode, Transport, encode_raw_batch};
use prost::Message;
use serde_json::{Value, json};
use uuid::Uuid;

/// When every batch here was received, Unix ms.
pub const RECEIVED_AT: i64 = 1_732_406_400_123;
/// When every record here was appended, Unix ms.
pub const APPENDED_AT: i64 = RECEIVED_AT + 7;
/// When every reject here is made, Unix ms.
pub const NOW: i64 = RECEIVED_AT + 1_000;
pub const PROJECT: &str = "b0000000-0000-0000-0000-000000000001";

/// A window that remembers everything, and what it was asked.
#[derive(Debug, Default)]
pub struct Asked(pub Vec<Uuid>);

impl DedupeWindow for Asked {
    fn seen(&mut self, event_id: Uuid, append_time_ms: i64) -> bool {
        assert_eq!(append_time_ms, APPENDED_AT);
        let before = self.0.contains(&event_id);
        self.0.push(event_id);
        before
    }
}

/// The default settings' assets, without a city file.
pub fn assets() -> Assets {
    let mut assets = Assets::new(&EnricherSettings::default(), None);
    assets.enricher_version = "test".into();
    assets
}

pub fn batch(format: BodyFormat, body: impl Into<Bytes>, event_count: usize) -> RawBatch {
    RawBatch {
        batch_id: "01937b5e-7c1a-7000-8000-000000000001".to_owned(),
        received_at: RECEIVED_AT,
        project_id: PROJECT.to_owned(),
        key_id: "c0000000-0000-0000-0000-000000000001".to_owned(),
        session_id: "sess-1".to_owned(),
        user_id: None,
        transport: Transport::Http,
        body_format: format,
        body: body.into(),
        event_count: i32::try_from(event_count).unwrap(),
        sent_at: None,
        client_ip: Some("203.0.113.77".to_owned()),
        user_agent: None,
        client_hints: BTreeMap::new(),
        accept_language: None,
        origin: None,
        referer: None,
        privacy: PrivacyRules::default(),
        traceparent: None,
    }
}

/// A JSON batch of events, each given as its text.
pub fn json_batch<E: AsRef<str>>(events: &[E]) -> RawBatch {
    let events: Vec<&str> = events.iter().map(AsRef::as_ref).collect();
    let body = format!(
        r#"{{"project_key":"gs_test_key","session_id":"sess-1","events":[{}]}}"#,
        events.join(",")
    );
    batch(BodyFormat::Json, body, events.len())
}

pub fn protobuf_batch(events: Vec<Event>) -> RawBatch {
    let count = events.len();
    let body = EventBatch {
        project_key: "gs_test_key".to_owned(),
        session: Some(SessionMeta {
            session_id: "sess-1".to_owned(),
            ..SessionMeta::default()
        }),
        events,
        sent_at: 0,
    };
    batch(BodyFormat::Protobuf, body.encode_to_vec(), count)
}

pub fn record(value: impl Into<Bytes>) -> LogRecord {
    LogRecord {
        position: Position {
            topic: "gosight.events.staging".into(),
            partition: 3,
            offset: 42,
        },
        timestamp_ms: APPENDED_AT,
        key: Some(Bytes::from_static(b"b0000000-0000-0000-0000-000000000001:sess-1")),
        value: value.into(),
        headers: Vec::new(),
    }
}

pub fn staged(batch: &RawBatch) -> LogRecord {
    record(encode_raw_batch(batch).unwrap())
}

pub fn run(batch: &RawBatch, assets: &Assets) -> Processed {
    process(&staged(batch), assets, &mut Asked::default(), NOW)
}

/// The value of an outcome's record.
pub fn value(outcome: &Outcome) -> Value {
    serde_json::from_slice(bytes(outcome)).unwrap()
}

pub fn bytes(outcome: &Outcome) -> &Bytes {
    match outcome {
        Outcome::Event(event) => &event.value,
        Outcome::Reject(reject) => &reject.value,
        Outcome::Duplicate(duplicate) => panic!("{duplicate:?}"),
    }
}

/// The one event of a batch, on the raw topic.
#[track_caller]
pub fn event(batch: &RawBatch, assets: &Assets) -> Value {
    let processed = run(batch, assets);
    assert_eq!(processed.outcomes.len(), 1);
    match &processed.outcomes[0] {
        Outcome::Event(event) => serde_json::from_slice(&event.value).unwrap(),
        other => panic!("{}", value(other)),
    }
}

/// The one reject of a batch, on the errors topic.
#[track_caller]
pub fn reject(batch: &RawBatch, assets: &Assets) -> (RejectCode, Value) {
    let processed = run(batch, assets);
    assert_eq!(processed.outcomes.len(), 1);
    match &processed.outcomes[0] {
        Outcome::Reject(reject) => (reject.code, serde_json::from_slice(&reject.value).unwrap()),
        other => panic!("{}", value(other)),
    }
}

/// An event with that type and payload.
pub fn with_payload(event_type: &str, payload: &Value) -> String {
    json!({ "type": event_type, "timestamp": RECEIVED_AT, "payload": payload }).to_string()
}
