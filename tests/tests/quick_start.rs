//! What a new user does, from the README: `gosight dev`, one event by curl, the same by gRPC, a look at what came out.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use gosight_proto::ingest_service_client::IngestServiceClient;
use gosight_proto::{CustomEvent, Event, EventBatch, EventType, SessionMeta, event};
use gosight_tests::dev::Dev;
use gosight_tests::events::{batch, now_ms, page_view};
use gosight_tests::process::Process;
use serde_json::{Value, json};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(20);

/// Runs `gosight tail` and gives its lines as JSON.
async fn tail(data: &Path, topic: &str, limit: usize) -> Vec<Value> {
    let (data, limit) = (data.to_str().unwrap(), limit.to_string());
    let arguments = [
        "tail", "--data", data, "--topic", topic, "--from", "start", "--limit", &limit, "--format", "json",
    ];
    let mut process = Process::start("gosight", &arguments, &BTreeMap::new());
    let status = process.ended(DEADLINE).await;
    assert!(status.success(), "{status}: {}", process.output());
    process
        .output()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn post(dev: &Dev, body: &Value) -> (u16, Value) {
    let url = format!("{}/v1/events", dev.http);
    let response = reqwest::Client::new().post(url).json(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn the_quick_start_is_acknowledged_and_comes_out_enriched() {
    let data = TempDir::new().unwrap();
    let dev = Dev::start(data.path()).await;
    let url = format!("{}/v1/events", dev.http);
    let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
    let response = reqwest::Client::new()
        .post(url)
        .header("user-agent", chrome)
        .json(&batch("gs_test_key", "sess-1", &[page_view()]))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.text().await.unwrap(),
        r#"{"success":true,"accepted_count":1,"rejected_count":0}"#
    );

    let events = tail(data.path(), "raw", 1).await;
    let event = &events[0];
    assert_eq!(event["type"], "page_view");
    assert_eq!(event["project_id"], "b0000000-0000-0000-0000-000000000001");
    assert_eq!(event["session_id"], "sess-1");
    assert_eq!(event["page"]["url"], "https://shop.example/");
    assert_eq!(event["browser"], "Chrome");
    assert_eq!(event["os"], "Windows");
    assert_eq!(event["device_type"], "desktop");
    assert_eq!(event["client_ip"], "127.0.0.1");
    let server_timestamp = event["server_timestamp"].as_i64().unwrap();
    assert!((now_ms() - server_timestamp).abs() < 60_000, "{server_timestamp}");
}

#[tokio::test]
async fn the_same_works_over_grpc() {
    let data = TempDir::new().unwrap();
    let dev = Dev::start(data.path()).await;
    let mut client = IngestServiceClient::connect(format!("http://{}", dev.grpc))
        .await
        .unwrap();
    let properties = [("plan".to_owned(), "gold".to_owned())].into();
    let custom = CustomEvent {
        name: "upgrade".to_owned(),
        properties,
    };
    let sent = EventBatch {
        project_key: "gs_test_project_key".to_owned(),
        session: Some(SessionMeta {
            session_id: "sess-2".to_owned(),
            ..SessionMeta::default()
        }),
        events: vec![Event {
            r#type: EventType::Custom.into(),
            timestamp: now_ms(),
            payload: Some(event::Payload::Custom(custom)),
            ..Event::default()
        }],
        sent_at: now_ms(),
    };
    let ack = client.send_batch(sent).await.unwrap().into_inner();
    assert!(ack.success, "{ack:?}");
    assert_eq!((ack.accepted_count, ack.rejected_count), (1, 0));

    let events = tail(data.path(), "raw", 1).await;
    assert_eq!(events[0]["type"], "EVENT_TYPE_CUSTOM");
    assert_eq!(
        events[0]["payload"],
        json!({ "name": "upgrade", "properties": { "plan": "gold" } })
    );
}

#[tokio::test]
async fn a_bad_event_stands_on_errors_and_its_neighbours_on_raw() {
    let data = TempDir::new().unwrap();
    let dev = Dev::start(data.path()).await;
    let mut bad = page_view();
    bad["timestamp"] = json!("yesterday");
    let body = batch("gs_test_key", "sess-3", &[page_view(), bad.clone(), page_view()]);
    let (status, answer) = post(&dev, &body).await;
    assert_eq!((status, &answer["accepted_count"]), (200, &json!(3)), "{answer}");

    let rejects = tail(data.path(), "errors", 1).await;
    assert_eq!(rejects[0]["code"], "wrong_type");
    assert_eq!(rejects[0]["field"], "/timestamp");
    assert_eq!(rejects[0]["original"]["json"], bad);
    let origin = rejects[0]["origin"].as_str().unwrap();
    assert!(
        origin.starts_with("gosight.events.staging:") && origin.ends_with(":1"),
        "{origin}"
    );

    let events = tail(data.path(), "raw", 2).await;
    assert!(events.iter().all(|event| event["session_id"] == "sess-3"), "{events:?}");
}

#[tokio::test]
async fn a_restart_after_kill_9_goes_on_where_it_was() {
    let data = TempDir::new().unwrap();
    let dev = Dev::start(data.path()).await;
    for number in 0..50 {
        let mut event = page_view();
        event["payload"] = json!({ "number": number });
        let (status, answer) = post(&dev, &batch("gs_test_key", "sess-4", &[event])).await;
        assert_eq!(status, 200, "{answer}");
    }
    // Whatever had not come out yet must come out of the next start, once.
    dev.process.kill().await;
    let dev = Dev::start(data.path()).await;
    let mut last = page_view();
    last["payload"] = json!({ "number": 50 });
    post(&dev, &batch("gs_test_key", "sess-4", &[last])).await;

    let events = tail(data.path(), "raw", 51).await;
    let numbers: Vec<u64> = events
        .iter()
        .map(|event| event["payload"]["number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..=50).collect::<Vec<u64>>());
}

#[tokio::test]
async fn ctrl_c_stops_it_within_ten_seconds_with_exit_code_0() {
    let data = TempDir::new().unwrap();
    let mut dev = Dev::start(data.path()).await;
    post(&dev, &batch("gs_test_key", "sess-5", &[page_view()])).await;
    let asked = Instant::now();
    dev.process.signal("INT");
    let status = dev.process.ended(DEADLINE).await;
    assert!(status.success(), "{status}: {}", dev.process.output());
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_second_one_on_the_same_directory_is_refused() {
    let data = TempDir::new().unwrap();
    let _first = Dev::start(data.path()).await;
    let arguments = [
        "dev",
        "--data",
        data.path().to_str().unwrap(),
        "--http-port",
        "0",
        "--grpc-port",
        "0",
        "--admin-port",
        "0",
    ];
    let mut second = Process::start("gosight", &arguments, &BTreeMap::new());
    let status = second.ended(DEADLINE).await;
    assert_eq!(status.code(), Some(69), "{}", second.output());
    assert!(
        second.output().contains("another gosight dev uses"),
        "{}",
        second.output()
    );
}

#[tokio::test]
async fn tail_shows_what_comes_while_it_runs() {
    let data = TempDir::new().unwrap();
    let dev = Dev::start(data.path()).await;
    let path = data.path().to_str().unwrap();
    let mut tail = Process::start(
        "gosight",
        &["tail", "--data", path, "--format", "json"],
        &BTreeMap::new(),
    );
    // It begins at what comes after its start, and nothing outside says when that is: so events come until it shows one.
    let started = Instant::now();
    while tail.output().is_empty() {
        assert!(started.elapsed() < DEADLINE, "tail shows nothing");
        post(&dev, &batch("gs_test_key", "sess-6", &[page_view()])).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tail.printed("{", DEADLINE).await;
    let line = tail.output().lines().next().unwrap().to_owned();
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["session_id"], "sess-6");
}
