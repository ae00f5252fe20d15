//! The edge beside its two limits, in one run and by one load: (a) a bare handler that counts and produces with acks=all, (b) the
//! same without Kafka. Closed loop for CPU and throughput, the three in turns, so that a machine that is busy with other things
//! slows all of them; open loop for latency, counted from the moment at which a batch was due. Real Kafka, PostgreSQL, Redis.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that can't go on panics with the reason, and prints its table"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gosight_proto::ingest_service_client::IngestServiceClient;
use gosight_proto::{ClickEvent, Event, EventBatch, EventType, Page, SessionMeta, TargetElement, event};
use gosight_tests::events::{batch, now_ms, numbered_click};
use gosight_tests::keep_alive::{KeepAlive, request};
use gosight_tests::open_loop::{Answers, OpenLoop};
use gosight_tests::process::Process;
use gosight_tests::stack::Stack;
use gosight_tests::{report, usage};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

const ROUNDS: u32 = 5;
const ROUND: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(500);
const CONNECTIONS: u64 = 96;
/// Different bodies that a connection sends in turn.
const BODIES: u64 = 8;

const OPEN_LOOP: Duration = Duration::from_secs(10);
const OPEN_LOOP_BATCHES_PER_SECOND: u32 = 1_000;
const OPEN_LOOP_CONNECTIONS: u64 = 256;
const OPEN_LOOP_SESSIONS: u64 = 64;

const GRPC_STREAMS: u64 = 8;
/// Batches of a stream that wait for their acks.
const GRPC_WINDOW: usize = 16;

/// One server under load.
struct Server {
    name: &'static str,
    process: u32,
    http: String,
    grpc: Option<String>,
}

#[derive(Default, Clone, Copy)]
struct Measured {
    events: f64,
    seconds: f64,
    cpu_seconds: f64,
    resident_mib: f64,
}

impl Measured {
    fn micros_per_event(self) -> f64 {
        self.cpu_seconds * 1e6 / self.events
    }

    fn events_per_second(self) -> f64 {
        self.events / self.seconds
    }
}

#[derive(Clone, Copy)]
enum Load {
    Http { events: u64 },
    Grpc { events: u64 },
}

#[tokio::main]
async fn main() {
    let stack = Stack::new().await;
    let topic = stack.create_topic("baseline").await;
    let edge = stack.edge().await;
    let (kafka, kafka_http) = baseline(&stack, &[&topic]).await;
    let (bare, bare_http) = baseline(&stack, &[]).await;
    let server = |name, process: &Process, http: &str| Server {
        name,
        process: process.id(),
        http: http.to_owned(),
        grpc: None,
    };
    let edge_server = Server {
        grpc: Some(format!("http://{}", edge.grpc)),
        ..server("edge", &edge.process, &edge.http)
    };
    let limit = server("(a) bare handler, acks=all", &kafka, &kafka_http);
    let no_log = server("(b) bare handler, no Kafka", &bare, &bare_http);

    println!("\nedge, closed loop, {CONNECTIONS} connections, {ROUNDS} rounds of {ROUND:?} each in turns");
    println!(
        "  {:<12} {:<28} {:>10} {:>14} {:>14} {:>9}",
        "load", "server", "events/s", "CPU µs/event", "CPU to (a)", "RSS MiB"
    );
    let all = [&limit, &no_log, &edge_server];
    for (label, load) in [
        ("HTTP × 10", Load::Http { events: 10 }),
        ("HTTP × 100", Load::Http { events: 100 }),
    ] {
        table(label, load, &all, &stack.key).await;
    }
    println!("  gRPC against (a) over HTTP, both × 100");
    let (mut http, mut grpc) = (Measured::default(), Measured::default());
    for _ in 0..ROUNDS {
        add(
            &mut http,
            closed_loop(&limit, Load::Http { events: 100 }, &stack.key).await,
        );
        add(
            &mut grpc,
            closed_loop(&edge_server, Load::Grpc { events: 100 }, &stack.key).await,
        );
    }
    row("HTTP × 100", limit.name, http, http);
    row("gRPC × 100", edge_server.name, grpc, http);

    println!(
        "\nedge, open loop, {} events/s in batches of 10, {OPEN_LOOP:?}",
        OPEN_LOOP_BATCHES_PER_SECOND * 10
    );
    println!(
        "  {:<28} {:>8} {:>8} {:>8} {:>8}   percentiles in",
        "server", "p50 ms", "p99 ms", "p99.9 ms", "max ms"
    );
    for (server, file) in [(&limit, "edge-open-loop-baseline"), (&edge_server, "edge-open-loop")] {
        let answers = open_loop(server, &stack.key).await;
        println!(
            "  {:<28} {:>8.2} {:>8.2} {:>8.2} {:>8.2}   {}",
            server.name,
            answers.milliseconds(0.5),
            answers.milliseconds(0.99),
            answers.milliseconds(0.999),
            answers.milliseconds(1.0),
            report::percentiles(file, &answers.latency).display()
        );
    }
}

async fn table(label: &str, load: Load, servers: &[&Server], key: &str) {
    let mut sums = vec![Measured::default(); servers.len()];
    for _ in 0..ROUNDS {
        for (server, sum) in servers.iter().zip(&mut sums) {
            add(sum, closed_loop(server, load, key).await);
        }
    }
    for (server, sum) in servers.iter().zip(&sums) {
        row(label, server.name, *sum, sums[0]);
    }
}

fn add(sum: &mut Measured, round: Measured) {
    sum.events += round.events;
    sum.seconds += round.seconds;
    sum.cpu_seconds += round.cpu_seconds;
    sum.resident_mib = sum.resident_mib.max(round.resident_mib);
}

