//! The end of a process: whoever is being served gets the answer, whoever is idle does not hold it up.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

use gosight_config::EdgeSettings;
use gosight_schemas::topics;
use support::{DEADLINE, Edge, KEY, answer, batch, json_batch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Well below every time limit that could end the edge for another reason.
const SOON: Duration = Duration::from_secs(3);

#[tokio::test]
async fn requests_in_flight_get_their_answer_and_new_ones_no_connection() {
    let edge = Edge::start().await;
    edge.log.hold_after(0);
    let request = edge.request("/v1/events").body(json_batch(KEY, "s"));
    let http = tokio::spawn(answer(request));
    let mut client = edge.client().await;
    let grpc = tokio::spawn(async move { client.send_batch(batch(KEY, "s", 1)).await });
    edge.log.reaches(topics::STAGING, 2).await;
    edge.shutdown.begin();
    let address = edge.http.trim_start_matches("http://").to_owned();
    let closed = async { while TcpStream::connect(&address).await.is_ok() {} };
    tokio::time::timeout(DEADLINE, closed)
        .await
        .expect("the port is closed");
    edge.log.hold_after(i64::MAX);
    assert_eq!(http.await.unwrap().status, 200);
    assert!(grpc.await.unwrap().unwrap().into_inner().success);
    edge.stop().await;
}

#[tokio::test]
async fn idle_connections_do_not_hold_it_up() {
    let edge = Edge::start().await;
    let address = edge.http.trim_start_matches("http://");
    let _silent = TcpStream::connect(address).await.unwrap();
    let mut kept_alive = TcpStream::connect(address).await.unwrap();
    kept_alive
        .write_all(b"GET /health HTTP/1.1\r\nhost: edge\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    kept_alive.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let mut client = edge.client().await;
    client.send_batch(batch(KEY, "s", 1)).await.unwrap();
    let began = Instant::now();
    edge.stop().await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test]
async fn who_does_not_end_in_time_is_cut() {
    let mut settings = EdgeSettings::default();
    settings.server.shutdown_timeout = Duration::from_millis(200);
    let edge = Edge::start_with(settings).await;
    edge.log.hold_after(0);
    let request = edge.request("/v1/events").body(json_batch(KEY, "s"));
    let cut = tokio::spawn(request.send());
    edge.log.reaches(topics::STAGING, 1).await;
    let began = Instant::now();
    edge.stop().await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(cut.await.unwrap().is_err(), "no false answer");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_not_kept() {
    let mut settings = EdgeSettings::default();
    settings.limits.header_timeout = Duration::from_millis(200);
    let edge = Edge::start_with(settings).await;
    for said in [&b""[..], b"POST /v1/events HTTP/1.1\r\nhost: "] {
        let mut stream = TcpStream::connect(edge.http.trim_start_matches("http://"))
            .await
            .unwrap();
        stream.write_all(said).await.unwrap();
        let mut rest = Vec::new();
        let read = tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "after {said:?} it is still open");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let mut settings = EdgeSettings::default();
    settings.limits.connections = 1;
    let edge = Edge::start_with(settings).await;
    let address = edge.http.trim_start_matches("http://").to_owned();
    let ask = b"GET /health HTTP/1.1\r\nhost: edge\r\n\r\n";
    let mut first = TcpStream::connect(&address).await.unwrap();
    first.write_all(ask).await.unwrap();
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.unwrap();
    let mut second = TcpStream::connect(&address).await.unwrap();
    second.write_all(ask).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(200), second.read_exact(&mut answer)).await;
    assert!(early.is_err(), "a second connection was served");
    drop(first);
    tokio::time::timeout(DEADLINE, second.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}
