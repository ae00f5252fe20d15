//! `edge.yaml`

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use ipnet::IpNet;
use serde::Deserialize;

use crate::kafka::{KafkaSettings, Secret};
use crate::origins::OriginPattern;
use crate::restrictions::RestrictionSettings;
use crate::telemetry::{LegacyBatchSettings, LogSettings, TracingSettings};

/// The whole of `edge.yaml`.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct EdgeSettings {
    /// Addresses and the way to stop.
    pub server: ServerSettings,
    /// The log.
    pub kafka: KafkaSettings,
    /// Key cache and token buckets.
    pub redis: RedisSettings,
    /// Projects and API keys.
    pub postgres: PostgresSettings,
    /// How long an answer about a key serves.
    pub keys: KeySettings,
    /// Token buckets of each project.
    pub rate_limit: RateLimitSettings,
    /// What an operator stops or samples.
    #[serde(deserialize_with = "crate::restrictions::list")]
    pub restrictions: Vec<RestrictionSettings>,
    /// What one request may cost us.
    pub limits: LimitSettings,
    /// Cross-origin requests.
    pub cors: CorsSettings,
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
pub struct ServerSettings {
    /// Address to listen on with all three ports.
    #[serde(deserialize_with = "crate::forms::address")]
    pub host: IpAddr,
    /// HTTP, and gRPC-Web for browsers. 0 takes any free port.
    pub http_port: u16,
    /// gRPC and gRPC-Web. 0 takes any free port.
    pub grpc_port: u16,
    /// Health, readiness, metrics. 0 takes any free port.
    pub admin_port: u16,
    /// Peers that are believed when they name the hop before them: the right-most one that is not among them is the client.
    #[serde(deserialize_with = "crate::forms::networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// Where they name it; the first that a request has counts alone.
    pub forwarding_headers: Vec<ForwardingHeader>,
    /// After SIGTERM, requests are served as before for so long, while readiness says no.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub drain_delay: Duration,
    /// After that, requests in flight have so long to get their answer.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub shutdown_timeout: Duration,
    /// Encryption of both public ports.
    pub tls: TlsSettings,
}

/// `server.tls`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// PEM file with our certificate and those between it and the root; none for no TLS.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    pub key_file: Option<PathBuf>,
    /// A client that has not ended the handshake after so long is dropped.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub handshake_timeout: Duration,
}

/// A header in which proxies name the hop before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardingHeader {
    /// A chain of addresses.
    XForwardedFor,
    /// The same by RFC 7239.
    Forwarded,
    /// One address.
    XRealIp,
}

/// `redis`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSettings {
    /// `host:port`
    pub addr: String,
    /// Empty for none.
    pub password: Secret,
    /// Database number.
    pub db: i64,
    /// A command that takes longer counts as Redis being down.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub timeout: Duration,
}

/// `postgres`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresSettings {
    /// `postgres://user:password@host:port/database`
    pub dsn: Secret,
    /// Connections at the most.
    pub max_connections: u32,
    /// A look-up that takes longer counts as PostgreSQL being down.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub timeout: Duration,
}

/// `keys`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeySettings {
    /// Keys (valid and unknown) that the process remembers.
    pub cache_entries: u64,
    /// An answer whose read from the database is older is checked again: a revoked key stops within this time.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub fresh_for: Duration,
    /// Redis keeps an answer so long.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub redis_ttl: Duration,
    /// While the database does not answer, an older answer serves until it is so old.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub grace: Duration,
}

/// `rate_limit`, per project.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitSettings {
    /// Requests a second in the long run; a gRPC batch is a request.
    pub requests_per_second: u32,
    /// Requests at once.
    pub burst: u32,
    /// Events a second in the long run.
    pub events_per_second: u32,
    /// Events at once; at least `limits.events_per_batch`.
    pub events_burst: u32,
    /// What becomes of `api_keys.rate_limit`.
    pub per_key: PerKeyRate,
}

/// `rate_limit.per_key`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PerKeyRate {
    /// Nothing: the project's buckets alone count.
    Ignore,
    /// Each key has a bucket of its own beside its project's.
    Enforce,
}

