//! Files of people: good ones load, wrong ones are refused with file, line, key, value and what to do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use bytesize::ByteSize;
use gosight_config::{ConfigErrors, EdgeSettings, EnricherSettings, Loaded, Source};

/// Loads a file of this text; the name of its directory is taken out of errors.
macro_rules! load {
    ($settings:ty, $text:expr) => {{
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("my.yaml");
        std::fs::write(&path, $text).unwrap();
        let variables = [
            ("PORT", "9001"),
            ("PORT_LINE", "9002\n"),
            ("WORD", "many"),
            ("EMPTY", ""),
            ("PASSWORD", "hunter2: \"#'\n- x: ${WORD} $${"),
            ("BROKERS", "a:1,b:2"),
        ];
        let environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let loaded: Result<Loaded<$settings>, ConfigErrors> =
            <$settings>::load(&Source::file_or_shipped(Some(&path)), &environment);
        let prefix = format!("{}/", directory.path().display());
        loaded.map_err(|errors| errors.to_string().replace(&prefix, ""))
    }};
}

fn edge(text: &str) -> EdgeSettings {
    load!(EdgeSettings, text)
        .unwrap_or_else(|error| panic!("{text}\n{error}"))
        .settings
}

fn refused<S: Debug>(loaded: Result<Loaded<S>, String>, text: &str) -> String {
    match loaded {
        Err(error) => error,
        Ok(_) => panic!("accepted:\n{text}"),
    }
}

fn edge_error(text: &str) -> String {
    refused(load!(EdgeSettings, text), text)
}

fn enricher_error(text: &str) -> String {
    refused(load!(EnricherSettings, text), text)
}

#[test]
fn what_is_left_out_has_its_default() {
    for text in [
        "",
        "\n# only a comment\n",
        "---\n",
        "---\nnull\n",
        "{}",
        "\u{feff}",
        "limits:\nserver: ~\nkafka:\n  topics:\n",
    ] {
        assert_eq!(edge(text), EdgeSettings::default(), "{text:?}");
    }
    let settings = edge("limits:\r\n  body: 1MiB # less\r\n");
    assert_eq!(settings.limits.body, ByteSize::mib(1));
    assert_eq!(
        settings.limits.decompressed,
        EdgeSettings::default().limits.decompressed
    );
}

#[test]
fn values_take_the_form_that_their_key_needs() {
    let settings = edge(
        "server: {http_port: \"${PORT}\", grpc_port: 0, admin_port: 0, host: '::1', trusted_proxies: [10.0.0.0/8, 192.0.2.7]}\n\
         kafka:\n  brokers: ${BROKERS}\n  delivery_timeout: 1s 500ms\n  security:\n    ca_file: ${EMPTY}\n    sasl_username: null\n\
         redis:\n  password: 0123\n  db: 3\n\
         limits:\n  body: 1000000\n",
    );
    assert_eq!(settings.server.http_port, 9001);
    assert!(settings.server.host.is_ipv6());
    let proxies: Vec<String> = settings
        .server
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(proxies, ["10.0.0.0/8", "192.0.2.7/32"]);
    assert_eq!(settings.kafka.brokers, ["a:1", "b:2"]);
    assert_eq!(settings.kafka.delivery_timeout, Duration::from_millis(1_500));
    assert_eq!(settings.kafka.security.ca_file, None);
    assert_eq!(settings.redis.password.reveal(), "0123");
    assert_eq!(settings.redis.db, 3);
    assert_eq!(settings.limits.body.as_u64(), 1_000_000);
    assert_eq!(edge("server:\n  http_port: ${PORT_LINE}\n").server.http_port, 9002);
    assert_eq!(
        edge("kafka:\n  brokers: ['[::1]:9092', a.example:65535]\n")
            .kafka
            .brokers,
        ["[::1]:9092", "a.example:65535"]
    );
    assert_eq!(
        edge("kafka:\n  brokers:\n    - a:1\n    - ${BROKERS}\n").kafka.brokers,
        ["a:1", "a:1", "b:2"]
    );
}

