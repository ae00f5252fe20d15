//! What stands around a batch: its compression, its origin, its address, its request id, its receipt.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use gosight_config::EdgeSettings;
use gosight_proto::EventAck;
use prost::Message;
use reqwest::Method;
use serde_json::json;
use support::frames::{frame, frames};
use support::{Answer, Edge, KEY, answer, batch, json_batch};

const CALL: &str = "/gosight.IngestService/SendBatch";

/// The same bytes `times` in a row, compressed as one.
fn packed(encoding: &str, plain: &[u8], times: usize) -> Vec<u8> {
    fn fill(mut encoder: impl Write, plain: &[u8], times: usize) {
        for _ in 0..times {
            encoder.write_all(plain).unwrap();
        }
        encoder.flush().unwrap();
    }
    let mut out = Vec::new();
    match encoding {
        "gzip" => fill(GzEncoder::new(&mut out, Compression::fast()), plain, times),
        "deflate" => fill(ZlibEncoder::new(&mut out, Compression::fast()), plain, times),
        "raw" => fill(DeflateEncoder::new(&mut out, Compression::fast()), plain, times),
        "br" => fill(brotli::CompressorWriter::new(&mut out, 4096, 4, 22), plain, times),
        "zstd" => fill(zstd::Encoder::new(&mut out, 1).unwrap().auto_finish(), plain, times),
        other => panic!("{other}"),
    }
    out
}

async fn send(edge: &Edge, path: &str, encoding: &str, body: Vec<u8>) -> Answer {
    answer(edge.request(path).header("content-encoding", encoding).body(body)).await
}

#[tokio::test]
async fn each_encoding_is_read_on_both_routes() {
    let edge = Edge::start().await;
    let batch = json_batch(KEY, "s");
    let chunk = json!({
        "project_key": KEY, "session_id": "s", "chunk_index": 0, "timestamp_start": 1, "timestamp_end": 2,
        "events": [{ "type": 4 }], "has_full_snapshot": true
    })
    .to_string();
    for (name, format) in [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("deflate", "raw"),
        ("br", "br"),
        ("zstd", "zstd"),
    ] {
        let answered = send(&edge, "/v1/events", name, packed(format, batch.as_bytes(), 1)).await;
        assert_eq!(answered.status, 200, "{format}: {answered:?}");
        let answered = send(&edge, "/v1/replay", name, packed(format, chunk.as_bytes(), 1)).await;
        assert_eq!(answered.status, 200, "{format}: {answered:?}");
    }
    assert!(edge.log.staged().iter().all(|staged| staged.body == batch));
}

#[tokio::test]
async fn a_bomb_of_each_encoding_is_413() {
    let edge = Edge::start().await;
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        let bomb = packed(encoding, &vec![b' '; 1 << 20], 512);
        let answered = send(&edge, "/v1/events", encoding, bomb).await;
        assert_eq!(
            (answered.status, answered.header("x-gosight-reason")),
            (413, Some("body_too_large")),
            "{encoding}: {answered:?}"
        );
    }
    assert!(edge.log.staged().is_empty());
}

#[tokio::test]
async fn other_encodings_are_told_which_are_supported() {
    let edge = Edge::start().await;
    for encoding in ["compress", "gzip, br", "aws-chunked"] {
        let answered = send(&edge, "/v1/events", encoding, b"{}".to_vec()).await;
        assert_eq!(
            (answered.status, answered.header("x-gosight-reason")),
            (415, Some("unsupported_encoding")),
            "{answered:?}"
        );
        assert_eq!(answered.header("accept-encoding"), Some("gzip, deflate, br, zstd"));
        let text = answered.json()["errors"][0].as_str().unwrap().to_owned();
        assert!(text.contains("gzip, deflate, br, zstd"), "{text}");
    }
}

fn allowing(origins: &[&str]) -> EdgeSettings {
    let mut settings = EdgeSettings::default();
    settings.cors.allowed_origins = origins.iter().map(|origin| origin.parse().unwrap()).collect();
    settings
}

