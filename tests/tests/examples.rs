//! Every example that `--help` shows, run as it stands there.
//!
//! The test walks through the help of every command, so a new command's examples are run too. They run in a directory of their own
//! in which stand:
//! - `data`: the log and keys of a running `gosight dev`, whose ports stand in for 8080, 50051 and 9464; before the examples it
//!   has taken good and bad events, and more come all the time, so that `tail` has something to show. Keys of the prefixes that the
//!   examples of `keys` name stand there too;
//! - `edge.yaml` and `enricher.yaml`: the real services of the environment, with the contract's topics, on which batches are staged
//!   all the time too; `127.0.0.1:9092` stands for its brokers;
//! - `batch.json`, `batch.pb`, `events.jsonl`: a batch in both encodings, and events.
//!
//! An example that needs something else gets it in [`World::prepare`]; an argument that can't be used as it stands gets its
//! stand-in in [`World::replaced`]. A command that goes on until it is stopped is in [`FOLLOWING`].

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gosight_config::kafka::KafkaSettings;
use gosight_eventlog::EventLog;
use gosight_eventlog::NewRecord;
use gosight_eventlog::kafka::KafkaLog;
use gosight_proto::{Event, EventBatch, EventType, SessionMeta};
use gosight_schemas::{BodyFormat, PrivacyRules, RawBatch, Transport, encode_raw_batch};
use gosight_tests::dev::Dev;
use gosight_tests::events::{batch, now_ms, page_view};
use gosight_tests::process::{Process, binary};
use gosight_tests::stack::service;
use prost::Message;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::task::JoinSet;

const DEADLINE: Duration = Duration::from_secs(60);
/// What follows has something to show within this time.
const FOLLOWED: Duration = Duration::from_secs(20);
const PROJECT: &str = "b0000000-0000-0000-0000-000000000001";

/// Examples that begin so and have no `--limit` run until they are stopped: they are, when they have printed something.
const FOLLOWING: [&str; 3] = ["gosight console", "gosight dev", "gosight tail"];

/// Examples that name an id or an offset which only their reader has: what they contain, the exit code, and what they say then.
const NOT_HERE: [(&str, i32, &str); 4] = [
    ("gosight where ", 1, "is not in what was searched"),
    ("gosight dlq show ", 1, "no reject "),
    ("--resume ", 64, "knows no "),
    ("--from 3:120000 ", 64, "offset 120000 of partition 3 "),
];

/// Where the examples run.
struct World {
    directory: TempDir,
    dev: Dev,
    brokers: String,
    /// What keeps events coming.
    _traffic: JoinSet<()>,
}

