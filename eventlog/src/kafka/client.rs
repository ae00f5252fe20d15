//! What librdkafka is told: the settings, and for each kind of client the properties on which the guarantees rest.

use std::time::Duration;

use gosight_config::kafka::{Compression, KafkaSettings, SaslMechanism, SecurityProtocol, SecuritySettings};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

use crate::LaneOptions;

/// The largest record that any client of ours carries, bytes. Topics set the limits that count; this one only has to be above them.
pub(super) const MAX_RECORD_BYTES: usize = 32 << 20;
/// Bytes of outputs that wait in one transactional producer; beyond it the lane or job waits.
const LANE_QUEUE_KBYTES: usize = 128 << 10;
/// Bytes that one consumer fetches ahead of its polls.
const FETCH_AHEAD_KBYTES: usize = 4 << 10;
/// Bytes of one partition in one answer, still compressed: unpacked they are many times as much, for every partition at once. A record
/// that is larger comes alone.
const FETCH_BYTES: usize = 128 << 10;
/// A lane that does not poll for so long loses its partitions, though its heartbeats go on.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(120);

/// The properties that every client shares: where the brokers are and how to speak with them.
pub(super) fn base(settings: &KafkaSettings, client_id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", settings.brokers.join(","))
        .set("client.id", client_id)
        .set("message.max.bytes", MAX_RECORD_BYTES.to_string())
        .set("socket.keepalive.enable", "true")
        // A topic that brokers make up has another number of partitions and other clocks than the contract's.
        .set("allow.auto.create.topics", "false")
        // Brokers that come back are found within a second.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("log.connection.close", "false")
        .set_log_level(RDKafkaLogLevel::Info);
    secure(&mut config, &settings.security);
    config
}

fn secure(config: &mut ClientConfig, security: &SecuritySettings) {
    let protocol = match security.protocol {
        SecurityProtocol::Plaintext => "plaintext",
        SecurityProtocol::Ssl => "ssl",
        SecurityProtocol::SaslPlaintext => "sasl_plaintext",
        SecurityProtocol::SaslSsl => "sasl_ssl",
    };
    config.set("security.protocol", protocol);
    match &security.ca_file {
        Some(path) => config.set("ssl.ca.location", path.to_string_lossy()),
        // OpenSSL is built in, so it does not know where this system keeps its certificates.
        None => config.set("ssl.ca.location", "probe"),
    };
    if let Some(path) = &security.certificate_file {
        config.set("ssl.certificate.location", path.to_string_lossy());
    }
    if let Some(path) = &security.key_file {
        config.set("ssl.key.location", path.to_string_lossy());
    }
    if let Some(password) = &security.key_password {
        config.set("ssl.key.password", password.reveal());
    }
    if let Some(mechanism) = security.sasl_mechanism {
        let name = match mechanism {
            SaslMechanism::Plain => "PLAIN",
            SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
            SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
        };
        config.set("sasl.mechanism", name);
    }
    if let Some(username) = &security.sasl_username {
        config.set("sasl.username", username);
    }
    if let Some(password) = &security.sasl_password {
        config.set("sasl.password", password.reveal());
    }
}

/// What both kinds of producer share.
fn producer(settings: &KafkaSettings, client_id: &str) -> ClientConfig {
    let mut config = base(settings, client_id);
    let compression = match settings.compression {
        Compression::None => "none",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    };
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // As Java clients place a key.
        .set("partitioner", "murmur2_random")
        .set("compression.type", compression)
        // A topic that is not there is reported after so long, not after 30 s: it may just have been created.
        .set("topic.metadata.propagation.max.ms", "3000");
    config
}

/// The producer behind appends.
pub(super) fn append_producer(settings: &KafkaSettings, client_id: &str) -> ClientConfig {
    let mut config = producer(settings, client_id);
    config
        .set("message.timeout.ms", millis(settings.delivery_timeout))
        .set("linger.ms", millis(settings.linger))
        // Our own count of bytes refuses first; librdkafka's stands behind it.
        .set(
            "queue.buffering.max.kbytes",
            (settings.queue_bytes.as_u64() / 1024 + 1024).to_string(),
        )
        .set("queue.buffering.max.messages", "0");
    config
}

/// The transactional producer of a lane.
pub(super) fn lane_producer(settings: &KafkaSettings, client_id: &str, options: &LaneOptions) -> ClientConfig {
    transactional_producer(
        settings,
        client_id,
        &options.transactional_id,
        options.transaction_timeout,
    )
}

