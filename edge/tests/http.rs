//! HTTP as SDKs and browsers speak it: answers, bodies, keys, CORS.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use gosight_config::EdgeSettings;
use gosight_eventlog::AppendError;
use gosight_schemas::{BodyFormat, Transport, topics};
use prost::Message;
use reqwest::Method;
use serde_json::{Value, json};
use support::{Answer, DEADLINE, Edge, KEY, PROJECT, answer, batch, json_batch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Every refusal has this form.
#[track_caller]
fn assert_refused(answer: &Answer, status: u16, reason: &str) {
    assert_eq!(
        (answer.status, answer.header("x-gosight-reason")),
        (status, Some(reason)),
        "{answer:?}"
    );
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
    assert!(answer.header("x-request-id").is_some(), "{answer:?}");
    let json = answer.json();
    assert_eq!(json["success"], false);
    assert_eq!(json["accepted_count"], 0);
    assert!(
        json["errors"][0].as_str().is_some_and(|text| !text.is_empty()),
        "{json}"
    );
}

#[tokio::test]
async fn an_accepted_batch_is_staged_and_answered_as_the_contract_says() {
    let edge = Edge::start().await;
    let request = edge
        .request("/v1/events")
        .header("content-type", "application/json")
        .header("user-agent", "test/1")
        .header("origin", "https://shop.example")
        .body(json_batch(KEY, "session-1"));
    let answer = answer(request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.text, r#"{"success":true,"accepted_count":1,"rejected_count":0}"#);
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("https://shop.example")
    );
    assert_eq!(answer.header("access-control-allow-credentials"), None);

    let staged = &edge.log.staged()[0];
    assert_eq!(staged.project_id, PROJECT);
    assert_eq!(staged.key_id, "key-1");
    assert_eq!(staged.session_id, "session-1");
    assert_eq!(staged.event_count, 1);
    assert_eq!(staged.transport, Transport::Http);
    assert_eq!(staged.body_format, BodyFormat::Json);
    assert_eq!(staged.body, json_batch(KEY, "session-1"));
    assert_eq!(staged.client_ip.as_deref(), Some("127.0.0.1"));
    assert_eq!(staged.user_agent.as_deref(), Some("test/1"));
    assert_eq!(staged.origin.as_deref(), Some("https://shop.example"));
    let receipt = format!("gosight.events.staging:0:0;batch_id={}", staged.batch_id);
    assert_eq!(answer.header("x-gosight-receipt"), Some(receipt.as_str()));
    let record = &edge.log.records(topics::STAGING)[0];
    assert_eq!(record.key, format!("{PROJECT}:session-1"));
}

#[tokio::test]
async fn a_batch_without_a_session_is_keyed_by_its_own_id() {
    let edge = Edge::start().await;
    let body = json!({ "project_key": KEY, "events": [] }).to_string();
    assert_eq!(edge.post("/v1/events", body).await.status, 200);
    let record = &edge.log.records(topics::STAGING)[0];
    assert_eq!(record.key, format!("{PROJECT}:{}", edge.log.staged()[0].batch_id));
}

#[tokio::test]
async fn every_type_that_a_browser_sends_is_json_and_protobuf_is_protobuf() {
    let edge = Edge::start().await;
    for content_type in [
        "text/plain;charset=UTF-8",
        "application/json",
        "application/x-www-form-urlencoded",
    ] {
        let request = edge.request("/v1/events").header("content-type", content_type);
        let answer = answer(request.body(json_batch(KEY, "s"))).await;
        assert_eq!(answer.status, 200, "{content_type}: {answer:?}");
    }
    let request = edge
        .request("/v1/events")
        .header("content-type", "application/x-protobuf");
    let answer = answer(request.body(batch(KEY, "s", 3).encode_to_vec())).await;
    assert_eq!(answer.json()["accepted_count"], 3, "{answer:?}");
    assert_eq!(edge.log.staged()[3].body_format, BodyFormat::Protobuf);
}

#[tokio::test]
async fn a_key_is_taken_from_each_place_and_two_that_differ_are_refused() {
    let edge = Edge::start().await;
    let keyless = r#"{"session_id":"s","events":[]}"#;
    for (name, value) in [
        ("x-project-key", KEY.to_owned()),
        ("x-gosight-key", KEY.to_owned()),
        ("authorization", format!("Bearer {KEY}")),
    ] {
        let answer = answer(edge.request("/v1/events").header(name, value).body(keyless)).await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
    }
    let other = edge.request("/v1/events").header("x-project-key", "gs_another");
    assert_refused(&answer(other.body(json_batch(KEY, "s"))).await, 400, "key_conflict");
}

#[tokio::test]
async fn bad_keys_are_401_whatever_their_length() {
    let edge = Edge::start().await;
    let neighbour = format!("{}_but_another", &KEY[..12]);
    for (key, reason) in [
        ("", "missing_key"),
        ("abc", "invalid_key"),
        (neighbour.as_str(), "invalid_key"),
        ("k".repeat(10_000).as_str(), "invalid_key"),
    ] {
        let answer = edge.post("/v1/events", json_batch(key, "s")).await;
        assert_refused(&answer, 401, reason);
        assert_eq!(answer.json()["errors"], json!(["Invalid API key"]));
        assert_eq!(answer.header("retry-after"), None);
    }
    let long = edge.request("/v1/events").header("x-project-key", "k".repeat(10_000));
    assert_refused(&answer(long.body(r#"{"events":[]}"#)).await, 401, "invalid_key");
    assert!(edge.log.staged().is_empty());
}

#[tokio::test]
async fn bodies_that_can_not_be_read_are_400() {
    let edge = Edge::start().await;
    for (body, reason) in [
        (&b"not json"[..], "invalid_json"),
        (b"", "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b"{}", "invalid_field"),
        (br#"{"events":{}}"#, "invalid_field"),
        (b"[[[[[1]]]]]", "invalid_field"),
    ] {
        let answer = edge.post("/v1/events", body.to_vec()).await;
        assert_refused(&answer, 400, reason);
        if reason == "invalid_json" {
            assert_eq!(answer.json()["errors"], json!(["Invalid JSON"]));
        }
    }
    let request = edge
        .request("/v1/events")
        .header("content-type", "application/x-protobuf");
    let random: Vec<u8> = (0..997_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    assert_refused(&answer(request.body(random)).await, 400, "invalid_protobuf");
    assert!(edge.log.staged().is_empty());
}

#[tokio::test]
async fn what_stands_in_events_is_not_the_edges_business() {
    let edge = Edge::start().await;
    let body =
        format!(r#"{{"project_key":"{KEY}","events":[null,{{"type":"nonsense","timestamp":0}},"\ud800",1e999]}}"#);
    let answer = edge.post("/v1/events", body).await;
    assert_eq!(
        (answer.status, &answer.json()["accepted_count"]),
        (200, &json!(4)),
        "{answer:?}"
    );
}

#[tokio::test]
async fn gzip_is_read_by_header_or_by_its_first_bytes_and_bombs_are_not() {
    let edge = Edge::start().await;
    let compressed = gzip(json_batch(KEY, "s").as_bytes());
    let named = edge.request("/v1/events").header("content-encoding", "gzip");
    assert_eq!(answer(named.body(compressed.clone())).await.status, 200);
    assert_eq!(edge.post("/v1/events", compressed.clone()).await.status, 200);

    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert_refused(&edge.post("/v1/events", bomb).await, 413, "body_too_large");
    let cut = compressed[..compressed.len() / 2].to_vec();
    assert_refused(&edge.post("/v1/events", cut).await, 400, "invalid_compression");
    let plain = edge.request("/v1/events").header("content-encoding", "gzip");
    assert_refused(
        &answer(plain.body(json_batch(KEY, "s"))).await,
        400,
        "invalid_compression",
    );
    let other = edge.request("/v1/events").header("content-encoding", "compress");
    assert_refused(
        &answer(other.body(json_batch(KEY, "s"))).await,
        415,
        "unsupported_encoding",
    );
    assert_eq!(edge.log.staged().len(), 2);
}

#[tokio::test]
async fn thirty_megabytes_are_413_with_and_without_a_declared_length() {
    let edge = Edge::start().await;
    let body = vec![b'x'; 30 << 20];
    assert_refused(&edge.post("/v1/events", body.clone()).await, 413, "body_too_large");
    let chunks = body.chunks(1 << 20).map(|chunk| chunk.to_vec()).collect::<Vec<_>>();
    let address = edge.http.trim_start_matches("http://");
    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    let sending = tokio::spawn(async move {
        let head = "POST /v1/events HTTP/1.1\r\nhost: edge\r\ntransfer-encoding: chunked\r\n\r\n";
        writer.write_all(head.as_bytes()).await?;
        for chunk in chunks {
            writer.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
            writer.write_all(&chunk).await?;
            writer.write_all(b"\r\n").await?;
        }
        writer.write_all(b"0\r\n\r\n").await
    });
    // This client reads only after it has sent everything, as simple ones do.
    sending.await.unwrap().unwrap();
    let mut text = String::new();
    tokio::time::timeout(DEADLINE, reader.read_to_string(&mut text))
        .await
        .unwrap()
        .unwrap();
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
    assert!(text.contains("x-gosight-reason: body_too_large"), "{text}");
}

#[tokio::test]
async fn an_event_of_two_megabytes_is_taken() {
    let edge = Edge::start().await;
    let event = json!({ "type": "custom", "payload": { "text": "x".repeat(2 << 20) } });
    let body = json!({ "project_key": KEY, "events": [event] }).to_string();
    let answer = edge.post("/v1/events", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn what_the_log_refuses_is_never_a_success() {
    let in_doubt = AppendError::InDoubt {
        reason: "broker-7 timed out".to_owned(),
    };
    let too_large = AppendError::TooLarge {
        topic: "t".to_owned(),
        size: 2_000,
        limit: 1_000,
    };
    for (error, status, reason, retry_after) in [
        (in_doubt, 503, "log_unavailable", Some("5")),
        (
            AppendError::QueueFull { in_flight_bytes: 9 },
            503,
            "log_busy",
            Some("1"),
        ),
        (too_large, 413, "record_too_large", None),
        (AppendError::Closed, 503, "shutting_down", Some("1")),
    ] {
        let edge = Edge::start().await;
        edge.log.fail_with(error);
        let answer = edge.post("/v1/events", json_batch(KEY, "s")).await;
        assert_refused(&answer, status, reason);
        assert_eq!(answer.json()["rejected_count"], 1, "a refusal is of the whole batch");
        assert_eq!(answer.header("retry-after"), retry_after);
        assert!(!answer.text.contains("broker-7"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_record_over_the_staging_limit_is_refused_before_it_is_appended() {
    let mut settings = EdgeSettings::default();
    settings.limits.staging_record = "1KiB".parse().unwrap();
    let edge = Edge::start_with(settings).await;
    let body = json!({ "project_key": KEY, "events": ["x".repeat(2_000)] }).to_string();
    assert_refused(&edge.post("/v1/events", body).await, 413, "record_too_large");
    assert!(edge.log.staged().is_empty());
}

#[tokio::test]
async fn who_sends_more_than_allowed_is_told_when_to_come_back() {
    let mut settings = EdgeSettings::default();
    settings.rate_limit.requests_per_second = 1;
    settings.rate_limit.burst = 1;
    let edge = Edge::start_with(settings).await;
    assert_eq!(edge.post("/v1/events", json_batch(KEY, "s")).await.status, 200);
    let answer = edge.post("/v1/events", json_batch(KEY, "s")).await;
    assert_refused(&answer, 429, "rate_limited");
    assert_eq!(answer.json()["errors"], json!(["Rate limit exceeded"]));
    assert_eq!(answer.json()["rejected_count"], 1);
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn wrong_paths_methods_and_types_are_json_too() {
    let edge = Edge::start().await;
    assert_refused(&edge.post("/v2/events", "{}").await, 404, "not_found");
    let client = reqwest::Client::new();
    let url = format!("{}/v1/events", edge.http);
    assert_refused(&answer(client.get(&url)).await, 405, "method_not_allowed");
    let head = answer(client.head(&url)).await;
    assert_eq!((head.status, head.text.as_str()), (405, ""));
    let image = edge.request("/v1/events").header("content-type", "image/png");
    assert_refused(&answer(image.body("{}")).await, 415, "unsupported_type");
    let call = "/gosight.IngestService/SendBatch";
    assert_refused(&edge.post(call, "{}").await, 415, "unsupported_type");
    let old = edge.request(call).header("content-type", "application/grpc");
    assert_refused(&answer(old.body("")).await, 400, "broken_request");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let mut settings = EdgeSettings::default();
    settings.limits.body_timeout = Duration::from_millis(100);
    let edge = Edge::start_with(settings).await;
    let mut stream = TcpStream::connect(edge.http.trim_start_matches("http://"))
        .await
        .unwrap();
    let head = "POST /v1/events HTTP/1.1\r\nhost: edge\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    tokio::time::timeout(DEADLINE, stream.read_to_string(&mut text))
        .await
        .unwrap()
        .unwrap();
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    assert!(text.contains(r#""success":false"#), "{text}");
}

#[tokio::test]
async fn a_request_keeps_its_id_where_it_has_one() {
    let edge = Edge::start().await;
    let named = edge.request("/v1/events").header("x-request-id", "req-42");
    let answered = answer(named.body(json_batch(KEY, "s"))).await;
    assert_eq!(answered.header("x-request-id"), Some("req-42"));
    let strange = edge.request("/v1/events").header("x-request-id", "a b<c>");
    let answered = answer(strange.body(json_batch(KEY, "s"))).await;
    assert_eq!(answered.header("x-request-id").unwrap().len(), 36);
}

#[tokio::test]
async fn a_preflight_is_answered_for_every_header_of_the_contract() {
    let edge = Edge::start().await;
    let headers =
        "content-type,content-encoding,authorization,x-project-key,x-gosight-key,x-grpc-web,x-user-agent,grpc-timeout";
    for path in ["/v1/events", "/v1/replay", "/gosight.IngestService/SendBatch"] {
        let request = reqwest::Client::new()
            .request(Method::OPTIONS, format!("{}{path}", edge.http))
            .header("origin", "https://shop.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", headers);
        let answer = answer(request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("https://shop.example")
        );
        // A beacon of JSON needs it; the answer to a request never has it.
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(answer.header("access-control-max-age"), Some("86400"));
        let allowed = answer.header("access-control-allow-headers").unwrap();
        for header in headers.split(',') {
            assert!(
                allowed.split(',').any(|name| name == header),
                "{header} is not in {allowed}"
            );
        }
    }
    let request = edge.request("/v1/events").header("origin", "https://shop.example");
    let answered = answer(request.body(json_batch(KEY, "s"))).await;
    let exposed = answered.header("access-control-expose-headers").unwrap();
    for header in ["grpc-status", "grpc-message", "retry-after", "x-gosight-receipt"] {
        assert!(
            exposed.split(',').any(|name| name == header),
            "{header} is not in {exposed}"
        );
    }
}

#[tokio::test]
async fn a_replay_chunk_stands_on_its_topic_keyed_by_session() {
    let edge = Edge::start().await;
    let chunk = json!({
        "project_key": KEY, "session_id": "session-7", "chunk_index": 3, "timestamp_start": 1, "timestamp_end": 2,
        "events": [{ "type": 4 }], "has_full_snapshot": true
    });
    let answer = edge.post("/v1/replay", chunk.to_string()).await;
    assert_eq!(
        answer.text, r#"{"success":true,"message":"Chunk received"}"#,
        "{answer:?}"
    );
    assert!(
        answer
            .header("x-gosight-receipt")
            .unwrap()
            .starts_with("gosight.replay.chunks:0:0;batch_id=")
    );
    let record = &edge.log.records(topics::REPLAY)[0];
    assert_eq!(record.key, "session-7");
    let value: Value = serde_json::from_slice(&record.value).unwrap();
    assert_eq!(value["project_id"], PROJECT);
    assert_eq!(value["chunk_index"], 3);
    assert_eq!(value["events"], json!([{ "type": 4 }]));
}

#[tokio::test]
async fn a_refused_chunk_has_the_answer_of_its_route() {
    let edge = Edge::start().await;
    let mut chunk = json!({
        "project_key": "gs_nobody", "session_id": "s", "chunk_index": 0, "timestamp_start": 1, "timestamp_end": 2,
        "events": [], "has_full_snapshot": false
    });
    let answer = edge.post("/v1/replay", chunk.to_string()).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(answer.text, r#"{"success":false,"message":"Invalid API key"}"#);
    chunk["session_id"] = json!("");
    let answer = edge.post("/v1/replay", chunk.to_string()).await;
    assert_eq!(
        (answer.status, answer.header("x-gosight-reason")),
        (400, Some("invalid_field")),
        "{answer:?}"
    );
    assert!(edge.log.records(topics::REPLAY).is_empty());
}

#[tokio::test]
async fn health_and_readiness_answer_on_the_public_port() {
    let edge = Edge::start().await;
    let health = answer(reqwest::Client::new().get(format!("{}/health", edge.http))).await;
    assert_eq!((health.status, health.text.as_str()), (200, "OK"));
    let url = format!("{}/ready", edge.http);
    let becomes = async |status: u16| {
        let waiting = async {
            while reqwest::get(&url).await.unwrap().status() != status {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(DEADLINE, waiting)
            .await
            .unwrap_or_else(|_| panic!("never {status}"));
    };
    becomes(200).await;
    edge.log.fail_with(AppendError::Closed);
    becomes(503).await;
    let report: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
    assert_eq!(report["components"][0]["name"], "log", "{report}");
}
