//! `enricher.yaml`

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;

use crate::kafka::{KafkaSettings, Secret};
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
    /// Clients whose clocks are wrong.
    pub clock: ClockSettings,
    /// Country and city.
    pub geoip: GeoipSettings,
    /// Browser, operating system, device.
    pub user_agent: UserAgentSettings,
    /// What is added beyond them.
    pub enrichment: EnrichmentSettings,
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
    #[serde(deserialize_with = "crate::forms::lanes")]
    pub lanes: u32,
    /// Distinguishes this process among those of the group, and is the same after a restart. Empty: host name and admin port.
    pub instance_id: String,
    /// The partitions of a process that died move after so long.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub session_timeout: Duration,
    /// A partition that has not moved for so long while batches wait in it makes the process unhealthy.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub stalled_after: Duration,
}

/// `transaction`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransactionSettings {
    /// Events that one transaction takes at the most; the batch that reaches it is the last.
    pub max_events: u32,
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
    /// Bytes of a URL, title or other text of the page, and of a custom event's property.
    #[serde(deserialize_with = "crate::forms::size")]
    pub max_text: ByteSize,
    /// Properties of one custom event.
    pub max_properties: u32,
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

/// `clock`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockSettings {
    /// Whether timestamps are corrected by what a batch's `sent_at` tells of the client's clock.
    pub correction: ClockCorrection,
    /// A clock that differs by no more than this is right: so long may a batch be under way.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub tolerance: Duration,
    /// What becomes of a timestamp beyond `validation.max_future` and `validation.max_age`.
    pub out_of_range: OutOfRange,
}

/// `clock.correction`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockCorrection {
    /// By the difference between the batch's `sent_at` and its receipt.
    SentAt,
    /// Not at all.
    Off,
}

/// `clock.out_of_range`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutOfRange {
    /// The event goes to the errors topic.
    Reject,
    /// It becomes the nearest time that is allowed.
    Clamp,
}

/// `geoip`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GeoipSettings {
    /// A city file (.mmdb). Empty: none but those of `databases`.
    pub database_path: PathBuf,
    /// More of them, asked in their order: for example one for IPv4 and one for IPv6.
    #[serde(deserialize_with = "crate::forms::paths_or_commas")]
    pub databases: Vec<PathBuf>,
    /// How often the files are looked at for changes.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub check_interval: Duration,
}

impl GeoipSettings {
    /// Every file that is configured, in the order in which they are asked.
    pub fn files(&self) -> Vec<PathBuf> {
        let single = Some(&self.database_path).filter(|path| !path.as_os_str().is_empty());
        single.into_iter().chain(&self.databases).cloned().collect()
    }
}

/// `user_agent`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserAgentSettings {
    /// Parsed user agents that the process remembers.
    pub cache_entries: u64,
}

/// `enrichment`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnrichmentSettings {
    /// What is added, in any order.
    pub add: Vec<Addition>,
}

/// One of `enrichment.add`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Addition {
    /// Where the visitor came from.
    Referrer,
    /// `utm_…` and click ids of the page's URL.
    Campaign,
    /// The event's own language, and the browser's where neither event nor batch names one.
    Language,
    /// State or province of the address.
    Region,
    /// Its continent.
    Continent,
    /// Latitude and longitude of its city.
    Coordinates,
    /// Its time zone.
    TimeZone,
}

/// `privacy`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrivacySettings {
    /// What becomes of every client's address on raw and errors.
    pub ip: IpPrivacy,
    /// What becomes of it at the least where the project asks for privacy; not `none`.
    pub anonymized_ip: IpPrivacy,
    /// The key of `hash`.
    pub hash_key: Secret,
}

/// `privacy.ip` and `privacy.anonymized_ip`, from the least private to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpPrivacy {
    /// It leaves as it is.
    None,
    /// The last octet of an IPv4 address and the last 80 bits of an IPv6 address become zero.
    Truncate,
    /// It becomes a keyed hash, another one in each project.
    Hash,
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
            stalled_after: Duration::from_secs(180),
        }
    }
}

impl Default for TransactionSettings {
    fn default() -> Self {
        Self {
            max_events: 10_000,
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
            max_entries: 1_000_000,
        }
    }
}

impl Default for ValidationSettings {
    fn default() -> Self {
        Self {
            max_event: ByteSize::mib(1),
            max_id_length: 256,
            max_text: ByteSize::kib(8),
            max_properties: 256,
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

impl Default for EnrichmentSettings {
    fn default() -> Self {
        Self {
            add: vec![Addition::Referrer, Addition::Campaign, Addition::Language],
        }
    }
}

impl Default for ClockSettings {
    fn default() -> Self {
        Self {
            correction: ClockCorrection::SentAt,
            tolerance: Duration::from_secs(10),
            out_of_range: OutOfRange::Reject,
        }
    }
}

impl Default for GeoipSettings {
    fn default() -> Self {
        Self {
            database_path: PathBuf::new(),
            databases: Vec::new(),
            check_interval: Duration::from_secs(5),
        }
    }
}

impl Default for PrivacySettings {
    fn default() -> Self {
        Self {
            ip: IpPrivacy::None,
            anonymized_ip: IpPrivacy::Truncate,
            hash_key: Secret::default(),
        }
    }
}
