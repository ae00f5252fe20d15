//! gRPC and gRPC-Web: SendEvents, SendReplay and SendBatch of the wire contract §1.

use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use gosight_proto::server::ingest_service_server::{IngestService, IngestServiceServer};
use gosight_proto::{EventAck, ReplayAck};
use gosight_schemas::{BodyFormat, Transport};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Version};
use tonic::codec::CompressionEncoding;
use tonic::{Status, Streaming};
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, ServiceExt};

use super::framing::Framing;
use super::incoming::{Incoming, too_slow};
use super::meter::{MeteredBody, StreamMeter};
use super::sender::transport_of;
use super::status::Success;
use super::{Context, answer, http as plain, status};
use crate::ingest::Staging;
use crate::outcome::{Accepted, InStream, Outcome, Reason, Refusal};

/// Bytes that a replay message may have beside its rrweb events: key, session, numbers.
const CHUNK_ENVELOPE: usize = 4 * 1024;

const CONTENT_TYPES: [&str; 6] = [
    "application/grpc",
    "application/grpc+proto",
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
];

type Service = GrpcWebService<IngestServiceServer<Calls>>;
type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Takes gRPC calls out of HTTP requests.
pub(super) struct GrpcEntry {
    context: Arc<Context>,
    batches: Service,
    /// Replay messages may be larger.
    replay: Service,
}

impl GrpcEntry {
    pub(super) fn new(context: Arc<Context>) -> Self {
        let service = |message_limit: usize| {
            let calls = Calls {
                context: Arc::clone(&context),
            };
            let server = IngestServiceServer::new(calls)
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(message_limit);
            GrpcWebLayer::new().layer(server)
        };
        Self {
            batches: service(context.batch_limits.decompressed),
            replay: service(context.replay_limits.decompressed + CHUNK_ENVELOPE),
            context: Arc::clone(&context),
        }
    }
}

/// `POST /gosight.IngestService/{method}`
pub(super) async fn call(State(entry): State<Arc<GrpcEntry>>, request: Request) -> Response {
    let ingest = &*entry.context.ingest;
    let transport = match call_transport(&request) {
        Ok(transport) => transport,
        Err(refusal) => return plain::turned_away(ingest, request, refusal),
    };
    let service = if request.uri().path().ends_with("/SendReplay") {
        &entry.replay
    } else {
        &entry.batches
    };
    let (mut parts, body) = request.into_parts();
    let framing = Framing::of_type(known_type(&parts.headers));
    let meter = StreamMeter::new(&ingest.budget, framing);
    parts.extensions.insert(transport);
    parts.extensions.insert(meter.clone());
    if let Some(name) = known_type(&parts.headers) {
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(name));
    }
    let request = http::Request::from_parts(parts, MeteredBody { inner: body, meter });
    match service.clone().oneshot(request).await {
        Ok(mut response) => {
            name_reason(&entry.context, transport, &mut response);
            response.map(Body::new)
        }
        Err(never) => match never {},
    }
}

fn call_transport(request: &Request) -> Result<Transport, Refusal> {
    let transport = transport_of(request.headers());
    if transport == Transport::Http || known_type(request.headers()).is_none() {
        return Err(Refusal::new(
            Reason::UnsupportedType,
            "This is a gRPC method; send application/grpc over HTTP/2, or application/grpc-web",
        ));
    }
    if transport == Transport::Grpc && request.version() != Version::HTTP_2 {
        return Err(Refusal::new(
            Reason::BrokenRequest,
            "gRPC needs HTTP/2; over HTTP/1.1 use gRPC-Web",
        ));
    }
    Ok(transport)
}

/// The Content-Type without its parameters, where it is one of gRPC's.
fn known_type(headers: &http::HeaderMap) -> Option<&'static str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next()?.trim();
    CONTENT_TYPES.into_iter().find(|name| *name == essence)
}

