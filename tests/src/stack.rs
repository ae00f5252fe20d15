//! The pipeline on real Kafka, PostgreSQL and Redis: topics, a project and processes of its own for each test.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gosight_config::kafka::KafkaSettings;
use gosight_eventlog::kafka::KafkaLog;
use gosight_eventlog::{Cleanup, EventLog, TimestampSource, TopicSpec};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::process::Process;
use crate::wait;

const START: Duration = Duration::from_secs(30);

/// Everything but the processes.
#[derive(Debug)]
pub struct Stack {
    /// Configuration files.
    directory: TempDir,
    unique: String,
    /// A key of the stack's own project.
    pub key: String,
    /// The project.
    pub project: String,
    brokers: String,
}

/// A running `gosight-edge`.
#[derive(Debug)]
pub struct Edge {
    /// The process.
    pub process: Process,
    /// `http://address:port`
    pub http: String,
    /// `address:port`
    pub grpc: String,
    /// `http://address:port`
    pub admin: String,
}

/// The address of a real service.
///
/// # Panics
/// The variable is missing: `make test` starts the services and sets it.
pub fn service(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run `make test`, or `make services` and load .services/env"))
}

impl Stack {
    /// Creates topics and a project with a key.
    pub async fn new() -> Self {
        Self::on(service("KAFKA_BROKERS")).await
    }

    /// The same on a Kafka of the test's own.
    pub async fn on(brokers: String) -> Self {
        let unique = uuid::Uuid::now_v7().simple().to_string();
        let stack = Self {
            directory: TempDir::new().expect("a temporary directory"),
            key: format!("gs_e2e_{unique}"),
            project: uuid::Uuid::new_v4().to_string(),
            brokers,
            unique,
        };
        stack.write_configuration("edge", EDGE);
        stack.write_configuration("enricher", ENRICHER);
        create_project(&stack.project, &stack.key).await;
        stack.create_topics().await;
        stack
    }

    /// The name of one of the stack's topics: staging, raw, errors or replay.
    pub fn topic(&self, which: &str) -> String {
        format!("e2e-{}-{which}", self.unique)
    }

    /// The group of the stack's enrichers.
    pub fn group(&self) -> String {
        format!("e2e-{}", self.unique)
    }

    /// Creates one more project; gives its id and a key of it.
    pub async fn another_project(&self, number: usize) -> (String, String) {
        let (project, key) = (uuid::Uuid::new_v4().to_string(), format!("{}_{number}", self.key));
        create_project(&project, &key).await;
        (project, key)
    }

    /// Creates one more topic, as wide as staging.
    pub async fn create_topic(&self, which: &str) -> String {
        let spec = TopicSpec {
            name: self.topic(which),
            partitions: 12,
            retention: Duration::from_secs(3_600),
            cleanup: Cleanup::Delete,
            max_message_bytes: 5 << 20,
            timestamps: TimestampSource::LogAppendTime,
        };
        let name = spec.name.clone();
        let created = self.log().create_topics(&[spec]).await;
        created.expect("the topic can be created");
        name
    }

    /// The log, to read the topics.
    pub fn log(&self) -> Arc<KafkaLog> {
        let settings = KafkaSettings {
            brokers: self.brokers.split(',').map(str::to_owned).collect(),
            ..KafkaSettings::default()
        };
        KafkaLog::connect(&settings, "e2e").expect("the settings are good")
    }

    /// Starts an edge and waits until it is ready.
    pub async fn edge(&self) -> Edge {
        let edge = self.edge_with(&[]).await;
        edge.ready().await;
        edge
    }

    /// Starts an edge with variables in place of the services' own addresses, ready or not.
    pub async fn edge_with(&self, variables: &[(&str, &str)]) -> Edge {
        let mut process = self.process("gosight-edge", variables);
        Edge {
            http: format!("http://{}", process.printed_address("http").await),
            grpc: process.printed_address("grpc").await,
            admin: format!("http://{}", process.printed_address("admin").await),
            process,
        }
    }

    /// Starts an enricher under an identity of its own.
    pub async fn enricher(&self, instance: &str) -> Process {
        self.enricher_with(&[("INSTANCE_ID", instance)]).await.0
    }

    /// Starts an enricher with these variables; gives its admin port as `http://address:port`, too.
    pub async fn enricher_with(&self, variables: &[(&str, &str)]) -> (Process, String) {
        let mut process = self.process("gosight-enricher", variables);
        let admin = format!("http://{}", process.printed_address("admin").await);
        (process, admin)
    }

    /// Starts `gosight-edge` or `gosight-enricher` and waits for nothing.
    pub fn process(&self, name: &str, variables: &[(&str, &str)]) -> Process {
        let kind = name.strip_prefix("gosight-").expect("a service");
        Process::start(name, &[], &self.environment(kind, variables))
    }

    /// Starts an enricher of a group of its own, which reads staging from its start.
    pub async fn enricher_of_group(&self, group: &str, geoip: &str) -> Process {
        let variables = [("INSTANCE_ID", "only"), ("GROUP", group), ("GEOIP_DATABASE", geoip)];
        self.enricher_with(&variables).await.0
    }

    /// The configuration file of `edge` or `enricher`.
    pub fn configuration(&self, kind: &str) -> PathBuf {
        self.directory.path().join(format!("{kind}.yaml"))
    }

