//! Staged batches as an edge writes them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use gosight_eventlog::{EventLog, NewRecord};
use gosight_schemas::{BodyFormat, PrivacyRules, RawBatch, Transport, encode_raw_batch, topics};
use gosight_tests::events::{batch, now_ms, numbered_click};
use gosight_tests::stack::Stack;
use serde_json::Value;
use uuid::Uuid;

/// The backlog.
pub(crate) const BATCHES: u64 = 120_000;
/// Of each staged batch.
pub(crate) const EVENTS_PER_BATCH: u64 = 10;
const SESSIONS: u64 = 2_000;
/// Records on their way to Kafka while the backlog is made.
const IN_FLIGHT: usize = 2_000;

/// A realistic mix of what browsers, phones, applications and crawlers call themselves.
const USER_AGENTS: [&str; 10] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0",
    "Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 Chrome/122.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
];

/// Appends [`BATCHES`] staged batches.
pub(crate) async fn make_backlog(log: &dyn EventLog, stack: &Stack) {
    let staging: Arc<str> = stack.topic("staging").as_str().into();
    let mut on_the_way = VecDeque::with_capacity(IN_FLIGHT);
    for number in 0..BATCHES {
        if on_the_way.len() == IN_FLIGHT {
            let oldest: gosight_eventlog::Durable = on_the_way.pop_front().expect("not empty");
            oldest.await.expect("Kafka takes it");
        }
        on_the_way.push_back(log.append(staged(number, stack, &staging)));
    }
    for one in on_the_way {
        one.await.expect("Kafka takes it");
    }
}

/// The staged batch of that number, received now.
pub(crate) fn staged(number: u64, stack: &Stack, staging: &Arc<str>) -> NewRecord {
    let first = number * EVENTS_PER_BATCH;
    let events: Vec<Value> = (first..first + EVENTS_PER_BATCH).map(numbered_click).collect();
    let session = format!("session-{}", number % SESSIONS);
    let agent = USER_AGENTS[usize::try_from(number % SESSIONS).expect("few") % USER_AGENTS.len()];
    let [.., a, b] = (number % SESSIONS).to_be_bytes();
    let raw_batch = RawBatch {
        batch_id: Uuid::now_v7().to_string(),
        received_at: now_ms(),
        project_id: stack.project.clone(),
        key_id: Uuid::nil().to_string(),
        session_id: session.clone(),
        user_id: None,
        transport: Transport::Http,
        body_format: BodyFormat::Json,
        body: Bytes::from(batch(&stack.key, &session, &events).to_string()),
        event_count: i32::try_from(EVENTS_PER_BATCH).expect("few"),
        sent_at: Some(now_ms()),
        client_ip: Some(format!("81.2.{a}.{b}")),
        user_agent: Some(agent.to_owned()),
        client_hints: BTreeMap::new(),
        accept_language: Some("en-GB,en;q=0.9".to_owned()),
        origin: Some("https://shop.example".to_owned()),
        referer: Some("https://shop.example/".to_owned()),
        privacy: PrivacyRules::default(),
        traceparent: None,
    };
    NewRecord {
        topic: Arc::clone(staging),
        key: Bytes::from(topics::session_key(&stack.project, &session)),
        value: encode_raw_batch(&raw_batch).expect("it can be encoded").into(),
        headers: Vec::new(),
    }
}
