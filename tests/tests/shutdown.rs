//! SIGTERM under load: nobody sees a reset or a false answer, and every batch that was acknowledged stands on the staging topic.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gosight_proto::ingest_service_client::IngestServiceClient;
use gosight_proto::{Event, EventBatch, SessionMeta};
use gosight_schemas::decode_raw_batch;
use gosight_tests::events::{batch, numbered_click};
use gosight_tests::stack::{Edge, Stack};
use gosight_tests::{topic, wait};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Interval, interval_at};
use tonic::Code;

const DEADLINE: Duration = Duration::from_secs(30);
/// Requests a second, as they fall due, whatever became of the earlier ones: what a machine reaches of it the test only tells.
const RATE: u32 = 5_000;
/// So many that the rate holds up to 50 ms an answer.
const HTTP_CLIENTS: u32 = 256;
const GRPC_CLIENTS: usize = 4;
/// Between two calls of a gRPC client, beside that rate.
const PAUSE: Duration = Duration::from_millis(10);
/// Acknowledged before SIGTERM, so that it comes in the middle of the load.
const BEFORE: u64 = 10_000;
/// drain_delay and shutdown_timeout, the last requests, flushing, and what a busy machine adds.
const STOPS_WITHIN: Duration = Duration::from_secs(20);

/// What one client saw.
#[derive(Debug, Default)]
struct Seen {
    /// `topic:partition:offset` and batch id of each acknowledged batch.
    receipts: Vec<(String, String)>,
    /// Answered after SIGTERM.
    late: u64,
}

impl Seen {
    fn acknowledged(&mut self, receipt: &str, load: &Load) {
        let (position, batch_id) = receipt.split_once(";batch_id=").expect("a receipt");
        self.receipts.push((position.to_owned(), batch_id.to_owned()));
        load.acknowledged.fetch_add(1, Ordering::Relaxed);
        self.late += u64::from(load.stopping.load(Ordering::Relaxed));
    }
}

#[derive(Debug, Default)]
struct Load {
    acknowledged: AtomicU64,
    stopping: AtomicBool,
}

/// Sends over kept-alive connections until a connection is refused; anything but an answer to a request that was sent is a failure.
async fn http_client(address: String, body: String, mut due: Interval, load: Arc<Load>) -> Seen {
    let request = format!(
        "POST /v1/events HTTP/1.1\r\nhost: edge\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut seen = Seen::default();
    let mut answer = Vec::with_capacity(1024);
    loop {
        let mut stream = match TcpStream::connect(&address).await {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return seen,
            Err(error) => panic!("connecting: {error}"),
        };
        stream.set_nodelay(true).unwrap();
        loop {
            due.tick().await;
            stream.write_all(request.as_bytes()).await.expect("a request is read");
            let head = answer_to(&mut stream, &mut answer).await;
            let header = |name: &str| {
                let start = format!("{name}: ");
                head.lines()
                    .find_map(|line| line.strip_prefix(start.as_str()).map(str::to_owned))
            };
            let is_last = header("connection").as_deref() == Some("close");
            if head.starts_with("HTTP/1.1 200") {
                seen.acknowledged(&header("x-gosight-receipt").expect("a receipt"), &load);
            } else {
                assert!(head.starts_with("HTTP/1.1 503"), "{head}");
                assert_eq!(header("x-gosight-reason").as_deref(), Some("shutting_down"), "{head}");
                assert!(header("retry-after").is_some() && is_last, "{head}");
            }
            if is_last {
                break;
            }
        }
    }
}

/// The head of the answer, in lower case but for its first line; the body is read and dropped.
async fn answer_to<'a>(stream: &mut TcpStream, answer: &'a mut Vec<u8>) -> &'a str {
    answer.clear();
    let head_length = loop {
        let read = tokio::time::timeout(DEADLINE, stream.read_buf(answer)).await;
        let count = read.expect("an answer in time").expect("no reset");
        assert_ne!(
            count,
            0,
            "closed without an answer, after {:?}",
            String::from_utf8_lossy(answer)
        );
        let Some(head_length) = memmem::find(answer, b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&answer[..head_length]).expect("headers are text");
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .expect("a length")
            .parse()
            .unwrap();
        if answer.len() == head_length + 4 + length {
            break head_length;
        }
    };
    std::str::from_utf8(&answer[..head_length]).expect("headers are text")
}