fn row(label: &str, name: &str, measured: Measured, limit: Measured) {
    println!(
        "  {:<12} {:<28} {:>10.0} {:>14.2} {:>14.2} {:>9.1}",
        label,
        name,
        measured.events_per_second(),
        measured.micros_per_event(),
        measured.micros_per_event() / limit.micros_per_event(),
        measured.resident_mib
    );
}

async fn baseline(stack: &Stack, arguments: &[&str]) -> (Process, String) {
    let environment = BTreeMap::from([("KAFKA_BROKERS".to_owned(), stack.brokers().to_owned())]);
    let mut process = Process::start("baseline-edge", arguments, &environment);
    let http = process.printed("listening", Duration::from_secs(10)).await;
    (process, http)
}

/// Every connection sends as soon as it has its answer.
async fn closed_loop(server: &Server, load: Load, key: &str) -> Measured {
    let events = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    let end = Instant::now() + WARM_UP + ROUND;
    match load {
        Load::Http { events: size } => {
            for connection in 0..CONNECTIONS {
                let bodies = bodies(key, connection, size);
                let (http, events) = (server.http.clone(), Arc::clone(&events));
                tasks.spawn(async move { send_http(&http, &bodies, size, end, &events).await });
            }
        }
        Load::Grpc { events: size } => {
            let grpc = server.grpc.clone().expect("it speaks gRPC");
            for stream in 0..GRPC_STREAMS {
                let message = message(key, stream, size);
                let (grpc, events) = (grpc.clone(), Arc::clone(&events));
                tasks.spawn(async move { send_grpc(grpc, message, end, &events).await });
            }
        }
    }
    tokio::time::sleep(WARM_UP).await;
    let (started, cpu, before) = (
        Instant::now(),
        usage::cpu(server.process),
        events.load(Ordering::Relaxed),
    );
    tokio::time::sleep_until(end.into()).await;
    let measured = Measured {
        events: (events.load(Ordering::Relaxed) - before) as f64,
        seconds: started.elapsed().as_secs_f64(),
        cpu_seconds: (usage::cpu(server.process) - cpu).as_secs_f64(),
        resident_mib: usage::resident_mib(server.process),
    };
    tasks.join_all().await;
    measured
}

async fn send_http(http: &str, bodies: &[Vec<u8>], size: u64, end: Instant, events: &AtomicU64) {
    let mut connection = KeepAlive::open(http).await;
    for body in bodies.iter().cycle() {
        if Instant::now() >= end {
            return;
        }
        assert_eq!(connection.exchange(body).await, 200);
        events.fetch_add(size, Ordering::Relaxed);
    }
}

async fn send_grpc(address: String, message: EventBatch, end: Instant, events: &AtomicU64) {
    let mut client = IngestServiceClient::connect(address).await.expect("it listens");
    let (queue, batches) = mpsc::channel(GRPC_WINDOW);
    let size = u64::try_from(message.events.len()).expect("few");
    for _ in 0..GRPC_WINDOW {
        queue.send(message.clone()).await.expect("there is room");
    }
    let answers = client.send_events(ReceiverStream::new(batches)).await;
    let mut acks = answers.expect("the call begins").into_inner();
    let mut queue = Some(queue);
    while let Some(ack) = acks.next().await {
        assert!(ack.expect("an ack").success);
        events.fetch_add(size, Ordering::Relaxed);
        if Instant::now() >= end {
            queue = None;
        }
        if let Some(queue) = &queue {
            queue.send(message.clone()).await.expect("there is room");
        }
    }
}

async fn open_loop(server: &Server, key: &str) -> Answers {
    let bodies: Vec<Vec<u8>> = (0..OPEN_LOOP_SESSIONS)
        .flat_map(|session| bodies(key, session, 10))
        .collect();
    let load = OpenLoop {
        batches_per_second: OPEN_LOOP_BATCHES_PER_SECOND,
        length: OPEN_LOOP,
        connections: OPEN_LOOP_CONNECTIONS,
    };
    let answers = load
        .run(&server.http, move |number| {
            bodies[usize::try_from(number).expect("few") % bodies.len()].clone()
        })
        .await;
    assert_eq!(answers.refused, 0);
    answers
}

fn bodies(key: &str, connection: u64, size: u64) -> Vec<Vec<u8>> {
    (0..BODIES)
        .map(|body| {
            let events: Vec<Value> = (0..size).map(numbered_click).collect();
            let session = format!("session-{connection}-{body}");
            request(&batch(key, &session, &events).to_string())
        })
        .collect()
}

/// The same clicks as protobuf.
fn message(key: &str, stream: u64, size: u64) -> EventBatch {
    let click = |number: u64| {
        let event = numbered_click(number);
        let text = |pointer: &str| {
            event
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Event {
            event_id: text("/event_id"),
            r#type: EventType::Click.into(),
            timestamp: now_ms(),
            page: Some(Page {
                url: text("/page/url"),
                path: text("/page/path"),
                title: text("/page/title"),
                ..Page::default()
            }),
            payload: Some(event::Payload::Click(ClickEvent {
                x: 120,
                y: 430,
                target: Some(TargetElement {
                    tag: text("/payload/target_tag"),
                    selector: text("/payload/target_selector"),
                    classes: vec!["buy".to_owned(), "primary".to_owned()],
                    ..TargetElement::default()
                }),
            })),
        }
    };
    EventBatch {
        project_key: key.to_owned(),
        session: Some(SessionMeta {
            session_id: format!("session-{stream}"),
            ..SessionMeta::default()
        }),
        events: (0..size).map(click).collect(),
        sent_at: now_ms(),
    }
}
