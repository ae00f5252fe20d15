//! The files that we ship are the reference: they name every key, their values are the defaults of the types, and they read their
//! addresses from the environment.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use gosight_config::{ConfigErrors, EdgeSettings, EnricherSettings, Source};

fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn shipped_edge(variables: &[(&str, &str)]) -> Result<EdgeSettings, ConfigErrors> {
    EdgeSettings::load(&Source::Shipped, &environment(variables)).map(|loaded| loaded.settings)
}

fn shipped_enricher(variables: &[(&str, &str)]) -> Result<EnricherSettings, ConfigErrors> {
    EnricherSettings::load(&Source::Shipped, &environment(variables)).map(|loaded| loaded.settings)
}

#[test]
fn without_environment_the_shipped_files_are_the_defaults_and_warn_of_nothing() {
    let edge = EdgeSettings::load(&Source::Shipped, &BTreeMap::new()).unwrap();
    assert_eq!(edge.settings, EdgeSettings::default());
    assert_eq!(edge.warnings, Vec::<String>::new());
    let enricher = EnricherSettings::load(&Source::Shipped, &BTreeMap::new()).unwrap();
    assert_eq!(enricher.settings, EnricherSettings::default());
    assert_eq!(enricher.warnings, Vec::<String>::new());
}

#[test]
fn addresses_come_from_the_environment() {
    let shared = [
        ("KAFKA_BROKERS", "one:9092, two:9092"),
        ("ADMIN_PORT", "3"),
        ("LOG_LEVEL", "debug"),
        ("LOG_FORMAT", "json"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"),
    ];
    let edge_only = [
        ("REDIS_ADDR", "redis:6379"),
        ("REDIS_PASSWORD", "a: \"b\" #'{[\n- c"),
        ("POSTGRES_DSN", "postgresql://u:p@db/gosight"),
        ("HTTP_PORT", "1"),
        ("GRPC_PORT", "2"),
    ];
    let edge = shipped_edge(&[&shared[..], &edge_only].concat()).unwrap();
    assert_eq!(edge.kafka.brokers, ["one:9092", "two:9092"]);
    assert_eq!(
        (edge.server.http_port, edge.server.grpc_port, edge.server.admin_port),
        (1, 2, 3)
    );
    assert_eq!(edge.redis.addr, "redis:6379");
    assert_eq!(edge.redis.password.reveal(), "a: \"b\" #'{[\n- c");
    assert_eq!(edge.postgres.dsn.reveal(), "postgresql://u:p@db/gosight");
    assert_eq!(edge.log.level, "debug");
    assert_eq!(edge.tracing.otlp_endpoint, "http://collector:4317");
    let debug = format!("{edge:?}");
    assert!(!debug.contains("- c") && !debug.contains("u:p@db"), "{debug}");

    let enricher_only = [
        ("GEOIP_DATABASE", "/data/city.mmdb"),
        ("GEOIP_DATABASES", "/data/four.mmdb, /data/six.mmdb"),
        ("IP_HASH_KEY", "0123456789abcdef"),
        ("INSTANCE_ID", "pod-7"),
    ];
    let enricher = shipped_enricher(&[&shared[..], &enricher_only].concat()).unwrap();
    assert_eq!(enricher.kafka.brokers, ["one:9092", "two:9092"]);
    assert_eq!(enricher.server.admin_port, 3);
    assert_eq!(enricher.geoip.database_path, Path::new("/data/city.mmdb"));
    let files = ["/data/city.mmdb", "/data/four.mmdb", "/data/six.mmdb"].map(PathBuf::from);
    assert_eq!(enricher.geoip.files(), files);
    assert_eq!(enricher.privacy.hash_key.reveal(), "0123456789abcdef");
    assert!(!format!("{enricher:?}").contains("0123456789abcdef"));
    assert_eq!(enricher.consumer.instance_id, "pod-7");
}

#[test]
fn a_bad_variable_is_named_together_with_its_value() {
    let error = shipped_edge(&[("HTTP_PORT", "tcp://10.0.0.1:80")])
        .unwrap_err()
        .to_string();
    let expected = "server.http_port = `tcp://10.0.0.1:80` (from HTTP_PORT): is no number that fits; write a whole number from 0 to 65535";
    assert!(error.starts_with("edge.yaml (built in):"), "{error}");
    assert!(error.ends_with(expected), "{error}");
}

/// The names of the keys of a settings type, as its `Debug` form tells them: it has every field, also an empty one.
fn keys_of(debug: &str) -> BTreeSet<String> {
    let mut sections: Vec<String> = Vec::new();
    let mut keys = BTreeSet::new();
    for line in debug.lines().skip(1) {
        let depth = (line.len() - line.trim_start().len()) / 4;
        let Some((key, value)) = line.trim().split_once(": ") else {
            continue;
        };
        if depth > 3 || key.contains(|other: char| !other.is_ascii_lowercase() && other != '_') {
            continue;
        }
        sections.truncate(depth - 1);
        let is_section = value.ends_with("Settings {") || value.ends_with("Names {");
        sections.push(key.to_owned());
        if !is_section {
            keys.insert(sections.join("."));
        }
    }
    keys
}

/// The key paths of a YAML file that is indented by two spaces and has a key on each line that is no comment.
fn keys_in(text: &str) -> BTreeSet<String> {
    let mut sections: Vec<&str> = Vec::new();
    let mut keys = BTreeSet::new();
    for line in text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.trim().starts_with('#'))
    {
        let depth = (line.len() - line.trim_start().len()) / 2;
        let (key, value) = line.trim().split_once(':').unwrap();
        sections.truncate(depth);
        sections.push(key);
        if !value.is_empty() {
            keys.insert(sections.join("."));
        }
    }
    keys
}

#[test]
fn every_key_stands_in_the_file_and_has_a_comment() {
    let edge = include_str!("../edge.yaml");
    let enricher = include_str!("../enricher.yaml");
    let edge_keys = keys_of(&format!("{:#?}", EdgeSettings::default()));
    let enricher_keys = keys_of(&format!("{:#?}", EnricherSettings::default()));
    assert!(
        edge_keys.contains("kafka.security.sasl_password") && edge_keys.len() > 50,
        "{edge_keys:?}"
    );
    assert!(enricher_keys.contains("privacy.anonymized_ip"), "{enricher_keys:?}");
    assert_eq!(keys_in(edge), edge_keys);
    assert_eq!(keys_in(enricher), enricher_keys);

    for text in [edge, enricher] {
        for (above, line) in text.lines().zip(text.lines().skip(1)) {
            let is_key = !line.trim().is_empty() && !line.trim().starts_with('#');
            assert!(
                !is_key || above.trim().starts_with('#'),
                "{line} has no comment above it"
            );
        }
    }
}
