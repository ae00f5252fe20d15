//! gRPC and gRPC-Web: acks, statuses with their details, streams, replay.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::time::Duration;

use gosight_config::EdgeSettings;
use gosight_eventlog::AppendError;
use gosight_proto::ingest_service_client::IngestServiceClient;
use gosight_proto::{EventAck, EventBatch, ReplayChunk};
use gosight_schemas::{Transport, topics};
use prost::Message;
use support::frames::{frame, frames};
use support::{DEADLINE, Edge, KEY, PROJECT, answer, batch};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Request, Status, Streaming};

/// What details of a status name, as google.rpc has them.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

#[track_caller]
fn assert_refused(status: &Status, code: Code, reason: &str) {
    assert_eq!(status.code(), code, "{status:?}");
    let named = status
        .metadata()
        .get("x-gosight-reason")
        .map(|value| value.to_str().unwrap());
    assert_eq!(named, Some(reason), "{status:?}");
    let details = RpcStatus::decode(status.details()).unwrap().details;
    let info = details
        .iter()
        .find(|any| any.type_url.ends_with("google.rpc.ErrorInfo"));
    assert!(
        info.is_some_and(|any| contains(&any.value, reason.as_bytes())),
        "{details:?}"
    );
    let retry = details.iter().any(|any| any.type_url.ends_with("google.rpc.RetryInfo"));
    let retryable = matches!(
        code,
        Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded
    );
    assert_eq!(retry, retryable, "{details:?}");
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("in time")
}

/// An open SendEvents stream.
struct Open {
    batches: mpsc::Sender<EventBatch>,
    acks: Streaming<EventAck>,
}

impl Open {
    async fn on(edge: &Edge) -> Self {
        let (batches, receiver) = mpsc::channel(64);
        let stream = ReceiverStream::new(receiver);
        let acks = within(edge.client().await.send_events(stream))
            .await
            .unwrap()
            .into_inner();
        Self { batches, acks }
    }

    async fn send(&self, batch: EventBatch) {
        self.batches.send(batch).await.unwrap();
    }

    async fn ack(&mut self) -> Result<Option<EventAck>, Status> {
        within(self.acks.message()).await
    }
}

#[tokio::test]
async fn a_batch_is_staged_with_its_own_bytes_and_has_its_receipt() {
    let edge = Edge::start().await;
    let sent = batch(KEY, "session-1", 2);
    let response = edge.client().await.send_batch(sent.clone()).await.unwrap();
    let staged = &edge.log.staged()[0];
    let receipt = format!("gosight.events.staging:0:0;batch_id={}", staged.batch_id);
    assert_eq!(response.metadata().get("x-gosight-receipt").unwrap(), receipt.as_str());
    let ack = response.into_inner();
    assert_eq!(
        (ack.success, ack.accepted_count, ack.rejected_count),
        (true, 2, 0),
        "{ack:?}"
    );
    assert_eq!(staged.body, sent.encode_to_vec());
    assert_eq!((staged.transport, staged.event_count), (Transport::Grpc, 2));
    assert_eq!(staged.session_id, "session-1");
    assert_eq!(staged.client_ip.as_deref(), Some("127.0.0.1"));
}

#[tokio::test]
async fn grpc_is_answered_on_the_http_port_too() {
    let edge = Edge::start().await;
    let mut client = IngestServiceClient::connect(edge.http.clone()).await.unwrap();
    assert!(
        client
            .send_batch(batch(KEY, "s", 1))
            .await
            .unwrap()
            .into_inner()
            .success
    );
}

#[tokio::test]
async fn a_key_may_stand_in_the_metadata() {
    let edge = Edge::start().await;
    let mut request = Request::new(batch("", "s", 1));
    request.metadata_mut().insert("x-project-key", KEY.parse().unwrap());
    assert!(
        edge.client()
            .await
            .send_batch(request)
            .await
            .unwrap()
            .into_inner()
            .success
    );
    let mut request = Request::new(batch(KEY, "s", 1));
    request
        .metadata_mut()
        .insert("x-project-key", "gs_another".parse().unwrap());
    let status = edge.client().await.send_batch(request).await.unwrap_err();
    assert_refused(&status, Code::InvalidArgument, "key_conflict");
}

