//! The enricher beside its limit: one process each, with the same two lanes of the same log, works off the same backlog on real
//! Kafka, in turns. The limit consumes, cuts and produces in transactions and does nothing else. GEOIP_DATABASE names a city file
//! of real size; without it a small one is used.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that can't go on panics with the reason, and prints its table"
)]

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gosight_eventlog::{EventLog, NewRecord};
use gosight_schemas::{BodyFormat, PrivacyRules, RawBatch, Transport, encode_raw_batch, topics};
use gosight_tests::events::{batch, now_ms, numbered_click};
use gosight_tests::process::Process;
use gosight_tests::stack::Stack;
use gosight_tests::{usage, wait};
use serde_json::Value;
use uuid::Uuid;

const BATCHES: u64 = 120_000;
const EVENTS_PER_BATCH: u64 = 10;
const SESSIONS: u64 = 2_000;
const ROUNDS: usize = 3;
/// Records on their way to Kafka while the backlog is made.
const IN_FLIGHT: usize = 2_000;
const DEADLINE: Duration = Duration::from_secs(120);
/// Starting up and joining the group are not measured: counting begins when so many batches are committed.
const MEASURED_FROM: u64 = BATCHES / 10;

/// A realistic mix of what browsers, phones, applications and crawlers call themselves.
const USER_AGENTS: [&str; 10] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0",
    "Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 Chrome/122.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
];

#[derive(Default, Clone, Copy)]
struct Measured {
    events: f64,
    seconds: f64,
    cpu_seconds: f64,
    resident_mib: f64,
}

#[tokio::main]
async fn main() {
    let stack = Stack::new().await;
    let log = stack.log();
    stack.create_topic("baseline").await;
    make_backlog(&*log, &stack).await;
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/geoip/geolite2-city.mmdb");
    let geoip = std::env::var("GEOIP_DATABASE").unwrap_or_else(|_| fixture.to_str().expect("UTF-8").to_owned());

    let (mut pieces, mut as_large, mut ours) = (Measured::default(), Measured::default(), Measured::default());
    let mut size = 0;
    for round in 0..ROUNDS {
        let group = |kind: &str| format!("{}-{kind}-{round}", stack.topic("group"));
        let name = group("ours");
        let process = stack.enricher_of_group(&name, &geoip).await;
        add(&mut ours, work_off(&*log, &stack, &name, process).await);
        size = output_size(&*log, &stack.topic("raw")).await;
        for (sum, name, bytes) in [
            (&mut pieces, group("pieces"), None),
            (&mut as_large, group("large"), Some(size)),
        ] {
            add(
                sum,
                work_off(&*log, &stack, &name, baseline(&stack, &name, bytes)).await,
            );
        }
    }
    println!(
        "\nenricher, backlog of {} events in batches of {EVENTS_PER_BATCH}, one process, {ROUNDS} rounds in turns, {geoip}",
        BATCHES * EVENTS_PER_BATCH
    );
    println!(
        "  {:<36} {:>10} {:>10} {:>14} {:>14} {:>9}",
        "", "events/s", "to limit", "CPU µs/event", "CPU to limit", "RSS MiB"
    );
    let limit = pieces;
    for (name, measured) in [
        ("limit: input in pieces".to_owned(), pieces),
        (format!("limit: outputs of {size} bytes, as ours"), as_large),
        ("enricher".to_owned(), ours),
    ] {
        println!(
            "  {:<36} {:>10.0} {:>10.2} {:>14.2} {:>14.2} {:>9.1}",
            name,
            rate(measured),
            rate(measured) / rate(limit),
            cost(measured),
            cost(measured) / cost(limit),
            measured.resident_mib
        );
    }
}

fn rate(measured: Measured) -> f64 {
    measured.events / measured.seconds
}

/// CPU per event, µs.
fn cost(measured: Measured) -> f64 {
    measured.cpu_seconds * 1e6 / measured.events
}

fn add(sum: &mut Measured, round: Measured) {
    sum.events += round.events;
    sum.seconds += round.seconds;
    sum.cpu_seconds += round.cpu_seconds;
    sum.resident_mib = sum.resident_mib.max(round.resident_mib);
}

