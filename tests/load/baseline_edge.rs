//! The edge's limit: a bare axum handler that counts the events of a batch and, where a topic is named, produces it with acks=all.
//! No keys, no limits, no envelope, no metrics. `baseline-edge [TOPIC]`, brokers in KAFKA_BROKERS; prints its address.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark's helper that can't go on panics with the reason"
)]

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::net::TcpListener;

#[derive(Deserialize)]
struct Batch<'a> {
    session_id: &'a str,
    events: Vec<IgnoredAny>,
}

struct Target {
    topic: String,
    producer: FutureProducer,
}

#[tokio::main]
async fn main() {
    let target = std::env::args().nth(1).map(|topic| Target {
        topic,
        producer: producer(),
    });
    let router = Router::new()
        .route("/v1/events", post(events))
        .with_state(Arc::new(target));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("listening {}", listener.local_addr().expect("bound"));
    axum::serve(listener, router).await.expect("it serves");
}

async fn events(State(target): State<Arc<Option<Target>>>, body: Bytes) -> String {
    let batch: Batch<'_> = serde_json::from_slice(&body).expect("the load sends JSON");
    if let Some(target) = &*target {
        let record = FutureRecord::to(&target.topic).key(batch.session_id).payload(&body[..]);
        let sent = target.producer.send(record, Duration::ZERO).await;
        sent.map_err(|(error, _)| error).expect("Kafka takes it");
    }
    format!("{{\"success\":true,\"accepted_count\":{}}}", batch.events.len())
}

/// As the edge's own, by its shipped settings.
fn producer() -> FutureProducer {
    let brokers = std::env::var("KAFKA_BROKERS").expect("KAFKA_BROKERS is set");
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("compression.type", "lz4")
        .set("linger.ms", "2")
        .create()
        .expect("the settings are good")
}
