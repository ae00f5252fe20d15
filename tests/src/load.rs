//! Load over HTTP as SDKs make it: every batch is sent until it is acknowledged, and what was acknowledged is an obligation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use crate::events::{batch, numbered_click};

/// A refusal or a broken connection is retried after so long, as an SDK would.
const RETRY: Duration = Duration::from_millis(50);
/// Nothing here takes longer, unless something is lost.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Sessions that send numbered events one batch after the other.
#[derive(Debug, Clone)]
pub struct Load {
    /// `http://address:port` of each edge; sessions are spread over them.
    pub edges: Vec<String>,
    /// The API key.
    pub key: String,
    /// Sessions, each sending for itself.
    pub sessions: u64,
    /// Batches of each session.
    pub batches: u64,
    /// Events of each batch.
    pub events: u64,
}

/// What was acknowledged.
#[derive(Debug)]
pub struct Acknowledged {
    /// For each session, by its name, its events' ids in the order in which they were sent.
    pub sessions: Vec<(String, Vec<String>)>,
}

impl Load {
    /// Sends everything and waits for every ack. `progress` counts acknowledged events while it runs.
    pub async fn run(&self, progress: Arc<AtomicU64>) -> Acknowledged {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(20))
            .build()
            .expect("a client");
        let mut tasks = JoinSet::new();
        for number in 0..self.sessions {
            let (load, client, progress) = (self.clone(), client.clone(), Arc::clone(&progress));
            tasks.spawn(async move { load.session(number, &client, &progress).await });
        }
        // They end in any order.
        let mut sessions = tasks.join_all().await;
        sessions.sort();
        Acknowledged { sessions }
    }

    async fn session(&self, number: u64, client: &reqwest::Client, progress: &AtomicU64) -> (String, Vec<String>) {
        let edge = &self.edges[usize::try_from(number).expect("small") % self.edges.len()];
        let session = format!("session-{number}");
        let mut ids = Vec::new();
        for batch_number in 0..self.batches {
            let first = batch_number * self.events;
            let events: Vec<Value> = (first..first + self.events).map(numbered_click).collect();
            ids.extend(
                events
                    .iter()
                    .map(|event| event["event_id"].as_str().expect("an id").to_owned()),
            );
            send_until_acknowledged(client, edge, &batch(&self.key, &session, &events)).await;
            progress.fetch_add(self.events, Ordering::Relaxed);
        }
        (session, ids)
    }
}

async fn send_until_acknowledged(client: &reqwest::Client, edge: &str, body: &Value) {
    let started = Instant::now();
    let mut last = String::new();
    while started.elapsed() < GIVE_UP {
        match client.post(format!("{edge}/v1/events")).json(body).send().await {
            Ok(response) if response.status().is_success() => return,
            Ok(response) => last = format!("{}: {}", response.status(), response.text().await.unwrap_or_default()),
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(RETRY).await;
    }
    panic!("no ack from {edge} within {GIVE_UP:?}: {last}");
}