fn baseline(stack: &Stack, group: &str, bytes: Option<usize>) -> Process {
    let environment = BTreeMap::from([("KAFKA_BROKERS".to_owned(), stack.brokers().to_owned())]);
    let pieces = EVENTS_PER_BATCH.to_string();
    let (staging, output, bytes) = (
        stack.topic("staging"),
        stack.topic("baseline"),
        bytes.map(|bytes| bytes.to_string()),
    );
    let mut arguments = vec![&*staging, &*output, group, &*pieces];
    arguments.extend(bytes.as_deref());
    Process::start("baseline-enricher", &arguments, &environment)
}

/// Bytes of a record on raw, on average.
async fn output_size(log: &dyn EventLog, raw: &str) -> usize {
    let mut reader = log.reader(raw, &[(0, 0)]).await.expect("the topic can be read");
    let records = reader.next(1_000, DEADLINE).await.expect("the topic can be read");
    let bytes = records.iter().map(|record| record.value.len()).sum::<usize>();
    bytes / records.len().max(1)
}

/// Watches the group's positions until nothing is left, then ends the process.
async fn work_off(log: &dyn EventLog, stack: &Stack, group: &str, process: Process) -> Measured {
    let staging = stack.topic("staging");
    let committed = || async {
        let positions = log.committed(group, &staging).await.unwrap_or_default();
        let batches: i64 = positions.iter().map(|(_, next)| *next).sum();
        u64::try_from(batches).expect("no negative offsets")
    };
    let at_least = |batches: u64| {
        wait::until("the group moves on", DEADLINE, move || async move {
            let committed = committed().await;
            (committed >= batches).then_some(committed)
        })
    };
    let from = at_least(MEASURED_FROM).await;
    let (started, cpu) = (Instant::now(), usage::cpu(process.id()));
    let to = at_least(BATCHES).await;
    let measured = Measured {
        events: ((to - from) * EVENTS_PER_BATCH) as f64,
        seconds: started.elapsed().as_secs_f64(),
        cpu_seconds: (usage::cpu(process.id()) - cpu).as_secs_f64(),
        resident_mib: usage::resident_mib(process.id()),
    };
    process.kill().await;
    measured
}

async fn make_backlog(log: &dyn EventLog, stack: &Stack) {
    let staging: Arc<str> = stack.topic("staging").as_str().into();
    let mut on_the_way = VecDeque::with_capacity(IN_FLIGHT);
    for number in 0..BATCHES {
        if on_the_way.len() == IN_FLIGHT {
            let oldest: gosight_eventlog::Durable = on_the_way.pop_front().expect("not empty");
            oldest.await.expect("Kafka takes it");
        }
        on_the_way.push_back(log.append(staged(number, stack, &staging)));
    }
    for one in on_the_way {
        one.await.expect("Kafka takes it");
    }
}

fn staged(number: u64, stack: &Stack, staging: &Arc<str>) -> NewRecord {
    let first = number * EVENTS_PER_BATCH;
    let events: Vec<Value> = (first..first + EVENTS_PER_BATCH).map(numbered_click).collect();
    let session = format!("session-{}", number % SESSIONS);
    let agent = USER_AGENTS[usize::try_from(number % SESSIONS).expect("few") % USER_AGENTS.len()];
    let [.., a, b] = (number % SESSIONS).to_be_bytes();
    let raw_batch = RawBatch {
        batch_id: Uuid::now_v7().to_string(),
        received_at: now_ms(),
        project_id: stack.project.clone(),
        key_id: Uuid::nil().to_string(),
        session_id: session.clone(),
        user_id: None,
        transport: Transport::Http,
        body_format: BodyFormat::Json,
        body: Bytes::from(batch(&stack.key, &session, &events).to_string()),
        event_count: i32::try_from(EVENTS_PER_BATCH).expect("few"),
        sent_at: Some(now_ms()),
        client_ip: Some(format!("81.2.{a}.{b}")),
        user_agent: Some(agent.to_owned()),
        client_hints: BTreeMap::new(),
        accept_language: Some("en-GB,en;q=0.9".to_owned()),
        origin: Some("https://shop.example".to_owned()),
        referer: Some("https://shop.example/".to_owned()),
        privacy: PrivacyRules::default(),
        traceparent: None,
    };
    NewRecord {
        topic: Arc::clone(staging),
        key: Bytes::from(topics::session_key(&stack.project, &session)),
        value: encode_raw_batch(&raw_batch).expect("it can be encoded").into(),
        headers: Vec::new(),
    }
}
