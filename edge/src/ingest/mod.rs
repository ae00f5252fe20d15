//! The one way of a batch and of a replay chunk, whatever transport it came by: envelope, key, rate limit, staging record, append,
//! outcome. Nothing here looks inside an event.

mod batch;
mod chunk;
mod destination;
mod staging;

use std::sync::Arc;

use gosight_config::EdgeSettings;
use gosight_eventlog::{EventLog, NewRecord};
use gosight_schemas::Transport;
use uuid::Uuid;

use self::destination::Destination;
use self::staging::ToBeDurable;
use crate::accounts::{Account, Accounts};
use crate::admission::{self, Grant, KeyDirectory, Limiter};
use crate::budget::{Budget, Held};
use crate::client::Client;
use crate::envelope::EnvelopeLimits;
use crate::forwarding::Proxies;
use crate::live::Live;
use crate::outcome::{Reason, Refusal};
use crate::replay::ReplayLimits;
use crate::restrictions::{Ruling, Subject};

pub(crate) use self::batch::raw_batch;
pub(crate) use self::destination::record_too_large;
pub(crate) use self::staging::Staging;

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
    pub(crate) proxies: Proxies,
    pub(crate) budget: Budget,
    pub(crate) accounts: Arc<Accounts>,
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
            proxies: Proxies::new(&settings.server),
            budget: Budget::new(bytes(limits.bytes_in_flight.as_u64())),
            accounts: Accounts::new(),
        }
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
                return Staging::dropped(batch_id);
            }
        };
        account.appended();
        Staging::record(ToBeDurable {
            durable: self.log.append(record),
            account,
            batch_id,
            events,
            held,
            accounts: Arc::clone(&self.accounts),
        })
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

/// A size from the configuration as memory counts it.
pub(crate) fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::choose_key;
    use crate::outcome::{Reason, Refusal};

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
}
