//! `enricher.yaml`

use std::time::Duration;

use bytesize::ByteSize;

use super::{Check, Contradiction, Findings, LONG, SHORT, kafka, telemetry, time_shown};
use crate::enricher::{
    ConsumerSettings, DedupeSettings, EnricherSettings, GeoipSettings, IpPrivacy, PrivacySettings, TransactionSettings,
    ValidationSettings,
};
use crate::forms::{MOST_LANES, shown};

/// What enrichment, context and the record's own headers add to an event, at the most.
const RECORD_ENVELOPE: ByteSize = ByteSize::kib(16);
/// Nothing staged is older than its topic keeps it, so a longer window reads nothing more.
const STAGING_KEEPS: Duration = Duration::from_secs(3 * 86_400);
/// Each file is held in memory and named in a header of each record.
const MOST_DATABASES: usize = 8;
/// Bytes of a key below which a hash of an address can be guessed.
const SHORTEST_HASH_KEY: usize = 16;
/// Event times further away than this from their receipt are no times.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);

impl Check for EnricherSettings {
    fn contradictions(&self) -> Vec<Contradiction> {
        let mut findings = Findings::default();
        findings.lasting(&[("server.shutdown_timeout", self.server.shutdown_timeout, SHORT..=LONG)]);
        kafka::check(&self.kafka, &mut findings);
        consumer(&self.consumer, &mut findings);
        transaction(&self.transaction, &mut findings);
        dedupe(&self.dedupe, &mut findings);
        validation(&self.validation, &mut findings);
        findings.lasting(&[(
            "clock.tolerance",
            self.clock.tolerance,
            Duration::from_secs(1)..=Duration::from_secs(86_400),
        )]);
        geoip(&self.geoip, &mut findings);
        privacy(&self.privacy, &mut findings);
        findings.within(&[(
            "user_agent.cache_entries",
            self.user_agent.cache_entries,
            1..=10_000_000,
        )]);
        telemetry::check(&self.log, &self.tracing, &mut findings);
        findings.0
    }

    fn warnings(&self) -> Vec<String> {
        kafka::warnings(&self.kafka, &self.batch)
    }
}

fn consumer(consumer: &ConsumerSettings, findings: &mut Findings) {
    if consumer.group.is_empty() {
        findings.refuse(["consumer.group"], "is empty; name the consumer group");
    }
    findings.within(&[("consumer.lanes", consumer.lanes.into(), 1..=MOST_LANES.into())]);
    findings.lasting(&[
        (
            "consumer.session_timeout",
            consumer.session_timeout,
            Duration::from_secs(1)..=Duration::from_secs(45),
        ),
        (
            "consumer.stalled_after",
            consumer.stalled_after,
            Duration::from_secs(1)..=Duration::from_secs(3600),
        ),
    ]);
}

fn transaction(transaction: &TransactionSettings, findings: &mut Findings) {
    findings.within(&[("transaction.max_events", transaction.max_events.into(), 1..=1_000_000)]);
    findings.not_empty(&[("transaction.max_bytes", transaction.max_bytes)]);
    findings.lasting(&[
        (
            "transaction.timeout",
            transaction.timeout,
            Duration::from_secs(1)..=Duration::from_secs(10),
        ),
        (
            "transaction.max_wait",
            transaction.max_wait,
            SHORT..=Duration::from_secs(10),
        ),
    ]);
    if transaction.max_wait >= transaction.timeout {
        findings.refuse(
            ["transaction.max_wait", "transaction.timeout"],
            format!(
                "transaction.max_wait ({}) must be less than transaction.timeout ({}), or the brokers abort what still waits; lower the wait",
                time_shown(transaction.max_wait),
                time_shown(transaction.timeout)
            ),
        );
    }
}

fn dedupe(dedupe: &DedupeSettings, findings: &mut Findings) {
    findings.lasting(&[("dedupe.window", dedupe.window, Duration::from_secs(1)..=STAGING_KEEPS)]);
    findings.within(&[("dedupe.max_entries", dedupe.max_entries.into(), 1..=u64::MAX)]);
}

fn validation(validation: &ValidationSettings, findings: &mut Findings) {
    findings.not_empty(&[
        ("validation.max_event", validation.max_event),
        ("validation.max_text", validation.max_text),
    ]);
    findings.within(&[("validation.max_id_length", validation.max_id_length.into(), 1..=4096)]);
    findings.lasting(&[
        ("validation.max_future", validation.max_future, Duration::ZERO..=CENTURY),
        (
            "validation.max_age",
            validation.max_age,
            Duration::from_secs(1)..=CENTURY,
        ),
    ]);
    findings.within(&[(
        "validation.max_properties",
        validation.max_properties.into(),
        1..=100_000,
    )]);
    findings.record("validation.raw_record", validation.raw_record);
    findings.record("validation.errors_record", validation.errors_record);
    let event = validation.max_event.as_u64();
    let envelope = RECORD_ENVELOPE.as_u64();
    if event.saturating_add(envelope) > validation.raw_record.as_u64() {
        findings.refuse(
            ["validation.max_event", "validation.raw_record"],
            format!(
                "validation.max_event ({}) and up to {} of enrichment don't fit into validation.raw_record ({}); lower the one, or raise the \
                 other together with the topic's max.message.bytes",
                shown(validation.max_event),
                shown(RECORD_ENVELOPE),
                shown(validation.raw_record)
            ),
        );
    }
    // An event above max_event is cut on the errors topic, whatever we do; one within it must come whole, so that it can be redriven.
    let base64 = event.div_ceil(3).saturating_mul(4);
    if base64.saturating_add(envelope) > validation.errors_record.as_u64() {
        findings.refuse(
            ["validation.max_event", "validation.errors_record"],
            format!(
                "a rejected event of validation.max_event ({}) has {base64} bytes in base64, and with up to {} of context doesn't fit into \
                 validation.errors_record ({}); lower the one, or raise the other together with the topic's max.message.bytes",
                shown(validation.max_event),
                shown(RECORD_ENVELOPE),
                shown(validation.errors_record)
            ),
        );
    }
}

fn geoip(geoip: &GeoipSettings, findings: &mut Findings) {
    findings.lasting(&[(
        "geoip.check_interval",
        geoip.check_interval,
        SHORT..=Duration::from_secs(3600),
    )]);
    let count = geoip.files().len();
    if count > MOST_DATABASES {
        findings.refuse(
            ["geoip.databases"],
            format!("names too many files: {count} with geoip.database_path; at most {MOST_DATABASES} are allowed"),
        );
    }
}

fn privacy(privacy: &PrivacySettings, findings: &mut Findings) {
    if privacy.anonymized_ip == IpPrivacy::None {
        findings.refuse(
            ["privacy.anonymized_ip"],
            "would give a project that asks for privacy none; write truncate, hash or remove",
        );
    }
    let hashes = [privacy.ip, privacy.anonymized_ip].contains(&IpPrivacy::Hash);
    if hashes && privacy.hash_key.reveal().len() < SHORTEST_HASH_KEY {
        findings.refuse(
            ["privacy.hash_key", "privacy.ip", "privacy.anonymized_ip"],
            format!(
                "addresses are hashed, but privacy.hash_key is shorter than {SHORTEST_HASH_KEY} characters, so that they can be guessed; \
                 set it to at least {SHORTEST_HASH_KEY} random ones"
            ),
        );
    }
}
