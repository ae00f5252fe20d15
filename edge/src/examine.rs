//! A batch on the way that it takes through the edge, but for key, rate limit and log: what `gosight validate` asks.

use std::net::IpAddr;

use bytes::Bytes;
use gosight_config::EdgeSettings;
use gosight_schemas::{BodyFormat, PrivacyRules, Transport, encode_raw_batch};
use http::HeaderMap;
use http_body_util::Full;

use crate::admission::Grant;
use crate::body::{self, BodyLimits};
use crate::budget::Budget;
use crate::client::Client;
use crate::envelope::{self, EnvelopeLimits};
use crate::ingest::{Sender, bytes, raw_batch, record_too_large};
use crate::new_id::new_id;
use crate::outcome::{Reason, Refusal};

/// What is taken for true of a batch that nobody sends.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The project that its key would belong to.
    pub project_id: String,
    /// The client's address.
    pub address: IpAddr,
    /// The client's User-Agent header.
    pub user_agent: Option<String>,
    /// When it arrives, Unix ms.
    pub received_at: i64,
}

/// The record that would be staged.
#[derive(Debug, Clone)]
pub struct Examined {
    /// Its key.
    pub key: Bytes,
    /// Its value: a [`gosight_schemas::RawBatch`], encoded.
    pub value: Bytes,
    /// Whether the body names a key; else a header has to.
    pub names_key: bool,
}

/// Reads a body as it arrives, compressed with gzip or not. `format_of` says what the decompressed body is.
///
/// # Errors
/// What the sender would be answered.
pub async fn examine(
    body: Bytes,
    format_of: impl FnOnce(&[u8]) -> BodyFormat,
    claimed: Claimed,
    settings: &EdgeSettings,
) -> Result<Examined, Refusal> {
    let limits = &settings.limits;
    let body_limits = BodyLimits {
        arriving: bytes(limits.body.as_u64()),
        decompressed: bytes(limits.decompressed.as_u64()),
        timeout: limits.body_timeout,
    };
    let budget = Budget::new(bytes(limits.bytes_in_flight.as_u64()));
    let plain = body::read(&HeaderMap::new(), Full::new(body), body_limits, &budget).await?;
    let format = format_of(&plain.bytes);
    let envelope = envelope::read(
        &plain.bytes,
        format,
        EnvelopeLimits {
            events: limits.events_per_batch,
            id_length: limits.id_length as usize,
        },
    )?;
    let names_key = envelope.project_key.is_some();
    let sender = Sender {
        transport: Transport::Http,
        client: Client {
            address: Some(claimed.address),
            user_agent: claimed.user_agent,
            ..Client::default()
        },
        key: Ok(None),
        session_id: None,
    };
    let grant = Grant {
        project_id: claimed.project_id.into(),
        key_id: "".into(),
        privacy: PrivacyRules::default(),
        requests_per_minute: None,
    };
    let (key, batch) = raw_batch(
        &sender,
        &grant,
        envelope,
        new_id(),
        claimed.received_at,
        plain.bytes.clone(),
        format,
    );
    let value = encode_raw_batch(&batch).map_err(|error| Refusal::new(Reason::Internal, error.to_string()))?;
    let (size, limit) = (key.len() + value.len(), bytes(limits.staging_record.as_u64()));
    if size > limit {
        return Err(record_too_large(size, limit));
    }
    Ok(Examined {
        key: key.into(),
        value: value.into(),
        names_key,
    })
}
