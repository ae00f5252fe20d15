//! gRPC streams by hand over HTTP/2: flow control, pings, messages that stall, and the end of the process, as no library shows them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use gosight_config::EdgeSettings;
use gosight_proto::EventAck;
use gosight_schemas::topics;
use h2::client::SendRequest;
use http::HeaderMap;
use prost::Message;
use support::frames::frame;
use support::{DEADLINE, Edge, KEY, batch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Well below every default time limit that could end a stream for another reason.
const SOON: Duration = Duration::from_secs(8);

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("in time")
}

async fn connect(edge: &Edge) -> TcpStream {
    TcpStream::connect(edge.grpc.trim_start_matches("http://"))
        .await
        .unwrap()
}

/// A SendEvents call of which the test sends and reads every byte.
struct Call {
    client: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
    sending: h2::SendStream<Bytes>,
    answer: h2::RecvStream,
    /// What was read and is no whole ack yet.
    read: Vec<u8>,
}

impl Call {
    async fn open(edge: &Edge) -> Self {
        let (client, connection) = h2::client::handshake(connect(edge).await).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        let request = http::Request::post(format!("{}/gosight.IngestService/SendEvents", edge.grpc))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (response, sending) = client.send_request(request, false).unwrap();
        let response = within(response).await.unwrap();
        assert_eq!(response.status(), 200);
        Self {
            client,
            connection,
            sending,
            answer: response.into_body(),
            read: Vec::new(),
        }
    }

    /// Whether the server's flow control lets it go within the time.
    async fn sends_within(&mut self, data: &Bytes, time: Duration) -> bool {
        self.sending.reserve_capacity(data.len());
        let free = async {
            while self.sending.capacity() < data.len() {
                let more = std::future::poll_fn(|cx| self.sending.poll_capacity(cx)).await;
                more.expect("the stream is open").unwrap();
            }
        };
        if tokio::time::timeout(time, free).await.is_err() {
            return false;
        }
        self.sending.send_data(data.clone(), false).unwrap();
        true
    }

    async fn send(&mut self, data: impl Into<Bytes>) {
        assert!(self.sends_within(&data.into(), DEADLINE).await);
    }

    /// The next ack; `None` at the end of the answer.
    async fn ack(&mut self) -> Option<EventAck> {
        loop {
            if let [0, a, b, c, d, rest @ ..] = self.read.as_slice() {
                let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
                if rest.len() >= length {
                    let ack = EventAck::decode(&rest[..length]).unwrap();
                    self.read.drain(..5 + length);
                    return Some(ack);
                }
            }
            let data = within(self.answer.data()).await?.unwrap();
            self.answer.flow_control().release_capacity(data.len()).unwrap();
            self.read.extend_from_slice(&data);
        }
    }

    async fn trailers(&mut self) -> HeaderMap {
        within(self.answer.trailers()).await.unwrap().unwrap()
    }

    #[track_caller]
    fn assert_refused(trailers: &HeaderMap, status: &str, reason: &str) {
        assert_eq!(trailers["grpc-status"], status, "{trailers:?}");
        assert_eq!(trailers["x-gosight-reason"], reason, "{trailers:?}");
    }
}

fn framed(events: usize) -> Vec<u8> {
    frame(0, &batch(KEY, "s", events).encode_to_vec())
}

#[tokio::test]
async fn a_client_that_does_not_read_its_acks_is_not_read_from() {
    const BATCHES_AT_ONCE: usize = 100;
    /// An ack with its receipt has 80 to 100 bytes. The client's window of 65,535 holds as many, and tonic gathers up to 32 KiB more.
    const FEWEST_STAGED: usize = 65_535 / 100;
    const MOST_STAGED: usize = (65_535 + 32 * 1024) / 80 + 500;
    /// That, and what fits into the server's windows.
    const MOST_SENT: usize = 4 << 20;
    let mut settings = EdgeSettings::default();
    settings.rate_limit.requests_per_second = 10_000_000;
    settings.rate_limit.burst = 10_000_000;
    let edge = Edge::start_with(settings).await;
    let mut call = Call::open(&edge).await;
    let some = Bytes::from(framed(1).repeat(BATCHES_AT_ONCE));
    let mut sent = 0;
    while call.sends_within(&some, Duration::from_secs(1)).await {
        sent += BATCHES_AT_ONCE;
        let bytes = sent / BATCHES_AT_ONCE * some.len();
        assert!(bytes < MOST_SENT, "{bytes} bytes were taken, and no ack was read");
    }
    let staged = edge.log.records(topics::STAGING).len();
    assert!(staged > FEWEST_STAGED, "it stopped for another reason, after {staged}");
    assert!(
        staged < MOST_STAGED,
        "{staged} batches were staged, and no ack was read"
    );
    assert!(staged < sent, "all {sent} were read");

    // It goes on where the client does, and nothing was lost.
    for number in 0..sent {
        let ack = call.ack().await.unwrap_or_else(|| panic!("ack {number} of {sent}"));
        assert!(ack.success, "{ack:?}");
    }
    // What was reserved for the batches that did not go has come free meanwhile.
    call.sending.send_data(Bytes::new(), true).unwrap();
    assert_eq!(call.ack().await, None);
    assert_eq!(call.trailers().await["grpc-status"], "0");
    assert_eq!(edge.log.records(topics::STAGING).len(), sent);
}

