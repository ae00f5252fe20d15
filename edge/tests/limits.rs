//! Every limit of the configuration, met through the public door.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

use gosight_config::EdgeSettings;
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::{DEADLINE, Edge, KEY, answer, batch, json_batch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

/// What the server says until it closes.
async fn said(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    tokio::time::timeout(DEADLINE, stream.read_to_string(&mut text))
        .await
        .expect("the connection is closed in time")
        .unwrap();
    text
}

async fn connect(edge: &Edge) -> TcpStream {
    let address = edge.http.trim_start_matches("http://");
    TcpStream::connect(address).await.unwrap()
}

async fn exchange(edge: &Edge, request: &[u8]) -> String {
    let mut stream = connect(edge).await;
    stream.write_all(request).await.unwrap();
    said(&mut stream).await
}

#[track_caller]
fn assert_refused(text: &str, status: &str, reason: &str) {
    assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
    assert!(text.contains(&format!("\r\nx-gosight-reason: {reason}\r\n")), "{text}");
    assert!(text.contains("\r\nx-request-id: "), "{text}");
    assert!(text.contains("\r\ncontent-type: application/json\r\n"), "{text}");
    let body = text.split_once("\r\n\r\n").unwrap().1;
    let json: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(json["success"], false, "{text}");
    assert!(json["errors"][0].is_string(), "{text}");
}

/// Of what was read, the head and the body that it declares.
async fn read_answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let whole = async {
        loop {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            text.push(byte[0]);
            if text.ends_with(b"\r\n\r\n") {
                break;
            }
        }
        let head = String::from_utf8(text.clone()).unwrap();
        let length = head.split("content-length: ").nth(1).unwrap();
        let mut body = vec![0; length.split("\r\n").next().unwrap().parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        text.extend(body);
    };
    tokio::time::timeout(DEADLINE, whole).await.expect("an answer in time");
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn headers_over_the_limit_are_431_whatever_their_size() {
    let mut settings = EdgeSettings::default();
    settings.limits.header = "4KiB".parse().unwrap();
    let edge = Edge::start_with(settings).await;
    for length in [4_200, 9_000, 1 << 20] {
        let request = format!(
            "GET /health HTTP/1.1\r\nhost: edge\r\nx-long: {}\r\n\r\n",
            "x".repeat(length)
        );
        let mut stream = connect(&edge).await;
        let (mut reader, mut writer) = stream.split();
        // The client goes on sending what is not read any more; its answer must not be lost over that.
        let sending = async {
            let _ = writer.write_all(request.as_bytes()).await;
            let _ = writer.shutdown().await;
        };
        let mut text = String::new();
        let (_, read) = tokio::join!(sending, reader.read_to_string(&mut text));
        read.unwrap();
        assert_refused(&text, "431", "header_too_large");
    }
    let path = format!("/{}", "p".repeat(5_000));
    let request = edge.request(&path).body("{}");
    assert_eq!(answer(request).await.status, 431);
    let fits = edge.request("/v1/events").header("x-long", "x".repeat(3_000));
    assert_eq!(answer(fits.body(json_batch(KEY, "s"))).await.status, 200);
}

#[tokio::test]
async fn headers_over_the_limit_are_refused_over_http_2_and_grpc() {
    let mut settings = EdgeSettings::default();
    settings.limits.header = "16KiB".parse().unwrap();
    let edge = Edge::start_with(settings).await;
    let io = TokioIo::new(connect(&edge).await);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = http::Request::post(format!("{}/v1/events", edge.http))
        .header("x-long", "x".repeat(20_000))
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 431);
    assert_eq!(response.headers()["x-gosight-reason"], "header_too_large");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"{\"success\":false"), "{body:?}");

    let mut request = tonic::Request::new(batch(KEY, "s", 1));
    request
        .metadata_mut()
        .insert("x-long", "x".repeat(20_000).parse().unwrap());
    let status = edge.client().await.send_batch(request).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert_eq!(status.metadata().get("x-gosight-reason").unwrap(), "header_too_large");
    assert!(edge.log.staged().is_empty());
}

#[tokio::test]
async fn what_is_no_http_is_400_as_json() {
    let edge = Edge::start().await;
    for nonsense in [
        "hello\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /health HTTP/1.1\r\nbad header\r\n\r\n",
        "GET /\u{1}bad HTTP/1.1\r\nhost: edge\r\n\r\n",
    ] {
        assert_refused(&exchange(&edge, nonsense.as_bytes()).await, "400", "broken_request");
    }
}

