//! The body of a staging record as Avro writes it, field after field in the order of `avro/raw_batch.v1.avsc`. By hand, since going by
//! the schema takes ten times as long for each request and each batch; what does not read that way is read by the schema, which says
//! what is wrong.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::avro_fields::Fields;
use crate::{BodyFormat, PrivacyRules, RawBatch, Transport};

/// Writes a batch in version 1.
pub(crate) fn write(batch: &RawBatch, to: &mut Vec<u8>) {
    // All by name: a field that is added has to be thought of here.
    let RawBatch {
        batch_id,
        received_at,
        project_id,
        key_id,
        session_id,
        user_id,
        transport,
        body_format,
        body,
        event_count,
        sent_at,
        client_ip,
        user_agent,
        client_hints,
        accept_language,
        origin,
        referer,
        privacy: PrivacyRules { anonymize_ip },
        traceparent,
    } = batch;
    text(batch_id, to);
    long(*received_at, to);
    text(project_id, to);
    text(key_id, to);
    text(session_id, to);
    optional_text(user_id.as_deref(), to);
    long(symbol_of_transport(*transport), to);
    long(symbol_of_format(*body_format), to);
    bytes(body, to);
    long((*event_count).into(), to);
    optional(*sent_at, long, to);
    optional_text(client_ip.as_deref(), to);
    optional_text(user_agent.as_deref(), to);
    map(client_hints, to);
    optional_text(accept_language.as_deref(), to);
    optional_text(origin.as_deref(), to);
    optional_text(referer.as_deref(), to);
    to.push((*anonymize_ip).into());
    optional_text(traceparent.as_deref(), to);
}

/// Reads a batch of version 1 as we write it; `None` of anything else, which may still be one.
pub(crate) fn read(record: &[u8]) -> Option<RawBatch> {
    let mut fields = Fields::of(record);
    let batch = RawBatch {
        batch_id: fields.text()?,
        received_at: fields.integer()?,
        project_id: fields.text()?,
        key_id: fields.text()?,
        session_id: fields.text()?,
        user_id: fields.optional(Fields::text)?,
        transport: match fields.integer()? {
            0 => Transport::Http,
            1 => Transport::Grpc,
            2 => Transport::GrpcWeb,
            _ => return None,
        },
        body_format: match fields.integer()? {
            0 => BodyFormat::Json,
            1 => BodyFormat::Protobuf,
            _ => return None,
        },
        body: Bytes::copy_from_slice(fields.bytes()?),
        event_count: fields.integer()?.try_into().ok()?,
        sent_at: fields.optional(Fields::integer)?,
        client_ip: fields.optional(Fields::text)?,
        user_agent: fields.optional(Fields::text)?,
        client_hints: fields.map()?,
        accept_language: fields.optional(Fields::text)?,
        origin: fields.optional(Fields::text)?,
        referer: fields.optional(Fields::text)?,
        privacy: PrivacyRules {
            anonymize_ip: fields.boolean()?,
        },
        traceparent: fields.optional(Fields::text)?,
    };
    fields.are_read().then_some(batch)
}

/// Its place among the symbols.
fn symbol_of_transport(transport: Transport) -> i64 {
    match transport {
        Transport::Http => 0,
        Transport::Grpc => 1,
        Transport::GrpcWeb => 2,
    }
}

fn symbol_of_format(format: BodyFormat) -> i64 {
    match format {
        BodyFormat::Json => 0,
        BodyFormat::Protobuf => 1,
    }
}

/// Zigzag, then seven bits a byte from the lowest on; int, long, enum and every length alike.
fn long(number: i64, to: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest >= 0x80 {
        to.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

fn bytes(bytes: &[u8], to: &mut Vec<u8>) {
    long(bytes.len() as i64, to);
    to.extend_from_slice(bytes);
}

fn text(text: &str, to: &mut Vec<u8>) {
    bytes(text.as_bytes(), to);
}

/// The union `["null", …]`.
fn optional<T>(value: Option<T>, write: impl Fn(T, &mut Vec<u8>), to: &mut Vec<u8>) {
    match value {
        None => long(0, to),
        Some(value) => {
            long(1, to);
            write(value, to);
        }
    }
}

fn optional_text(value: Option<&str>, to: &mut Vec<u8>) {
    optional(value, text, to);
}

/// One block, and the empty one that ends a map.
fn map(entries: &BTreeMap<String, String>, to: &mut Vec<u8>) {
    if !entries.is_empty() {
        long(entries.len() as i64, to);
        for (name, value) in entries {
            text(name, to);
            text(value, to);
        }
    }
    long(0, to);
}
