//! A batch as the edge stages it. The .avsc documents each field for other readers.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One batch, as it arrived, with what the edge knew about it. Version 1 of `avro/raw_batch.v1.avsc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawBatch {
    /// UUIDv7, made by the edge.
    pub batch_id: String,
    /// When the edge had read the request, Unix ms: every event's `server_timestamp`.
    pub received_at: i64,
    /// The project that the key belongs to.
    pub project_id: String,
    /// Id of the API key (never the key).
    pub key_id: String,
    /// The client's session; empty where it named none.
    pub session_id: String,
    /// The client's user.
    pub user_id: Option<String>,
    /// How it came.
    pub transport: Transport,
    /// How `body` is encoded.
    pub body_format: BodyFormat,
    /// The client's own bytes, decompressed: the JSON document, or a protobuf `gosight.EventBatch`.
    #[serde(with = "body_bytes")]
    pub body: Bytes,
    /// How many events the edge counted in `body`.
    pub event_count: i32,
    /// When the client sent it, by its own clock, Unix ms.
    pub sent_at: Option<i64>,
    /// The client's address. Stands in full on the staging topic only.
    pub client_ip: Option<String>,
    /// The User-Agent header.
    pub user_agent: Option<String>,
    /// The Sec-CH-UA… headers, by lower-case name.
    pub client_hints: BTreeMap<String, String>,
    /// The Accept-Language header.
    pub accept_language: Option<String>,
    /// The Origin header.
    pub origin: Option<String>,
    /// The Referer header.
    pub referer: Option<String>,
    /// The project's privacy settings at the time.
    pub privacy: PrivacyRules,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
}

/// The project's privacy settings that the enricher needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivacyRules {
    /// The project wants no full address on raw and errors (`projects.settings` → `privacy.anonymizeIp`).
    pub anonymize_ip: bool,
}

/// How a batch came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// HTTP/1 or HTTP/2, JSON or protobuf body.
    #[serde(rename = "HTTP")]
    Http,
    /// gRPC.
    #[serde(rename = "GRPC")]
    Grpc,
    /// gRPC-Web.
    #[serde(rename = "GRPC_WEB")]
    GrpcWeb,
}

/// How a batch's body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BodyFormat {
    /// A JSON document.
    #[serde(rename = "JSON")]
    Json,
    /// A protobuf `gosight.EventBatch`.
    #[serde(rename = "PROTOBUF")]
    Protobuf,
}

/// Avro `bytes` without a copy on either way.
mod body_bytes {
    use std::fmt;

    use bytes::Bytes;
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(body: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(body)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        struct BodyVisitor;

        impl Visitor<'_> for BodyVisitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes::copy_from_slice(bytes))
            }

            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes::from(bytes))
            }
        }

        deserializer.deserialize_byte_buf(BodyVisitor)
    }
}
