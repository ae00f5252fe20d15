//! Kafka is away for a while: a truthful answer to every batch in time, bounded memory, and on its return everything goes on by
//! itself; what was acknowledged stands on staging, and every event once on raw.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gosight_tests::broker::Broker;
use gosight_tests::events::{batch, chunk, numbered_click};
use gosight_tests::stack::{Edge, Stack};
use gosight_tests::{topic, wait};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// The broker stands still for so long: it may still take what it was sent meanwhile.
const PAUSED: Duration = Duration::from_secs(8);
/// The broker is gone for so long before its start begins, which takes some ten seconds more.
const KILLED: Duration = Duration::from_secs(60);
/// Of which clients offer more than the edge may hold for so long.
const FLOODED: Duration = Duration::from_secs(5);
/// `kafka.delivery_timeout`: an answer takes no longer, but for librdkafka's own clock (1 s) and a busy machine.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(3);
const SLACK: Duration = Duration::from_secs(4);
/// From the broker's return to the first success.
const RECOVERY: Duration = Duration::from_secs(5);
/// What the edge may hold: records that wait for the broker, and bodies.
const QUEUE_BYTES: u64 = 16 << 20;
const BYTES_IN_FLIGHT: u64 = 24 << 20;
/// What its memory may grow by: both, copies in sockets and in the allocator included.
const GROWTH: u64 = 3 * (QUEUE_BYTES + BYTES_IN_FLIGHT);

const SESSIONS: u64 = 8;
/// Clients that send replay chunks of a megabyte, together more than the edge may hold.
const FLOOD: u64 = 40;
const DEADLINE: Duration = Duration::from_secs(90);

/// One answer.
#[derive(Debug, Clone)]
struct Answer {
    at: Instant,
    took: Duration,
    status: u16,
    reason: String,
    has_retry_hint: bool,
}

