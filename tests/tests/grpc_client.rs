//! A gRPC client that owes nothing to our code: Python, generated from the published .proto files.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use gosight_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
use gosight_eventlog::{EventLog, LogRecord};
use gosight_tests::dev::Dev;
use gosight_tests::process::Process;
use gosight_tests::{clients, topic};
use serde_json::{Value, json};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(30);
/// Events that the client has acknowledged: two unary calls, and four batches of the stream.
const EVENTS: usize = 2 + 1 + (1 + 2 + 4 + 5);
const CHUNKS: usize = 3;

/// Runs the client on a gRPC port and gives what it was answered.
async fn answers(grpc: &str) -> Value {
    let script = clients::repository().join("tests/clients/grpc_client.py");
    let proto = clients::repository().join("proto/proto");
    let arguments = [script.to_str().unwrap(), proto.to_str().unwrap(), grpc];
    let mut process = Process::run(&clients::grpc_python(), &arguments, &BTreeMap::new());
    let printed = process.printed("{", DEADLINE).await;
    serde_json::from_str(&format!("{{{printed}")).unwrap_or_else(|error| panic!("{error}: {}", process.output()))
}

fn ack(accepted: usize) -> Value {
    json!({ "success": true, "accepted_count": accepted, "rejected_count": 0, "errors": [] })
}

/// The records of a session; one session stands in one partition, so in its order.
fn of_session(records: &[LogRecord], session: &str) -> Vec<Value> {
    let all = records.iter().map(topic::json);
    all.filter(|record| record["session_id"] == session).collect()
}

fn field(records: &[Value], pointer: &str) -> Vec<i64> {
    let values = records.iter().map(|record| record.pointer(pointer).unwrap());
    values.map(|value| value.as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_sends_batches_a_stream_and_replay() {
    let data = TempDir::new().unwrap();
    let dev = Dev::start(data.path()).await;
    let answers = answers(&dev.grpc).await;

    assert_eq!(answers["batch"]["ack"], ack(2), "{answers:#}");
    assert_eq!(answers["batch_gzip"]["ack"], ack(1), "{answers:#}");
    let receipt = answers["batch"]["trailing"]["x-gosight-receipt"].as_str().unwrap();
    assert!(receipt.starts_with("gosight.events.staging:"), "{receipt}");

    let refused = &answers["refused"];
    assert_eq!(refused["code"], "UNAUTHENTICATED", "{answers:#}");
    assert_eq!(refused["metadata"]["x-gosight-reason"], "invalid_key", "{answers:#}");

    let acks = answers["stream"]["acks"].as_array().unwrap();
    assert_eq!(acks.len(), 5, "{answers:#}");
    for (count, answered) in (1..).zip(acks) {
        if count == 3 {
            assert_eq!(answered["success"], false, "{answers:#}");
            assert_eq!(answered["rejected_count"], 3, "{answers:#}");
            assert!(answered["errors"][0].as_str().unwrap().contains("key"), "{answers:#}");
        } else {
            assert_eq!(answered, &ack(count), "{answers:#}");
        }
    }
    assert_eq!(answers["stream"]["code"], "OK");
    assert_eq!(answers["replay"]["success"], true, "{answers:#}");

    let log = EmbeddedLog::open(data.path(), EmbeddedOptions::default())
        .await
        .unwrap();
    let log: &dyn EventLog = &*log;
    let raw = topic::at_least(log, "gosight.events.raw", EVENTS, DEADLINE).await;
    assert_eq!(raw.len(), EVENTS);
    assert!(topic::all(log, "gosight.events.errors").await.is_empty());
    // The client numbers its clicks through: 0 to 2 in the unary calls, 3 refused with its key, 4 to 18 in the stream.
    assert_eq!(field(&of_session(&raw, "batch"), "/payload/x"), [0, 1]);
    assert_eq!(field(&of_session(&raw, "batch-gzip"), "/payload/x"), [2]);
    let kept: Vec<i64> = (4..=6).chain(10..=18).collect();
    assert_eq!(field(&of_session(&raw, "stream"), "/payload/x"), kept);
    let click = &of_session(&raw, "batch")[0];
    assert_eq!(click["type"], "click");
    assert_eq!(click["user_id"], "user-1");
    assert_eq!(click["payload"]["target_tag"], "button");
    assert_eq!(click["payload"]["target_classes"], json!(["buy"]));
    assert_eq!(click["page"]["screen_width"], 412);

    let chunks = topic::all(log, "gosight.replay.chunks").await;
    assert_eq!(chunks.len(), CHUNKS);
    let chunks = of_session(&chunks, "replay");
    assert_eq!(field(&chunks, "/chunk_index"), [0, 1, 2]);
    // Gzip or plain, the events stand there as they were recorded.
    assert_eq!(field(&chunks, "/events/0/data/node"), [0, 1, 2]);
    assert_eq!(chunks[0]["has_full_snapshot"], true);
}
