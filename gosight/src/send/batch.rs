//! A batch on its way.

use bytes::Bytes;

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) body: Bytes,
    pub(super) encoding: Encoding,
    /// Events that the ack has to count.
    pub(super) events: u64,
}

/// How the body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    Protobuf,
}

/// Why a try was no ack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoAck {
    /// For the summary: the edge's own name where it gave one.
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) retry: Retry,
}

/// Whether the same batch may be acknowledged later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    Never,
    /// With a back-off of our own.
    Later,
    /// Not before this.
    After(std::time::Duration),
}
