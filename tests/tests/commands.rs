//! `gosight topics check`, `keys`, `validate` and `send` through the binary, on the embedded log and on real services.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::routing::post;
use axum::{Json, Router};
use gosight_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
use gosight_eventlog::kafka::KafkaLog;
use gosight_eventlog::{Cleanup, EventLog, TimestampSource, TopicSpec};
use gosight_proto::{Event, EventBatch, EventType, SessionMeta};
use gosight_tests::dev::Dev;
use gosight_tests::events::{batch, now_ms, page_view};
use gosight_tests::process::{Process, binary};
use gosight_tests::stack::{Stack, service};
use gosight_tests::topic;
use prost::Message;
use serde_json::{Value, json};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);
const DEVELOPMENT: &str = "b0000000-0000-0000-0000-000000000001";

/// How a command ended, and what it printed on both streams.
struct Ended {
    code: Option<i32>,
    output: String,
}

impl Ended {
    fn json(&self) -> Vec<Value> {
        let lines = self.output.lines().filter(|line| line.starts_with('{'));
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

async fn gosight(arguments: &[&str]) -> Ended {
    let mut process = Process::start("gosight", arguments, &BTreeMap::new());
    let status = process.ended(DEADLINE).await;
    Ended {
        code: status.code(),
        output: process.output(),
    }
}

fn written(directory: &Path, name: &str, body: impl AsRef<[u8]>) -> String {
    let path = directory.join(name);
    std::fs::write(&path, body).unwrap();
    path.to_str().unwrap().to_owned()
}

fn spec(name: &str, partitions: i32) -> TopicSpec {
    TopicSpec {
        name: name.to_owned(),
        partitions,
        retention: Duration::from_secs(3_600),
        cleanup: Cleanup::Delete,
        max_message_bytes: 1 << 20,
        timestamps: TimestampSource::CreateTime,
    }
}

/// What `topics check` names for a staging topic that is wrong in every way and three that are missing.
fn assert_differences(ended: &Ended, staging: &str) {
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    let named = |topic: &str| -> Vec<String> {
        let found = ended.json();
        let of_topic = found.iter().filter(|difference| difference["topic"] == topic);
        of_topic
            .map(|difference| difference["property"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        named(staging),
        [
            "partitions",
            "retention.ms",
            "max.message.bytes",
            "message.timestamp.type"
        ],
        "{}",
        ended.output
    );
    let missing = ended.json().iter().filter(|found| found["actual"] == "missing").count();
    assert!(missing >= 3, "{}", ended.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_of_an_embedded_log_are_checked() {
    let data = TempDir::new().unwrap();
    let path = data.path().to_str().unwrap();
    let _dev = Dev::start(data.path()).await;
    let good = gosight(&["topics", "check", "--data", path]).await;
    assert_eq!(good.code, Some(0), "{}", good.output);
    assert!(
        good.output.contains("isolation.level=read_committed"),
        "{}",
        good.output
    );

    let other = TempDir::new().unwrap();
    let log = EmbeddedLog::open(other.path(), EmbeddedOptions::default())
        .await
        .unwrap();
    log.create_topics(&[spec("gosight.events.staging", 5)]).await.unwrap();
    let arguments = [
        "topics",
        "check",
        "--data",
        other.path().to_str().unwrap(),
        "--format",
        "json",
    ];
    assert_differences(&gosight(&arguments).await, "gosight.events.staging");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_on_the_command_line_goes_before_brokers_in_the_environment() {
    let data = TempDir::new().unwrap();
    let path = data.path().to_str().unwrap();
    let dev = Dev::start(data.path()).await;
    let environment = BTreeMap::from([("KAFKA_BROKERS".to_owned(), "127.0.0.1:1".to_owned())]);
    let mut process = Process::start("gosight", &["topics", "check", "--data", path], &environment);
    assert!(process.ended(DEADLINE).await.success(), "{}", process.output());
    let both = ["topics", "check", "--data", path, "--brokers", "127.0.0.1:1"];
    assert_eq!(gosight(&both).await.code, Some(64));

    assert_eq!(status(&dev.http, "gs_test_key").await, 200);
    let arguments = ["tail", "--data", path, "--from", "start", "--limit", "1"];
    let mut tail = Process::start("gosight", &arguments, &environment);
    assert!(tail.ended(DEADLINE).await.success(), "{}", tail.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_never_looked_for_in_another_database_than_the_one_named() {
    let data = TempDir::new().unwrap();
    let path = data.path().to_str().unwrap();
    let _dev = Dev::start(data.path()).await;
    let nowhere = "postgres://nobody@127.0.0.1:1/nothing";
    let environment = BTreeMap::from([("POSTGRES_DSN".to_owned(), nowhere.to_owned())]);
    let mut process = Process::start("gosight", &["keys", "list", "--data", path], &environment);
    assert!(process.ended(DEADLINE).await.success(), "{}", process.output());
    for both in [["--postgres", nowhere], ["--config", "edge.yaml"]] {
        let ended = gosight(&[&["keys", "list", "--data", path], &both[..]].concat()).await;
        assert_eq!(ended.code, Some(64), "{}", ended.output);
        assert!(ended.output.contains("cannot be used with"), "{}", ended.output);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_on_kafka_are_checked() {
    let brokers = service("KAFKA_BROKERS");
    let directory = TempDir::new().unwrap();
    let unique = uuid::Uuid::now_v7().simple().to_string();
    let config = |staging: &str| {
        let text = format!(
            "kafka:\n  brokers: ['{brokers}']\n  topics: {{ staging: {staging}, events: {unique}-raw, errors: {unique}-errors, \
             replay: {unique}-replay, ledger: {unique}-ledger }}\n"
        );
        written(directory.path(), &format!("{staging}.yaml"), text)
    };
    let wrong = format!("{unique}-wrong");
    let settings = gosight_config::kafka::KafkaSettings {
        brokers: brokers.split(',').map(str::to_owned).collect(),
        ..Default::default()
    };
    let log = KafkaLog::connect(&settings, "test").unwrap();
    log.create_topics(&[spec(&wrong, 5)]).await.unwrap();
    let ended = gosight(&["topics", "check", "--config", &config(&wrong), "--format", "json"]).await;
    assert_differences(&ended, &wrong);

    let good = config(&format!("{unique}-staging"));
    let created = gosight(&["topics", "create", "--config", &good, "--format", "json"]).await;
    assert_eq!(created.code, Some(0), "{}", created.output);
    assert!(
        created.json().iter().all(|topic| topic["outcome"] == "created"),
        "{}",
        created.output
    );
    let ended = gosight(&["topics", "check", "--config", &good]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.output);
}

/// The status that an edge answers a batch with this key.
async fn status(http: &str, key: &str) -> u16 {
    let request =
        reqwest::Client::new()
            .post(format!("{http}/v1/events"))
            .json(&batch(key, "sess-keys", &[page_view()]));
    request.send().await.unwrap().status().as_u16()
}

/// The way of a key, on whichever database `store` names. No edge has seen a key before it is stopped, so none has it in memory.
async fn keys_work(http: &str, store: &[&str]) {
    let project = uuid::Uuid::new_v4().to_string();
    let keys = async |arguments: &[&str]| {
        let all: Vec<&str> = [&["keys"], arguments, store, &["--format", "json"]].concat();
        gosight(&all).await
    };
    let refused = keys(&["create", "--project", &project]).await;
    assert_eq!(refused.code, Some(64), "{}", refused.output);
    assert!(refused.output.contains("--create-project"), "{}", refused.output);

    let created = keys(&[
        "create",
        "--project",
        &project,
        "--create-project",
        "--name",
        "Web \u{1b}[2J",
    ])
    .await;
    assert_eq!(created.code, Some(0), "{}", created.output);
    let created = created.json().remove(0);
    let key = created["key"].as_str().unwrap();
    assert_eq!(status(http, key).await, 200);

    let second = keys(&["create", "--project", &project]).await.json().remove(0);
    let third = keys(&["create", "--project", &project]).await.json().remove(0);
    let listed = keys(&["list", "--project", &project]).await;
    let prefixes: Vec<Value> = listed.json().iter().map(|key| key["prefix"].clone()).collect();
    assert_eq!(prefixes, [&created, &second, &third].map(|key| key["prefix"].clone()));
    assert!(
        listed
            .json()
            .iter()
            .all(|key| key["active"] == true && key["created_at_ms"].is_i64())
    );
    for made in [&created, &second] {
        assert!(
            !listed.output.contains(made["key"].as_str().unwrap()),
            "{}",
            listed.output
        );
    }
    let table = gosight(&[&["keys", "list", "--project", &project], store].concat()).await;
    assert!(table.output.contains("Web \\u{1b}[2J"), "{}", table.output);

    let unclear = keys(&["revoke", "gs_", "--project", &project]).await;
    assert_eq!(unclear.code, Some(64), "{}", unclear.output);
    let revoked = keys(&["revoke", second["prefix"].as_str().unwrap(), "--project", &project]).await;
    assert_eq!(
        (revoked.code, &revoked.json()[0]["active"]),
        (Some(0), &json!(false)),
        "{}",
        revoked.output
    );
    assert_eq!(status(http, second["key"].as_str().unwrap()).await, 401);

    let rotated = keys(&["rotate", third["id"].as_str().unwrap(), "--grace", "0s"]).await;
    assert_eq!(rotated.code, Some(0), "{}", rotated.output);
    let rotated = rotated.json().remove(0);
    assert_eq!(rotated["replaces"]["id"], third["id"]);
    assert_eq!(status(http, rotated["key"].as_str().unwrap()).await, 200);
    assert_eq!(status(http, third["key"].as_str().unwrap()).await, 401);

    let graceful = keys(&["rotate", rotated["prefix"].as_str().unwrap(), "--project", &project]).await;
    assert_eq!(graceful.code, Some(0), "{}", graceful.output);
    let standing = keys(&["list", "--project", &project]).await.json();
    let old = standing.iter().find(|key| key["id"] == rotated["id"]).unwrap();
    let hours = (old["expires_at_ms"].as_i64().unwrap() - now_ms()) as f64 / 3_600_000.0;
    assert!((23.5..=24.0).contains(&hours), "{old}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_sqlite_are_made_listed_revoked_and_rotated() {
    let data = TempDir::new().unwrap();
    let dev = Dev::start(data.path()).await;
    keys_work(&dev.http, &["--data", data.path().to_str().unwrap()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_postgresql_are_made_listed_revoked_and_rotated() {
    let stack = Stack::new().await;
    let edge = stack.edge().await;
    keys_work(&edge.http, &["--postgres", &service("POSTGRES_DSN")]).await;
}

/// Good, bad, the first again, and one whose number no double holds.
fn mixed_batch(directory: &Path) -> String {
    let mut good = page_view();
    good["event_id"] = json!(uuid::Uuid::now_v7().to_string());
    let mut bad = page_view();
    bad["timestamp"] = json!("yesterday");
    let body = batch("gs_test_key", "sess-mixed", &[good.clone(), bad, good, page_view()]);
    written(directory, "batch.json", body.to_string())
}

async fn outcomes(arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
    let ended = gosight(&[&["validate", "--format", "json"], arguments].concat()).await;
    let outcomes = ended.json().iter().map(|line| line["outcome"].clone()).collect();
    (ended.code, outcomes)
}

#[tokio::test(flavor = "multi_thread")]
async fn validate_says_what_then_happens() {
    let data = TempDir::new().unwrap();
    let file = mixed_batch(data.path());
    let agent = concat!("gosight-send/", env!("CARGO_PKG_VERSION"));
    let validated = gosight(&["validate", &file, "--format", "json", "--user-agent", agent]).await;
    assert_eq!(validated.code, Some(1), "{}", validated.output);
    let verdicts = validated.json();
    let expected: Vec<&Value> = verdicts.iter().map(|verdict| &verdict["outcome"]).collect();
    assert_eq!(expected, ["event", "reject", "duplicate", "event"]);

    let log_directory = data.path().join("data");
    let dev = Dev::start(&log_directory).await;
    let sent = gosight(&["send", &file, "--to", &dev.http]).await;
    assert_eq!(sent.code, Some(0), "{}", sent.output);
    let log = EmbeddedLog::open(&log_directory, EmbeddedOptions::default())
        .await
        .unwrap();
    let errors = topic::at_least(&*log, "gosight.events.errors", 1, DEADLINE).await;
    assert_eq!(topic::json(&errors[0])["problems"], verdicts[1]["problems"]);
    let raw = topic::at_least(&*log, "gosight.events.raw", 2, DEADLINE).await;
    for (record, verdict) in raw.iter().zip([&verdicts[0], &verdicts[3]]) {
        let mut event = topic::json(record);
        event["server_timestamp"] = verdict["event"]["server_timestamp"].clone();
        assert_eq!(event, verdict["event"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn validate_reads_every_form_and_marks_the_field() {
    let directory = TempDir::new().unwrap();
    let shown = gosight(&["validate", &mixed_batch(directory.path())]).await;
    let marked: Vec<&str> = shown.output.lines().filter(|line| line.contains("<--")).collect();
    assert_eq!(marked.len(), 1, "{}", shown.output);
    assert!(
        marked[0].starts_with("  \"timestamp\": \"yesterday\",   <-- timestamp must be a number"),
        "{}",
        shown.output
    );

    let event = Event {
        r#type: EventType::PageView.into(),
        timestamp: now_ms(),
        ..Event::default()
    };
    let protobuf = EventBatch {
        session: Some(SessionMeta {
            session_id: "sess-1".to_owned(),
            ..SessionMeta::default()
        }),
        events: vec![event],
        ..EventBatch::default()
    };
    let file = written(directory.path(), "batch.pb", protobuf.encode_to_vec());
    assert_eq!(outcomes(&[&file]).await, (Some(0), vec![json!("event")]));
    assert_eq!(
        outcomes(&[&file, "--body", "json"]).await,
        (Some(1), vec![json!("refused")])
    );

    // What was good when it was made is too old two years later.
    let ahead = two_years_ahead();
    assert_eq!(
        outcomes(&[&file, "--at", &ahead]).await,
        (Some(1), vec![json!("reject")])
    );
    let missing = gosight(&["validate", "no-such-file"]).await;
    assert_eq!(missing.code, Some(64), "{}", missing.output);
}

/// RFC 3339, from the coreutils: no crate of the tests writes times.
fn two_years_ahead() -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "-d", "now + 2 years", "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_events_all_come_out_on_the_embedded_log() {
    let data = TempDir::new().unwrap();
    let dev = Dev::start(data.path()).await;
    let arguments = [
        "send",
        "--generate",
        "--count",
        "300",
        "--rate",
        "3000",
        "--bad",
        "0.2",
        "--to",
        &dev.http,
        "--format",
        "json",
    ];
    let sent = gosight(&arguments).await;
    assert_eq!(sent.code, Some(0), "{}", sent.output);
    let summary = sent.json().remove(0);
    assert_eq!(
        (&summary["events_sent"], &summary["events_acknowledged"]),
        (&json!(300), &json!(300))
    );
    let log = EmbeddedLog::open(data.path(), EmbeddedOptions::default())
        .await
        .unwrap();
    assert_all_out(&*log, "gosight.events.raw", "gosight.events.errors", 300).await;
}

/// Waits until every event stands on raw or errors, some on each.
async fn assert_all_out(log: &dyn EventLog, raw: &str, errors: &str, events: usize) {
    let counts = gosight_tests::wait::until("every event is out", DEADLINE, || async {
        let counts = (topic::all(log, raw).await.len(), topic::all(log, errors).await.len());
        (counts.0 + counts.1 >= events).then_some(counts)
    })
    .await;
    assert_eq!(counts.0 + counts.1, events, "{counts:?}");
    assert!(counts.0 > 0 && counts.1 > 0, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_events_all_come_out_on_kafka_over_grpc() {
    let stack = Stack::new().await;
    let edge = stack.edge().await;
    let _enricher = stack.enricher("only").await;
    let to = format!("http://{}", edge.grpc);
    let arguments = [
        "send",
        "--generate",
        "--count",
        "300",
        "--rate",
        "3000",
        "--bad",
        "0.2",
        "--transport",
        "grpc",
        "--to",
        &to,
        "--key",
        &stack.key,
        "--format",
        "json",
    ];
    let sent = gosight(&arguments).await;
    assert_eq!(sent.code, Some(0), "{}", sent.output);
    assert_eq!(sent.json()[0]["events_acknowledged"], 300);
    assert_all_out(&*stack.log(), &stack.topic("raw"), &stack.topic("errors"), 300).await;

    let refused = gosight(&[&arguments[..12], &["--key", "gs_none"]].concat()).await;
    assert_eq!(refused.code, Some(1), "{}", refused.output);
    assert!(refused.output.contains("grpc_Unauthenticated"), "{}", refused.output);
}

/// An edge that answers as it is told, by the number of the request from 0.
async fn scripted(answer: impl Fn(u64) -> (u16, Value) + Clone + Send + Sync + 'static) -> String {
    let count = Arc::new(AtomicU64::new(0));
    let handler = move || {
        let (status, body) = answer(count.fetch_add(1, Ordering::Relaxed));
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        async move { (status, [("x-gosight-reason", "scripted")], Json(body)) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/v1/events", post(handler));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

fn ack(accepted: u64) -> Value {
    json!({ "success": accepted > 0, "accepted_count": accepted, "rejected_count": 0 })
}

#[tokio::test(flavor = "multi_thread")]
async fn send_retries_what_may_pass_later_and_believes_only_whole_acks() {
    let directory = TempDir::new().unwrap();
    let file = written(
        directory.path(),
        "events.jsonl",
        format!("{}\n{}\n", page_view(), page_view()),
    );
    let send = async |to: &str| gosight(&["send", &file, "--to", to, "--attempts", "3", "--format", "json"]).await;

    let third_time = scripted(|number| if number < 2 { (503, ack(0)) } else { (200, ack(2)) }).await;
    let sent = send(&third_time).await;
    assert_eq!(sent.code, Some(0), "{}", sent.output);
    assert_eq!(
        (&sent.json()[0]["retries"], &sent.json()[0]["events_acknowledged"]),
        (&json!(2), &json!(2))
    );

    let never = send(&scripted(|_| (503, ack(0))).await).await;
    assert_eq!(never.code, Some(1), "{}", never.output);
    assert_eq!(
        (&never.json()[0]["retries"], &never.json()[0]["events_refused"]),
        (&json!(2), &json!({ "scripted": 2 }))
    );

    let final_word = send(&scripted(|_| (400, ack(0))).await).await;
    assert_eq!(
        (final_word.code, &final_word.json()[0]["retries"]),
        (Some(1), &json!(0))
    );

    let short = send(&scripted(|_| (200, ack(1))).await).await;
    assert_eq!(
        (short.code, &short.json()[0]["events_refused"]),
        (Some(1), &json!({ "short_ack": 2 }))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_and_pipes_are_what_help_says() {
    assert_eq!(gosight(&["no-such-command"]).await.code, Some(64));
    assert_eq!(gosight(&["--help"]).await.code, Some(0));
    let nowhere = TempDir::new().unwrap();
    let path = nowhere.path().to_str().unwrap();
    assert_eq!(gosight(&["topics", "check", "--data", path]).await.code, Some(69));
    assert_eq!(gosight(&["keys", "list", "--data", path]).await.code, Some(69));

    // A reader that has seen enough is no failure: far more is printed than a pipe holds.
    let events: Vec<Value> = (0..500).map(|_| page_view()).collect();
    let file = written(
        nowhere.path(),
        "many.json",
        batch("gs_test_key", "sess-1", &events).to_string(),
    );
    let gosight: PathBuf = binary("gosight");
    let script = format!("set -o pipefail; {} validate {file} | head -n 1", gosight.display());
    let mut process = Process::run(Path::new("bash"), &["-c", &script], &BTreeMap::new());
    let status = process.ended(DEADLINE).await;
    assert_eq!(status.code(), Some(0), "{}", process.output());
    assert!(process.output().starts_with("Event 0 is good"), "{}", process.output());
}

#[test]
fn the_development_project_is_the_one_that_validate_assumes() {
    let help = std::process::Command::new(binary("gosight"))
        .args(["validate", "--help"])
        .output()
        .unwrap();
    assert!(String::from_utf8(help.stdout).unwrap().contains(DEVELOPMENT));
}