async fn from_origin(edge: &Edge, path: &str, origin: &str) -> Answer {
    let request = edge.request(path).header("origin", origin);
    let request = match path == CALL {
        true => request
            .header("content-type", "application/grpc-web+proto")
            .body(frame(0, &batch(KEY, "s", 1).encode_to_vec())),
        false => request.body(json_batch(KEY, "s")),
    };
    let response = request.send().await.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned(),
    }
}

async fn preflight(edge: &Edge, path: &str, origin: &str) -> Answer {
    let request = reqwest::Client::new()
        .request(Method::OPTIONS, format!("{}{path}", edge.http))
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,x-project-key");
    answer(request).await
}

#[tokio::test]
async fn only_the_configured_origins_may_ask_and_read() {
    let edge = Edge::start_with(allowing(&["https://shop.example", "https://*.shop.example:*"])).await;
    for path in ["/v1/events", "/v1/replay", CALL] {
        for (origin, is_allowed) in [
            ("https://shop.example", true),
            ("https://www.shop.example", true),
            ("https://a.b.shop.example:8443", true),
            ("https://shop.example:8443", false),
            ("http://shop.example", false),
            ("https://evilshop.example", false),
            ("https://shop.example.evil.example", false),
            ("null", false),
        ] {
            let allowed = is_allowed.then_some(origin);
            for answered in [
                from_origin(&edge, path, origin).await,
                preflight(&edge, path, origin).await,
            ] {
                assert_eq!(
                    answered.header("access-control-allow-origin"),
                    allowed,
                    "{path} {origin}"
                );
                let vary = answered.header("vary").unwrap_or_default().to_ascii_lowercase();
                assert!(vary.split(", ").any(|name| name == "origin"), "{path} {origin}: {vary}");
            }
        }
        let asked = preflight(&edge, path, "https://shop.example").await;
        assert_eq!(asked.header("access-control-max-age"), Some("86400"));
    }
}

#[tokio::test]
async fn any_origin_may_ask_and_read_without_credentials() {
    let edge = Edge::start().await;
    for path in ["/v1/events", CALL, "/nowhere"] {
        let answered = from_origin(&edge, path, "https://anywhere.example").await;
        let allowed = answered.header("access-control-allow-origin");
        assert_eq!(allowed, Some("https://anywhere.example"), "{path}");
        assert_eq!(answered.header("access-control-allow-credentials"), None, "{path}");
    }
}

#[tokio::test]
async fn forwarded_addresses_are_believed_from_trusted_proxies_only() {
    let headers = [
        ("x-forwarded-for", "1.2.3.4, 203.0.113.7"),
        ("forwarded", "for=1.2.3.4, for=203.0.113.7"),
        ("x-real-ip", "203.0.113.7"),
    ];
    let spoofed = Edge::start().await;
    let mut settings = EdgeSettings::default();
    settings.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let behind_proxy = Edge::start_with(settings).await;
    for (edge, expected) in [(&spoofed, "127.0.0.1"), (&behind_proxy, "203.0.113.7")] {
        for (name, value) in headers {
            let request = edge.request("/v1/events").header(name, value);
            assert_eq!(answer(request.body(json_batch(KEY, "s"))).await.status, 200);
            let mut request = tonic::Request::new(batch(KEY, "s", 1));
            request.metadata_mut().insert(name, value.parse().unwrap());
            edge.client().await.send_batch(request).await.unwrap();
        }
        let staged = edge.log.staged();
        assert_eq!(staged.len(), 6);
        for batch in staged {
            assert_eq!(batch.client_ip.as_deref(), Some(expected));
        }
    }
}

