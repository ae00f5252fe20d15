//! What the README says a new user can type, typed as it stands there.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use gosight_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
use gosight_tests::dev::Dev;
use gosight_tests::process::{Process, binary};
use gosight_tests::{clients, topic};
use serde_json::{Value, json};
use tempfile::TempDir;

const README: &str = include_str!("../../README.md");
const DEADLINE: Duration = Duration::from_secs(30);
const ANSWER: &str = r#"{"success":true,"accepted_count":1,"rejected_count":0}"#;

/// The indented block of the README whose first line begins so.
fn block(beginning: &str) -> String {
    let indented = |line: &&str| line.starts_with("    ");
    let lines = README
        .lines()
        .skip_while(|line| !line.trim_start().starts_with(beginning));
    let block: Vec<&str> = lines.take_while(indented).map(str::trim_start).collect();
    assert!(
        !block.is_empty(),
        "the README has no block that begins with {beginning:?}"
    );
    block.join("\n")
}

/// Replaces what must stand in a text, so that a changed README doesn't pass by.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} does not stand in {text:?}");
    text.replace(from, to)
}

async fn shell(script: &str) -> String {
    let mut process = Process::run(Path::new("sh"), &["-c", script], &BTreeMap::new());
    let status = process.ended(DEADLINE).await;
    assert!(status.success(), "{script}: {status}: {}", process.output());
    process.output().trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_curl_of_the_readme_is_answered_as_it_says_and_tail_shows_the_event() {
    clients::curl();
    let data = TempDir::new().unwrap();
    let dev = Dev::start(data.path()).await;
    assert!(
        README.contains(&format!("answers `{ANSWER}`")),
        "the README promises another answer"
    );
    let curl = replaced(&block("curl "), "http://127.0.0.1:8080", &dev.http);
    assert_eq!(shell(&curl).await, ANSWER);

    let tail = replaced(
        &block("target/release/gosight tail"),
        "target/release/gosight tail",
        &format!("{} tail --data {}", binary("gosight").display(), data.path().display()),
    );
    let event: Value = serde_json::from_str(&shell(&tail).await).unwrap();
    assert_eq!(event["session_id"], "sess-1");
    assert_eq!(event["page"]["url"], "https://shop.example/");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_curl_that_gosight_dev_prints_is_answered() {
    clients::curl();
    let data = TempDir::new().unwrap();
    let mut dev = Dev::start(data.path()).await;
    let curl = dev.process.printed("curl ", DEADLINE).await;
    assert_eq!(shell(&format!("curl {curl}")).await, ANSWER);
}

/// grpcurl needs Go; a Python gRPC client takes its place and its command line, so that the text, as it stands, is what is run.
#[tokio::test(flavor = "multi_thread")]
async fn the_grpcurl_of_the_readme_is_answered() {
    let data = TempDir::new().unwrap();
    let dev = Dev::start(data.path()).await;
    let repository = clients::repository();
    let script = format!(
        "cd {}; grpcurl() {{ {} tests/clients/grpcurl.py \"$@\"; }}\n{}",
        repository.display(),
        clients::grpc_python().display(),
        replaced(&block("grpcurl "), "127.0.0.1:50051", &dev.grpc)
    );
    let ack: Value = serde_json::from_str(&shell(&script).await).unwrap();
    assert_eq!(
        (&ack["success"], &ack["acceptedCount"]),
        (&json!(true), &json!(1)),
        "{ack}"
    );
    assert!(
        ack["receipt"].as_str().unwrap().starts_with("gosight.events.staging:"),
        "{ack}"
    );

    let log = EmbeddedLog::open(data.path(), EmbeddedOptions::default())
        .await
        .unwrap();
    let raw = topic::at_least(&*log, "gosight.events.raw", 1, DEADLINE).await;
    assert_eq!(topic::json(&raw[0])["type"], "page_view");
}
