//! A broker that has just started answers that the cluster has no broker. Clients of librdkafka may then forget every broker for
//! ever; appends must go on nevertheless, by themselves and soon. Between the log and the real Kafka stands a proxy that gives such
//! answers for a while, and cuts all connections before and after, as a restart does.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gosight_config::kafka::KafkaSettings;
use gosight_eventlog::kafka::KafkaLog;
use gosight_eventlog::{EventLog, NewRecord, TimestampSource, TopicSpec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Restarts; not each makes a client forget.
const ROUNDS: usize = 6;
/// From the broker's return to the first success.
const RECOVERY: Duration = Duration::from_secs(5);
/// What a busy machine adds to it.
const SLACK: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(30);
const METADATA: i16 = 3;
/// Versions from here on have compact arrays.
const FLEXIBLE: i16 = 9;

#[derive(Default)]
struct Proxy {
    knows_no_broker: AtomicBool,
    /// Answers that named no broker.
    given: AtomicUsize,
    connections: Mutex<Vec<AbortHandle>>,
}

impl Proxy {
    /// Cuts every connection; from now on answers name brokers, or none.
    fn restarts(&self, knows_no_broker: bool) {
        self.knows_no_broker.store(knows_no_broker, Ordering::SeqCst);
        for connection in self.connections.lock().unwrap().drain(..) {
            connection.abort();
        }
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, kafka: String) {
        let port = listener.local_addr().unwrap().port();
        let mut tasks = JoinSet::new();
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let proxy = Arc::clone(&self);
            let kafka = kafka.clone();
            let task = tasks.spawn(async move {
                let Ok(broker) = TcpStream::connect(&kafka).await else {
                    return;
                };
                let ((from_client, to_client), (from_broker, to_broker)) = (client.into_split(), broker.into_split());
                let asked = Mutex::new(BTreeMap::new());
                let _ = tokio::join!(
                    requests(from_client, to_broker, &asked),
                    proxy.answers(from_broker, to_client, &asked, port)
                );
            });
            self.connections.lock().unwrap().push(task);
        }
    }

    async fn answers(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        asked: &Mutex<BTreeMap<i32, i16>>,
        port: u16,
    ) -> std::io::Result<()> {
        loop {
            let mut frame = frame(&mut from).await?;
            let version = asked.lock().unwrap().remove(&number(&frame, 0));
            if version.is_some() {
                let no_broker = self.knows_no_broker.load(Ordering::SeqCst);
                self.given.fetch_add(usize::from(no_broker), Ordering::SeqCst);
                frame = rewritten(&frame, no_broker, port);
            }
            to.write_all(&i32::try_from(frame.len()).unwrap().to_be_bytes()).await?;
            to.write_all(&frame).await?;
        }
    }
}

/// Passes requests on, and notes which ask for metadata.
async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    asked: &Mutex<BTreeMap<i32, i16>>,
) -> std::io::Result<()> {
    loop {
        let frame = frame(&mut from).await?;
        let (key, version) = (number(&frame, 0) >> 16, number(&frame, 0) & 0xffff);
        if key == i32::from(METADATA) {
            assert!(version >= i32::from(FLEXIBLE), "metadata version {version}");
            asked.lock().unwrap().insert(number(&frame, 4), METADATA);
        }
        to.write_all(&i32::try_from(frame.len()).unwrap().to_be_bytes()).await?;
        to.write_all(&frame).await?;
    }
}

async fn frame(from: &mut OwnedReadHalf) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![0; usize::try_from(from.read_i32().await?).unwrap()];
    from.read_exact(&mut frame).await?;
    Ok(frame)
}

fn number(frame: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(frame[at..at + 4].try_into().unwrap())
}

/// An answer with the one broker at the proxy's port, or with none. (KIP-482: lengths are one more than they are; here all fit a byte.)
fn rewritten(answer: &[u8], no_broker: bool, port: u16) -> Vec<u8> {
    // The correlation id, no tags, how long we were throttled.
    const BROKERS: usize = 4 + 1 + 4;
    assert_eq!(answer[BROKERS], 2, "one broker");
    let host = BROKERS + 1 + 4;
    let port_at = host + usize::from(answer[host]);
    let rack = port_at + 4;
    let tags = rack + usize::from(answer[rack]).max(1);
    assert_eq!(answer[tags], 0, "no tags");
    let mut out = answer[..BROKERS].to_vec();
    if no_broker {
        out.push(1);
    } else {
        out.extend_from_slice(&answer[BROKERS..port_at]);
        out.extend_from_slice(&i32::from(port).to_be_bytes());
        out.extend_from_slice(&answer[rack..=tags]);
    }
    out.extend_from_slice(&answer[tags + 1..]);
    out
}

fn record(topic: &Arc<str>, value: &str) -> NewRecord {
    NewRecord {
        topic: Arc::clone(topic),
        key: Bytes::from_static(b"key"),
        value: Bytes::copy_from_slice(value.as_bytes()),
        headers: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_were_told_of_no_broker_find_it_again() {
    let brokers = std::env::var("KAFKA_BROKERS").expect("`make test` sets it");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let proxy = Arc::new(Proxy::default());
    let proxying = tokio::spawn(Arc::clone(&proxy).accept(listener, brokers));

    let mut settings = KafkaSettings {
        brokers: vec![address],
        delivery_timeout: Duration::from_secs(2),
        ..KafkaSettings::default()
    };
    let nanos = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    settings.topics.staging = format!("lost-brokers-{nanos}");
    let log = KafkaLog::connect(&settings, "lost-brokers").unwrap();
    let spec = TopicSpec {
        name: settings.topics.staging.clone(),
        partitions: 1,
        retention: Duration::from_secs(3600),
        max_message_bytes: 1 << 20,
        timestamps: TimestampSource::LogAppendTime,
    };
    log.create_topics(&[spec]).await.unwrap();
    let topic: Arc<str> = settings.topics.staging.as_str().into();
    log.append(record(&topic, "before")).await.unwrap();

    // As the edge does: it asks once a second, and appends all the time.
    let probing = tokio::spawn({
        let log = Arc::clone(&log);
        async move {
            loop {
                let _ = log.health(Duration::from_secs(2)).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    });
    for round in 0..ROUNDS {
        let before = proxy.given.load(Ordering::SeqCst);
        proxy.restarts(true);
        let began = Instant::now();
        while proxy.given.load(Ordering::SeqCst) < before + 3 {
            let _ = tokio::time::timeout(Duration::from_millis(100), log.append(record(&topic, "meanwhile"))).await;
            assert!(began.elapsed() < DEADLINE, "nobody asks the broker");
        }
        proxy.restarts(false);
        let returned = Instant::now();
        while let Err(error) = log.append(record(&topic, "after")).await {
            assert!(returned.elapsed() < DEADLINE, "round {round}: {error}");
        }
        let took = returned.elapsed();
        assert!(took < RECOVERY + SLACK, "round {round}: first success after {took:?}");
        // Readiness too.
        while let Err(error) = log.health(Duration::from_secs(2)).await {
            assert!(returned.elapsed() < DEADLINE, "round {round}: {error}");
        }
    }
    probing.abort();
    log.close(Duration::from_secs(5)).await.unwrap();
    proxying.abort();
}