#[tokio::test]
async fn every_answer_carries_the_request_id_and_pages_may_read_it() {
    let edge = Edge::start().await;
    let client = reqwest::Client::new();
    let url = |path: &str| format!("{}{path}", edge.http);
    let web = "application/grpc-web";
    let web_body = frame(0, &batch("gs_nobody", "s", 1).encode_to_vec());
    for (request, status) in [
        (client.get(url("/health")), 200),
        (client.post(url("/v1/events")).body(json_batch(KEY, "s")), 200),
        (client.post(url("/v1/events?receipt=1")).body(json_batch(KEY, "s")), 200),
        (client.post(url("/v1/events")).body("nonsense"), 400),
        (client.post(url("/v1/events")).body(json_batch("gs_nobody", "s")), 401),
        (client.post(url("/v1/replay")).body("nonsense"), 400),
        (client.get(url("/nowhere")), 404),
        (client.get(url("/v1/events")), 405),
        (client.post(url("/v1/events")).body(vec![b'x'; 5 << 20]), 413),
        (
            client.post(url("/v1/events")).header("content-encoding", "compress"),
            415,
        ),
        (client.get(url("/v1/events")).header("x-long", "x".repeat(40_000)), 431),
        (client.post(url(CALL)).header("content-type", "text/plain"), 415),
        (client.post(url(CALL)).header("content-type", web).body(web_body), 200),
        (
            client
                .post(url("/gosight.IngestService/None"))
                .header("content-type", web),
            200,
        ),
    ] {
        let request = request
            .header("x-request-id", "req-42")
            .header("origin", "https://shop.example");
        let request = request.build().unwrap();
        let name = format!("{} {}", request.method(), request.url());
        let response = client.execute(request).await.unwrap();
        assert_eq!(response.status(), status, "{name}");
        if status == 431 {
            // Where hyper gave up before their end, nobody knows what its headers were.
            let id = &response.headers()["x-request-id"];
            assert!(id == "req-42" || id.len() == 36, "{name}: {id:?}");
            continue;
        }
        assert_eq!(response.headers()["x-request-id"], "req-42", "{name}");
        let exposed = response.headers()["access-control-expose-headers"].to_str().unwrap();
        assert!(
            exposed.split(',').any(|header| header == "x-request-id"),
            "{name}: {exposed}"
        );
    }
    let ack = edge.client().await.send_batch(batch(KEY, "s", 1)).await.unwrap();
    assert_eq!(ack.metadata().get("x-request-id").unwrap().len(), 36);
    let status = edge
        .client()
        .await
        .send_batch(batch("gs_nobody", "s", 1))
        .await
        .unwrap_err();
    assert_eq!(status.metadata().get("x-request-id").unwrap().len(), 36);
}

#[tokio::test]
async fn a_receipt_stands_in_the_answer_where_it_is_asked_for() {
    let edge = Edge::start().await;
    let answered = edge.post("/v1/events?x=y&receipt=1", json_batch(KEY, "s")).await;
    let receipt = answered.header("x-gosight-receipt").unwrap();
    assert_eq!(answered.json()["receipt"], receipt, "{answered:?}");
    for path in ["/v1/events", "/v1/events?receipt=0"] {
        let answered = edge.post(path, json_batch(KEY, "s")).await;
        assert_eq!(
            answered.text,
            r#"{"success":true,"accepted_count":1,"rejected_count":0}"#
        );
    }
    let refused = edge.post("/v1/events?receipt=1", "{}").await;
    assert!(refused.json().get("receipt").is_none(), "{refused:?}");
}

#[tokio::test]
async fn every_ack_carries_its_own_receipt() {
    let edge = Edge::start().await;
    let batches = tokio_stream::iter((1..=3).map(|events| batch(KEY, "s", events)));
    let mut acks = edge.client().await.send_events(batches).await.unwrap().into_inner();
    for offset in 0..3 {
        let ack = acks.message().await.unwrap().unwrap();
        let receipt = ack.receipt.unwrap();
        let batch_id = &edge.log.staged()[offset].batch_id;
        assert_eq!(
            receipt,
            format!("gosight.events.staging:0:{offset};batch_id={batch_id}")
        );
    }
    let body = frame(0, &batch(KEY, "s", 1).encode_to_vec());
    let request = edge
        .request(CALL)
        .header("content-type", "application/grpc-web")
        .body(body);
    let bytes = request.send().await.unwrap().bytes().await.unwrap();
    let ack = EventAck::decode(frames(&bytes)[0].1.as_slice()).unwrap();
    assert!(ack.receipt.unwrap().starts_with("gosight.events.staging:0:3;"));
}
