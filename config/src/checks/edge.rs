//! `edge.yaml`

use std::time::Duration;

use super::{Check, Contradiction, Findings, LONG, SHORT, kafka, telemetry, time_shown};
use crate::edge::{
    CorsSettings, EdgeSettings, KeySettings, LimitSettings, RateLimitSettings, RedisSettings, ServerSettings,
};
use crate::forms::shown;

/// Promised: a key that was revoked in the database stops within this time.
const REVOKED_STOPS: Duration = Duration::from_secs(30);
/// Answers that are older than this, about keys or about origins, are none.
const MONTH: Duration = Duration::from_secs(31 * 86_400);

impl Check for EdgeSettings {
    fn contradictions(&self) -> Vec<Contradiction> {
        let mut findings = Findings::default();
        server(&self.server, &mut findings);
        kafka::check(&self.kafka, &mut findings);
        redis(&self.redis, &mut findings);
        postgres(self, &mut findings);
        keys(&self.keys, &mut findings);
        rates(&self.rate_limit, &mut findings);
        limits(&self.limits, &mut findings);
        sizes(self, &mut findings);
        cors(&self.cors, &mut findings);
        telemetry::check(&self.log, &self.tracing, &mut findings);
        if self.kafka.delivery_timeout > self.server.shutdown_timeout {
            findings.refuse(
                ["kafka.delivery_timeout", "server.shutdown_timeout"],
                format!(
                    "a request that waits for kafka.delivery_timeout ({}) would be cut off by server.shutdown_timeout ({}); lower the \
                     one or raise the other",
                    time_shown(self.kafka.delivery_timeout),
                    time_shown(self.server.shutdown_timeout)
                ),
            );
        }
        if self.rate_limit.events_burst < self.limits.events_per_batch {
            findings.refuse(
                ["rate_limit.events_burst", "limits.events_per_batch"],
                format!(
                    "a batch of limits.events_per_batch ({}) could never pass rate_limit.events_burst ({}); raise the burst or lower the \
                     batch",
                    self.limits.events_per_batch, self.rate_limit.events_burst
                ),
            );
        }
        findings.0
    }

    fn warnings(&self) -> Vec<String> {
        kafka::warnings(&self.kafka, &self.batch)
    }
}

fn server(server: &ServerSettings, findings: &mut Findings) {
    let ports = [
        ("server.http_port", server.http_port),
        ("server.grpc_port", server.grpc_port),
        ("server.admin_port", server.admin_port),
    ];
    for (position, (key, port)) in ports.iter().enumerate() {
        // Each 0 takes a free port of its own.
        let clash = ports[..position]
            .iter()
            .find(|(_, earlier)| *port != 0 && earlier == port);
        if let Some((other, _)) = clash {
            findings.refuse(
                [*key, *other],
                format!("is the port of {other} too; give each its own, or 0 for any free one"),
            );
        }
    }
    findings.lasting(&[
        ("server.drain_delay", server.drain_delay, Duration::ZERO..=LONG),
        ("server.shutdown_timeout", server.shutdown_timeout, SHORT..=LONG),
        (
            "server.tls.handshake_timeout",
            server.tls.handshake_timeout,
            SHORT..=LONG,
        ),
    ]);
    let files = ("server.tls.certificate_file", "server.tls.key_file");
    match (&server.tls.certificate_file, &server.tls.key_file) {
        (Some(_), None) => findings.refuse([files.0, files.1], "needs its private key; set server.tls.key_file too"),
        (None, Some(_)) => findings.refuse(
            [files.1, files.0],
            "needs its certificate; set server.tls.certificate_file too",
        ),
        _ => {}
    }
}

fn redis(redis: &RedisSettings, findings: &mut Findings) {
    let port = redis
        .addr
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty() && !host.contains('/'))
        .and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none() {
        findings.refuse(
            ["redis.addr"],
            "is no address; write host:port, for example 127.0.0.1:6379",
        );
    }
    if redis.db < 0 {
        findings.refuse(["redis.db"], "is negative; write the number of a database, mostly 0");
    }
    findings.lasting(&[("redis.timeout", redis.timeout, kafka::ANSWER)]);
}

fn postgres(settings: &EdgeSettings, findings: &mut Findings) {
    let dsn = settings.postgres.dsn.reveal();
    if !dsn.starts_with("postgres://") && !dsn.starts_with("postgresql://") {
        findings.refuse(
            ["postgres.dsn"],
            "must begin with postgres:// or postgresql://; write postgres://user:password@host:5432/database",
        );
    }
    findings.within(&[(
        "postgres.max_connections",
        settings.postgres.max_connections.into(),
        1..=1000,
    )]);
    findings.lasting(&[("postgres.timeout", settings.postgres.timeout, kafka::ANSWER)]);
}