/// An example and what its command's help says of exit codes.
#[derive(Debug)]
struct Example {
    line: String,
    may_find: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_every_command_runs() {
    let examples = all_examples();
    assert!(examples.len() > 20, "{examples:?}");
    let world = World::prepare().await;
    let mut failed = Vec::new();
    for example in &examples {
        if let Err(why) = world.run(example).await {
            failed.push(format!("{}\n{why}", example.line));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

impl World {
    async fn prepare() -> Self {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("batch.json"), mixed_batch()).unwrap();
        std::fs::write(at("events.jsonl"), format!("{}\n{}\n", page_view(), page_view())).unwrap();
        std::fs::write(at("batch.pb"), protobuf_batch()).unwrap();
        let brokers = service("KAFKA_BROKERS");
        for kind in ["edge", "enricher"] {
            std::fs::write(
                at(&format!("{kind}.yaml")),
                format!("kafka: {{ brokers: ['{brokers}'] }}\n"),
            )
            .unwrap();
        }
        let dsn = service("POSTGRES_DSN");
        let postgres = format!("kafka: {{ brokers: ['{brokers}'] }}\npostgres: {{ dsn: '{dsn}' }}\n");
        std::fs::write(at("edge.yaml"), postgres).unwrap();

        let dev = Dev::start(&at("data")).await;
        insert_keys(&at("data/keys.db")).await;
        let mut traffic = JoinSet::new();
        traffic.spawn(keep_posting(format!("{}/v1/events", dev.http)));
        let mut create = Process::start(
            "gosight",
            &["topics", "create", "--brokers", &brokers],
            &BTreeMap::new(),
        );
        assert!(create.ended(DEADLINE).await.success(), "{}", create.output());
        let settings = KafkaSettings {
            brokers: brokers.split(',').map(str::to_owned).collect(),
            ..KafkaSettings::default()
        };
        traffic.spawn(keep_staging(KafkaLog::connect(&settings, "examples").unwrap()));
        Self {
            directory,
            dev,
            brokers,
            _traffic: traffic,
        }
    }

    /// The line with what it names of this machine in the place of what a reader has.
    fn replaced(&self, line: &str) -> String {
        let http = self.dev.http.trim_start_matches("http://");
        let admin = self.dev.admin.trim_start_matches("http://");
        let elsewhere = self.directory.path().join("elsewhere");
        line.replace("127.0.0.1:9092", &self.brokers)
            .replace("127.0.0.1:8080", http)
            .replace("127.0.0.1:50051", &self.dev.grpc)
            .replace("127.0.0.1:9464", admin)
            .replace("/var/lib/gosight", elsewhere.to_str().unwrap())
            .replace("--http-port 9080", "--http-port 0")
    }

    async fn run(&self, example: &Example) -> Result<(), String> {
        let line = &example.line;
        let follows = FOLLOWING.iter().any(|command| line.starts_with(command)) && !line.contains("--limit");
        let exec = if line.contains('|') || line.contains(';') {
            ""
        } else {
            "exec "
        };
        let directory = match line.starts_with("gosight dev") {
            // Its `data` is held already.
            true => self.directory.path().join("another"),
            false => self.directory.path().to_owned(),
        };
        std::fs::create_dir_all(&directory).unwrap();
        // What an example before it wrote.
        let _ = std::fs::remove_file(directory.join("rejects.jsonl"));
        let script = format!("cd '{}' && {exec}{}", directory.display(), self.replaced(line));
        let folder = binary("gosight").parent().unwrap().display().to_string();
        let environment = [
            (
                "PATH",
                format!("{folder}:{}", std::env::var("PATH").unwrap_or_default()),
            ),
            (
                "GOSIGHT_URL",
                if line.contains("grpc") {
                    format!("http://{}", self.dev.grpc)
                } else {
                    self.dev.http.clone()
                },
            ),
            ("HTTP_PORT", "0".to_owned()),
            ("GRPC_PORT", "0".to_owned()),
            ("ADMIN_PORT", "0".to_owned()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
        let mut process = Process::run(Path::new("sh"), &["-c", &script], &environment);
        if follows {
            let end = std::time::Instant::now() + FOLLOWED;
            while process.output().is_empty() {
                if std::time::Instant::now() > end {
                    return Err(format!("it printed nothing within {FOLLOWED:?}"));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            process.signal("INT");
        }
        let status = process.ended(DEADLINE).await;
        let not_here = NOT_HERE.iter().find(|(part, ..)| line.contains(part));
        match status.code() {
            code if let Some((_, expected, says)) = not_here => {
                let is_understood = code == Some(*expected) && process.output().contains(says);
                is_understood
                    .then_some(())
                    .ok_or_else(|| format!("{status}\n{}", process.output()))
            }
            Some(0) => Ok(()),
            Some(1) if example.may_find => Ok(()),
            _ => Err(format!("{status}\n{}", process.output())),
        }
    }
}

/// The examples of all commands, from their help.
fn all_examples() -> Vec<Example> {
    let mut waiting = vec![Vec::new()];
    let mut found = Vec::new();
    while let Some(command) = waiting.pop() {
        let help = help(&command);
        let commands = section(&help, "Commands:");
        for name in commands.iter().filter_map(|line| line.split_whitespace().next()) {
            if name != "help" {
                waiting.push([command.as_slice(), &[name.to_owned()]].concat());
            }
        }
        let examples = section(&help, "Examples:");
        assert!(
            !commands.is_empty() || !examples.is_empty(),
            "gosight {} has no examples",
            command.join(" ")
        );
        let may_find = help.contains("Exit code 1");
        found.extend(examples.into_iter().map(|line| Example { line, may_find }));
    }
    found
}

fn help(command: &[String]) -> String {
    let gosight: PathBuf = binary("gosight");
    let output = std::process::Command::new(gosight)
        .args(command)
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success(), "gosight {} --help", command.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// The indented lines under a heading.
fn section(help: &str, heading: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != heading).skip(1);
    let lines = lines.take_while(|line| line.starts_with("  "));
    lines.map(|line| line.trim().to_owned()).collect()
}

/// A good event and a bad one; none that came before, which would be a duplicate.
fn mixed_batch() -> String {
    let mut bad = page_view();
    bad.as_object_mut().unwrap().remove("timestamp");
    batch("gs_test_key", "sess-example", &[page_view(), bad]).to_string()
}

fn protobuf_batch() -> Vec<u8> {
    let event = Event {
        r#type: EventType::PageView.into(),
        timestamp: now_ms(),
        ..Event::default()
    };
    let session = SessionMeta {
        session_id: "sess-example".to_owned(),
        ..SessionMeta::default()
    };
    let batch = EventBatch {
        project_key: "gs_test_key".to_owned(),
        session: Some(session),
        events: vec![event],
        sent_at: now_ms(),
    };
    batch.encode_to_vec()
}

/// The keys that the examples of `keys` name by their prefix.
async fn insert_keys(file: &Path) {
    let pool = sqlx::SqlitePool::connect(file.to_str().unwrap()).await.unwrap();
    for prefix in ["gs_to_revoke", "gs_to_rotate"] {
        let hash: String = Sha256::digest(prefix)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        sqlx::query("INSERT INTO api_keys (id, project_id, key_hash, key_prefix, name) VALUES (?, ?, ?, ?, 'example')")
            .bind(uuid::Uuid::new_v4().to_string())
            .bind(PROJECT)
            .bind(hash)
            .bind(prefix)
            .execute(&pool)
            .await
            .unwrap();
    }
    pool.close().await;
}

/// A few batches a second, until the test ends.
async fn keep_posting(url: String) {
    let client = reqwest::Client::new();
    loop {
        // A refusal shows in the examples that wait for the events.
        let _ = client.post(&url).body(mixed_batch()).send().await;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn keep_staging(log: Arc<KafkaLog>) {
    let batch = RawBatch {
        batch_id: uuid::Uuid::now_v7().to_string(),
        received_at: now_ms(),
        project_id: PROJECT.to_owned(),
        key_id: uuid::Uuid::new_v4().to_string(),
        session_id: "sess-example".to_owned(),
        user_id: None,
        transport: Transport::Http,
        body_format: BodyFormat::Json,
        body: batch("gs_test_key", "sess-example", &[page_view()]).to_string().into(),
        event_count: 1,
        sent_at: None,
        client_ip: None,
        user_agent: None,
        client_hints: BTreeMap::new(),
        accept_language: None,
        origin: None,
        referer: None,
        privacy: PrivacyRules::default(),
        traceparent: None,
    };
    let value: bytes::Bytes = encode_raw_batch(&batch).unwrap().into();
    loop {
        let record = NewRecord {
            topic: "gosight.events.staging".into(),
            key: format!("{PROJECT}:sess-example").into(),
            value: value.clone(),
            headers: Vec::new(),
        };
        let _ = log.append(record).await;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