#[tokio::test]
async fn a_message_that_stalls_ends_its_stream_after_the_acks_before_and_silence_between_messages_does_not() {
    let timeout = Duration::from_millis(300);
    let mut settings = EdgeSettings::default();
    settings.limits.body_timeout = timeout;
    let edge = Edge::start_with(settings).await;
    for part in [&framed(2)[..3], &framed(2)[..9]] {
        let mut call = Call::open(&edge).await;
        call.send(framed(1)).await;
        assert_eq!(call.ack().await.unwrap().accepted_count, 1);
        // Longer than a message may take.
        tokio::time::sleep(2 * timeout).await;
        call.send([framed(1), part.to_vec()].concat()).await;
        assert_eq!(call.ack().await.unwrap().accepted_count, 1);
        let ended = tokio::time::timeout(SOON, call.ack()).await;
        assert_eq!(ended.expect("it ends"), None);
        Call::assert_refused(&call.trailers().await, "4", "body_timeout");
    }
    assert_eq!(edge.log.staged().len(), 4);
}

#[tokio::test]
async fn a_message_that_arrives_slowly_and_in_time_is_taken() {
    let edge = Edge::start().await;
    let mut call = Call::open(&edge).await;
    for byte in framed(3) {
        call.send(vec![byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(call.ack().await.unwrap().accepted_count, 3);
}

#[tokio::test]
async fn a_message_over_the_limit_ends_its_stream_before_it_arrives() {
    let edge = Edge::start().await;
    let mut call = Call::open(&edge).await;
    call.send(framed(1)).await;
    let announced = u32::try_from((4 << 20) + 1).unwrap().to_be_bytes();
    call.send([&[0], &announced[..]].concat()).await;
    assert_eq!(call.ack().await.unwrap().accepted_count, 1);
    assert_eq!(call.ack().await, None);
    Call::assert_refused(&call.trailers().await, "11", "body_too_large");
}

#[tokio::test]
async fn the_end_is_announced_and_in_flight_batches_get_their_acks() {
    let edge = Edge::start().await;
    edge.log.hold_after(0);
    let mut call = Call::open(&edge).await;
    for events in [1, 2] {
        call.send(framed(events)).await;
    }
    edge.log.reaches(topics::STAGING, 2).await;
    edge.shutdown.begin();
    // GOAWAY: no new call on this connection, while the old one goes on.
    let told = async {
        loop {
            match call.client.clone().ready().await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(error) => return error,
            }
        }
    };
    let told = within(told).await;
    assert!(told.is_go_away() && told.is_remote(), "{told:?}");
    assert_eq!(told.reason(), Some(h2::Reason::NO_ERROR));
    edge.log.hold_after(i64::MAX);
    for events in [1, 2] {
        assert_eq!(call.ack().await.unwrap().accepted_count, events);
    }
    assert_eq!(call.ack().await, None);
    Call::assert_refused(&call.trailers().await, "14", "shutting_down");
    drop((call.client, call.sending, call.answer));
    let closed = within(call.connection).await.unwrap();
    assert!(closed.is_ok(), "{closed:?}");
    edge.stop().await;
}

/// A client of HTTP/2 that says no more than it must.
struct Bare(TcpStream);

impl Bare {
    const PING: u8 = 6;
    const ACK: u8 = 1;

    async fn open(edge: &Edge) -> Self {
        let mut stream = connect(edge).await;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        Self(stream)
    }

    /// The payload of the next PING of the server; `None` where the connection ends before.
    async fn ping(&mut self) -> Option<Vec<u8>> {
        let next = async {
            loop {
                let mut header = [0; 9];
                self.0.read_exact(&mut header).await.ok()?;
                let [a, b, c, kind, flags, ..] = header;
                let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
                self.0.read_exact(&mut payload).await.ok()?;
                if kind == Self::PING && flags & Self::ACK == 0 {
                    return Some(payload);
                }
            }
        };
        tokio::time::timeout(SOON, next).await.expect("a ping or the end")
    }

    async fn answer(&mut self, payload: &[u8]) {
        let header = [0, 0, 8, Self::PING, Self::ACK, 0, 0, 0, 0];
        self.0.write_all(&[&header, payload].concat()).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_dropped_and_one_that_does_is_kept() {
    let mut settings = EdgeSettings::default();
    settings.limits.ping_interval = Duration::from_millis(200);
    settings.limits.ping_timeout = Duration::from_secs(1);
    let edge = Edge::start_with(settings).await;
    let mut gone = Bare::open(&edge).await;
    let mut there = Bare::open(&edge).await;
    assert!(gone.ping().await.is_some());
    let dropped = tokio::spawn(async move { gone.ping().await });
    // Together longer than interval and time limit.
    for _ in 0..8 {
        let payload = there.ping().await.expect("it is kept");
        there.answer(&payload).await;
    }
    assert_eq!(within(dropped).await.unwrap(), None);
}