#[tokio::test]
async fn headers_that_drip_are_408() {
    let mut settings = EdgeSettings::default();
    settings.limits.header_timeout = Duration::from_millis(300);
    let edge = Edge::start_with(settings).await;
    let mut stream = connect(&edge).await;
    stream.write_all(b"POST /v1/events HTTP/1.1\r\n").await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let began = Instant::now();
    let dripping = tokio::spawn(async move {
        // Each drop comes well within the limit; it is the whole that counts.
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    });
    let mut text = Vec::new();
    let mut end = tokio::time::timeout(DEADLINE, reader.read_to_end(&mut text)).await;
    // A drop that met the closed socket resets it behind the answer.
    if let Ok(Err(_)) = end {
        end = Ok(Ok(0));
    }
    end.expect("the connection is closed").unwrap();
    assert_refused(&String::from_utf8(text).unwrap(), "408", "header_timeout");
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    dripping.await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_outlives_the_header_timeout_and_is_closed_after_its_own() {
    let mut settings = EdgeSettings::default();
    settings.limits.header_timeout = Duration::from_millis(200);
    settings.limits.idle_timeout = Duration::from_millis(1_000);
    let edge = Edge::start_with(settings).await;
    let mut stream = connect(&edge).await;
    let request = b"GET /health HTTP/1.1\r\nhost: edge\r\n\r\n";
    stream.write_all(request).await.unwrap();
    assert!(read_answer(&mut stream).await.ends_with("OK"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    stream.write_all(request).await.unwrap();
    assert!(read_answer(&mut stream).await.ends_with("OK"));
    let began = Instant::now();
    assert_eq!(said(&mut stream).await, "");
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_request_that_takes_long_is_not_idle() {
    let mut settings = EdgeSettings::default();
    settings.limits.header_timeout = Duration::from_millis(100);
    settings.limits.idle_timeout = Duration::from_millis(100);
    let edge = Edge::start_with(settings).await;
    edge.log.hold_after(0);
    let waiting = tokio::spawn(answer(edge.request("/v1/events").body(json_batch(KEY, "s"))));
    let mut client = edge.client().await;
    let call = tokio::spawn(async move { client.send_batch(batch(KEY, "s", 1)).await });
    edge.log.reaches(gosight_schemas::topics::STAGING, 2).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    edge.log.hold_after(i64::MAX);
    assert_eq!(waiting.await.unwrap().status, 200);
    assert!(call.await.unwrap().unwrap().into_inner().success);
}

#[tokio::test]
async fn an_idle_http_2_connection_is_told_to_go() {
    let mut settings = EdgeSettings::default();
    settings.limits.idle_timeout = Duration::from_millis(300);
    let edge = Edge::start_with(settings).await;
    let io = TokioIo::new(connect(&edge).await);
    let (sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, http_body_util::Empty<bytes::Bytes>>(TokioExecutor::new(), io)
            .await
            .unwrap();
    let ended = tokio::time::timeout(DEADLINE, connection).await;
    ended
        .expect("the connection is closed")
        .expect("by GOAWAY, without an error");
    drop(sender);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_one_to_end() {
    let mut settings = EdgeSettings::default();
    settings.limits.connections = 1;
    let edge = Edge::start_with(settings).await;
    let mut first = connect(&edge).await;
    let request = b"GET /health HTTP/1.1\r\nhost: edge\r\n\r\n";
    first.write_all(request).await.unwrap();
    read_answer(&mut first).await;
    let mut second = connect(&edge).await;
    second.write_all(request).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(200), second.readable()).await;
    assert!(early.is_err(), "the second is served beside the first");
    drop(first);
    assert!(read_answer(&mut second).await.ends_with("OK"));
}

#[tokio::test]
async fn bodies_batches_and_bytes_in_flight_are_bounded() {
    let mut settings = EdgeSettings::default();
    settings.limits.body = "1KiB".parse().unwrap();
    settings.limits.events_per_batch = 2;
    let edge = Edge::start_with(settings.clone()).await;
    let body = |bytes: usize| format!(r#"{{"project_key":"{KEY}","events":["{}"]}}"#, "x".repeat(bytes));
    assert_eq!(edge.post("/v1/events", body(900)).await.status, 200);
    let large = edge.post("/v1/events", body(1_024)).await;
    assert_eq!(
        (large.status, large.header("x-gosight-reason")),
        (413, Some("body_too_large"))
    );
    assert!(
        large.json()["errors"][0].as_str().unwrap().contains("1024 bytes"),
        "{large:?}"
    );
    let many = format!(r#"{{"project_key":"{KEY}","events":[1,2,3]}}"#);
    let many = edge.post("/v1/events", many).await;
    assert_eq!(
        (many.status, many.header("x-gosight-reason")),
        (413, Some("too_many_events"))
    );
    let status = edge.client().await.send_batch(batch(KEY, "s", 3)).await.unwrap_err();
    assert_eq!(status.metadata().get("x-gosight-reason").unwrap(), "too_many_events");

    settings.limits.bytes_in_flight = "1KiB".parse().unwrap();
    let edge = Edge::start_with(settings).await;
    edge.log.hold_after(0);
    let holding = tokio::spawn(answer(edge.request("/v1/events").body(body(600))));
    edge.log.reaches(gosight_schemas::topics::STAGING, 1).await;
    let refused = edge.post("/v1/events", body(600)).await;
    assert_eq!(
        (refused.status, refused.header("x-gosight-reason")),
        (503, Some("overloaded"))
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    edge.log.hold_after(i64::MAX);
    assert_eq!(holding.await.unwrap().status, 200);
    assert_eq!(edge.post("/v1/events", body(600)).await.status, 200);
}