/// A producer whose transactions may be open for so long.
pub(super) fn transactional_producer(
    settings: &KafkaSettings,
    client_id: &str,
    transactional_id: &str,
    timeout: Duration,
) -> ClientConfig {
    let mut config = producer(settings, client_id);
    config
        .set("transactional.id", transactional_id)
        .set("transaction.timeout.ms", millis(timeout))
        .set("message.timeout.ms", millis(timeout))
        // The next transaction meets CONCURRENT_TRANSACTIONS while the last one's markers are written, and sleeps so long.
        .set("retry.backoff.ms", "1")
        .set("retry.backoff.max.ms", "100")
        // Outputs come while they are computed, and a flush ends the wait. One batch of a partition is on its way at a time, and as long
        // as others have lingered out behind it librdkafka's thread spins: with 1 ms it did so for most of a transaction.
        .set("linger.ms", "100")
        // What is confirmed needs no report: the count of what is in flight tells.
        .set("delivery.report.only.error", "true")
        .set("queue.buffering.max.kbytes", LANE_QUEUE_KBYTES.to_string())
        .set("queue.buffering.max.messages", "0");
    config
}

/// What both kinds of consumer share.
fn consumer(settings: &KafkaSettings, client_id: &str, group: &str) -> ClientConfig {
    let mut config = base(settings, client_id);
    config
        .set("group.id", group)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A position that is no longer there is an error to be named, never a jump.
        .set("auto.offset.reset", "error")
        .set("queued.max.messages.kbytes", FETCH_AHEAD_KBYTES.to_string())
        .set("fetch.message.max.bytes", FETCH_BYTES.to_string())
        // When the fetched records have been taken, fetch on at once, not after a second.
        .set("fetch.queue.backoff.ms", "5");
    config
}

/// The consumer of a lane.
pub(super) fn lane_consumer(settings: &KafkaSettings, client_id: &str, options: &LaneOptions) -> ClientConfig {
    let heartbeat = (options.session_timeout / 4).min(Duration::from_secs(3));
    let max_poll_interval = MAX_POLL_INTERVAL.max(options.session_timeout);
    let mut config = consumer(settings, client_id, &options.group);
    config
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", millis(options.session_timeout))
        .set("heartbeat.interval.ms", millis(heartbeat))
        .set("max.poll.interval.ms", millis(max_poll_interval));
    config
}

/// A consumer that is given its partitions: for readers and for questions. It never joins or commits under its group's name.
pub(super) fn free_consumer(settings: &KafkaSettings, client_id: &str, group: &str) -> ClientConfig {
    consumer(settings, client_id, group)
}

fn millis(duration: Duration) -> String {
    duration.as_millis().max(1).to_string()
}

/// Passes librdkafka's own lines on to our log.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines;

impl ClientContext for Lines {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(target: "librdkafka", facility, "{message}");
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // Every one of them comes back as the result of what it made fail; the line only helps to see why.
        tracing::debug!(target: "librdkafka", %error, "{reason}");
    }
}