#[test]
fn a_variable_arrives_as_it_is_whatever_it_holds() {
    let password = "hunter2: \"#'\n- x: ${WORD} $${";
    for written in [
        "${PASSWORD}",
        "\"${PASSWORD}\"",
        "'${PASSWORD}'",
        "${NONE:-}${PASSWORD}",
    ] {
        let settings = edge(&format!("redis:\n  password: {written}\n  db: 1\n"));
        assert_eq!(settings.redis.password.reveal(), password, "{written}");
        assert_eq!(settings.redis.db, 1);
    }
    assert_eq!(
        edge("redis:\n  password: a$b$$c$${d}\n").redis.password.reveal(),
        "a$b$$c${d}"
    );
}

#[test]
fn keys_of_the_go_ingestor_are_accepted_with_a_warning() {
    let text = "batch:\n  max_size: 100\n  flush_interval: 100ms\n";
    for warnings in [
        load!(EdgeSettings, text).unwrap().warnings,
        load!(EnricherSettings, text).unwrap().warnings,
    ] {
        assert_eq!(
            warnings,
            [
                "batch.max_size is a key of the Go ingestor and ignored here; it can be left out",
                "batch.flush_interval is a key of the Go ingestor and ignored here; it can be left out",
            ]
        );
    }
}

#[test]
fn a_password_in_the_open_is_warned_of() {
    let text = "kafka:\n  security: {protocol: sasl_plaintext, sasl_mechanism: PLAIN, sasl_username: u, sasl_password: hunter2}\n";
    let warnings = load!(EdgeSettings, text).unwrap().warnings;
    assert!(
        warnings.len() == 1 && warnings[0].contains("use sasl_ssl"),
        "{warnings:?}"
    );
}

