//! The one way of a batch and of a replay chunk, whatever transport it came by: envelope, key, rate limit, staging record, append,
//! outcome. Nothing here looks inside an event.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gosight_config::EdgeSettings;
use gosight_eventlog::{AppendError, Durable, EventLog, NewRecord, Position};
use gosight_schemas::{BodyFormat, RawBatch, Transport, encode_raw_batch, topics};
use ipnet::IpNet;
use uuid::Uuid;

use crate::accounts::{Account, Accounts};
use crate::admission::{self, Grant, KeyDirectory, Limiter};
use crate::body::PlainBody;
use crate::budget::{Budget, Held};
use crate::client::Client;
use crate::envelope::{self, Envelope, EnvelopeLimits};
use crate::live::Live;
use crate::new_id::new_id;
use crate::outcome::{Accepted, Fate, Outcome, Reason, Refusal};
use crate::replay::{self, Chunk, ReplayLimits};
use crate::restrictions::{Ruling, Subject};

/// What every transport hands its requests to.
pub(crate) struct Ingest {
    keys: KeyDirectory,
    limiter: Arc<dyn Limiter>,
    live: Live,
    log: Arc<dyn EventLog>,
    staging: Destination,
    replay: Destination,
    envelope_limits: EnvelopeLimits,
    replay_limits: ReplayLimits,
    key_length: usize,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) budget: Budget,
    pub(crate) accounts: Arc<Accounts>,
}

/// A topic and the largest record that it takes.
struct Destination {
    topic: Arc<str>,
    limit: usize,
}

/// Who sends: what a request says apart from its body. One for all messages of a stream.
pub(crate) struct Sender {
    pub(crate) transport: Transport,
    pub(crate) client: Client,
    /// The key of the headers, `None` where they have none; or what is wrong with it.
    pub(crate) key: Result<Option<String>, Refusal>,
    /// The session that the headers name; replay chunks only.
    pub(crate) session_id: Option<String>,
}

/// A record on its way to the log; resolves when it is durable or may not be. A client that hangs up meanwhile changes nothing: the
/// rest happens in the background, so that the books tell what became of the record.
pub(crate) struct Staging(Option<OnTheWay>);

/// What becomes of a batch or chunk that is not refused.
enum Admitted {
    Record(NewRecord),
    /// A restriction drops it.
    Dropped,
}

/// What a body says of itself, as far as admission asks.
struct Contents<'a> {
    project_key: Option<&'a str>,
    /// Empty where there is none.
    session_id: &'a str,
    events: u32,
    bytes: &'a [u8],
}

enum OnTheWay {
    Record(ToBeDurable),
    Dropped(Uuid),
}

struct ToBeDurable {
    durable: Durable,
    account: Account,
    batch_id: Uuid,
    events: u32,
    /// Its part of the budget is free again when the log has it.
    held: Held,
    accounts: Arc<Accounts>,
}

impl Ingest {
    pub(crate) fn new(
        keys: KeyDirectory,
        limiter: Arc<dyn Limiter>,
        live: Live,
        log: Arc<dyn EventLog>,
        settings: &EdgeSettings,
    ) -> Self {
        let limits = &settings.limits;
        let id_length = limits.id_length as usize;
        Self {
            keys,
            limiter,
            live,
            log,
            staging: Destination {
                topic: settings.kafka.topics.staging.as_str().into(),
                limit: bytes(limits.staging_record.as_u64()),
            },
            replay: Destination {
                topic: settings.kafka.topics.replay.as_str().into(),
                limit: bytes(limits.replay_record.as_u64()),
            },
            envelope_limits: EnvelopeLimits {
                events: limits.events_per_batch,
                id_length,
            },
            replay_limits: ReplayLimits {
                decompressed: bytes(limits.replay_decompressed.as_u64()),
                id_length,
            },
            key_length: limits.key_length as usize,
            trusted_proxies: settings.server.trusted_proxies.clone(),
            budget: Budget::new(bytes(limits.bytes_in_flight.as_u64())),
            accounts: Accounts::new(),
        }
    }

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
        let batch_id = new_id();
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

    /// What the key allows; `None` where a restriction drops the batch. What is restricted takes nothing from the buckets.
    async fn admit(&self, sender: &Sender, contents: Contents<'_>) -> Result<Option<Grant>, Refusal> {
        let key = choose_key(&sender.key, contents.project_key)?;
        if key.len() > self.key_length && key.chars().count() > self.key_length {
            return Err(Refusal::invalid_key());
        }
        let grant = self.keys.look_up(key).await?;
        let subject = Subject {
            project_id: &grant.project_id,
            key_id: &grant.key_id,
            key,
            origin: sender.client.origin.as_deref(),
            session_id: contents.session_id,
            body: contents.bytes,
            events_this_minute: 0,
        };
        let per_key = {
            let live = self.live.load();
            match live.restrictions.apply(subject, contents.events)? {
                Ruling::Passes => live.rate_limit.per_key,
                Ruling::Dropped => return Ok(None),
            }
        };
        admission::admit(&*self.limiter, per_key, &grant, contents.events).await?;
        Ok(Some(grant))
    }

    fn append(&self, admitted: Admitted, mut account: Account, batch_id: Uuid, events: u32, held: Held) -> Staging {
        let record = match admitted {
            Admitted::Record(record) => record,
            Admitted::Dropped => {
                account.dropped();
                return Staging(Some(OnTheWay::Dropped(batch_id)));
            }
        };
        account.appended();
        Staging(Some(OnTheWay::Record(ToBeDurable {
            durable: self.log.append(record),
            account,
            batch_id,
            events,
            held,
            accounts: Arc::clone(&self.accounts),
        })))
    }
}

