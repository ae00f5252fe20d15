//! Records as rdkafka carries them, and ours.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use gosight_schemas::headers;
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Header as KafkaHeader, Headers, OwnedHeaders};

use crate::{Header, LogRecord, Output, Position};

/// Bytes that a broker counts for a batch of one record beside its key, value and headers, at the most.
const BATCH_OVERHEAD: usize = 61 + 36;
/// The same for each header.
const HEADER_OVERHEAD: usize = 10;

/// Our own header names: a record that carries them needs no copy of the name.
const KNOWN_HEADERS: [&str; 9] = [
    headers::ORIGIN,
    headers::BATCH_ID,
    headers::ENRICHER_VERSION,
    headers::GEOIP_BUILD,
    headers::CODE,
    headers::PROJECT_ID,
    headers::ATTEMPT,
    headers::REPLAY_ID,
    headers::REDRIVE_OF,
];

/// Bytes of a record as a broker compares them with the topic's limit, at the most and before compression.
pub(super) fn size_on_broker(output: Output<'_>) -> usize {
    output.size() + BATCH_OVERHEAD + HEADER_OVERHEAD * output.headers.len()
}

/// Headers for a producer; `None` where there are none.
pub(super) fn headers_out(headers: &[Header]) -> Option<OwnedHeaders> {
    if headers.is_empty() {
        return None;
    }
    let owned = OwnedHeaders::new_with_capacity(headers.len());
    let owned = headers.iter().fold(owned, |owned, header| {
        owned.insert(KafkaHeader {
            key: &header.name,
            value: Some(header.value.as_ref()),
        })
    });
    Some(owned)
}

/// A record as it was fetched. `topic` is the one that was asked for, so that its name is shared.
pub(super) fn record_in(message: &BorrowedMessage<'_>, topic: &Arc<str>) -> LogRecord {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers
            .iter()
            .map(|header| Header {
                name: header_name(header.key),
                value: header.value.map_or_else(Bytes::new, Bytes::copy_from_slice),
            })
            .collect()
    });
    LogRecord {
        position: Position {
            topic: Arc::clone(topic),
            partition: message.partition(),
            offset: message.offset(),
        },
        timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map_or_else(Bytes::new, Bytes::copy_from_slice),
        headers,
    }
}

fn header_name(name: &str) -> Cow<'static, str> {
    KNOWN_HEADERS
        .iter()
        .find(|known| **known == name)
        .map_or_else(|| Cow::Owned(name.to_owned()), |known| Cow::Borrowed(*known))
}
