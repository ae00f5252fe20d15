//! What a real Chromium sends from a page of another origin, by every way that a browser has: each is answered so that the page can
//! read it, and each event stands on raw.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeSet;
use std::time::Duration;

use gosight_eventlog::EventLog;
use gosight_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
use gosight_tests::browser::Browser;
use gosight_tests::dev::Dev;
use gosight_tests::topic;
use serde_json::{Value, json};
use tempfile::TempDir;

const PAGE: &str = include_str!("../clients/browser.html");
const DEADLINE: Duration = Duration::from_secs(60);

const BEACONS: [&str; 2] = ["beacon-text", "beacon-json"];
const FETCHED: [&str; 5] = ["keepalive-text", "keepalive-json", "gzip", "gzip-encoding", "protobuf"];
const GRPC_WEB: [&str; 2] = ["grpc-web-http", "grpc-web-grpc"];
/// Sent while the page is left: nobody sees the answers, only the events.
const LAST_WORDS: [&str; 3] = ["pagehide-beacon", "pagehide-keepalive", "hidden-beacon"];

fn is_receipt(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|receipt| receipt.starts_with("gosight.events.staging:"))
}

fn check_answers(results: &Value) {
    // A queued beacon is only a promise of the browser's; raw tells whether it was kept.
    for name in BEACONS {
        assert_eq!(results[name], json!({ "queued": true }), "{results:#}");
    }
    for name in FETCHED {
        let result = &results[name];
        assert_eq!(result["status"], 200, "{name}: {results:#}");
        let body = json!({ "success": true, "accepted_count": 1, "rejected_count": 0 });
        assert_eq!(result["body"], body, "{name}: {results:#}");
        assert!(is_receipt(&result["receipt"]), "{name}: {results:#}");
        assert!(result["request_id"].is_string(), "{name}: {results:#}");
    }
    for name in GRPC_WEB {
        let result = &results[name];
        let ack = json!({ "success": true, "accepted_count": 1, "rejected_count": 0, "errors": [] });
        assert_eq!(result["ack"], ack, "{name}: {results:#}");
        assert_eq!(result["trailers"]["grpc-status"], "0", "{name}: {results:#}");
        assert!(
            is_receipt(&result["trailers"]["x-gosight-receipt"]),
            "{name}: {results:#}"
        );
    }

    let refused = &results["refused-json"];
    assert_eq!(refused["status"], 401, "{results:#}");
    assert_eq!(refused["body"]["errors"], json!(["Invalid API key"]), "{results:#}");
    assert_eq!(refused["reason"], "invalid_key", "{results:#}");
    let refused = &results["refused-grpc-web"];
    assert_eq!(refused["grpc_status"], "16", "{results:#}");
    assert_eq!(refused["reason"], "invalid_key", "{results:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_a_browser_is_answered_and_comes_out() {
    let data = TempDir::new().unwrap();
    let dev = Dev::start(data.path()).await;
    let query = format!("http={}&grpc=http://{}", dev.http, dev.grpc);
    let mut browser = Browser::open(PAGE, &query).await;
    let report = browser.report(DEADLINE).await;
    check_answers(&report["results"]);

    let mut expected: BTreeSet<String> = BEACONS.map(str::to_owned).into();
    expected.extend(
        FETCHED
            .iter()
            .chain(&GRPC_WEB)
            .chain(&LAST_WORDS)
            .map(ToString::to_string),
    );
    let log = EmbeddedLog::open(data.path(), EmbeddedOptions::default())
        .await
        .unwrap();
    let log: &dyn EventLog = &*log;
    let raw = topic::at_least(log, "gosight.events.raw", expected.len(), DEADLINE).await;
    let events: Vec<Value> = raw.iter().map(topic::json).collect();
    let sessions: BTreeSet<String> = events
        .iter()
        .map(|event| event["session_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(sessions, expected);
    assert_eq!(events.len(), expected.len(), "{events:#?}");
    assert!(topic::all(log, "gosight.events.errors").await.is_empty());

    let user_agent = report["user_agent"].as_str().unwrap();
    for event in &events {
        assert_eq!(event["page"]["title"], "GoSight from a browser", "{event}");
        assert_eq!(event["client_ip"], "127.0.0.1", "{event}");
        // Nobody sits in front of a headless browser.
        assert_eq!(event["device_type"], "bot", "{user_agent}: {event}");
        assert_eq!(event["browser"], "HeadlessChrome", "{user_agent}: {event}");
        assert_eq!(event["os"], "Linux", "{user_agent}: {event}");
    }
}
