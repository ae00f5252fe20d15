//! How many events a staging record holds, without decoding it: what a transaction is measured by before anyone has read it.

use crate::avro_fields::Fields;
use crate::single_object::body_of_v1;

/// Texts that stand before the count: batch, then project, key and session.
const TEXTS_BEFORE_USER: usize = 3;

/// The event count that the edge noted in a staging record; `None` where the record can't be read.
pub fn event_count(record: &[u8]) -> Option<u32> {
    let mut fields = Fields::of(body_of_v1(record)?);
    fields.bytes()?; // batch_id
    fields.integer()?; // received_at
    for _ in 0..TEXTS_BEFORE_USER {
        fields.bytes()?;
    }
    if fields.integer()? == 1 {
        fields.bytes()?; // user_id
    }
    fields.integer()?; // transport
    fields.integer()?; // body_format
    fields.bytes()?; // body
    u32::try_from(fields.integer()?).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;

    use super::event_count;
    use crate::{BodyFormat, PrivacyRules, RawBatch, Transport, encode_raw_batch};

    fn staged(user_id: Option<&str>, body: usize, events: i32) -> Vec<u8> {
        let batch = RawBatch {
            batch_id: "b".repeat(36),
            received_at: 1_732_406_400_123,
            project_id: "p".to_owned(),
            key_id: String::new(),
            session_id: "s".repeat(100),
            user_id: user_id.map(str::to_owned),
            transport: Transport::GrpcWeb,
            body_format: BodyFormat::Protobuf,
            body: Bytes::from(vec![0xFF; body]),
            event_count: events,
            sent_at: None,
            client_ip: None,
            user_agent: Some("x".to_owned()),
            client_hints: BTreeMap::new(),
            accept_language: None,
            origin: None,
            referer: None,
            privacy: PrivacyRules::default(),
            traceparent: None,
        };
        encode_raw_batch(&batch).unwrap()
    }

    #[test]
    fn the_count_is_the_edges() {
        for user_id in [None, Some("u")] {
            for body in [0, 63, 64, 100_000] {
                for events in [0, 1, 63, 64, 1_000_000, i32::MAX] {
                    let record = staged(user_id, body, events);
                    assert_eq!(event_count(&record), u32::try_from(events).ok(), "{body} bytes");
                }
            }
        }
    }

    #[test]
    fn what_is_no_record_has_no_count() {
        let record = staged(Some("u"), 10, 3);
        assert_eq!(event_count(&staged(None, 10, -1)), None);
        for length in 0..120 {
            assert_eq!(event_count(&record[..length]), None, "{length} bytes");
        }
        let mut other = record;
        other[5] ^= 1;
        assert_eq!(event_count(&other), None, "another schema");
    }
}
