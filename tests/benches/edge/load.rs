//! Load as fast as the servers answer: each connection sends as soon as it has its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gosight_proto::ingest_service_client::IngestServiceClient;
use gosight_proto::{ClickEvent, Event, EventBatch, EventType, Page, SessionMeta, TargetElement, event};
use gosight_tests::events::{batch, now_ms, numbered_click};
use gosight_tests::keep_alive::{KeepAlive, request};
use gosight_tests::usage;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use crate::Server;

/// Open connections of HTTP.
pub(crate) const CONNECTIONS: u64 = 96;
/// Different bodies that a connection sends in turn.
const BODIES: u64 = 8;

const GRPC_STREAMS: u64 = 8;
/// Batches of a stream that wait for their acks.
const GRPC_WINDOW: usize = 16;

/// What is sent: batches of one size, made before anything is measured.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// Events of a batch.
    size: u64,
    batches: Batches,
}

#[derive(Debug, Clone)]
enum Batches {
    /// Of each connection.
    Http(Arc<[Vec<Vec<u8>>]>),
    /// Of each stream.
    Grpc(Arc<[EventBatch]>),
}

impl Load {
    /// Over HTTP, so many events a batch.
    pub(crate) fn http(key: &str, size: u64) -> Self {
        let bodies = (0..CONNECTIONS).map(|connection| bodies(key, connection, size));
        Self {
            size,
            batches: Batches::Http(bodies.collect()),
        }
    }

    /// Over gRPC streams.
    pub(crate) fn grpc(key: &str, size: u64) -> Self {
        let messages = (0..GRPC_STREAMS).map(|stream| message(key, stream, size));
        Self {
            size,
            batches: Batches::Grpc(messages.collect()),
        }
    }
}

/// What a server did in a while.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) events: f64,
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_mib: f64,
}

impl Measured {
    pub(crate) fn micros_per_event(self) -> f64 {
        self.cpu_seconds * 1e6 / self.events
    }

    pub(crate) fn events_per_second(self) -> f64 {
        self.events / self.seconds
    }
}

/// Loads a server that long, without counting the warm-up.
pub(crate) async fn closed_loop(server: &Server, load: &Load, warm_up: Duration, length: Duration) -> Measured {
    let events = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    let end = Instant::now() + warm_up + length;
    let size = load.size;
    match &load.batches {
        Batches::Http(all) => {
            for connection in 0..all.len() {
                let (all, http, events) = (Arc::clone(all), server.http.clone(), Arc::clone(&events));
                tasks.spawn(async move { send_http(&http, &all[connection], size, end, &events).await });
            }
        }
        Batches::Grpc(all) => {
            let grpc = server.grpc.clone().expect("it speaks gRPC");
            for message in all.iter().cloned() {
                let (grpc, events) = (grpc.clone(), Arc::clone(&events));
                tasks.spawn(async move { send_grpc(grpc, message, end, &events).await });
            }
        }
    }
    tokio::time::sleep(warm_up).await;
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

/// Requests as they go over the wire.
pub(crate) fn bodies(key: &str, connection: u64, size: u64) -> Vec<Vec<u8>> {
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
