//! The bytes of a gRPC call count against the budget while they arrive, before a message is whole.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::Status;

use super::framing::Framing;
use super::status;
use crate::budget::{Budget, Held};
use crate::outcome::Refusal;

/// What one call holds of the budget for bytes that are not yet part of a message that was taken. Clones share it.
#[derive(Clone)]
pub(super) struct StreamMeter(Arc<Mutex<Metered>>);

struct Metered {
    held: Held,
    framing: Framing,
    refusal: Option<Refusal>,
}

impl StreamMeter {
    pub(super) fn new(budget: &Budget, framing: Framing) -> Self {
        Self(Arc::new(Mutex::new(Metered {
            held: budget.hold(),
            framing,
            refusal: None,
        })))
    }

    /// Hands over what a message of so many bytes in its frame holds.
    pub(super) fn part(&self, bytes: usize) -> Held {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).held.part(bytes)
    }

    /// Why the body ended early, where the budget was the reason: gRPC-Web hands on no more than a text.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).refusal.clone()
    }

    /// Whether a message has begun to arrive and is not whole.
    pub(super) fn is_inside_message(&self) -> bool {
        let metered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        metered.framing.is_inside_message()
    }

    fn take(&self, data: &[u8]) -> Result<(), Status> {
        let mut metered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        metered.framing.pass(data);
        let taken = metered.held.take(data.len());
        taken.map_err(|refusal| {
            let status = status::of(&refusal);
            metered.refusal = Some(refusal);
            status
        })
    }
}

/// A request body that is metered.
pub(super) struct MeteredBody {
    pub(super) inner: Body,
    pub(super) meter: StreamMeter,
}

impl http_body::Body for MeteredBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        polled.map(|frame| {
            let frame = match frame? {
                Ok(frame) => frame,
                Err(error) => return Some(Err(Status::from_error(error.into()))),
            };
            if let Some(data) = frame.data_ref()
                && let Err(status) = self.meter.take(data)
            {
                return Some(Err(status));
            }
            Some(Ok(frame))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
