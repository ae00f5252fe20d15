//! The staging record's form: what version 1 wrote stays readable for ever, and what no edge wrote is named.

use std::collections::BTreeMap;

use bytes::Bytes;
use gosight_schemas::{BodyFormat, DecodeError, PrivacyRules, RawBatch, Transport, decode_raw_batch, encode_raw_batch};

/// Written once by version 1. A later version must read it; it is never made anew.
const VERSION_1: &[u8] = include_bytes!("fixtures/raw_batch.v1.avro");

fn batch() -> RawBatch {
    RawBatch {
        batch_id: "01937b5e-7c1a-7000-8000-000000000001".to_owned(),
        received_at: 1_732_406_400_123,
        project_id: "b0000000-0000-0000-0000-000000000001".to_owned(),
        key_id: "c0000000-0000-0000-0000-000000000001".to_owned(),
        session_id: "sess-1".to_owned(),
        user_id: Some("user-1".to_owned()),
        transport: Transport::GrpcWeb,
        body_format: BodyFormat::Protobuf,
        body: Bytes::from_static(&[0x00, 0xff, 0x0a, b'x', 0xc3, 0x01]),
        event_count: 3,
        sent_at: Some(1_732_406_400_000),
        client_ip: Some("2001:db8::1".to_owned()),
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64) é".to_owned()),
        client_hints: BTreeMap::from([
            ("sec-ch-ua-mobile".to_owned(), "?0".to_owned()),
            ("sec-ch-ua-platform".to_owned(), "\"Linux\"".to_owned()),
        ]),
        accept_language: Some("de-AT,de;q=0.8".to_owned()),
        origin: Some("https://shop.example".to_owned()),
        referer: None,
        privacy: PrivacyRules { anonymize_ip: true },
        traceparent: None,
    }
}

#[test]
fn a_record_of_version_1_is_still_read() {
    assert_eq!(decode_raw_batch(VERSION_1), Ok(batch()));
}

#[test]
fn version_1_is_still_written_to_the_byte() {
    assert_eq!(encode_raw_batch(&batch()).unwrap(), VERSION_1);
}

/// The reader goes by the schema, the writer does not.
#[test]
fn what_is_written_is_read_back() {
    let bare = RawBatch {
        session_id: String::new(),
        user_id: None,
        transport: Transport::Http,
        body_format: BodyFormat::Json,
        body: Bytes::new(),
        event_count: 0,
        sent_at: None,
        client_ip: None,
        user_agent: None,
        client_hints: BTreeMap::new(),
        accept_language: None,
        origin: None,
        privacy: PrivacyRules { anonymize_ip: false },
        ..batch()
    };
    let other = RawBatch {
        transport: Transport::Grpc,
        body: Bytes::from(vec![b'x'; 3 << 20]),
        event_count: i32::MAX,
        sent_at: Some(i64::MIN),
        referer: Some("https://shop.example/".to_owned()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        ..batch()
    };
    let numbers = [0, -1, 1, 63, 64, -64, -65, 8191, 8192, i64::MAX].map(|number| RawBatch {
        received_at: number,
        ..batch()
    });
    for batch in [batch(), bare, other].into_iter().chain(numbers) {
        let record = encode_raw_batch(&batch).unwrap();
        assert_eq!(decode_raw_batch(&record), Ok(batch));
    }
}

#[test]
fn a_record_that_no_edge_wrote_is_named() {
    for record in [&b""[..], b"{}", b"{\"project_key\":\"gs_test_key\"}"] {
        assert_eq!(decode_raw_batch(record), Err(DecodeError::NotSingleObject));
    }
}

#[test]
fn an_unknown_schema_is_named_with_its_fingerprint() {
    let mut record = VERSION_1.to_vec();
    record[2..10].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
    let expected = DecodeError::UnknownSchema {
        fingerprint: "0102030405060708".to_owned(),
    };
    assert_eq!(decode_raw_batch(&record), Err(expected));
}

#[test]
fn a_damaged_record_is_an_error_at_every_length() {
    for length in 10..VERSION_1.len() {
        let result = decode_raw_batch(&VERSION_1[..length]);
        assert!(matches!(result, Err(DecodeError::Malformed(_))), "{length}: {result:?}");
    }
    let mut longer = VERSION_1.to_vec();
    longer.push(0);
    assert!(matches!(decode_raw_batch(&longer), Err(DecodeError::Malformed(_))));
}