#[tokio::test]
async fn bad_keys_are_unauthenticated() {
    let edge = Edge::start().await;
    for (key, reason) in [
        ("", "missing_key"),
        ("abc", "invalid_key"),
        ("k".repeat(10_000).as_str(), "invalid_key"),
    ] {
        let status = edge.client().await.send_batch(batch(key, "s", 1)).await.unwrap_err();
        assert_refused(&status, Code::Unauthenticated, reason);
        assert_eq!(status.message(), "Invalid API key");
    }
    assert!(edge.log.staged().is_empty());
}

#[tokio::test]
async fn what_the_log_refuses_is_a_status_with_a_retry_hint() {
    let in_doubt = AppendError::InDoubt {
        reason: "broker-7 timed out".to_owned(),
    };
    let too_large = AppendError::TooLarge {
        topic: "t".to_owned(),
        size: 2_000,
        limit: 1_000,
    };
    for (error, code, reason) in [
        (in_doubt, Code::Unavailable, "log_unavailable"),
        (
            AppendError::QueueFull { in_flight_bytes: 9 },
            Code::Unavailable,
            "log_busy",
        ),
        (too_large, Code::OutOfRange, "record_too_large"),
    ] {
        let edge = Edge::start().await;
        edge.log.fail_with(error);
        let status = edge.client().await.send_batch(batch(KEY, "s", 1)).await.unwrap_err();
        assert_refused(&status, code, reason);
        assert!(!status.message().contains("broker-7"), "{status:?}");
    }
}

#[tokio::test]
async fn large_messages_are_refused_and_two_megabytes_are_not() {
    let edge = Edge::start().await;
    let mut sent = batch(KEY, "s", 1);
    sent.events[0].event_id = "x".repeat(2 << 20);
    assert!(
        edge.client()
            .await
            .send_batch(sent.clone())
            .await
            .unwrap()
            .into_inner()
            .success
    );
    sent.events[0].event_id = "x".repeat(30 << 20);
    let status = edge.client().await.send_batch(sent.clone()).await.unwrap_err();
    assert_refused(&status, Code::OutOfRange, "body_too_large");
    // The same compressed: small on the wire, and as large when it is read.
    let mut compressing = edge.client().await.send_compressed(CompressionEncoding::Gzip);
    let status = compressing.send_batch(sent).await.unwrap_err();
    assert_refused(&status, Code::OutOfRange, "body_too_large");
    assert!(
        compressing
            .send_batch(batch(KEY, "s", 1))
            .await
            .unwrap()
            .into_inner()
            .success
    );
    assert_eq!(edge.log.staged().len(), 2);
}

#[tokio::test]
async fn calls_count_against_the_bytes_in_flight() {
    let mut settings = EdgeSettings::default();
    settings.limits.bytes_in_flight = "64KiB".parse().unwrap();
    let edge = Edge::start_with(settings).await;
    let mut sent = batch(KEY, "s", 1);
    sent.events[0].event_id = "x".repeat(100 << 10);
    let status = edge.client().await.send_batch(sent).await.unwrap_err();
    assert_refused(&status, Code::Unavailable, "overloaded");
    // What was taken is given back, again and again.
    for _ in 0..100 {
        let mut sent = batch(KEY, "s", 1);
        sent.events[0].event_id = "x".repeat(40 << 10);
        edge.client().await.send_batch(sent).await.unwrap();
    }
}