/// Calls over one connection until it is told to go elsewhere.
async fn grpc_client(address: String, key: String, load: Arc<Load>) -> Seen {
    let mut client = IngestServiceClient::connect(format!("http://{address}")).await.unwrap();
    let mut seen = Seen::default();
    loop {
        let sent = EventBatch {
            project_key: key.clone(),
            session: Some(SessionMeta::default()),
            events: vec![Event::default()],
            sent_at: 0,
        };
        match client.send_batch(sent).await {
            Ok(ack) => {
                let receipt = ack.metadata().get("x-gosight-receipt").expect("a receipt");
                seen.acknowledged(receipt.to_str().unwrap(), &load);
            }
            Err(status) if status.metadata().contains_key("x-gosight-reason") => {
                let reason = status.metadata().get("x-gosight-reason").unwrap();
                assert_eq!(
                    (status.code(), reason.as_bytes()),
                    (Code::Unavailable, &b"shutting_down"[..])
                );
            }
            // After GOAWAY the client connects anew, and nobody is there.
            Err(status) => {
                let shown = format!("{status:?}");
                // The connection ended between two calls, before this one had left the client: it goes by a new one.
                if shown.contains("hyper::Error(Canceled, \"connection closed\")") {
                    continue;
                }
                assert!(shown.contains("ConnectionRefused"), "{shown}");
                return seen;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn readiness(edge: &Edge) -> u16 {
    reqwest::get(format!("{}/ready", edge.admin))
        .await
        .unwrap()
        .status()
        .as_u16()
}

/// Load, SIGTERM in the middle of it, and what everybody saw.
async fn stopped_under_load(drain_delay: Duration) {
    let stack = Stack::new().await;
    let delay = format!("{}ms", drain_delay.as_millis());
    let mut edge = stack.edge_with(&[("DRAIN_DELAY", &delay)]).await;
    edge.ready().await;
    let load = Arc::new(Load::default());
    let mut clients = JoinSet::new();
    let (period, began) = (Duration::from_secs(1) * HTTP_CLIENTS / RATE, Instant::now());
    for number in 0..HTTP_CLIENTS {
        // What is missed is caught up with.
        let due = interval_at((began + period * number / HTTP_CLIENTS).into(), period);
        let address = edge.http.trim_start_matches("http://").to_owned();
        let body = batch(&stack.key, &format!("session-{number}"), &[numbered_click(1)]);
        clients.spawn(http_client(address, body.to_string(), due, Arc::clone(&load)));
    }
    for _ in 0..GRPC_CLIENTS {
        clients.spawn(grpc_client(edge.grpc.clone(), stack.key.clone(), Arc::clone(&load)));
    }
    wait::until("the load has begun", DEADLINE, || async {
        (load.acknowledged.load(Ordering::Relaxed) >= BEFORE).then_some(())
    })
    .await;
    let reached = load.acknowledged.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    edge.process.signal("TERM");
    let terminated = Instant::now();
    load.stopping.store(true, Ordering::Relaxed);
    if !drain_delay.is_zero() {
        wait::until("readiness says no", drain_delay, || async {
            (readiness(&edge).await == 503).then_some(())
        })
        .await;
        // As before for the balancer's sake: new connections too.
        let client = TcpStream::connect(edge.http.trim_start_matches("http://")).await;
        assert!(client.is_ok() || terminated.elapsed() >= drain_delay, "{client:?}");
    }
    let status = edge.process.ended(STOPS_WITHIN).await;
    let took = terminated.elapsed();
    assert_eq!(status.code(), Some(0), "{}", edge.process.output());
    assert!(took >= drain_delay, "{took:?}");
    let output = edge.process.output();
    // Warnings may be of the load itself: a busy machine makes Redis answer late.
    assert!(!output.contains("ERROR"), "{output}");

    let seen = clients.join_all().await;
    let receipts: Vec<_> = seen.iter().flat_map(|seen| &seen.receipts).collect();
    let staged: BTreeMap<String, String> = topic::all(&*stack.log(), &stack.topic("staging"))
        .await
        .iter()
        .map(|record| {
            let batch = decode_raw_batch(&record.value).unwrap();
            (record.position.to_string(), batch.batch_id)
        })
        .collect();
    for (position, batch_id) in &receipts {
        assert_eq!(staged.get(position), Some(batch_id), "acknowledged, and not staged");
    }
    let late: u64 = seen.iter().map(|seen| seen.late).sum();
    assert!(late > 0, "nobody was served after SIGTERM");
    let mut told = io::stderr();
    let _ = writeln!(told, "{reached:.0} requests/s before SIGTERM, {late} answered after it");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_a_reset_or_a_false_answer_without_a_wait_for_the_balancer() {
    stopped_under_load(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_a_reset_or_a_false_answer_with_one() {
    stopped_under_load(Duration::from_secs(2)).await;
}