fn keys(keys: &KeySettings, findings: &mut Findings) {
    findings.within(&[("keys.cache_entries", keys.cache_entries, 1..=100_000_000)]);
    if keys.fresh_for < SHORT || keys.fresh_for > REVOKED_STOPS {
        findings.refuse(
            ["keys.fresh_for"],
            format!(
                "is out of bounds: a revoked key stops within {}; write {} to {0}",
                time_shown(REVOKED_STOPS),
                time_shown(SHORT)
            ),
        );
    }
    if keys.redis_ttl < keys.fresh_for {
        findings.refuse(
            ["keys.redis_ttl", "keys.fresh_for"],
            format!(
                "Redis would forget an answer while it is still fresh: keys.redis_ttl ({}) must be at least keys.fresh_for ({})",
                time_shown(keys.redis_ttl),
                time_shown(keys.fresh_for)
            ),
        );
    }
    if keys.grace < keys.redis_ttl {
        findings.refuse(
            ["keys.grace", "keys.redis_ttl"],
            format!(
                "Redis would keep answers that are too old to serve: keys.grace ({}) must be at least keys.redis_ttl ({})",
                time_shown(keys.grace),
                time_shown(keys.redis_ttl)
            ),
        );
    }
    if keys.grace > MONTH {
        findings.refuse(
            ["keys.grace"],
            format!(
                "is too long for a key that may be revoked; write at most {}",
                time_shown(MONTH)
            ),
        );
    }
}

fn rates(rates: &RateLimitSettings, findings: &mut Findings) {
    findings.within(&[
        (
            "rate_limit.requests_per_second",
            rates.requests_per_second.into(),
            1..=u64::MAX,
        ),
        ("rate_limit.burst", rates.burst.into(), 1..=u64::MAX),
        (
            "rate_limit.events_per_second",
            rates.events_per_second.into(),
            1..=u64::MAX,
        ),
        ("rate_limit.events_burst", rates.events_burst.into(), 1..=u64::MAX),
    ]);
}

fn limits(limits: &LimitSettings, findings: &mut Findings) {
    findings.not_empty(&[
        ("limits.body", limits.body),
        ("limits.decompressed", limits.decompressed),
        ("limits.replay_decompressed", limits.replay_decompressed),
        ("limits.header", limits.header),
        ("limits.bytes_in_flight", limits.bytes_in_flight),
        ("limits.staging_record", limits.staging_record),
        ("limits.replay_record", limits.replay_record),
    ]);
    findings.within(&[
        ("limits.events_per_batch", limits.events_per_batch.into(), 1..=u64::MAX),
        ("limits.key_length", limits.key_length.into(), 1..=4096),
        ("limits.id_length", limits.id_length.into(), 1..=4096),
        ("limits.connections", limits.connections.into(), 1..=u64::MAX),
        ("limits.stream_window", limits.stream_window.into(), 1..=10_000),
        (
            "limits.concurrent_streams",
            limits.concurrent_streams.into(),
            1..=10_000,
        ),
    ]);
    findings.lasting(&[
        ("limits.header_timeout", limits.header_timeout, SHORT..=LONG),
        ("limits.body_timeout", limits.body_timeout, SHORT..=LONG),
        ("limits.ping_interval", limits.ping_interval, SHORT..=LONG),
        ("limits.ping_timeout", limits.ping_timeout, SHORT..=LONG),
    ]);
}

fn sizes(settings: &EdgeSettings, findings: &mut Findings) {
    let limits = &settings.limits;
    let envelope = limits.envelope();
    let topics = [
        (
            ["limits.decompressed", "limits.staging_record"],
            limits.decompressed,
            limits.staging_record,
        ),
        (
            ["limits.replay_decompressed", "limits.replay_record"],
            limits.replay_decompressed,
            limits.replay_record,
        ),
    ];
    for ([body_key, record_key], body, record) in topics {
        findings.record(record_key, record);
        if body.as_u64().saturating_add(envelope.as_u64()) > record.as_u64() {
            findings.refuse(
                [body_key, record_key, "limits.header", "limits.id_length"],
                format!(
                    "{body_key} ({}) and an envelope of up to {} don't fit into {record_key} ({}); lower the one, or raise the other together \
                     with the topic's max.message.bytes",
                    shown(body),
                    shown(envelope),
                    shown(record)
                ),
            );
        }
        if record > settings.kafka.queue_bytes {
            findings.refuse(
                ["kafka.queue_bytes", record_key],
                format!(
                    "{record_key} ({}) could never pass kafka.queue_bytes ({}); raise the queue or lower the record",
                    shown(record),
                    shown(settings.kafka.queue_bytes)
                ),
            );
        }
    }
    let bodies = [
        ("limits.body", limits.body),
        ("limits.decompressed", limits.decompressed),
        ("limits.replay_decompressed", limits.replay_decompressed),
    ];
    for (key, body) in bodies {
        if body > limits.bytes_in_flight {
            findings.refuse(
                ["limits.bytes_in_flight", key],
                format!(
                    "{key} ({}) could never be taken with limits.bytes_in_flight ({}); raise the latter or lower the former",
                    shown(body),
                    shown(limits.bytes_in_flight)
                ),
            );
        }
    }
}

fn cors(cors: &CorsSettings, findings: &mut Findings) {
    let key = "cors.allowed_origins";
    if cors.allowed_origins.is_empty() {
        findings.refuse(
            [key],
            "names no origin, so that no browser could send; write [\"*\"] for any, or your sites",
        );
    }
    let is_origin = |origin: &str| {
        let host = origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"));
        host.is_some_and(|host| {
            !host.is_empty() && host.chars().all(|letter| letter.is_ascii_graphic() && letter != '/')
        })
    };
    for origin in cors
        .allowed_origins
        .iter()
        .filter(|origin| *origin != "*" && !is_origin(origin))
    {
        findings.refuse(
            [key],
            format!(
                "`{}` is no origin; write for example https://shop.example, without a path, or \"*\"",
                origin.escape_debug()
            ),
        );
    }
    findings.lasting(&[("cors.max_age", cors.max_age, Duration::ZERO..=MONTH)]);
}
