//! Services that are down: a truthful answer, no panic, and what was acknowledged stands on the log.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::{Duration, Instant};

use gosight_proto::ingest_service_client::IngestServiceClient;
use gosight_proto::{Event, EventBatch, SessionMeta};
use gosight_tests::events::{batch, page_view};
use gosight_tests::stack::{Edge, Stack};
use gosight_tests::{topic, wait};
use serde_json::Value;
use tokio::net::TcpListener;
use tonic::Code;

const DEADLINE: Duration = Duration::from_secs(30);

/// An address at which nothing answers: bound once, so that nobody else gets it, and never served.
async fn dead_address() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

async fn post(edge: &Edge, key: &str) -> (u16, Value) {
    let url = format!("{}/v1/events", edge.http);
    let body = batch(key, "session", &[page_view()]);
    let response = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    let status = response.status().as_u16();
    if status == 503 {
        assert!(
            response.headers().contains_key("retry-after"),
            "{:?}",
            response.headers()
        );
    }
    (status, response.json().await.unwrap())
}

async fn grpc(edge: &Edge, key: &str) -> Result<bool, Code> {
    let mut client = IngestServiceClient::connect(format!("http://{}", edge.grpc))
        .await
        .unwrap();
    let batch = EventBatch {
        project_key: key.to_owned(),
        session: Some(SessionMeta::default()),
        events: vec![Event::default()],
        sent_at: 0,
    };
    match client.send_batch(batch).await {
        Ok(ack) => Ok(ack.into_inner().success),
        Err(status) => Err(status.code()),
    }
}

async fn readiness(edge: &Edge) -> (u16, String) {
    let response = reqwest::get(format!("{}/ready", edge.admin)).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_kafka_every_answer_is_a_refusal_to_try_again() {
    let stack = Stack::new().await;
    let (_silent, address) = dead_address().await;
    let edge = stack.edge_with(&[("KAFKA_BROKERS", &address)]).await;
    let asked = Instant::now();
    let ((status, answer), reply) = tokio::join!(post(&edge, &stack.key), grpc(&edge, &stack.key));
    assert_eq!(status, 503, "{answer}");
    assert_eq!(answer["success"], false);
    assert_eq!(reply, Err(Code::Unavailable));
    assert!(
        asked.elapsed() < Duration::from_secs(15),
        "longer than the delivery timeout: {:?}",
        asked.elapsed()
    );
    let (status, report) = readiness(&edge).await;
    assert_eq!(status, 503, "{report}");
    assert!(report.contains("kafka"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_batches_are_taken() {
    let stack = Stack::new().await;
    let (_silent, address) = dead_address().await;
    let edge = stack.edge_with(&[("REDIS_ADDR", &address)]).await;
    let (status, answer) = wait::until("a batch is taken", DEADLINE, || async {
        let (status, answer) = post(&edge, &stack.key).await;
        (status == 200).then_some((status, answer))
    })
    .await;
    assert_eq!(status, 200, "{answer}");
    let (status, report) = wait::until("readiness tells", DEADLINE, || async {
        let (status, report) = readiness(&edge).await;
        report.contains("redis").then_some((status, report))
    })
    .await;
    assert_eq!(status, 200, "reduced, not unready: {report}");
    let staged = topic::all(&*stack.log(), &stack.topic("staging")).await;
    assert_eq!(staged.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgresql_a_key_that_is_not_known_is_no_invalid_key() {
    let stack = Stack::new().await;
    let (_silent, address) = dead_address().await;
    let dsn = format!("postgres://gosight:gosight@{address}/gosight");
    let edge = stack.edge_with(&[("POSTGRES_DSN", &dsn)]).await;
    let (status, answer) = post(&edge, "gs_a_key_that_nobody_asked_for").await;
    assert_eq!(status, 503, "{answer}");
    assert_eq!(
        grpc(&edge, "gs_another_key_that_nobody_asked_for").await,
        Err(Code::Unavailable)
    );
    let staged = topic::all(&*stack.log(), &stack.topic("staging")).await;
    assert!(staged.is_empty());
}
