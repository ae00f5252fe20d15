//! From a batch to its staging record.

use bytes::Bytes;
use gosight_schemas::{BodyFormat, RawBatch, encode_raw_batch, topics};
use uuid::Uuid;

use super::{Admitted, Contents, Ingest, Sender, Staging};
use crate::accounts::Account;
use crate::admission::Grant;
use crate::body::PlainBody;
use crate::envelope::{self, Envelope};
use crate::new_id::{new_id_at, unix_ms};
use crate::outcome::{Reason, Refusal};

impl Ingest {
    /// Admits a batch and hands it to the log; the result resolves when it is durable. Batches whose calls follow each other are
    /// appended in that order.
    pub(crate) async fn stage_batch(
        &self,
        sender: &Sender,
        mut account: Account,
        body: PlainBody,
        format: BodyFormat,
    ) -> Result<Staging, Refusal> {
        let received_at = unix_ms();
        account.body_read("batch", body.bytes.len(), &sender.client);
        match self
            .batch_record(sender, &mut account, &body.bytes, format, received_at)
            .await
        {
            Ok((admitted, batch_id, events)) => Ok(self.append(admitted, account, batch_id, events, body.held)),
            Err(refusal) => Err(account.refuse(refusal)),
        }
    }

    async fn batch_record(
        &self,
        sender: &Sender,
        account: &mut Account,
        body: &Bytes,
        format: BodyFormat,
        received_at: i64,
    ) -> Result<(Admitted, Uuid, u32), Refusal> {
        let envelope = envelope::read(body, format, self.envelope_limits)?;
        let events = envelope.events;
        account.of_events(events);
        let batch_id = new_id_at(received_at);
        let contents = Contents {
            project_key: envelope.project_key.as_deref(),
            session_id: &envelope.session_id,
            events,
            bytes: body,
        };
        let Some(grant) = self.admit(sender, contents).await? else {
            return Ok((Admitted::Dropped, batch_id, events));
        };
        let (key, mut batch) = raw_batch(sender, &grant, envelope, batch_id, received_at, body.clone(), format);
        batch.traceparent = account.traceparent(&sender.client);
        let value = encode_raw_batch(&batch).map_err(|error| {
            self.accounts.log_failure(Reason::Internal, &error);
            Refusal::new(
                Reason::Internal,
                "The batch could not be staged; this is a defect of the server",
            )
        })?;
        let record = self.staging.record(key.into(), value.into())?;
        Ok((Admitted::Record(record), batch_id, events))
    }
}

/// The record of a batch, and its key on the log.
pub(crate) fn raw_batch(
    sender: &Sender,
    grant: &Grant,
    envelope: Envelope,
    batch_id: Uuid,
    received_at: i64,
    body: Bytes,
    format: BodyFormat,
) -> (String, RawBatch) {
    let client = &sender.client;
    let batch_id = batch_id.to_string();
    let key = if envelope.session_id.is_empty() {
        topics::session_key(&grant.project_id, &batch_id)
    } else {
        topics::session_key(&grant.project_id, &envelope.session_id)
    };
    let batch = RawBatch {
        batch_id,
        received_at,
        project_id: grant.project_id.as_ref().to_owned(),
        key_id: grant.key_id.as_ref().to_owned(),
        session_id: envelope.session_id,
        user_id: envelope.user_id,
        transport: sender.transport,
        body_format: format,
        body,
        event_count: i32::try_from(envelope.events).unwrap_or(i32::MAX),
        sent_at: envelope.sent_at,
        client_ip: client.address.map(|address| address.to_string()),
        user_agent: client.user_agent.clone(),
        client_hints: client.hints.clone(),
        accept_language: client.accept_language.clone(),
        origin: client.origin.clone(),
        referer: client.referer.clone(),
        privacy: grant.privacy,
        // The account knows the trace.
        traceparent: None,
    };
    (key, batch)
}