    /// The brokers' addresses, as in the environment.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// What a process finds in its environment: the configuration of `edge` or `enricher`, where the services are, and more.
    pub fn environment(&self, kind: &str, variables: &[(&str, &str)]) -> BTreeMap<String, String> {
        let config = self.configuration(kind);
        let mut environment = BTreeMap::from([
            ("CONFIG_PATH".to_owned(), config.to_str().expect("UTF-8").to_owned()),
            ("KAFKA_BROKERS".to_owned(), self.brokers.clone()),
            ("REDIS_ADDR".to_owned(), service("REDIS_ADDR")),
            (
                "REDIS_PASSWORD".to_owned(),
                std::env::var("REDIS_PASSWORD").unwrap_or_default(),
            ),
            ("POSTGRES_DSN".to_owned(), service("POSTGRES_DSN")),
        ]);
        environment.extend(
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        environment
    }

    fn write_configuration(&self, kind: &str, template: &str) {
        let mut text = template.replace("DEFAULT", &self.group());
        for (which, placeholder) in [
            ("staging", "STAGING"),
            ("raw", "RAW"),
            ("errors", "ERRORS"),
            ("replay", "REPLAY"),
            ("ledger", "LEDGER"),
        ] {
            text = text.replace(placeholder, &self.topic(which));
        }
        std::fs::write(self.directory.path().join(format!("{kind}.yaml")), text).expect("it can be written");
    }

    async fn create_topics(&self) {
        let (edge, enricher) = (
            self.directory.path().join("edge.yaml"),
            self.directory.path().join("enricher.yaml"),
        );
        let arguments = [
            "topics",
            "create",
            "--config",
            edge.to_str().expect("UTF-8"),
            "--enricher-config",
            enricher.to_str().expect("UTF-8"),
        ];
        let mut process = Process::start("gosight", &arguments, &self.environment("edge", &[]));
        let status = process.ended(START).await;
        assert!(
            status.success(),
            "gosight topics create: {status}\n{}",
            process.output()
        );
    }
}

async fn create_project(project: &str, key: &str) {
    let pool = sqlx::PgPool::connect(&service("POSTGRES_DSN"))
        .await
        .expect("PostgreSQL answers");
    let project: uuid::Uuid = project.parse().expect("a UUID");
    sqlx::query("INSERT INTO projects (id, name, domain, is_active) VALUES ($1, 'end to end', 'shop.example', true)")
        .bind(project)
        .execute(&pool)
        .await
        .expect("a project can be written");
    sqlx::query(
        "INSERT INTO api_keys (id, project_id, key_hash, key_prefix, name) VALUES ($1, $2, $3, $4, 'end to end')",
    )
    .bind(uuid::Uuid::new_v4())
    .bind(project)
    .bind(sha256(key))
    .bind(&key[..12])
    .execute(&pool)
    .await
    .expect("a key can be written");
}

impl Edge {
    /// Waits until it is ready.
    pub async fn ready(&self) {
        let url = format!("{}/ready", self.admin);
        wait::until("the edge is ready", START, || async {
            let response = reqwest::get(&url).await.ok()?;
            response.status().is_success().then_some(())
        })
        .await;
    }
}

impl Process {
    /// The address that a service logs when it listens: `… listening … NAME=ADDRESS …`.
    pub async fn printed_address(&mut self, name: &str) -> String {
        let what = format!(" {name}=");
        wait::until(&format!("an address of {name}"), START, || {
            let output = self.output();
            let found = output
                .lines()
                .filter(|line| line.contains("listening"))
                .find_map(|line| {
                    let rest = &line[line.find(&what)? + what.len()..];
                    Some(rest.split_whitespace().next()?.to_owned())
                });
            std::future::ready(found)
        })
        .await
    }
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

const EDGE: &str = r#"
server: { host: 127.0.0.1, http_port: 0, grpc_port: 0, admin_port: 0, drain_delay: "${DRAIN_DELAY:-0s}" }
kafka:
  brokers: "${KAFKA_BROKERS}"
  topics: { staging: STAGING, events: RAW, errors: ERRORS, replay: REPLAY, ledger: LEDGER }
  delivery_timeout: "${DELIVERY_TIMEOUT:-10s}"
  queue_bytes: "${QUEUE_BYTES:-64MiB}"
limits: { bytes_in_flight: "${BYTES_IN_FLIGHT:-256MiB}" }
redis: { addr: "${REDIS_ADDR}", password: "${REDIS_PASSWORD}" }
postgres: { dsn: "${POSTGRES_DSN}" }
rate_limit: { requests_per_second: 100000, burst: 100000, events_per_second: 20000000, events_burst: 20000000 }
log: { format: "${LOG_FORMAT:-human}", level: "${LOG_LEVEL:-info}" }
tracing: { otlp_endpoint: "${OTEL_EXPORTER_OTLP_ENDPOINT:-}" }
"#;

const ENRICHER: &str = r#"
server: { host: 127.0.0.1, admin_port: 0 }
kafka:
  brokers: "${KAFKA_BROKERS}"
  topics: { staging: STAGING, events: RAW, errors: ERRORS, replay: REPLAY, ledger: LEDGER }
consumer: { group: "${GROUP:-DEFAULT}", instance_id: "${INSTANCE_ID:-}", session_timeout: "${SESSION_TIMEOUT:-8s}", lanes: "${LANES:-2}" }
transaction: { timeout: "${TRANSACTION_TIMEOUT:-10s}" }
geoip: { database_path: "${GEOIP_DATABASE:-}" }
log: { format: "${LOG_FORMAT:-human}", level: "${LOG_LEVEL:-info}" }
tracing: { otlp_endpoint: "${OTEL_EXPORTER_OTLP_ENDPOINT:-}" }
"#;