/// `limits`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// A body as it arrives, compressed or not.
    #[serde(deserialize_with = "crate::forms::size")]
    pub body: ByteSize,
    /// A batch after decompression.
    #[serde(deserialize_with = "crate::forms::size")]
    pub decompressed: ByteSize,
    /// A replay chunk after decompression.
    #[serde(deserialize_with = "crate::forms::size")]
    pub replay_decompressed: ByteSize,
    /// Events in one batch.
    pub events_per_batch: u32,
    /// Characters of an API key.
    pub key_length: u32,
    /// Bytes of a session id, and of a user id.
    pub id_length: u32,
    /// All headers of a request.
    #[serde(deserialize_with = "crate::forms::size")]
    pub header: ByteSize,
    /// Reading a request's headers may take so long.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub header_timeout: Duration,
    /// A connection without a request is closed after so long.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub idle_timeout: Duration,
    /// Reading a request's body may take so long.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub body_timeout: Duration,
    /// Bodies held in memory by all requests together; beyond it requests are refused at once.
    #[serde(deserialize_with = "crate::forms::size")]
    pub bytes_in_flight: ByteSize,
    /// Open connections on the public ports together.
    pub connections: u32,
    /// Batches of one gRPC stream that wait for their acks.
    pub stream_window: u32,
    /// Calls at once on one HTTP/2 connection.
    pub concurrent_streams: u32,
    /// An HTTP/2 client that is silent for so long is asked whether it is still there.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub ping_interval: Duration,
    /// And has so long to answer.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub ping_timeout: Duration,
    /// The largest record of the staging topic (its max.message.bytes): a batch after decompression and its envelope must fit.
    #[serde(deserialize_with = "crate::forms::size")]
    pub staging_record: ByteSize,
    /// The largest record of the replay topic (its max.message.bytes).
    #[serde(deserialize_with = "crate::forms::size")]
    pub replay_record: ByteSize,
}

/// `cors`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorsSettings {
    /// Origins whose pages may read answers, and send what needs a preflight; `*` for any. No answer to a request with credentials can be read.
    pub allowed_origins: Vec<OriginPattern>,
    /// How long a browser may remember a preflight.
    #[serde(deserialize_with = "crate::forms::duration")]
    pub max_age: Duration,
}

impl LimitSettings {
    /// What a record holds beside the body, at the most: ids, and what we keep of the request's headers.
    pub fn envelope(&self) -> ByteSize {
        const FIXED: u64 = 4 * 1024;
        ByteSize::b(
            FIXED
                .saturating_add(self.header.as_u64())
                .saturating_add(4 * u64::from(self.id_length)),
        )
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            http_port: 8080,
            grpc_port: 50051,
            admin_port: 9464,
            trusted_proxies: Vec::new(),
            forwarding_headers: vec![
                ForwardingHeader::XForwardedFor,
                ForwardingHeader::Forwarded,
                ForwardingHeader::XRealIp,
            ],
            drain_delay: Duration::from_secs(5),
            shutdown_timeout: Duration::from_secs(10),
            tls: TlsSettings::default(),
        }
    }
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            certificate_file: None,
            key_file: None,
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            addr: "127.0.0.1:6379".to_owned(),
            password: Secret::default(),
            db: 0,
            timeout: Duration::from_millis(50),
        }
    }
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            dsn: Secret::new("postgres://gosight:gosight@127.0.0.1:5432/gosight"),
            max_connections: 8,
            timeout: Duration::from_secs(2),
        }
    }
}

impl Default for KeySettings {
    fn default() -> Self {
        Self {
            cache_entries: 100_000,
            fresh_for: Duration::from_secs(30),
            redis_ttl: Duration::from_secs(300),
            grace: Duration::from_secs(3600),
        }
    }
}

impl Default for RateLimitSettings {
    fn default() -> Self {
        Self {
            requests_per_second: 1_000,
            burst: 2_000,
            events_per_second: 50_000,
            events_burst: 100_000,
            per_key: PerKeyRate::Ignore,
        }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            body: ByteSize::mib(4),
            decompressed: ByteSize::mib(4),
            replay_decompressed: ByteSize::mib(8),
            events_per_batch: 10_000,
            key_length: 256,
            id_length: 256,
            header: ByteSize::kib(32),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            bytes_in_flight: ByteSize::mib(256),
            connections: 10_000,
            stream_window: 64,
            concurrent_streams: 256,
            ping_interval: Duration::from_secs(20),
            ping_timeout: Duration::from_secs(10),
            staging_record: ByteSize::mib(5),
            replay_record: ByteSize::mib(10),
        }
    }
}

impl Default for CorsSettings {
    fn default() -> Self {
        Self {
            allowed_origins: vec![OriginPattern::ANY],
            max_age: Duration::from_secs(86_400),
        }
    }
}