#[tokio::test]
async fn acks_come_in_order_with_a_refused_batch_among_them() {
    let edge = Edge::start().await;
    let mut stream = Open::on(&edge).await;
    let mut too_long = batch(KEY, "s", 4);
    too_long.session = Some(gosight_proto::SessionMeta {
        session_id: "s".repeat(10_000),
        ..Default::default()
    });
    for sent in [batch(KEY, "s", 1), batch(KEY, "s", 2), too_long, batch(KEY, "s", 3)] {
        stream.send(sent).await;
    }
    let mut acks = Vec::new();
    for _ in 0..4 {
        let ack = stream.ack().await.unwrap().unwrap();
        acks.push((ack.success, ack.accepted_count, ack.errors.len()));
    }
    assert_eq!(acks, [(true, 1, 0), (true, 2, 0), (false, 0, 1), (true, 3, 0)]);
    drop(stream.batches);
    assert_eq!(within(stream.acks.message()).await.unwrap(), None);
    let trailers = within(stream.acks.trailers()).await.unwrap().unwrap();
    let receipt = trailers.get("x-gosight-receipt").unwrap().to_str().unwrap();
    assert!(receipt.starts_with("gosight.events.staging:0:2;batch_id="), "{receipt}");
    let counts: Vec<_> = edge.log.staged().iter().map(|batch| batch.event_count).collect();
    assert_eq!(counts, [1, 2, 3]);
}

#[tokio::test]
async fn batches_are_appended_while_earlier_acks_are_awaited_up_to_the_window() {
    let mut settings = EdgeSettings::default();
    settings.limits.stream_window = 4;
    let edge = Edge::start_with(settings).await;
    edge.log.hold_after(0);
    let mut stream = Open::on(&edge).await;
    for events in 1..=10 {
        stream.send(batch(KEY, "s", events)).await;
    }
    edge.log.reaches(topics::STAGING, 4).await;
    let early = tokio::time::timeout(Duration::from_millis(200), stream.acks.message()).await;
    assert!(early.is_err(), "an ack before the record is durable: {early:?}");
    assert_eq!(edge.log.staged().len(), 4, "more than the window");
    edge.log.hold_after(i64::MAX);
    for events in 1..=10 {
        assert_eq!(stream.ack().await.unwrap().unwrap().accepted_count, events);
    }
}

#[tokio::test]
async fn a_key_that_is_not_valid_ends_the_stream_after_the_acks_before() {
    let edge = Edge::start().await;
    let mut stream = Open::on(&edge).await;
    stream.send(batch(KEY, "s", 1)).await;
    stream.send(batch("gs_nobody", "s", 2)).await;
    stream.send(batch(KEY, "s", 3)).await;
    assert_eq!(stream.ack().await.unwrap().unwrap().accepted_count, 1);
    assert_refused(&stream.ack().await.unwrap_err(), Code::Unauthenticated, "invalid_key");
    assert_eq!(edge.log.staged().len(), 1);
}

#[tokio::test]
async fn a_stream_is_acknowledged_and_told_when_the_edge_stops() {
    let edge = Edge::start().await;
    edge.log.hold_after(1);
    let mut stream = Open::on(&edge).await;
    stream.send(batch(KEY, "s", 1)).await;
    stream.send(batch(KEY, "s", 2)).await;
    assert_eq!(stream.ack().await.unwrap().unwrap().accepted_count, 1);
    edge.log.reaches(topics::STAGING, 2).await;
    edge.shutdown.begin();
    edge.log.hold_after(2);
    assert_eq!(stream.ack().await.unwrap().unwrap().accepted_count, 2);
    assert_refused(&stream.ack().await.unwrap_err(), Code::Unavailable, "shutting_down");
    edge.stop().await;
}

fn chunk(index: i32, data: &[u8]) -> ReplayChunk {
    ReplayChunk {
        chunk_index: index,
        timestamp_start: 1,
        timestamp_end: 2,
        data: data.to_vec().into(),
        has_full_snapshot: index == 0,
        project_key: None,
        session_id: None,
    }
}

