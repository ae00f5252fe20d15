//! `enricher.yaml`

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;

use crate::kafka::KafkaSettings;
use crate::telemetry::{LegacyBatchSettings, LogSettings, TracingSettings};

/// The whole of `enricher.yaml`.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct EnricherSettings {
    /// The admin port and the way to stop.
    pub server: AdminSettings,
    /// The log.
    pub kafka: KafkaSettings,
    /// The consumer group and its lanes.
    pub consumer: ConsumerSettings,
    /// How much one transaction takes.
    pub transaction: TransactionSettings,
    /// The window in which a repeated event id is a duplicate.
    pub dedupe: DedupeSettings,
    /// What a valid event is.
    pub validation: ValidationSettings,
    /// Country and city.
    pub geoip: GeoipSettings,
    /// Browser, operating system, device.
    pub user_agent: UserAgentSettings,
    /// What leaves of a person's address.
    pub privacy: PrivacySettings,
    /// Logging.
    pub log: LogSettings,
    /// OpenTelemetry traces.
    pub tracing: TracingSettings,
    /// Keys of the Go ingestor, ignored.
    pub batch: LegacyBatchSettings,
}

/// `server`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// Address to listen on.
    #[serde(deserialize_with = "crate::forms::address")]
    pub host: IpAddr,
    /// Health, readiness, metrics. 0 takes any free port.
    pub admin_port: u16,
    /// After SIGTERM, the open transactions have so long to commit.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub shutdown_timeout: Duration,
}

/// `consumer`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsumerSettings {
    /// The consumer group.
    pub group: String,
    /// Lanes of this process: group members, each with its own transactions. Over all processes no more than partitions.
    pub lanes: u32,
    /// Distinguishes this process among those of the group, and is the same after a restart. Empty: host name and admin port.
    pub instance_id: String,
    /// The partitions of a process that died move after so long.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub session_timeout: Duration,
}

/// `transaction`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransactionSettings {
    /// Staged batches that one transaction takes at the most.
    pub max_batches: u32,
    /// Bytes of staged batches that one transaction takes at the most.
    #[serde(deserialize_with = "crate::forms::size")]
    pub max_bytes: ByteSize,
    /// How long a poll waits for the first batch.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub max_wait: Duration,
    /// The brokers abort a transaction that is open for longer; 10 s at the most.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub timeout: Duration,
}

/// `dedupe`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DedupeSettings {
    /// An id that comes again within this time (by the log's append time) is a duplicate.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub window: Duration,
    /// Ids that one partition's window holds at the most; the oldest go first, and are counted.
    pub max_entries: u32,
}

/// `validation`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ValidationSettings {
    /// One event, in bytes as it came.
    #[serde(deserialize_with = "crate::forms::size")]
    pub max_event: ByteSize,
    /// Bytes of a session id, user id or event id.
    pub max_id_length: u32,
    /// Bytes of a URL, title or other text of the page.
    #[serde(deserialize_with = "crate::forms::size")]
    pub max_text: ByteSize,
    /// What becomes of an event whose type is not in the catalogue.
    pub unknown_types: UnknownTypes,
    /// An event may be ahead of its receipt by so much.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub max_future: Duration,
    /// An event may be older than its receipt by so much.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub max_age: Duration,
    /// The largest record of the raw topic (its max.message.bytes).
    #[serde(deserialize_with = "crate::forms::size")]
    pub raw_record: ByteSize,
    /// The largest record of the errors topic (its max.message.bytes).
    #[serde(deserialize_with = "crate::forms::size")]
    pub errors_record: ByteSize,
}

/// `validation.unknown_types`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownTypes {
    /// They go to the errors topic.
    Reject,
    /// They go to the raw topic as they are.
    Pass,
}

/// `geoip`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct GeoipSettings {
    /// A GeoLite2-City or GeoIP2-City file (.mmdb). Empty: no look-ups, country and city stay empty.
    pub database_path: PathBuf,
}

/// `user_agent`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserAgentSettings {
    /// Parsed user agents that the process remembers.
    pub cache_entries: u64,
}

/// `privacy`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrivacySettings {
    /// What becomes of the client's address on raw and errors where the project asks for privacy.
    pub anonymized_ip: AnonymizedIp,
}

/// `privacy.anonymized_ip`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnonymizedIp {
    /// The last octet of an IPv4 address and the last 80 bits of an IPv6 address become zero.
    Truncate,
    /// It is left out.
    Remove,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            admin_port: 9465,
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            group: "gosight-enricher".to_owned(),
            lanes: 2,
            instance_id: String::new(),
            session_timeout: Duration::from_secs(8),
        }
    }
}

impl Default for TransactionSettings {
    fn default() -> Self {
        Self {
            max_batches: 2_000,
            max_bytes: ByteSize::mib(16),
            max_wait: Duration::from_millis(200),
            timeout: Duration::from_secs(10),
        }
    }
}

impl Default for DedupeSettings {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(300),
            max_entries: 2_000_000,
        }
    }
}

impl Default for ValidationSettings {
    fn default() -> Self {
        Self {
            max_event: ByteSize::mib(1),
            max_id_length: 256,
            max_text: ByteSize::kib(8),
            unknown_types: UnknownTypes::Reject,
            max_future: Duration::from_secs(86_400),
            max_age: Duration::from_secs(365 * 86_400),
            raw_record: ByteSize::mib(2),
            errors_record: ByteSize::mib(2),
        }
    }
}

impl Default for UserAgentSettings {
    fn default() -> Self {
        Self { cache_entries: 10_000 }
    }
}

impl Default for PrivacySettings {
    fn default() -> Self {
        Self {
            anonymized_ip: AnonymizedIp::Truncate,
        }
    }
}