/// What the clients saw.
#[derive(Default)]
struct Seen {
    answers: Mutex<Vec<Answer>>,
    /// Receipts of acknowledged batches.
    receipts: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl Seen {
    fn first_success_after(&self, since: Instant) -> Option<Instant> {
        let answers = self.answers.lock().unwrap();
        answers
            .iter()
            .find(|answer| answer.status == 200 && answer.at >= since)
            .map(|answer| answer.at)
    }

    fn between(&self, from: Instant, to: Instant) -> Vec<Answer> {
        let answers = self.answers.lock().unwrap();
        let within = |answer: &&Answer| answer.at >= from && answer.at < to;
        answers.iter().filter(within).cloned().collect()
    }

    async fn send(&self, client: &Client, url: &str, body: &[u8]) -> bool {
        let began = Instant::now();
        let request = client.post(url).header("content-type", "application/json");
        let response = request.body(body.to_vec()).send().await;
        let response = response.unwrap_or_else(|error| panic!("no answer after {:?}: {error}", began.elapsed()));
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        let (status, receipt) = (response.status().as_u16(), header("x-gosight-receipt"));
        self.answers.lock().unwrap().push(Answer {
            at: Instant::now(),
            took: began.elapsed(),
            status,
            reason: header("x-gosight-reason").unwrap_or_default(),
            has_retry_hint: header("retry-after").is_some(),
        });
        if url.ends_with("/v1/events") {
            self.receipts.lock().unwrap().extend(receipt);
        }
        status == 200
    }
}

/// Sends batches one after the other, each until it is acknowledged; gives the ids of all events in order.
async fn session(number: u64, stack_key: String, edge: String, seen: Arc<Seen>) -> (String, Vec<String>) {
    let (client, name, url) = (Client::new(), format!("session-{number}"), format!("{edge}/v1/events"));
    let mut ids = Vec::new();
    while !seen.stop.load(Ordering::Relaxed) {
        let first = u64::try_from(ids.len()).unwrap();
        let events: Vec<Value> = (first..first + 5).map(numbered_click).collect();
        let body = batch(&stack_key, &name, &events).to_string();
        while !seen.send(&client, &url, body.as_bytes()).await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        ids.extend(
            events
                .iter()
                .map(|event| event["event_id"].as_str().unwrap().to_owned()),
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (name, ids)
}

/// Sends large chunks again and again, whatever the answers are.
async fn flood(number: u64, key: String, edge: String, seen: Arc<Seen>) {
    let (client, url) = (Client::new(), format!("{edge}/v1/replay"));
    let text = "x".repeat(1 << 20);
    let body = chunk(&key, &format!("flood-{number}"), &[json!(text)]).to_string();
    while !seen.stop.load(Ordering::Relaxed) {
        seen.send(&client, &url, body.as_bytes()).await;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Resident memory of a process, bytes.
fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// The most that the edge holds until then.
async fn most_memory(edge: &Edge, until: Instant) -> u64 {
    let mut most = resident(edge.process.id());
    while Instant::now() < until {
        most = most.max(resident(edge.process.id()));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    most
}

async fn ready(edge: &Edge) -> (u16, Value) {
    let response = reqwest::get(format!("{}/ready", edge.admin)).await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// Waits until readiness says so, by its status and its reason.
async fn turns(edge: &Edge, status: u16) {
    wait::until(&format!("/ready answers {status}"), Duration::from_secs(15), || async {
        let (found, report) = ready(edge).await;
        let components = report["components"].as_array().unwrap();
        let kafka = components.iter().find(|component| component["name"] == "kafka")?;
        (found == status && (status == 200 || (kafka["ready"] == false && kafka["detail"].is_string()))).then_some(())
    })
    .await;
}

/// Every answer while the broker is away is a refusal that may be repeated, and in time.
fn check_answers(answers: &[Answer]) {
    assert!(answers.len() as u64 >= SESSIONS, "only {} answers", answers.len());
    for answer in answers {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.has_retry_hint, "{answer:?}");
        assert!(
            ["log_unavailable", "log_busy", "overloaded"].contains(&answer.reason.as_str()),
            "{answer:?}"
        );
        assert!(answer.took < DELIVERY_TIMEOUT + SLACK, "{answer:?}");
    }
}

async fn recovers(seen: &Seen, edge: &Edge, returned: Instant) {
    while seen.first_success_after(returned).is_none() {
        let last = || seen.answers.lock().unwrap().last().cloned();
        assert!(
            returned.elapsed() < DEADLINE,
            "no batch is acknowledged; the last answer was {:?}\n{}",
            last(),
            edge.process.output()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let success = seen.first_success_after(returned).unwrap();
    assert!(
        success - returned < RECOVERY,
        "first success {:?} after the return",
        success - returned
    );
    turns(edge, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_pauses_then_dies_and_nothing_is_lost_doubled_or_untruthful() {
    let broker = Broker::start(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("outage")).await;
    let stack = Stack::on(broker.address.clone()).await;
    let edge = stack
        .edge_with(&[
            ("DELIVERY_TIMEOUT", "3s"),
            ("QUEUE_BYTES", &QUEUE_BYTES.to_string()),
            ("BYTES_IN_FLIGHT", &BYTES_IN_FLIGHT.to_string()),
        ])
        .await;
    edge.ready().await;
    let enricher = stack.enricher("only").await;

    let seen = Arc::new(Seen::default());
    let mut sessions = JoinSet::new();
    for number in 0..SESSIONS {
        sessions.spawn(session(number, stack.key.clone(), edge.http.clone(), Arc::clone(&seen)));
    }
    topic::at_least(&*stack.log(), &stack.topic("raw"), 200, DEADLINE).await;
    let before = resident(edge.process.id());

    // It accepts connections and bytes, and answers nothing.
    broker.signal("STOP");
    let stopped = Instant::now();
    turns(&edge, 503).await;
    tokio::time::sleep(PAUSED.saturating_sub(stopped.elapsed())).await;
    // What had been sent before may have been confirmed just then.
    let answers = seen.between(stopped + Duration::from_secs(1), Instant::now());
    check_answers(&answers);
    assert!(
        answers.iter().any(|answer| answer.reason == "log_unavailable"),
        "no batch is in doubt"
    );
    let returned = Instant::now();
    broker.signal("CONT");
    recovers(&seen, &edge, returned).await;

    // It is gone, while clients offer more than the edge may hold.
    let flooding = Arc::new(Seen::default());
    let mut floods = JoinSet::new();
    broker.signal("KILL");
    let killed = Instant::now();
    for number in 0..FLOOD {
        floods.spawn(flood(
            number,
            stack.key.clone(),
            edge.http.clone(),
            Arc::clone(&flooding),
        ));
    }
    turns(&edge, 503).await;
    let most = most_memory(&edge, killed + FLOODED).await;
    flooding.stop.store(true, Ordering::Relaxed);
    floods.join_all().await;
    let most = most.max(most_memory(&edge, killed + KILLED).await);
    assert!(most < before + GROWTH, "{before} bytes before, {most} at the most");
    assert_eq!(ready(&edge).await.0, 503, "ready without a broker");
    let answers = flooding.between(killed + Duration::from_secs(1), Instant::now());
    check_answers(&answers);
    assert!(
        answers
            .iter()
            .any(|answer| answer.reason == "log_busy" || answer.reason == "overloaded"),
        "the limits were not reached"
    );
    // To the last.
    let answers = seen.between(killed + Duration::from_secs(1), Instant::now());
    check_answers(&answers);
    let last = answers.last().expect("there are answers").at;
    assert!(
        killed + KILLED - last < DELIVERY_TIMEOUT + SLACK,
        "nobody was answered any more"
    );
    broker.start_again().await;
    recovers(&seen, &edge, Instant::now()).await;

    tokio::time::sleep(Duration::from_secs(1)).await;
    seen.stop.store(true, Ordering::Relaxed);
    let acknowledged: BTreeMap<String, Vec<String>> = sessions.join_all().await.into_iter().collect();
    let total = acknowledged.values().map(Vec::len).sum();

    let log = stack.log();
    let staged = topic::all(&*log, &stack.topic("staging")).await;
    let stands: BTreeSet<String> = staged.iter().map(|record| record.position.to_string()).collect();
    let receipts = std::mem::take(&mut *seen.receipts.lock().unwrap());
    assert_eq!(receipts.len() * 5, total);
    for receipt in receipts.iter() {
        let position = receipt.split(';').next().unwrap();
        assert!(stands.contains(position), "acknowledged, and not on staging: {receipt}");
    }
    let twice = staged.len() - receipts.len();
    assert!(twice > 0, "nothing in doubt had been stored: the case was not met");

    let raw = topic::at_least(&*log, &stack.topic("raw"), total, DEADLINE).await;
    let mut on_raw: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in &raw {
        let event = topic::json(record);
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        on_raw.entry(text("session_id")).or_default().push(text("event_id"));
    }
    for (name, sent) in &acknowledged {
        assert_eq!(on_raw.get(name), Some(sent), "{name}: lost, doubled or out of order");
    }
    assert_eq!(raw.len(), total);
    drop(enricher);
}