/// Names the reason of what tonic refuses by itself: a method or a compression that it does not know.
fn name_reason(context: &Context, transport: Transport, response: &mut http::Response<tonic::body::Body>) {
    const STATUS: HeaderName = HeaderName::from_static("grpc-status");
    const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
    let headers = response.headers_mut();
    let failed = headers.get(STATUS).is_some_and(|code| code != "0");
    if !failed || headers.contains_key(answer::REASON) {
        return;
    }
    let refusal = if headers.contains_key(ACCEPT_ENCODING) {
        Refusal::new(Reason::UnsupportedEncoding, "")
    } else {
        Refusal::new(Reason::NotFound, "")
    };
    answer::put_reason(&refusal, headers);
    let _ = context.ingest.accounts.open(transport).refuse(refusal);
}

/// The methods.
struct Calls {
    context: Arc<Context>,
}

#[tonic::async_trait]
impl IngestService for Calls {
    type SendEventsStream = Replies<EventAck>;
    type SendReplayStream = Replies<ReplayAck>;
    type SendBatchStream = Replies<EventAck>;

    async fn send_events(
        &self,
        request: tonic::Request<Streaming<Bytes>>,
    ) -> Result<tonic::Response<Self::SendEventsStream>, Status> {
        let limits = self.context.batch_limits;
        let incoming = Incoming::new(Arc::clone(&self.context), request, limits);
        Ok(tonic::Response::new(Box::pin(acks(incoming))))
    }

    async fn send_replay(
        &self,
        request: tonic::Request<Streaming<Bytes>>,
    ) -> Result<tonic::Response<Self::SendReplayStream>, Status> {
        let limits = self.context.replay_limits;
        let incoming = Incoming::new(Arc::clone(&self.context), request, limits);
        let stored = take_chunks(incoming).await?;
        let ack = ReplayAck {
            success: true,
            message: stored.message(),
        };
        Ok(single(ack, &stored.success))
    }

    async fn send_batch(
        &self,
        request: tonic::Request<Streaming<Bytes>>,
    ) -> Result<tonic::Response<Self::SendBatchStream>, Status> {
        let limits = self.context.batch_limits;
        let incoming = Incoming::new(Arc::clone(&self.context), request, limits);
        match take_batch(incoming).await {
            Ok(accepted) => {
                let mut success = Success::default();
                success.add(&accepted);
                Ok(single(accepted_ack(&accepted), &success))
            }
            Err(refusal) => Err(status::of(&refusal)),
        }
    }
}

/// The one reply of a call, with the receipt in its headers and its trailers.
fn single<T: Send + 'static>(reply: T, success: &Success) -> tonic::Response<Replies<T>> {
    let replies = stream::iter([Ok(reply), Err(success.finished())]);
    let mut response: tonic::Response<Replies<T>> = tonic::Response::new(Box::pin(replies));
    success.put(response.metadata_mut());
    response
}

async fn take_batch(mut incoming: Incoming) -> Outcome {
    let context = Arc::clone(&incoming.context);
    let account = context.ingest.accounts.open(incoming.sender.transport);
    let timeout = context.batch_limits.timeout;
    let arrived = tokio::time::timeout(timeout, incoming.next())
        .await
        .unwrap_or_else(|_| Err(too_slow(timeout)));
    let body = match arrived {
        Ok(Some(body)) => body,
        Ok(None) => {
            let empty = Refusal::new(Reason::BrokenRequest, "The call ended without a message");
            return Err(account.refuse(empty));
        }
        Err(refusal) => return Err(account.refuse(refusal)),
    };
    let staging = context
        .ingest
        .stage_batch(&incoming.sender, account, body, BodyFormat::Protobuf)
        .await?;
    staging.await
}

/// The acks of a stream of batches. Batches are read and appended one after the other, while up to `limits.stream_window` of them
/// wait for the log; the acks leave in the batches' order. A client that does not read its acks is not read from either.
fn acks(incoming: Incoming) -> impl Stream<Item = Result<EventAck, Status>> + Send {
    let window = incoming.context.stream_window;
    let outcomes = stream::unfold(Some(incoming), next_batch)
        .map(Pending::outcome)
        .buffered(window);
    let acks = Acks {
        outcomes: Box::pin(outcomes),
        success: Success::default(),
    };
    stream::unfold(Some(acks), |acks| async { acks?.next().await })
}

/// A batch of a stream that was handed to the log, or was refused.
enum Pending {
    Staging(Staging),
    Refused(Refusal),
}