fn replay(chunks: Vec<ReplayChunk>) -> Request<impl tokio_stream::Stream<Item = ReplayChunk>> {
    let mut request = Request::new(tokio_stream::iter(chunks));
    request.metadata_mut().insert("x-project-key", KEY.parse().unwrap());
    request
        .metadata_mut()
        .insert("x-session-id", "session-9".parse().unwrap());
    request
}

#[tokio::test]
async fn replay_chunks_stand_in_order_under_their_session() {
    let edge = Edge::start().await;
    let chunks = vec![chunk(0, b"[]"), chunk(1, br#"[{"type":3}]"#)];
    let response = edge.client().await.send_replay(replay(chunks)).await.unwrap();
    let receipt = response.metadata().get("x-gosight-receipt").unwrap().to_str().unwrap();
    assert!(receipt.starts_with("gosight.replay.chunks:0:1;"), "{receipt}");
    assert!(response.into_inner().success);
    let records = edge.log.records(topics::REPLAY);
    let indexes: Vec<_> = records
        .iter()
        .map(|record| serde_json::from_slice::<serde_json::Value>(&record.value).unwrap()["chunk_index"].clone())
        .collect();
    assert_eq!(indexes, [0, 1]);
    assert!(records.iter().all(|record| record.key == "session-9"));
    let value: serde_json::Value = serde_json::from_slice(&records[0].value).unwrap();
    assert_eq!(value["project_id"], PROJECT);
}

#[tokio::test]
async fn replay_stops_at_the_first_chunk_that_is_not_stored_and_names_the_last_that_is() {
    let edge = Edge::start().await;
    let chunks = vec![chunk(5, b"[]"), chunk(6, b"[]"), chunk(7, b"{}"), chunk(8, b"[]")];
    let status = edge.client().await.send_replay(replay(chunks)).await.unwrap_err();
    assert_refused(&status, Code::InvalidArgument, "invalid_replay");
    assert!(status.message().ends_with("the last stored chunk is 6"), "{status:?}");
    assert_eq!(
        edge.log.records(topics::REPLAY).len(),
        2,
        "nothing after the refused chunk"
    );

    edge.log.fail_with(AppendError::InDoubt { reason: String::new() });
    let status = edge
        .client()
        .await
        .send_replay(replay(vec![chunk(7, b"[]")]))
        .await
        .unwrap_err();
    assert_refused(&status, Code::Unavailable, "log_unavailable");
    assert!(
        status.message().ends_with("no chunk of this call is stored"),
        "{status:?}"
    );
}

#[tokio::test]
async fn a_chunk_without_a_session_is_refused() {
    let edge = Edge::start().await;
    let mut nameless = chunk(0, b"[]");
    nameless.project_key = Some(KEY.to_owned());
    let stream = tokio_stream::iter([nameless.clone()]);
    let status = edge.client().await.send_replay(stream).await.unwrap_err();
    assert_refused(&status, Code::InvalidArgument, "invalid_field");
    nameless.session_id = Some("by field".to_owned());
    let stream = tokio_stream::iter([nameless]);
    assert!(
        edge.client()
            .await
            .send_replay(stream)
            .await
            .unwrap()
            .into_inner()
            .success
    );
    assert_eq!(edge.log.records(topics::REPLAY)[0].key, "by field");
}

/// A gRPC-Web call over HTTP/1.1: the trailers as text, and the messages.
async fn web_call(url: &str, content_type: &str, body: Vec<u8>) -> (String, Vec<Vec<u8>>) {
    let request = reqwest::Client::new()
        .post(format!("{url}/gosight.IngestService/SendBatch"))
        .header("content-type", content_type)
        .header("x-grpc-web", "1")
        .body(body);
    let response = request.timeout(DEADLINE).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut trailers = String::new();
    for (name, value) in response.headers() {
        trailers.push_str(&format!("{name}:{}\r\n", value.to_str().unwrap()));
    }
    let mut messages = Vec::new();
    for (flag, message) in frames(&response.bytes().await.unwrap()) {
        match flag {
            0x80 => trailers.push_str(&String::from_utf8(message).unwrap()),
            _ => messages.push(message),
        }
    }
    (trailers, messages)
}

#[tokio::test]
async fn grpc_web_works_over_http_1_on_both_ports() {
    let edge = Edge::start().await;
    for (url, content_type) in [
        (&edge.http, "application/grpc-web+proto"),
        (&edge.grpc, "application/grpc-web"),
        (&edge.grpc, "application/grpc-web+proto; charset=utf-8"),
    ] {
        let body = frame(0, &batch(KEY, "s", 1).encode_to_vec());
        let (trailers, messages) = web_call(url, content_type, body).await;
        let ack = EventAck::decode(messages[0].as_slice()).unwrap();
        assert_eq!((ack.success, ack.accepted_count), (true, 1));
        assert!(trailers.contains("grpc-status:0"), "{trailers}");
        assert!(
            trailers.contains("x-gosight-receipt:gosight.events.staging:0:"),
            "{trailers}"
        );
    }
    assert!(
        edge.log
            .staged()
            .iter()
            .all(|batch| batch.transport == Transport::GrpcWeb)
    );
}

#[tokio::test]
async fn broken_frames_and_messages_are_refused_by_name() {
    let edge = Edge::start().await;
    let random: Vec<u8> = (0..997_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let whole = frame(0, &batch(KEY, "s", 1).encode_to_vec());
    for (body, code, reason) in [
        (frame(0, &random), 3, "invalid_protobuf"),
        (frame(0, b""), 16, "missing_key"),
        (Vec::new(), 3, "broken_request"),
        (whole[..whole.len() - 3].to_vec(), 3, "broken_request"),
        (frame(7, b"flag"), 3, "broken_request"),
        (frame(1, b"not announced"), 3, "broken_request"),
        (vec![0, 0xff, 0xff, 0xff, 0xff, 1], 11, "body_too_large"),
    ] {
        let (trailers, messages) = web_call(&edge.http, "application/grpc-web", body.clone()).await;
        let start = &body[..body.len().min(12)];
        assert!(messages.is_empty(), "{start:?}");
        assert!(
            trailers.contains(&format!("grpc-status:{code}\r\n")),
            "{start:?}: {trailers}"
        );
        assert!(
            trailers.contains(&format!("x-gosight-reason:{reason}\r\n")),
            "{start:?}: {trailers}"
        );
    }
    assert!(edge.log.staged().is_empty());
}

#[tokio::test]
async fn truncated_gzip_and_unknown_compressions_are_refused_by_name() {
    let edge = Edge::start().await;
    let call = |encoding: &'static str| {
        reqwest::Client::new()
            .post(format!("{}/gosight.IngestService/SendBatch", edge.http))
            .header("content-type", "application/grpc-web")
            .header("grpc-encoding", encoding)
            .body(frame(1, &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1]))
    };
    for (encoding, code, reason) in [
        ("gzip", "3", "invalid_compression"),
        ("br", "12", "unsupported_encoding"),
    ] {
        let answer = answer(call(encoding)).await;
        assert_eq!(answer.header("grpc-status"), Some(code), "{answer:?}");
        assert_eq!(answer.header("x-gosight-reason"), Some(reason), "{answer:?}");
    }
}

#[tokio::test]
async fn a_method_that_does_not_exist_is_unimplemented() {
    let edge = Edge::start().await;
    let request = reqwest::Client::new()
        .post(format!("{}/gosight.IngestService/SendNothing", edge.http))
        .header("content-type", "application/grpc-web")
        .body(frame(0, b""));
    let answer = answer(request).await;
    assert_eq!(answer.header("grpc-status"), Some("12"), "{answer:?}");
    assert_eq!(answer.header("x-gosight-reason"), Some("not_found"), "{answer:?}");
}
