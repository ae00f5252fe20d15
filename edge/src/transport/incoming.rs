//! The messages of one gRPC call, each with its part of the budget, within the limits, until the client ends or we stop.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use gosight_schemas::Transport;
use tokio::time::{Sleep, sleep};
use tonic::{Request, Status, Streaming};

use super::framing::Framing;
use super::meter::StreamMeter;
use super::sender::sender;
use super::{Context, status};
use crate::body::{BodyLimits, PlainBody};
use crate::ingest::Sender;
use crate::outcome::{Reason, Refusal};

/// Bytes in front of each message: flag and length.
const FRAME_HEADER: usize = 5;

pub(super) struct Incoming {
    pub(super) context: Arc<Context>,
    pub(super) sender: Sender,
    messages: Streaming<Bytes>,
    meter: StreamMeter,
    limits: BodyLimits,
    compression: Compression,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Offered,
}

impl Incoming {
    pub(super) fn new(context: Arc<Context>, request: Request<Streaming<Bytes>>, limits: BodyLimits) -> Self {
        let (metadata, extensions, messages) = request.into_parts();
        let headers = metadata.into_headers();
        let transport = extensions.get::<Transport>().copied().unwrap_or(Transport::Grpc);
        let meter = extensions
            .get::<StreamMeter>()
            .cloned()
            .unwrap_or_else(|| StreamMeter::new(&context.ingest.budget, Framing::of_type(None)));
        let compression = match headers.get("grpc-encoding").map(|value| value.as_bytes()) {
            None | Some(b"identity") => Compression::None,
            Some(_) => Compression::Offered,
        };
        Self {
            sender: sender(&context.ingest, &headers, &extensions, transport),
            context,
            messages,
            meter,
            limits,
            compression,
        }
    }

    /// The next message; `None` when the client has ended the call or hung up.
    pub(super) async fn next(&mut self) -> Result<Option<PlainBody>, Refusal> {
        let message = tokio::select! {
            biased;
            () = self.context.shutdown.begun() => return Err(Refusal::shutting_down()),
            message = whole_message(&mut self.messages, &self.meter, self.limits.timeout) => message?,
        };
        match message {
            Ok(Some(bytes)) => self.admit(bytes).map(Some),
            Ok(None) => Ok(None),
            Err(broken) => Err(self
                .meter
                .refusal()
                .unwrap_or_else(|| status::framing_refusal(&broken, self.limits.decompressed))),
        }
    }

    fn admit(&self, bytes: Bytes) -> Result<PlainBody, Refusal> {
        let arrived = self.meter.part(bytes.len() + FRAME_HEADER);
        if self.compression == Compression::None {
            if bytes.len() > self.limits.arriving {
                return Err(Refusal::body_too_large(self.limits.arriving));
            }
            return Ok(PlainBody { bytes, held: arrived });
        }
        // What arrived was smaller; from here on the message counts as large as it has become.
        drop(arrived);
        let mut held = self.context.ingest.budget.hold();
        held.take(bytes.len())?;
        Ok(PlainBody { bytes, held })
    }
}

/// A message that has begun must be whole in time; between messages a client may be silent for as long as it answers pings. The time
/// counts while we read, so what our own flow control holds up costs the client nothing.
async fn whole_message(
    messages: &mut Streaming<Bytes>,
    meter: &StreamMeter,
    timeout: Duration,
) -> Result<Result<Option<Bytes>, Status>, Refusal> {
    let mut message = pin!(messages.message());
    let mut deadline: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|cx| {
        if let Poll::Ready(message) = message.as_mut().poll(cx) {
            return Poll::Ready(Ok(message));
        }
        if !meter.is_inside_message() {
            deadline = None;
            return Poll::Pending;
        }
        let deadline = deadline.get_or_insert_with(|| Box::pin(sleep(timeout)));
        deadline.as_mut().poll(cx).map(|()| Err(too_slow(timeout)))
    })
    .await
}

/// A message that did not arrive in time.
pub(super) fn too_slow(timeout: Duration) -> Refusal {
    Refusal::new(
        Reason::BodyTimeout,
        format!("The message did not arrive within {timeout:?}"),
    )
}
