//! Avro single-object encoding of staging records: two marker bytes, the schema's fingerprint, the body.
//! Source: Apache Avro 1.12 specification, "Single-object encoding"; the fingerprint is CRC-64-AVRO of the parsing canonical form.

use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;

use crate::{RawBatch, raw_batch_avro};

const MARKER: [u8; 2] = [0xC3, 0x01];
const PREFIX: usize = MARKER.len() + 8;

/// Version 1 of the staging record; later versions go below it, and every one of them stays readable.
const RAW_BATCH_V1: &str = include_str!("../avro/raw_batch.v1.avsc");

/// A record that could not be encoded; a defect of ours.
#[derive(Debug, thiserror::Error)]
#[error("the staging record could not be encoded: {0}")]
pub struct EncodeError(String);

/// Why bytes are no staging record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They do not begin with the marker: no edge of ours wrote them.
    #[error("the record does not begin with Avro's single-object marker c3 01; no edge wrote it")]
    NotSingleObject,
    /// A newer edge wrote them.
    #[error(
        "the record has schema fingerprint {fingerprint}, which this version does not know; upgrade enrichers before edges"
    )]
    UnknownSchema {
        /// Hexadecimal, as the bytes stand.
        fingerprint: String,
    },
    /// The body does not fit its schema.
    #[error("the record does not fit its schema: {0}")]
    Malformed(String),
}

/// Whether bytes begin as what edges of any version write.
pub fn is_single_object(bytes: &[u8]) -> bool {
    bytes.starts_with(&MARKER)
}

/// A schema with what reads it: making this anew resolves all of its names.
struct KnownSchema {
    fingerprint: [u8; 8],
    reader: GenericDatumReader<'static>,
}

impl KnownSchema {
    fn parse(text: &str) -> Result<Self, String> {
        let schema = Schema::parse_str(text).map_err(|error| error.to_string())?;
        // Once per version and process.
        let schema: &'static Schema = Box::leak(Box::new(schema));
        let fingerprint = schema
            .fingerprint::<Rabin>()
            .bytes
            .as_slice()
            .try_into()
            .map_err(|_| "a CRC-64-AVRO fingerprint has 8 bytes".to_owned())?;
        let text_of = |error: apache_avro::Error| error.to_string();
        Ok(Self {
            fingerprint,
            reader: GenericDatumReader::builder(schema).build().map_err(text_of)?,
        })
    }
}

static KNOWN_V1: LazyLock<Result<KnownSchema, String>> = LazyLock::new(|| KnownSchema::parse(RAW_BATCH_V1));

/// Encodes a batch as it stands on the staging topic, in the newest version.
///
/// # Errors
/// Only for a defect of ours: the schema can't be read.
pub fn encode_raw_batch(batch: &RawBatch) -> Result<Vec<u8>, EncodeError> {
    let known = KNOWN_V1.as_ref().map_err(|error| EncodeError(error.clone()))?;
    let mut record = Vec::with_capacity(PREFIX + batch.body.len() + 512);
    record.extend_from_slice(&MARKER);
    record.extend_from_slice(&known.fingerprint);
    raw_batch_avro::write(batch, &mut record);
    Ok(record)
}

/// The body of a staging record of version 1; `None` of anything else.
pub(crate) fn body_of_v1(record: &[u8]) -> Option<&[u8]> {
    let known = KNOWN_V1.as_ref().ok()?;
    record.strip_prefix(&MARKER)?.strip_prefix(&known.fingerprint)
}

/// Decodes a record of the staging topic, of any version that was ever written.
///
/// # Errors
/// The record has no marker, a fingerprint that this version does not know, or does not fit its schema.
pub fn decode_raw_batch(record: &[u8]) -> Result<RawBatch, DecodeError> {
    let Some((prefix, body)) = record.split_at_checked(PREFIX) else {
        return Err(DecodeError::NotSingleObject);
    };
    if prefix[..MARKER.len()] != MARKER {
        return Err(DecodeError::NotSingleObject);
    }
    let known = KNOWN_V1
        .as_ref()
        .map_err(|error| DecodeError::Malformed(error.clone()))?;
    if prefix[MARKER.len()..] != known.fingerprint {
        let fingerprint = prefix[MARKER.len()..]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        return Err(DecodeError::UnknownSchema { fingerprint });
    }
    match raw_batch_avro::read(body) {
        Some(batch) => Ok(batch),
        None => read_by_schema(known, body),
    }
}

fn read_by_schema(known: &KnownSchema, mut body: &[u8]) -> Result<RawBatch, DecodeError> {
    let malformed = |error: apache_avro::Error| DecodeError::Malformed(error.to_string());
    let batch = known.reader.read_deser(&mut body).map_err(malformed)?;
    if body.is_empty() {
        Ok(batch)
    } else {
        Err(DecodeError::Malformed(format!(
            "{} bytes follow the record",
            body.len()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::{KNOWN_V1, PREFIX, read_by_schema};
    use crate::raw_batch_avro::read;

    const VERSION_1: &[u8] = include_bytes!("../tests/fixtures/raw_batch.v1.avro");

    #[test]
    fn what_is_read_by_hand_reads_the_same_by_the_schema() {
        let known = KNOWN_V1.as_ref().unwrap();
        let body = &VERSION_1[PREFIX..];
        assert!(read(body).is_some(), "what edges write is read by hand");
        for at in 0..body.len() {
            for byte in 0..=255 {
                let mut changed = body.to_vec();
                changed[at] = byte;
                if let Some(batch) = read(&changed) {
                    assert_eq!(read_by_schema(known, &changed), Ok(batch), "{byte} at {at}");
                }
            }
            assert_eq!(read(&body[..at]), None, "{at} bytes");
        }
    }
}
