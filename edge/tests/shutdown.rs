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

/// Asks for `/health` and gives the answer, whole.
async fn ask_for_health(stream: &mut TcpStream) -> String {
    let ask = b"GET /health HTTP/1.1\r\nhost: edge\r\n\r\n";
    stream.write_all(ask).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nOK") {
        let read = tokio::time::timeout(DEADLINE, stream.read_buf(&mut answer)).await;
        assert_ne!(read.unwrap().unwrap(), 0, "no answer but {answer:?}");
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_kept_alive_connection_is_served_once_more_and_told_that_it_was_the_last() {
    const LAST: &str = "connection: close\r\n";
    let edge = Edge::start().await;
    let address = edge.http.trim_start_matches("http://").to_owned();
    let mut kept_alive = TcpStream::connect(&address).await.unwrap();
    assert!(!ask_for_health(&mut kept_alive).await.contains(LAST));
    // Another two: one has asked before, the other has not said anything yet.
    let mut second = TcpStream::connect(&address).await.unwrap();
    ask_for_health(&mut second).await;
    let mut silent = TcpStream::connect(&address).await.unwrap();
    edge.shutdown.begin();
    while !ask_for_health(&mut kept_alive).await.contains(LAST) {}
    for stream in [&mut second, &mut silent] {
        assert!(ask_for_health(stream).await.contains(LAST));
    }
    for mut stream in [kept_alive, second, silent] {
        assert_eq!(
            stream.read(&mut [0]).await.unwrap(),
            0,
            "the connection has ended in order"
        );
    }
    let late = tokio::time::timeout(DEADLINE, TcpStream::connect(&address))
        .await
        .unwrap();
    assert_eq!(late.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    edge.stop().await;
}

#[tokio::test]
async fn a_body_that_is_still_arriving_is_refused_while_there_is_time_for_an_answer() {
    let edge = Edge::start().await;
    let mut stream = TcpStream::connect(edge.http.trim_start_matches("http://"))
        .await
        .unwrap();
    let part = b"POST /v1/events HTTP/1.1\r\nhost: edge\r\ncontent-length: 1000\r\n\r\n{\"events\":";
    stream.write_all(part).await.unwrap();
    edge.shutdown.begin();
    let mut answer = String::new();
    let read = tokio::time::timeout(DEADLINE, stream.read_to_string(&mut answer)).await;
    read.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    for header in ["x-gosight-reason: shutting_down", "retry-after: 1", "connection: close"] {
        assert!(answer.contains(header), "{answer}");
    }
    edge.stop().await;
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
    for said in [&b""[..], b"POST /v1/events HTTP/1.1\r\nhost: ", b"PRI * HTTP/2.0\r\n"] {
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
