//! How both services reach Kafka, and the names of the topics.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;

/// The largest record that any producer of ours sends, and so the bound of every `…_record` setting.
pub const LARGEST_RECORD: ByteSize = ByteSize::mib(32);

/// `kafka`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSettings {
    /// `host:port` of brokers to start from. One text with commas reads as several, as it comes from `KAFKA_BROKERS`.
    #[serde(deserialize_with = "crate::forms::list_or_commas")]
    pub brokers: Vec<String>,
    /// Names of the topics.
    pub topics: TopicNames,
    /// A record that the brokers have not confirmed for so long is refused (librdkafka message.timeout.ms).
    #[serde(deserialize_with = "crate::forms::duration")]
    pub delivery_timeout: Duration,
    /// Bytes that may wait for the brokers; beyond it appends are refused at once.
    #[serde(deserialize_with = "crate::forms::size")]
    pub queue_bytes: ByteSize,
    /// How long a producer gathers records into one request (librdkafka linger.ms).
    #[serde(deserialize_with = "crate::forms::duration")]
    pub linger: Duration,
    /// Compression of what we produce.
    pub compression: Compression,
    /// Encryption and authentication.
    pub security: SecuritySettings,
}

/// `kafka.topics`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicNames {
    /// Raw batches, Avro.
    pub staging: String,
    /// Enriched events, JSON.
    pub events: String,
    /// Rejects, JSON.
    pub errors: String,
    /// Replay chunks, JSON.
    pub replay: String,
    /// What operators did, JSON.
    pub ledger: String,
}

/// `kafka.compression`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As it is.
    None,
    /// lz4: least CPU.
    Lz4,
    /// zstd: smallest.
    Zstd,
}

/// `kafka.security`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct SecuritySettings {
    /// Encryption and authentication of the connection.
    pub protocol: SecurityProtocol,
    /// PEM file with the certificates to trust; the system's where absent.
    pub ca_file: Option<PathBuf>,
    /// PEM file with our certificate, for mutual TLS.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with our private key.
    pub key_file: Option<PathBuf>,
    /// Password of the private key.
    pub key_password: Option<Secret>,
    /// SASL mechanism; needed with the sasl protocols.
    pub sasl_mechanism: Option<SaslMechanism>,
    /// SASL user.
    pub sasl_username: Option<String>,
    /// SASL password.
    pub sasl_password: Option<Secret>,
}

/// `kafka.security.protocol`, named as Kafka names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    #[default]
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL without TLS.
    SaslPlaintext,
    /// SASL over TLS.
    SaslSsl,
}

/// `kafka.security.sasl_mechanism`, named as Kafka names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum SaslMechanism {
    /// User and password as they are; only over TLS.
    #[serde(rename = "PLAIN")]
    Plain,
    /// Salted challenge-response, RFC 5802 with SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// Salted challenge-response, RFC 5802 with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

/// A text that is never shown: `Debug` prints stars. The reader of a file knows it by its name and keeps it out of errors.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "***" })
    }
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            brokers: vec!["127.0.0.1:9092".to_owned()],
            topics: TopicNames::default(),
            delivery_timeout: Duration::from_secs(10),
            queue_bytes: ByteSize::mib(64),
            linger: Duration::from_millis(2),
            compression: Compression::Lz4,
            security: SecuritySettings::default(),
        }
    }
}

impl Default for TopicNames {
    fn default() -> Self {
        Self {
            staging: gosight_schemas::topics::STAGING.to_owned(),
            events: gosight_schemas::topics::RAW.to_owned(),
            errors: gosight_schemas::topics::ERRORS.to_owned(),
            replay: gosight_schemas::topics::REPLAY.to_owned(),
            ledger: gosight_schemas::topics::LEDGER.to_owned(),
        }
    }
}
