//! `kafka`, `log` and `batch`: what both files have.

use std::time::Duration;

use super::{Findings, SHORT, time_shown};
use crate::forms::is_host_and_port;
use crate::kafka::{KafkaSettings, SaslMechanism, SecurityProtocol, SecuritySettings, TopicNames};
use crate::telemetry::LegacyBatchSettings;

/// Characters of a topic's name that Kafka takes at the most.
const LONGEST_TOPIC: usize = 249;
/// A client gives up after about so long, and a doubt must be answered before.
const LONGEST_DELIVERY: Duration = Duration::from_secs(30);

pub(super) fn check(kafka: &KafkaSettings, findings: &mut Findings) {
    if kafka.brokers.is_empty() {
        findings.refuse(
            ["kafka.brokers"],
            "names no broker; write at least one host:port, or set KAFKA_BROKERS",
        );
    }
    for broker in kafka.brokers.iter().filter(|broker| !is_host_and_port(broker)) {
        findings.refuse_item(
            "kafka.brokers",
            broker,
            format!("{broker:?} is no address; write host:port, for example 127.0.0.1:9092 or [::1]:9092"),
        );
    }
    topics(&kafka.topics, findings);
    security(&kafka.security, findings);
    findings.lasting(&[
        (
            "kafka.delivery_timeout",
            kafka.delivery_timeout,
            Duration::from_millis(100)..=LONGEST_DELIVERY,
        ),
        ("kafka.linger", kafka.linger, Duration::ZERO..=Duration::from_secs(1)),
    ]);
    if kafka.linger >= kafka.delivery_timeout {
        findings.refuse(
            ["kafka.linger", "kafka.delivery_timeout"],
            format!(
                "every record would be refused before it is sent: kafka.linger ({}) must be less than kafka.delivery_timeout ({})",
                time_shown(kafka.linger),
                time_shown(kafka.delivery_timeout)
            ),
        );
    }
    findings.not_empty(&[("kafka.queue_bytes", kafka.queue_bytes)]);
}

fn topics(topics: &TopicNames, findings: &mut Findings) {
    let names = [
        ("kafka.topics.staging", &topics.staging),
        ("kafka.topics.events", &topics.events),
        ("kafka.topics.errors", &topics.errors),
        ("kafka.topics.replay", &topics.replay),
    ];
    for (position, (key, name)) in names.iter().enumerate() {
        let legal = name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-'));
        if name.is_empty() {
            findings.refuse([*key], "is empty; name the topic");
        } else if !legal || name.len() > LONGEST_TOPIC || matches!(name.as_str(), "." | "..") {
            findings.refuse(
                [*key],
                format!("is no name of a topic; write up to {LONGEST_TOPIC} of the characters a-z, A-Z, 0-9, `.`, `_` and `-`"),
            );
        } else if let Some((other, _)) = names[..position].iter().find(|(_, earlier)| earlier == name) {
            findings.refuse(
                [*key, *other],
                format!("is the topic of {other} too; give each its own"),
            );
        }
    }
}

fn security(security: &SecuritySettings, findings: &mut Findings) {
    let sasl = matches!(
        security.protocol,
        SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl
    );
    let tls = matches!(security.protocol, SecurityProtocol::Ssl | SecurityProtocol::SaslSsl);
    let sasl_keys = [
        ("kafka.security.sasl_mechanism", security.sasl_mechanism.is_some()),
        (
            "kafka.security.sasl_username",
            is_there(security.sasl_username.as_deref()),
        ),
        (
            "kafka.security.sasl_password",
            security
                .sasl_password
                .as_ref()
                .is_some_and(|password| !password.is_empty()),
        ),
    ];
    for (key, present) in sasl_keys {
        match (sasl, present) {
            (true, false) => findings.refuse(
                [key, "kafka.security.protocol"],
                format!("a sasl protocol needs {key}; set it, or use plaintext or ssl"),
            ),
            (false, true) => findings.refuse(
                [key],
                format!(
                    "{key} has no use without a sasl protocol; set kafka.security.protocol to sasl_ssl, or leave it out"
                ),
            ),
            _ => {}
        }
    }
    let tls_keys = [
        ("kafka.security.ca_file", security.ca_file.is_some()),
        ("kafka.security.certificate_file", security.certificate_file.is_some()),
        ("kafka.security.key_file", security.key_file.is_some()),
        ("kafka.security.key_password", security.key_password.is_some()),
    ];
    for (key, _) in tls_keys.iter().filter(|(_, present)| *present && !tls) {
        findings.refuse(
            [*key],
            format!("{key} has no use without TLS; set kafka.security.protocol to ssl or sasl_ssl, or leave it out"),
        );
    }
    match (&security.certificate_file, &security.key_file) {
        (Some(_), None) => findings.refuse(
            ["kafka.security.certificate_file"],
            "a certificate needs its private key; set kafka.security.key_file too",
        ),
        (None, Some(_)) => findings.refuse(
            ["kafka.security.key_file"],
            "a private key needs its certificate; set kafka.security.certificate_file too",
        ),
        _ => {}
    }
    if security.key_password.is_some() && security.key_file.is_none() {
        findings.refuse(
            ["kafka.security.key_password"],
            "a key's password needs the key; set kafka.security.key_file too",
        );
    }
}

fn is_there(text: Option<&str>) -> bool {
    text.is_some_and(|text| !text.is_empty())
}

pub(super) fn warnings(kafka: &KafkaSettings, batch: &LegacyBatchSettings) -> Vec<String> {
    let mut warnings = Vec::new();
    for (key, present) in [
        ("batch.max_size", batch.max_size.is_some()),
        ("batch.flush_interval", batch.flush_interval.is_some()),
    ] {
        if present {
            warnings.push(format!(
                "{key} is a key of the Go ingestor and ignored here; it can be left out"
            ));
        }
    }
    let plain = kafka.security.sasl_mechanism == Some(SaslMechanism::Plain);
    if plain && kafka.security.protocol == SecurityProtocol::SaslPlaintext {
        warnings.push(
            "kafka.security.sasl_mechanism PLAIN without TLS sends the password readable; use sasl_ssl outside of development"
                .to_owned(),
        );
    }
    warnings
}

/// Shortest and longest wait for a peer that does not answer.
pub(super) const ANSWER: std::ops::RangeInclusive<Duration> = SHORT..=LONGEST_DELIVERY;
