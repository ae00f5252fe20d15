//! The books: every request is counted once, whatever becomes of its client. One test, since a process has one recorder.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::time::Duration;

use gosight_lifecycle::telemetry;
use gosight_schemas::topics;
use support::{DEADLINE, Edge, KEY, batch, json_batch};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn every_request_is_counted_once_also_when_its_client_hangs_up() {
    let metrics = telemetry::init_metrics().unwrap();
    let edge = Edge::start().await;
    let becomes = async |line: &str| {
        let counted = async {
            while !metrics.render().lines().any(|rendered| rendered == line) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let within = tokio::time::timeout(DEADLINE, counted).await;
        within.unwrap_or_else(|_| panic!("never {line}\n{}", metrics.render()));
    };

    edge.client().await.send_batch(batch(KEY, "s", 3)).await.unwrap();
    becomes(r#"edge_requests_total{transport="grpc",outcome="accepted"} 1"#).await;
    becomes(r#"edge_events_total{transport="grpc",outcome="accepted"} 3"#).await;
    becomes(r#"edge_ack_seconds_count{transport="grpc"} 1"#).await;

    let refused = edge.client().await.send_batch(batch("gs_nobody", "s", 4)).await;
    assert!(refused.is_err());
    becomes(r#"edge_requests_total{transport="grpc",outcome="invalid_key"} 1"#).await;
    becomes(r#"edge_events_total{transport="grpc",outcome="invalid_key"} 4"#).await;

    // Hung up while the log has the record: it counts as what it became.
    edge.log.hold_after(1);
    let request = edge.request("/v1/events").body(json_batch(KEY, "s"));
    let hung_up = tokio::spawn(request.send());
    edge.log.reaches(topics::STAGING, 2).await;
    hung_up.abort();
    assert!(hung_up.await.is_err_and(|error| error.is_cancelled()));
    edge.log.hold_after(i64::MAX);
    becomes(r#"edge_requests_total{transport="http",outcome="accepted"} 1"#).await;
    becomes(r#"edge_events_total{transport="http",outcome="accepted"} 1"#).await;

    // Hung up in the middle of the body.
    let mut stream = TcpStream::connect(edge.http.trim_start_matches("http://"))
        .await
        .unwrap();
    let head = "POST /v1/events HTTP/1.1\r\nhost: edge\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(stream);
    becomes(r#"edge_requests_total{transport="http",outcome="broken_request"} 1"#).await;
    becomes(r#"edge_requests_total{transport="http",outcome="accepted"} 1"#).await;
}
