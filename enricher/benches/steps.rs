//! What each step of the hot path takes for one event: `cargo bench --bench steps`. GEOIP_DATABASE names a city file of real size;
//! without it a small one is used.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark that can't go on panics with the reason"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use gosight_config::EnricherSettings;
use gosight_enricher::core::{Assets, Geo, GeoReader, steps};
use gosight_enricher::steps::Steps;
use gosight_eventlog::{Doomed, LogRecord, Output, Outputs, Position};
use gosight_schemas::{BodyFormat, PrivacyRules, RawBatch, Transport, decode_raw_batch, encode_raw_batch};
use serde_json::{Value, json};
use uuid::Uuid;

/// As in the service.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RECEIVED_AT: i64 = 1_732_406_400_123;
const EVENTS: u64 = 10;
/// Different batches: more than a processor predicts.
const BATCHES: u64 = 500;
const PROJECT: &str = "b0000000-0000-0000-0000-000000000001";
const USER_AGENTS: [&str; 3] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36",
];

/// About 330 bytes, as in the field.
fn click(number: u64) -> Value {
    json!({
        "event_id": Uuid::new_v5(&Uuid::NAMESPACE_OID, &number.to_be_bytes()).to_string(),
        "type": "click",
        "timestamp": RECEIVED_AT,
        "page": { "url": "https://shop.example/products/42?ref=mail", "path": "/products/42", "title": "A good product" },
        "payload": {
            "x": 120, "y": 430, "number": number,
            "target_selector": "main > div.product > button.buy", "target_tag": "button", "target_classes": ["buy", "primary"]
        }
    })
}

fn batch(number: u64) -> RawBatch {
    let first = number * EVENTS;
    let events: Vec<Value> = (first..first + EVENTS).map(click).collect();
    let session = format!("session-{number}");
    let [.., a, b] = number.to_be_bytes();
    let agent = USER_AGENTS[usize::try_from(number).unwrap() % USER_AGENTS.len()];
    RawBatch {
        batch_id: Uuid::new_v5(&Uuid::NAMESPACE_DNS, &number.to_be_bytes()).to_string(),
        received_at: RECEIVED_AT,
        project_id: PROJECT.to_owned(),
        key_id: Uuid::nil().to_string(),
        session_id: session.clone(),
        user_id: None,
        transport: Transport::Http,
        body_format: BodyFormat::Json,
        body: Bytes::from(json!({ "project_key": "gs_test_key", "session_id": session, "events": events }).to_string()),
        event_count: i32::try_from(EVENTS).unwrap(),
        sent_at: Some(RECEIVED_AT),
        client_ip: Some(format!("81.2.{a}.{b}")),
        user_agent: Some(agent.to_owned()),
        client_hints: BTreeMap::new(),
        accept_language: Some("en-GB,en;q=0.9".to_owned()),
        origin: Some("https://shop.example".to_owned()),
        referer: Some("https://shop.example/".to_owned()),
        privacy: PrivacyRules::default(),
        traceparent: None,
    }
}

fn record(batch: &RawBatch, offset: u64) -> LogRecord {
    LogRecord {
        position: Position {
            topic: "gosight.events.staging".into(),
            partition: 3,
            offset: i64::try_from(offset).unwrap(),
        },
        timestamp_ms: RECEIVED_AT,
        key: Some(format!("{PROJECT}:{}", batch.session_id).into()),
        value: encode_raw_batch(batch).unwrap().into(),
        headers: Vec::new(),
    }
}

fn assets(settings: &EnricherSettings) -> Assets {
    let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/geoip/geolite2-city.mmdb");
    let file = std::env::var_os("GEOIP_DATABASE").map_or(small, PathBuf::from);
    Assets::new(settings, Geo::new(vec![GeoReader::open(&file).expect("a city file")]))
}

/// Takes outputs as a producer does: by copying them.
#[derive(Default)]
struct Copies {
    bytes: Vec<u8>,
}

impl Outputs for Copies {
    fn add(&mut self, output: Output<'_>) -> Result<(), Doomed> {
        if self.bytes.len() > 1 << 20 {
            self.bytes.clear();
        }
        self.bytes.extend_from_slice(output.value);
        Ok(())
    }
}

fn steps_of_one_event(criterion: &mut Criterion) {
    let settings = EnricherSettings::default();
    let assets = assets(&settings);
    let batches: Vec<RawBatch> = (0..BATCHES).map(batch).collect();
    let records: Vec<LogRecord> = batches.iter().zip(0..).map(|(batch, at)| record(batch, at)).collect();
    let (mut turn, mut turns) = (batches.iter().cycle(), records.iter().cycle());
    let mut next = || turn.next().expect("endless");

    let mut group = criterion.benchmark_group("batch of 10 events");
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function("staging record", |bench| {
        bench.iter(|| decode_raw_batch(&turns.next().expect("endless").value).unwrap());
    });
    group.bench_function("decode", |bench| {
        bench.iter(|| black_box(steps::decode(next(), &assets)));
    });
    group.bench_function("validate", |bench| {
        let decoded = |batch| steps::decode(batch, &assets);
        bench.iter_batched(
            || decoded(next()),
            |decoded| steps::validate(&decoded, &assets),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("enrich", |bench| bench.iter(|| steps::enrich(next(), &assets)));
    group.bench_function("encode", |bench| {
        let mut out = Vec::new();
        bench.iter_batched(
            || steps::ready(next(), &assets).expect("it can be read"),
            |ready| {
                out.clear();
                steps::encode(ready, &assets, &mut out);
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();

    let mut group = criterion.benchmark_group("whole lane");
    group.throughput(Throughput::Elements(BATCHES * EVENTS));
    let mut lane = Steps::new(&settings, assets.clone());
    let (mut later, mut copies) = (0, Copies::default());
    group.bench_function("poll to commit", |bench| {
        bench.iter_batched(
            || {
                // So much later that no id of the round before is a duplicate.
                later += 1_000_000;
                let mut records = records.clone();
                records.iter_mut().for_each(|record| record.timestamp_ms += later);
                records
            },
            |records| lane.run(&records, &mut copies).expect("it takes all"),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, steps_of_one_event);
criterion_main!(benches);