impl Pending {
    async fn outcome(self) -> Outcome {
        match self {
            Self::Staging(staging) => staging.await,
            Self::Refused(refusal) => Err(refusal),
        }
    }
}

async fn next_batch(incoming: Option<Incoming>) -> Option<(Pending, Option<Incoming>)> {
    let mut incoming = incoming?;
    let ingest = Arc::clone(&incoming.context.ingest);
    let arrived = incoming.next().await;
    let staged = match arrived {
        Ok(None) => return None,
        Ok(Some(body)) => {
            let account = ingest.accounts.open(incoming.sender.transport);
            ingest
                .stage_batch(&incoming.sender, account, body, BodyFormat::Protobuf)
                .await
        }
        Err(refusal) => Err(ingest.accounts.open(incoming.sender.transport).refuse(refusal)),
    };
    match staged {
        Ok(staging) => Some((Pending::Staging(staging), Some(incoming))),
        Err(refusal) => {
            let goes_on = refusal.reason().rule().in_stream == InStream::Ack;
            Some((Pending::Refused(refusal), goes_on.then_some(incoming)))
        }
    }
}

struct Acks<S> {
    outcomes: Pin<Box<S>>,
    success: Success,
}

impl<S: Stream<Item = Outcome>> Acks<S> {
    async fn next(mut self) -> Option<(Result<EventAck, Status>, Option<Self>)> {
        let Some(outcome) = self.outcomes.next().await else {
            return Some((Err(self.success.finished()), None));
        };
        match outcome {
            Ok(accepted) => {
                self.success.add(&accepted);
                Some((Ok(accepted_ack(&accepted)), Some(self)))
            }
            Err(refusal) => match refusal.reason().rule().in_stream {
                InStream::Ack => Some((Ok(refused_ack(&refusal)), Some(self))),
                InStream::Status => Some((Err(status::of(&refusal)), None)),
            },
        }
    }
}

fn accepted_ack(accepted: &Accepted) -> EventAck {
    EventAck {
        success: true,
        accepted_count: count(accepted.events),
        rejected_count: 0,
        errors: Vec::new(),
        receipt: accepted.receipt(),
    }
}

fn refused_ack(refusal: &Refusal) -> EventAck {
    EventAck {
        success: false,
        accepted_count: 0,
        rejected_count: count(refusal.events()),
        errors: vec![refusal.message().to_owned()],
        receipt: None,
    }
}

fn count(events: u32) -> i32 {
    i32::try_from(events).unwrap_or(i32::MAX)
}

/// What a replay stream has stored so far.
#[derive(Default)]
struct Stored {
    chunks: u64,
    last: Option<i32>,
    success: Success,
}

impl Stored {
    fn message(&self) -> String {
        match (self.chunks, self.last) {
            (1, _) => "Chunk received".to_owned(),
            (chunks, Some(last)) => format!("{chunks} chunks received, the last is chunk {last}"),
            (_, None) => "No chunks received".to_owned(),
        }
    }
}

/// Stores chunks one after the other, each durable before the next is appended: what is refused leaves no later chunk behind.
async fn take_chunks(mut incoming: Incoming) -> Result<Stored, Status> {
    let ingest = Arc::clone(&incoming.context.ingest);
    let mut stored = Stored::default();
    loop {
        let arrived = incoming.next().await;
        let outcome = match arrived {
            Ok(None) => return Ok(stored),
            Ok(Some(body)) => {
                let account = ingest.accounts.open(incoming.sender.transport);
                let staged = ingest
                    .stage_chunk(&incoming.sender, account, body, BodyFormat::Protobuf)
                    .await;
                match staged {
                    Ok((staging, index)) => staging.await.map(|accepted| (accepted, index)),
                    Err(refusal) => Err(refusal),
                }
            }
            Err(refusal) => Err(ingest.accounts.open(incoming.sender.transport).refuse(refusal)),
        };
        match outcome {
            Ok((accepted, index)) => {
                stored.chunks += 1;
                stored.last = Some(index);
                stored.success.add(&accepted);
            }
            Err(refusal) => return Err(status::of_replay(&refusal, stored.last)),
        }
    }
}