impl ConsumerContext for Lines {}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use bytesize::ByteSize;
    use gosight_config::kafka::{
        Compression, KafkaSettings, SaslMechanism, Secret, SecurityProtocol, SecuritySettings,
    };
    use rdkafka::ClientConfig;

    use super::{append_producer, base, free_consumer, lane_consumer, lane_producer};
    use crate::LaneOptions;

    /// Asserts what librdkafka itself says that it has understood.
    fn assert_understood(config: &ClientConfig, expected: &[(&str, &str)]) {
        let native = config.create_native_config().unwrap();
        for (name, value) in expected {
            assert_eq!(native.get(name).unwrap(), *value, "{name}");
        }
    }

    fn settings() -> KafkaSettings {
        KafkaSettings {
            brokers: vec!["one:9092".to_owned(), "two:9093".to_owned()],
            delivery_timeout: Duration::from_millis(7_500),
            queue_bytes: ByteSize::mib(3),
            linger: Duration::from_millis(4),
            compression: Compression::Zstd,
            ..KafkaSettings::default()
        }
    }

    fn options() -> LaneOptions {
        LaneOptions {
            group: "group".to_owned(),
            topic: "topic".to_owned(),
            transactional_id: "lane-1".to_owned(),
            session_timeout: Duration::from_secs(8),
            transaction_timeout: Duration::from_secs(9),
        }
    }

    #[test]
    fn security_settings_reach_librdkafka() {
        let security = SecuritySettings {
            protocol: SecurityProtocol::SaslSsl,
            ca_file: Some(PathBuf::from("/etc/ca.pem")),
            certificate_file: Some(PathBuf::from("/etc/cert.pem")),
            key_file: Some(PathBuf::from("/etc/key.pem")),
            key_password: Some(Secret::new("key-secret")),
            sasl_mechanism: Some(SaslMechanism::ScramSha512),
            sasl_username: Some("user".to_owned()),
            sasl_password: Some(Secret::new("sasl-secret")),
        };
        let config = base(&KafkaSettings { security, ..settings() }, "edge");
        assert_understood(
            &config,
            &[
                ("bootstrap.servers", "one:9092,two:9093"),
                ("client.id", "edge"),
                ("allow.auto.create.topics", "false"),
                ("security.protocol", "sasl_ssl"),
                ("ssl.ca.location", "/etc/ca.pem"),
                ("ssl.certificate.location", "/etc/cert.pem"),
                ("ssl.key.location", "/etc/key.pem"),
                ("ssl.key.password", "key-secret"),
                ("sasl.mechanisms", "SCRAM-SHA-512"),
                ("sasl.username", "user"),
                ("sasl.password", "sasl-secret"),
            ],
        );
    }

    #[test]
    fn every_protocol_and_mechanism_has_librdkafkas_name() {
        for (protocol, name) in [
            (SecurityProtocol::Plaintext, "plaintext"),
            (SecurityProtocol::Ssl, "ssl"),
            (SecurityProtocol::SaslPlaintext, "sasl_plaintext"),
            (SecurityProtocol::SaslSsl, "sasl_ssl"),
        ] {
            let security = SecuritySettings {
                protocol,
                ..SecuritySettings::default()
            };
            let config = base(&KafkaSettings { security, ..settings() }, "edge");
            assert_understood(&config, &[("security.protocol", name), ("ssl.ca.location", "probe")]);
        }
        for (mechanism, name) in [
            (SaslMechanism::Plain, "PLAIN"),
            (SaslMechanism::ScramSha256, "SCRAM-SHA-256"),
            (SaslMechanism::ScramSha512, "SCRAM-SHA-512"),
        ] {
            let security = SecuritySettings {
                sasl_mechanism: Some(mechanism),
                ..SecuritySettings::default()
            };
            let config = base(&KafkaSettings { security, ..settings() }, "edge");
            assert_understood(&config, &[("sasl.mechanisms", name)]);
        }
    }

    #[test]
    fn the_producer_of_appends_is_durable_and_bounded() {
        assert_understood(
            &append_producer(&settings(), "edge"),
            &[
                ("enable.idempotence", "true"),
                ("acks", "-1"),
                ("partitioner", "murmur2_random"),
                ("compression.type", "zstd"),
                ("message.timeout.ms", "7500"),
                ("linger.ms", "4"),
                ("queue.buffering.max.kbytes", "4096"),
                ("message.max.bytes", "33554432"),
            ],
        );
    }

    #[test]
    fn a_lane_commits_in_transactions_and_leaves_soon() {
        assert_understood(
            &lane_producer(&settings(), "enricher", &options()),
            &[
                ("transactional.id", "lane-1"),
                ("transaction.timeout.ms", "9000"),
                ("enable.idempotence", "true"),
                ("acks", "-1"),
                ("partitioner", "murmur2_random"),
                ("retry.backoff.ms", "1"),
                ("delivery.report.only.error", "true"),
                ("linger.ms", "100"),
            ],
        );
        assert_understood(
            &lane_consumer(&settings(), "enricher", &options()),
            &[
                ("group.id", "group"),
                ("isolation.level", "read_committed"),
                ("enable.auto.commit", "false"),
                ("auto.offset.reset", "error"),
                ("partition.assignment.strategy", "cooperative-sticky"),
                ("session.timeout.ms", "8000"),
                ("heartbeat.interval.ms", "2000"),
                ("fetch.message.max.bytes", "131072"),
                ("queued.max.messages.kbytes", "4096"),
            ],
        );
    }

    #[test]
    fn a_reader_sees_committed_records_only() {
        assert_understood(
            &free_consumer(&settings(), "tail", "readers"),
            &[
                ("isolation.level", "read_committed"),
                ("enable.auto.commit", "false"),
                ("auto.offset.reset", "error"),
            ],
        );
    }
}