/// Each text, and what its error must hold: the place first.
fn table(error_of: fn(&str) -> String, cases: &[(&str, &[&str])]) {
    for (text, fragments) in cases {
        let error = error_of(text);
        assert!(error.starts_with(fragments[0]), "{text}\n{error}");
        for fragment in *fragments {
            assert!(error.contains(fragment), "{fragment} is not in:\n{error}");
        }
        assert!(!error.contains("hunter2"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn unknown_keys_and_wrong_types_are_refused() {
    table(
        edge_error,
        &[
            (
                "limits:\n  boddy: 4MiB\n",
                &["my.yaml:2:3: limits.boddy: ", "did you mean `body`?"],
            ),
            (
                "limit:\n  body: 4MiB\n",
                &["my.yaml:1:1: limit: ", "did you mean `limits`?"],
            ),
            (
                "limits:\n  burst: 4\n",
                &["my.yaml:2:3: limits.burst: ", "did you mean `rate_limit.burst`?"],
            ),
            (
                "keys:\n  colour: 4\n",
                &[
                    "my.yaml:2:3: keys.colour: ",
                    "the keys here are cache_entries, fresh_for, ",
                ],
            ),
            (
                "redis:\n  pasword: hunter2\n",
                &["my.yaml:2:3: redis.pasword: ", "did you mean `password`?"],
            ),
            ("8080: x\n", &["my.yaml:1:1: 8080: ", "no such key"]),
            (
                "server:\n  http_port: 8O80\n",
                &["my.yaml:2:14: server.http_port = `8O80`: ", "from 0 to 65535"],
            ),
            (
                "server:\n  http_port: 70000\n",
                &["my.yaml:2:14: server.http_port = `70000`: ", "from 0 to 65535"],
            ),
            (
                "server:\n  http_port: -1\n",
                &["my.yaml:2:14: server.http_port = `-1`: "],
            ),
            (
                "server:\n  http_port: \"80\"\n",
                &["my.yaml:2:14: server.http_port = `80`: ", "without quotes"],
            ),
            (
                "server:\n  http_port:\n",
                &["my.yaml:2:12: server.http_port: has no value"],
            ),
            (
                "server:\n  http_port: [1]\n",
                &["my.yaml:2:14: server.http_port: is a list"],
            ),
            (
                "server:\n  http_port: {a: 1}\n",
                &["my.yaml:2:", "server.http_port: is a section"],
            ),
            (
                "server:\n  http_port: ${WORD}\n",
                &["my.yaml:2:14: server.http_port = `many` (from WORD): "],
            ),
            (
                "server:\n  http_port: ${EMPTY}\n",
                &["my.yaml:2:14: server.http_port = `` (from EMPTY): "],
            ),
            (
                "server:\n  host: localhost\n",
                &["my.yaml:2:9: server.host = `localhost`: is no IP address"],
            ),
            (
                "server:\n  trusted_proxies: 10.0.0.0/8\n",
                &["my.yaml:2:20: server.trusted_proxies = `10.0.0.0/8`: is no list"],
            ),
            (
                "server:\n  trusted_proxies:\n    - 10.0.0.0/8\n    - 10.0.0.0/33\n",
                &["my.yaml:4:7: server.trusted_proxies[1] = `10.0.0.0/33`: is no network"],
            ),
            (
                "limits:\n  body: 4 potatoes\n",
                &["my.yaml:2:9: limits.body = `4 potatoes`: is no size", "4MiB"],
            ),
            (
                "limits:\n  body: -4MiB\n",
                &["my.yaml:2:9: limits.body = `-4MiB`: is no size"],
            ),
            (
                "limits:\n  body: 9999PiB\n",
                &["my.yaml:2:9: limits.body = `9999PiB`: is more than 1TiB"],
            ),
            (
                "redis:\n  timeout: 50\n",
                &["my.yaml:2:12: redis.timeout = `50`: is no duration", "500ms"],
            ),
            (
                "kafka:\n  compression: gzip\n",
                &["my.yaml:2:16: kafka.compression = `gzip`: ", "none, lz4, zstd"],
            ),
            (
                "redis:\n  password: [hunter2]\n",
                &["my.yaml:2:13: redis.password: is a list"],
            ),
            (
                "redis:\n  password: ~\n",
                &["my.yaml:2:13: redis.password: has no value"],
            ),
            ("redis: hunter2\n", &["my.yaml:1:8: redis: is no section"]),
            ("postgres:\n  - hunter2\n", &["my.yaml:2:3: postgres: is no section"]),
        ],
    );
}

#[test]
fn bad_variables_and_bad_yaml_are_refused() {
    table(
        edge_error,
        &[
            (
                "redis:\n  password: ${NO_SUCH}\n",
                &[
                    "my.yaml:2:13: redis.password: ${NO_SUCH} is not set; set the environment variable NO_SUCH",
                    "${NO_SUCH:-default}",
                ],
            ),
            (
                "redis:\n  password: ${PASSWORD:?hunter2}\n",
                &["my.yaml:2:13: redis.password: ", "${NAME:-default}"],
            ),
            (
                "redis:\n  password: hunter2${PASS\n",
                &["my.yaml:2:13: redis.password: ", "no closing brace"],
            ),
            (
                "redis:\n  db: 1\n  db: 2\n",
                &["my.yaml:3:3: redis.db: stands twice, first in line 2"],
            ),
            (
                "redis:\n  db: 1\nkafka: {}\nredis:\n  db: 2\n",
                &["my.yaml:4:1: redis: stands twice, first in line 1"],
            ),
            ("redis:\n\tdb: 1\n", &["my.yaml:2:", "a tab indents the line"]),
            ("redis:\n  db: 1\n   addr: x\n", &["my.yaml:3:", "this is no YAML"]),
            (
                "kafka:\n  brokers: [${BROKERS}]\n",
                &["my.yaml:2:", "this is no YAML", "${NAME} in quotes"],
            ),
            ("redis: [1\n", &["my.yaml:", "this is no YAML"]),
            ("redis: \"x\n", &["my.yaml:", "this is no YAML"]),
            ("- a\n", &["my.yaml:1:1: the file has no keys at its top"]),
            ("hunter2\n", &["my.yaml:1:1: the file has no keys at its top"]),
            ("redis:\n  db: 1\n---\nredis: {}\n", &["my.yaml:3:1: a second document"]),
            (
                "redis:\n  password: *hunter\n",
                &["my.yaml:2:13: redis.password: aliases"],
            ),
            (
                "redis:\n  password: &hunter x\n",
                &["my.yaml:2:", "redis.password: anchors"],
            ),
            (
                "redis:\n  password: !hunter x\n",
                &["my.yaml:2:", "redis.password: tags"],
            ),
            ("? [a, b]\n: 1\n", &["my.yaml:1:", "a key must be one word"]),
        ],
    );
}

#[test]
fn contradictions_of_the_edge_are_refused() {
    let sasl = "kafka:\n  security:\n    protocol: sasl_ssl\n    sasl_username: u\n    sasl_password: hunter2\n";
    let cert = "kafka:\n  security:\n    protocol: ssl\n    certificate_file: c.pem\n";
    table(
        edge_error,
        &[
            (
                "limits:\n  staging_record: 4MiB\n",
                &[
                    "my.yaml:2:19: limits.staging_record = `4MiB`: limits.decompressed (4MiB) and an envelope of up to 37KiB don't fit",
                ],
            ),
            (
                "limits:\n  decompressed: 5MiB\n",
                &[
                    "my.yaml:2:17: limits.decompressed = `5MiB`: ",
                    "limits.staging_record (5MiB)",
                ],
            ),
            (
                "limits:\n  replay_decompressed: 10MiB\n",
                &[
                    "my.yaml:2:24: limits.replay_decompressed = ",
                    "limits.replay_record (10MiB)",
                ],
            ),
            (
                "limits:\n  replay_record: 33MiB\n",
                &["my.yaml:2:18: limits.replay_record = ", "at most 32MiB"],
            ),
            (
                "limits:\n  header: 1MiB\n",
                &["my.yaml:2:11: limits.header = `1MiB`: limits.decompressed (4MiB) and an envelope"],
            ),
            ("limits:\n  body: 0\n", &["my.yaml:2:9: limits.body = `0`: is nothing"]),
            (
                "limits:\n  body: 257MiB\n",
                &[
                    "my.yaml:2:9: limits.body = `257MiB`: ",
                    "limits.bytes_in_flight (256MiB)",
                ],
            ),
            (
                "limits:\n  connections: 0\n",
                &["my.yaml:2:16: limits.connections = `0`: is too little; write at least 1"],
            ),
            (
                "limits:\n  concurrent_streams: 0\n",
                &["my.yaml:2:23: limits.concurrent_streams = `0`: is out of bounds; write 1 to 10000"],
            ),
            (
                "limits:\n  ping_interval: 0s\n",
                &["my.yaml:2:18: limits.ping_interval = `0s`: is out of bounds; write 1ms to 1h"],
            ),
            (
                "limits:\n  ping_timeout: 2h\n",
                &["my.yaml:2:17: limits.ping_timeout = `2h`: is out of bounds; write 1ms to 1h"],
            ),
            (
                "server:\n  drain_delay: 2h\n",
                &["my.yaml:2:16: server.drain_delay = `2h`: is out of bounds; write 0s to 1h"],
            ),
            (
                "limits:\n  body_timeout: 0s\n",
                &["my.yaml:2:17: limits.body_timeout = `0s`: is out of bounds; write 1ms to 1h"],
            ),
            (
                "kafka:\n  queue_bytes: 9MiB\n",
                &["my.yaml:2:16: kafka.queue_bytes = `9MiB`: limits.replay_record (10MiB)"],
            ),
            (
                "rate_limit:\n  events_burst: 9999\n",
                &[
                    "my.yaml:2:17: rate_limit.events_burst = `9999`: ",
                    "limits.events_per_batch (10000)",
                ],
            ),
            (
                "limits:\n  events_per_batch: 100001\n",
                &["my.yaml:2:21: limits.events_per_batch = `100001`: ", "(100000)"],
            ),
            (
                "rate_limit:\n  burst: 0\n",
                &["my.yaml:2:10: rate_limit.burst = `0`: is too little"],
            ),
            (
                "rate_limit:\n  requests_per_second: 0\n",
                &["my.yaml:2:24: rate_limit.requests_per_second = `0`: is too little"],
            ),
            (
                "rate_limit:\n  events_per_second: 0\n",
                &["my.yaml:2:22: rate_limit.events_per_second = `0`: is too little"],
            ),
            (
                "keys:\n  fresh_for: 31s\n",
                &[
                    "my.yaml:2:14: keys.fresh_for = `31s`: ",
                    "a revoked key stops within 30s",
                ],
            ),
            ("keys:\n  fresh_for: 0s\n", &["my.yaml:2:14: keys.fresh_for = `0s`: "]),
            (
                "keys:\n  redis_ttl: 29s\n",
                &["my.yaml:2:14: keys.redis_ttl = `29s`: ", "keys.fresh_for (30s)"],
            ),
            (
                "keys:\n  grace: 4m\n",
                &["my.yaml:2:10: keys.grace = `4m`: ", "keys.redis_ttl (5m)"],
            ),
            (
                "kafka:\n  delivery_timeout: 11s\n",
                &[
                    "my.yaml:2:21: kafka.delivery_timeout = `11s`: ",
                    "server.shutdown_timeout (10s)",
                ],
            ),
            (
                "server:\n  shutdown_timeout: 9s\n",
                &[
                    "my.yaml:2:21: server.shutdown_timeout = `9s`: ",
                    "kafka.delivery_timeout (10s)",
                ],
            ),
            (
                "server:\n  http_port: 50051\n",
                &["my.yaml:2:14: server.http_port = `50051`: is the port of server.http_port too"],
            ),
            (
                "kafka:\n  brokers: []\n",
                &["my.yaml:2:12: kafka.brokers: names no broker", "KAFKA_BROKERS"],
            ),
            (
                "kafka:\n  brokers: ' , '\n",
                &["my.yaml:2:12: kafka.brokers = ` , `: names no broker"],
            ),
            (
                "kafka:\n  linger: 2s\n",
                &["my.yaml:2:11: kafka.linger = `2s`: is out of bounds; write 0s to 1s"],
            ),
            (
                "kafka:\n  linger: 1s\n  delivery_timeout: 1s\n",
                &["my.yaml:2:11: kafka.linger = `1s`: every record would be refused"],
            ),
            (
                "kafka:\n  topics:\n    events: ''\n",
                &["my.yaml:3:13: kafka.topics.events = ``: is empty"],
            ),
            (
                "kafka:\n  topics:\n    events: a b\n",
                &["my.yaml:3:13: kafka.topics.events = `a b`: is no name"],
            ),
            (
                "kafka:\n  topics:\n    events: gosight.events.staging\n",
                &[
                    "my.yaml:3:13: kafka.topics.events = ",
                    "is the topic of kafka.topics.staging too",
                ],
            ),
            (
                sasl,
                &[
                    "my.yaml:3:15: kafka.security.protocol = `sasl_ssl`: ",
                    "needs kafka.security.sasl_mechanism",
                ],
            ),
            (
                "kafka:\n  security:\n    sasl_mechanism: PLAIN\n",
                &["my.yaml:3:21: kafka.security.sasl_mechanism = `PLAIN`: "],
            ),
            (
                "kafka:\n  security:\n    sasl_password: hunter2\n",
                &["my.yaml:3:20: kafka.security.sasl_password (a secret, not shown): "],
            ),
            (
                cert,
                &[
                    "my.yaml:4:23: kafka.security.certificate_file = `c.pem`: ",
                    "set kafka.security.key_file too",
                ],
            ),
            (
                "kafka:\n  security:\n    ca_file: c.pem\n",
                &["my.yaml:3:14: kafka.security.ca_file = `c.pem`: ", "without TLS"],
            ),
            (
                "postgres:\n  dsn: mysql://u:hunter2@x/y\n",
                &["my.yaml:2:8: postgres.dsn (a secret, not shown): ", "postgres://"],
            ),
            (
                "postgres:\n  dsn: ${PASSWORD}\n",
                &["my.yaml:2:8: postgres.dsn (a secret, not shown) (from PASSWORD): "],
            ),
            (
                "redis:\n  addr: redis\n",
                &["my.yaml:2:9: redis.addr = `redis`: is no address; write host:port"],
            ),
            (
                "redis:\n  addr: redis://:hunter2@x:6379\n",
                &["my.yaml:2:9: redis.addr (a secret, not shown): is no address"],
            ),
            ("redis:\n  db: -1\n", &["my.yaml:2:7: redis.db = `-1`: is negative"]),
            (
                "cors:\n  allowed_origins: []\n",
                &["my.yaml:2:20: cors.allowed_origins: names no origin"],
            ),
            (
                "cors:\n  allowed_origins: [shop.example]\n",
                &["my.yaml:2:21: cors.allowed_origins[0] = `shop.example`: is no origin"],
            ),
            (
                "cors:\n  allowed_origins: [\"https://shop.example/\"]\n",
                &["my.yaml:2:21: cors.allowed_origins[0] = ", "without a path"],
            ),
            (
                "cors:\n  allowed_origins:\n    - https://shop.example\n    - https://sh*p.example\n",
                &[
                    "my.yaml:4:7: cors.allowed_origins[1] = `https://sh*p.example`: ",
                    "https://*.shop.example",
                ],
            ),
            (
                "cors:\n  allowed_origins: [\"*\", \"https://shop.example\"]\n",
                &["my.yaml:2:20: cors.allowed_origins: has \"*\" among others"],
            ),
            (
                "server:\n  forwarding_headers: [x-real-ip, forwarded, x-real-ip]\n",
                &["my.yaml:2:23: server.forwarding_headers: names a header twice"],
            ),
            (
                "server:\n  forwarding_headers: [x-client-ip]\n",
                &[
                    "my.yaml:2:24: server.forwarding_headers[0] = `x-client-ip`: ",
                    "x-forwarded-for, forwarded, x-real-ip",
                ],
            ),
            (
                "limits:\n  idle_timeout: 0s\n",
                &["my.yaml:2:17: limits.idle_timeout = `0s`: is out of bounds"],
            ),
            ("log:\n  level: ''\n", &["my.yaml:2:10: log.level = ``: is empty"]),
            (
                "tracing:\n  otlp_endpoint: https://collector:4317\n",
                &["my.yaml:2:18: tracing.otlp_endpoint = `https://collector:4317`: is no address"],
            ),
            (
                "tracing:\n  otlp_endpoint: http://collector\n",
                &["my.yaml:2:18: tracing.otlp_endpoint", "http://127.0.0.1:4317"],
            ),
            (
                "tracing:\n  sampling_ratio: 1.5\n",
                &["my.yaml:2:19: tracing.sampling_ratio = `1.5`: is no share"],
            ),
            (
                "tracing:\n  sampling_ratio: NaN\n",
                &["my.yaml:2:19: tracing.sampling_ratio", "from 0 to 1"],
            ),
        ],
    );
}

#[test]
fn contradictions_of_the_enricher_are_refused() {
    table(
        enricher_error,
        &[
            ("redis:\n  db: 1\n", &["my.yaml:1:1: redis: there is no such key"]),
            (
                "transaction:\n  timeout: 11s\n",
                &["my.yaml:2:12: transaction.timeout = `11s`: is out of bounds; write 1s to 10s"],
            ),
            (
                "transaction:\n  timeout: 2s\n  max_wait: 2s\n",
                &[
                    "my.yaml:3:13: transaction.max_wait = `2s`: ",
                    "transaction.timeout (2s)",
                ],
            ),
            (
                "consumer:\n  session_timeout: 46s\n",
                &["my.yaml:2:20: consumer.session_timeout = `46s`: ", "1s to 45s"],
            ),
            (
                "consumer:\n  stalled_after: 2h\n",
                &["my.yaml:2:18: consumer.stalled_after = `2h`: ", "1s to 1h"],
            ),
            (
                "consumer:\n  lanes: 0\n",
                &["my.yaml:2:10: consumer.lanes = `0`: ", "1 to 256"],
            ),
            (
                "consumer:\n  lanes: many\n",
                &["my.yaml:2:10: consumer.lanes = `many`: ", "from 1 to 256"],
            ),
            (
                "consumer:\n  lanes: 4294967296\n",
                &["my.yaml:2:10: consumer.lanes = `4294967296`: ", "from 1 to 256"],
            ),
            (
                "consumer:\n  group: ''\n",
                &["my.yaml:2:10: consumer.group = ``: is empty"],
            ),
            (
                "validation:\n  max_event: 2MiB\n  errors_record: 3MiB\n",
                &[
                    "my.yaml:2:14: validation.max_event = `2MiB`: ",
                    "validation.raw_record (2MiB)",
                ],
            ),
            (
                "validation:\n  raw_record: 4MiB\n  max_event: 1600KiB\n",
                &[
                    "my.yaml:3:14: validation.max_event = `1600KiB`: ",
                    "in base64",
                    "validation.errors_record (2MiB)",
                ],
            ),
            (
                "validation:\n  unknown_types: drop\n",
                &["my.yaml:2:18: validation.unknown_types = `drop`: ", "reject, pass"],
            ),
            (
                "dedupe:\n  window: 0s\n",
                &["my.yaml:2:11: dedupe.window = `0s`: is out of bounds"],
            ),
            (
                "clock:\n  tolerance: 0s\n",
                &["my.yaml:2:14: clock.tolerance = `0s`: is out of bounds"],
            ),
            (
                "clock:\n  out_of_range: drop\n",
                &["my.yaml:2:17: clock.out_of_range = `drop`: ", "reject, clamp"],
            ),
            (
                "geoip:\n  database_path: /a\n  databases: [b, c, d, e, f, g, h, i]\n",
                &["my.yaml:3:14: geoip.databases", "at most 8"],
            ),
            (
                "privacy:\n  anonymized_ip: none\n",
                &[
                    "my.yaml:2:18: privacy.anonymized_ip = `none`: ",
                    "truncate, hash or remove",
                ],
            ),
            (
                "privacy:\n  ip: hash\n  hash_key: too-short\n",
                &[
                    "my.yaml:3:13: privacy.hash_key (a secret, not shown): ",
                    "at least 16 random ones",
                ],
            ),
            (
                "privacy:\n  anonymized_ip: hash\n",
                &[
                    "my.yaml:2:18: privacy.anonymized_ip = `hash`: ",
                    "privacy.hash_key is shorter",
                ],
            ),
            (
                "user_agent:\n  cache_entries: 0\n",
                &["my.yaml:2:18: user_agent.cache_entries = `0`: "],
            ),
            (
                "kafka:\n  brokers: ''\n",
                &["my.yaml:2:12: kafka.brokers = ``: names no broker"],
            ),
            (
                "kafka:\n  brokers: one:9092,two\n",
                &["my.yaml:2:12: kafka.brokers = `one:9092,two`: \"two\" is no address; write host:port"],
            ),
            (
                "kafka:\n  brokers:\n    - one:9092\n    - three:9092, two:0\n",
                &["my.yaml:4:7: kafka.brokers[1] = `three:9092, two:0`: \"two:0\" is no address"],
            ),
            (
                "kafka:\n  brokers: ['::1:9092']\n",
                &["my.yaml:2:13: kafka.brokers[0]", "[::1]:9092"],
            ),
            ("kafka:\n  brokers: one:90921\n", &["my.yaml:2:12: kafka.brokers"]),
            (
                "kafka:\n  brokers: PLAINTEXT://one:9092\n",
                &["my.yaml:2:12: kafka.brokers"],
            ),
        ],
    );
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_their_lines() {
    let text = "\
server:
  http_port: ${NO_SUCH}
  grpc_port: many
limits:
  boddy: 4MiB
  decompressed: 6MiB
redis:
  db: 1
  db: 2
  password: hunter2
keys:
  fresh_for: 1m
postgres:
  dsn: hunter2
";
    assert_eq!(
        edge_error(text),
        "\
my.yaml:2:14: server.http_port: ${NO_SUCH} is not set; set the environment variable NO_SUCH, or give a default: ${NO_SUCH:-default}
my.yaml:3:14: server.grpc_port = `many`: is no number that fits; write a whole number from 0 to 65535
my.yaml:5:3: limits.boddy: there is no such key; did you mean `body`?
my.yaml:6:17: limits.decompressed = `6MiB`: limits.decompressed (6MiB) and an envelope of up to 37KiB don't fit into \
limits.staging_record (5MiB); lower the one, or raise the other together with the topic's max.message.bytes
my.yaml:9:3: redis.db: stands twice, first in line 8; keep one of them
my.yaml:12:14: keys.fresh_for = `1m`: is out of bounds: a revoked key stops within 30s; write 1ms to 30s
my.yaml:14:8: postgres.dsn (a secret, not shown): must begin with postgres:// or postgresql://; write \
postgres://user:password@host:5432/database"
    );
}

#[test]
fn a_faulty_value_causes_no_second_mistake() {
    // With its default of 30s standing in, fresh_for would exceed redis_ttl.
    let error = edge_error("keys:\n  fresh_for: soon\n  redis_ttl: 10s\n");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.starts_with("my.yaml:2:14: keys.fresh_for = `soon`: "), "{error}");
}

#[test]
fn very_many_mistakes_come_to_an_end() {
    let text: String = (0..1000).map(|number| format!("key{number}: 1\n")).collect();
    let error = edge_error(&text);
    assert_eq!(error.lines().count(), 20, "{error}");
    let twice: String = (0..30).map(|_| "redis: {}\n").collect();
    let error = edge_error(&twice);
    assert_eq!(error.lines().count(), 21, "{error}");
    assert!(error.ends_with("my.yaml: and 9 more"), "{error}");
    let lines: String = (0..10_001).map(|number| format!("key{number}: 1\n")).collect();
    assert!(edge_error(&lines).contains("more than 10000 values"));
    let deep = "[".repeat(100_000);
    assert!(edge_error(&deep).contains("this is no YAML"));
}

#[test]
fn what_is_no_file_is_refused_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("large.yaml"), "#".repeat((1 << 20) + 1)).unwrap();
    std::fs::write(path("largest.yaml"), "#".repeat(1 << 20)).unwrap();
    std::fs::write(path("latin.yaml"), b"# \xe9\n").unwrap();
    std::fs::create_dir(path("directory")).unwrap();
    for (name, expected) in [
        ("none.yaml", "there is no such file; check --config and CONFIG_PATH"),
        ("directory", "is a directory; name the file in it"),
        (
            "large.yaml",
            "is larger than 1 MiB, so it is no configuration; check --config and CONFIG_PATH",
        ),
        ("latin.yaml", "is not UTF-8 text; save it as UTF-8"),
    ] {
        let error = EdgeSettings::load(&Source::File(path(name)), &BTreeMap::new()).unwrap_err();
        assert_eq!(error.to_string(), format!("{}: {expected}", path(name).display()));
    }
    EdgeSettings::load(&Source::File(path("largest.yaml")), &BTreeMap::new()).unwrap();
}
