//! Replay chunks: from what an SDK sends to the record on the replay topic. Pure.

use bytes::Bytes;

use crate::budget::Held;
use crate::outcome::Refusal;

/// Limits on a chunk, from `limits` of the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplayLimits {
    /// Bytes of the rrweb events after decompression.
    pub(crate) decompressed: usize,
    /// Bytes of a session id.
    pub(crate) id_length: usize,
}

/// One chunk as it came, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// `project_key`; `None` where absent or empty.
    pub(crate) project_key: Option<String>,
    /// `None` where absent or empty: then the transport's metadata must name it.
    pub(crate) session_id: Option<String>,
    /// Which chunk of the session, from 0.
    pub(crate) chunk_index: i32,
    /// Unix ms.
    pub(crate) timestamp_start: i64,
    /// Unix ms.
    pub(crate) timestamp_end: i64,
    /// Whether it holds a full snapshot.
    pub(crate) has_full_snapshot: bool,
    /// rrweb events: a JSON array, the client's own bytes, decompressed.
    pub(crate) events: Bytes,
}

/// Reads a chunk of `POST /v1/replay` (a decompressed JSON body).
pub(crate) fn read_json(body: &Bytes, limits: ReplayLimits, held: &mut Held) -> Result<Chunk, Refusal> {
    let _ = (body, limits, held);
    Err(Refusal::invalid_json())
}

/// Reads a `gosight.ReplayChunk`.
pub(crate) fn read_protobuf(message: &Bytes, limits: ReplayLimits, held: &mut Held) -> Result<Chunk, Refusal> {
    let _ = (message, limits, held);
    Err(Refusal::invalid_json())
}

impl Chunk {
    /// The record's value on the replay topic: JSON with the contract's names, `events` as the client's own bytes.
    pub(crate) fn record_value(&self, project_id: &str, session_id: &str) -> Bytes {
        let _ = (project_id, session_id);
        Bytes::new()
    }
}
