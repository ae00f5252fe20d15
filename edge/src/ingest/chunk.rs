//! From a replay chunk to its record: nothing to enrich, so it goes straight to its own topic.

use bytes::Bytes;
use gosight_schemas::BodyFormat;

use super::{Admitted, Contents, Ingest, Sender, Staging};
use crate::accounts::Account;
use crate::body::PlainBody;
use crate::new_id::new_id;
use crate::outcome::{Reason, Refusal};
use crate::replay::{self, Chunk};

impl Ingest {
    /// Admits a replay chunk and hands it to the log; the result resolves when it is durable.
    pub(crate) async fn stage_chunk(
        &self,
        sender: &Sender,
        mut account: Account,
        mut body: PlainBody,
        format: BodyFormat,
    ) -> Result<(Staging, i32), Refusal> {
        account.body_read("replay chunk", body.bytes.len(), &sender.client);
        let read = match format {
            BodyFormat::Json => replay::read_json(&body.bytes, self.replay_limits, &mut body.held),
            BodyFormat::Protobuf => replay::read_protobuf(&body.bytes, self.replay_limits, &mut body.held),
        };
        let chunk = match read {
            Ok(chunk) => chunk,
            Err(refusal) => return Err(account.refuse(refusal)),
        };
        match self.chunk_record(sender, &chunk, &body.bytes).await {
            Ok(admitted) => Ok((
                self.append(admitted, account, new_id(), 0, body.held),
                chunk.chunk_index,
            )),
            Err(refusal) => Err(account.refuse(refusal)),
        }
    }

    async fn chunk_record(&self, sender: &Sender, chunk: &Chunk, body: &Bytes) -> Result<Admitted, Refusal> {
        let session_id = match (sender.session_id.as_deref(), chunk.session_id.as_deref()) {
            (Some(named), Some(other)) if named != other => {
                return Err(Refusal::new(
                    Reason::InvalidField,
                    "session_id differs between the headers and the body; send it once",
                ));
            }
            (Some(session_id), _) | (None, Some(session_id)) => session_id,
            (None, None) => {
                return Err(Refusal::new(
                    Reason::InvalidField,
                    "session_id is missing; send it in the chunk, or as X-Session-Id in the headers or metadata",
                ));
            }
        };
        if session_id.len() > self.replay_limits.id_length {
            return Err(Refusal::new(
                Reason::InvalidField,
                format!(
                    "session_id has {} bytes; the limit is {}",
                    session_id.len(),
                    self.replay_limits.id_length
                ),
            ));
        }
        let contents = Contents {
            project_key: chunk.project_key.as_deref(),
            session_id,
            events: 0,
            bytes: body,
        };
        let Some(grant) = self.admit(sender, contents).await? else {
            return Ok(Admitted::Dropped);
        };
        let value = chunk.record_value(&grant.project_id, session_id);
        let record = self
            .replay
            .record(Bytes::copy_from_slice(session_id.as_bytes()), value)?;
        Ok(Admitted::Record(record))
    }
}
