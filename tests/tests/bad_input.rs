//! Everything that a stranger may send, to the running pipeline over HTTP and gRPC: a clear status on every one, no crash, bounded
//! memory, and afterwards the staging topic holds exactly what was acknowledged.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use gosight_eventlog::EventLog;
use gosight_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
use gosight_proto::ingest_service_client::IngestServiceClient;
use gosight_proto::{Event, EventBatch, EventType, SessionMeta};
use gosight_tests::dev::Dev;
use gosight_tests::events::{batch, now_ms, page_view};
use gosight_tests::topic;
use prost::Message;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::Code;

const KEY: &str = "gs_test_key";
const DEADLINE: Duration = Duration::from_secs(30);
/// What the process may have grown by after 30 MB bodies and bombs of 1 GB, KiB.
const GROWTH: u64 = 200 * 1024;

/// How many records stand on each topic.
#[derive(Debug, Default, PartialEq, Eq)]
struct Books {
    staged: usize,
    raw: usize,
    errors: usize,
}

/// What it is, its body, its headers, and the status that it must get.
type Refused<'a> = (&'a str, Vec<u8>, Vec<(&'a str, &'a str)>, u16);

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// About 1 MB that becomes 1 GB.
fn bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..1024 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

async fn post(dev: &Dev, body: impl Into<reqwest::Body>, headers: &[(&str, &str)]) -> (u16, Value) {
    let mut request = reqwest::Client::new()
        .post(format!("{}/v1/events", dev.http))
        .body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

fn resident_kib(dev: &Dev) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", dev.process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Waits until the enricher has settled everything that was staged, and counts.
async fn books(dev: Dev, data: &TempDir, expected: &Books) {
    let log = EmbeddedLog::open(data.path(), EmbeddedOptions::default())
        .await
        .unwrap();
    let log: &dyn EventLog = &*log;
    topic::at_least(log, "gosight.events.raw", expected.raw, DEADLINE).await;
    topic::at_least(log, "gosight.events.errors", expected.errors, DEADLINE).await;
    let found = Books {
        staged: topic::all(log, "gosight.events.staging").await.len(),
        raw: topic::all(log, "gosight.events.raw").await.len(),
        errors: topic::all(log, "gosight.events.errors").await.len(),
    };
    assert_eq!(&found, expected);
    assert!(!dev.process.output().contains("panicked"), "{}", dev.process.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http() {
    let data = TempDir::new().unwrap();
    let dev = Dev::start(data.path()).await;
    let before = resident_kib(&dev);
    let keyed = |key: &str| batch(key, "s", &[page_view()]).to_string();
    let with_events = |events: &str| format!(r#"{{"project_key":"{KEY}","session_id":"s","events":{events}}}"#);
    let large = with_events(&format!(
        r#"[{{"type":"page_view","timestamp":{},"payload":{{"x":"{}"}}}}]"#,
        now_ms(),
        "x".repeat(2 << 20)
    ));
    let good = keyed(KEY);
    let cut = gzip(good.as_bytes());

    // Refused: nothing of them is staged.
    let refused: Vec<Refused<'_>> = vec![
        ("no JSON", b"events=1".to_vec(), vec![], 400),
        ("empty", vec![], vec![], 400),
        ("empty object", b"{}".to_vec(), vec![], 400),
        ("no object", b"[[[[[]]]]]".to_vec(), vec![], 400),
        (
            "garbage in place of events",
            with_events(r#"{"a":[{"b":[{}]}]}"#).into(),
            vec![],
            400,
        ),
        ("NaN", with_events(r#"[{"timestamp":NaN}]"#).into(), vec![], 400),
        ("deep", vec![b'['; 100_000], vec![], 400),
        ("unknown key", keyed("gs_nobody_has_this_key").into(), vec![], 401),
        ("key of 0", keyed("").into(), vec![], 401),
        ("key of 3", keyed("gs_").into(), vec![], 401),
        ("key of 10,000", keyed(&"k".repeat(10_000)).into(), vec![], 401),
        ("a valid key's beginning", keyed("gs_test_key_").into(), vec![], 401),
        ("30 MB", vec![b' '; 30 << 20], vec![], 413),
        ("a bomb", bomb(), vec![], 413),
        ("a named bomb", bomb(), vec![("content-encoding", "gzip")], 413),
        ("truncated gzip", cut[..cut.len() / 2].to_vec(), vec![], 400),
        ("no gzip", good.clone().into(), vec![("content-encoding", "gzip")], 400),
        (
            "an unknown encoding",
            good.clone().into(),
            vec![("content-encoding", "lzma")],
            415,
        ),
        (
            "random protobuf",
            vec![0xff, 0x07, 0x9e, 0x31, 0x00, 0xca],
            vec![("content-type", "application/x-protobuf")],
            400,
        ),
    ];
    for (what, body, headers, expected) in refused {
        let (status, answer) = post(&dev, body, &headers).await;
        assert_eq!(status, expected, "{what}: {answer}");
        assert_eq!(answer["success"], false, "{what}: {answer}");
        assert!(!answer["errors"][0].as_str().unwrap().is_empty(), "{what}: {answer}");
    }
    assert_eq!(post(&dev, "nothing", &[]).await.1["errors"], json!(["Invalid JSON"]));
    assert_eq!(
        post(&dev, keyed("gs_nobody"), &[]).await.1["errors"],
        json!(["Invalid API key"])
    );

    // Accepted, and the enricher decides.
    let now = now_ms();
    let unlike = |fields: &str| with_events(&format!(r#"[{{"type":"page_view","timestamp":{now}{fields}}}]"#));
    let accepted: Vec<(&str, Vec<u8>, Books)> = vec![
        (
            "null",
            with_events("[null]").into(),
            Books {
                staged: 1,
                raw: 0,
                errors: 1,
            },
        ),
        (
            "no events",
            with_events("[]").into(),
            Books {
                staged: 1,
                raw: 0,
                errors: 0,
            },
        ),
        (
            "unknown type",
            with_events(&format!(r#"[{{"type":"x","timestamp":{now}}}]"#)).into(),
            Books {
                staged: 1,
                raw: 0,
                errors: 1,
            },
        ),
        (
            "timestamp 0",
            with_events(r#"[{"type":"page_view","timestamp":0}]"#).into(),
            Books {
                staged: 1,
                raw: 0,
                errors: 1,
            },
        ),
        (
            "an id that is no UUID",
            unlike(r#","event_id":"e-1""#).into(),
            Books {
                staged: 1,
                raw: 1,
                errors: 0,
            },
        ),
        (
            "1e999",
            unlike(r#","event_id":"e-2","payload":{"x":1e999}"#).into(),
            Books {
                staged: 1,
                raw: 0,
                errors: 1,
            },
        ),
        (
            "a lone surrogate",
            unlike(r#","event_id":"e-3","payload":{"x":"\ud800"}"#).into(),
            Books {
                staged: 1,
                raw: 0,
                errors: 1,
            },
        ),
        (
            "2 MB",
            large.into(),
            Books {
                staged: 1,
                raw: 0,
                errors: 1,
            },
        ),
        (
            "unnamed gzip",
            gzip(good.as_bytes()),
            Books {
                staged: 1,
                raw: 1,
                errors: 0,
            },
        ),
    ];
    let mut expected = Books::default();
    for (what, body, books) in accepted {
        let (status, answer) = post(&dev, body, &[]).await;
        assert_eq!((status, &answer["success"]), (200, &json!(true)), "{what}: {answer}");
        expected.staged += books.staged;
        expected.raw += books.raw;
        expected.errors += books.errors;
    }
    let grown = resident_kib(&dev) - before;
    assert!(grown < GROWTH, "the process grew by {grown} KiB");
    books(dev, &data, &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_grpc() {
    let data = TempDir::new().unwrap();
    let dev = Dev::start(data.path()).await;
    let channel = tonic::transport::Endpoint::new(format!("http://{}", dev.grpc))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let client = IngestServiceClient::new(channel).max_encoding_message_size(64 << 20);
    let send = async |batch: EventBatch| client.clone().send_batch(batch).await.map(tonic::Response::into_inner);
    let page_view = |id: &str| Event {
        event_id: id.to_owned(),
        r#type: EventType::PageView.into(),
        timestamp: now_ms(),
        ..Event::default()
    };
    let of = |key: &str, events: Vec<Event>| EventBatch {
        project_key: key.to_owned(),
        session: Some(SessionMeta {
            session_id: "s".to_owned(),
            ..SessionMeta::default()
        }),
        events,
        sent_at: now_ms(),
    };
    for key in ["", "gs_", "gs_test_key_", "gs_nobody_has_this_key", &"k".repeat(10_000)] {
        let status = send(of(key, vec![page_view("")])).await.unwrap_err();
        assert_eq!(
            status.code(),
            Code::Unauthenticated,
            "a key of {} characters: {status}",
            key.len()
        );
    }
    let status = send(of(KEY, vec![page_view(&"x".repeat(30 << 20))])).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted),
        "{status}"
    );

    let mut large = page_view("");
    large.payload = Some(gosight_proto::event::Payload::Custom(gosight_proto::CustomEvent {
        name: "x".repeat(2 << 20),
        ..Default::default()
    }));
    let ancient = Event {
        timestamp: 0,
        ..page_view("")
    };
    let untyped = Event {
        r#type: 0,
        ..page_view("")
    };
    let unheard_of = Event {
        r#type: 4711,
        ..page_view("")
    };
    let ack = send(of(KEY, vec![page_view("e-1"), ancient, untyped, unheard_of, large]))
        .await
        .unwrap();
    assert_eq!(
        (ack.success, ack.accepted_count, ack.rejected_count),
        (true, 5, 0),
        "{ack:?}"
    );

    // Bytes that are no event, in a batch that is one: its neighbours come out.
    let mut bytes = of(KEY, vec![page_view("e-2")]).encode_to_vec();
    bytes.extend([0x1a, 0x03, 0xff, 0xff, 0xff]);
    let (status, answer) = post(&dev, bytes, &[(CONTENT_TYPE.as_str(), "application/x-protobuf")]).await;
    assert_eq!((status, &answer["accepted_count"]), (200, &json!(2)), "{answer}");
    let zipped = gzip(&of(KEY, vec![page_view("e-3")]).encode_to_vec());
    let headers = [
        (CONTENT_TYPE.as_str(), "application/x-protobuf"),
        (CONTENT_ENCODING.as_str(), "gzip"),
    ];
    let (status, answer) = post(&dev, Bytes::from(zipped), &headers).await;
    assert_eq!((status, &answer["accepted_count"]), (200, &json!(1)), "{answer}");

    let expected = Books {
        staged: 3,
        raw: 3,
        errors: 5,
    };
    books(dev, &data, &expected).await;
}