impl Destination {
    fn record(&self, key: Bytes, value: Bytes) -> Result<NewRecord, Refusal> {
        let record = NewRecord {
            topic: Arc::clone(&self.topic),
            key,
            value,
            headers: Vec::new(),
        };
        if record.size() > self.limit {
            return Err(record_too_large(record.size(), self.limit));
        }
        Ok(record)
    }
}

/// The key of a request. Two that differ are refused: serving either would be a guess about whose data this is.
fn choose_key<'a>(
    header_key: &'a Result<Option<String>, Refusal>,
    body_key: Option<&'a str>,
) -> Result<&'a str, Refusal> {
    let header_key = header_key.as_ref().map_err(Clone::clone)?.as_deref();
    match (header_key, body_key) {
        (Some(header), Some(body)) if header != body => Err(Refusal::new(
            Reason::KeyConflict,
            "The key in the headers and project_key in the body differ; send one",
        )),
        (Some(key), _) | (None, Some(key)) => Ok(key),
        (None, None) => Err(Refusal::missing_key()),
    }
}

fn raw_batch(
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

impl ToBeDurable {
    fn settle(self, result: Result<Position, AppendError>) -> Outcome {
        drop(self.held);
        match result {
            Ok(position) => {
                let accepted = Accepted {
                    events: self.events,
                    batch_id: self.batch_id,
                    fate: Fate::Staged(position),
                };
                self.account.accept(&accepted);
                Ok(accepted)
            }
            Err(error) => {
                let refusal = append_refusal(&error);
                self.accounts.log_failure(refusal.reason(), &error);
                Err(self.account.refuse(refusal))
            }
        }
    }
}

impl Future for Staging {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self.0.take() {
            Some(OnTheWay::Dropped(batch_id)) => Poll::Ready(Ok(Accepted {
                events: 0,
                batch_id,
                fate: Fate::Dropped,
            })),
            Some(OnTheWay::Record(mut record)) => match record.durable.as_mut().poll(cx) {
                Poll::Ready(result) => Poll::Ready(record.settle(result)),
                Poll::Pending => {
                    self.0 = Some(OnTheWay::Record(record));
                    Poll::Pending
                }
            },
            None => Poll::Pending,
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let Some(OnTheWay::Record(mut record)) = self.0.take() else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let result = record.durable.as_mut().await;
                let _ = record.settle(result);
            });
        }
    }
}

/// What an error of the log means for the sender. Its text is for the operator's log: it names our machines.
fn append_refusal(error: &AppendError) -> Refusal {
    match error {
        AppendError::TooLarge { size, limit, .. } => record_too_large(*size, *limit),
        AppendError::QueueFull { .. } => {
            Refusal::new(Reason::LogBusy, "The service can't store more at the moment; try again")
        }
        AppendError::UnknownTopic { .. } | AppendError::InDoubt { .. } => Refusal::new(
            Reason::LogUnavailable,
            "The batch may not be stored; send it again, a repeated event is recognised by its id",
        ),
        AppendError::Closed => Refusal::shutting_down(),
    }
}

fn record_too_large(size: usize, limit: usize) -> Refusal {
    Refusal::new(
        Reason::RecordTooLarge,
        format!("The record would have {size} bytes; the limit is {limit}. Send smaller batches"),
    )
}

fn unix_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

/// A size from the configuration as memory counts it.
pub(crate) fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{append_refusal, choose_key};
    use crate::outcome::{Reason, Refusal};
    use gosight_eventlog::AppendError;

    #[test]
    fn one_key_is_chosen_and_two_that_differ_are_not() {
        let header = |key: &str| Ok(Some(key.to_owned()));
        assert_eq!(choose_key(&header("a"), None).unwrap(), "a");
        assert_eq!(choose_key(&Ok(None), Some("b")).unwrap(), "b");
        assert_eq!(choose_key(&header("a"), Some("a")).unwrap(), "a");
        assert_eq!(
            choose_key(&header("a"), Some("b")).unwrap_err().reason(),
            Reason::KeyConflict
        );
        assert_eq!(choose_key(&Ok(None), None).unwrap_err().reason(), Reason::MissingKey);
        assert_eq!(
            choose_key(&Err(Refusal::invalid_key()), Some("b"))
                .unwrap_err()
                .reason(),
            Reason::InvalidKey
        );
    }

    #[test]
    fn what_the_log_says_is_not_told_to_the_sender() {
        let refusal = append_refusal(&AppendError::InDoubt {
            reason: "broker 10.0.0.7 said no".to_owned(),
        });
        assert_eq!(refusal.reason(), Reason::LogUnavailable);
        assert!(!refusal.message().contains("10.0.0.7"));
        assert_eq!(append_refusal(&AppendError::Closed).reason(), Reason::ShuttingDown);
        let full = AppendError::QueueFull { in_flight_bytes: 1 };
        assert_eq!(append_refusal(&full).reason(), Reason::LogBusy);
        let large = AppendError::TooLarge {
            topic: "t".to_owned(),
            size: 2,
            limit: 1,
        };
        assert_eq!(append_refusal(&large).reason(), Reason::RecordTooLarge);
    }
}
