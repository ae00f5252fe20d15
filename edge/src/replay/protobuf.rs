//! A chunk as protobuf.

use bytes::Bytes;
use gosight_proto::ReplayChunk;
use prost::Message;

use super::{Chunk, ReplayLimits, events};
use crate::budget::Held;
use crate::outcome::{Reason, Refusal};

/// Reads a `gosight.ReplayChunk`; its `data` stays a slice of the message where it is plain.
pub(super) fn read(message: &Bytes, limits: ReplayLimits, held: &mut Held) -> Result<Chunk, Refusal> {
    let chunk = ReplayChunk::decode(message.clone()).map_err(|error| {
        Refusal::new(
            Reason::InvalidProtobuf,
            format!("The message is not a protobuf message gosight.ReplayChunk: {error}"),
        )
    })?;
    let present = |text: Option<String>| text.filter(|text| !text.is_empty());
    Ok(Chunk {
        project_key: present(chunk.project_key),
        session_id: present(chunk.session_id),
        chunk_index: chunk.chunk_index,
        timestamp_start: chunk.timestamp_start,
        timestamp_end: chunk.timestamp_end,
        has_full_snapshot: chunk.has_full_snapshot,
        events: events::from_bytes(chunk.data, limits, held)?,
    })
}
