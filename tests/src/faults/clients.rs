//! Clients that keep at it: every batch is sent until an edge acknowledges it, and some batches again and again through both edges.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Client;
use serde_json::Value;
use tokio::task::JoinSet;

use super::story::{Chance, Story, session_name};

/// A client gives an edge up after so long, in doubt, and turns to the other.
const PATIENCE: Duration = Duration::from_secs(4);
/// Before it sends again.
const RETRY: Duration = Duration::from_millis(60);
/// No outage is as long, by far: something hangs.
const GIVE_UP: Duration = Duration::from_secs(180);
/// Events of a batch at the most.
const LARGEST: u64 = 40;
/// Of a hundred batches so many are sent again after their ack, and so many through both edges at once.
const SENT_AGAIN: u64 = 8;
const SENT_AT_ONCE: u64 = 6;

/// What all clients share.
#[derive(Debug)]
pub(super) struct Clients {
    /// What they tell.
    pub(super) story: Story,
    /// A key of each project.
    pub(super) keys: Vec<String>,
    /// Sessions of each project.
    pub(super) sessions: usize,
    /// Events a second, all together, while nothing hinders.
    pub(super) rate: u64,
    /// `http://address:port` of each edge, which changes when one is started again.
    pub(super) doors: Arc<Vec<RwLock<String>>>,
    /// No more batches are begun.
    pub(super) stop: AtomicBool,
    /// Events of acknowledged batches, each batch counted once.
    pub(super) acknowledged: AtomicU64,
    /// Acks beyond the first of a batch.
    pub(super) acknowledged_again: AtomicU64,
    /// Attempts without an answer.
    pub(super) in_doubt: AtomicU64,
}

/// What one session has sent: all of it is acknowledged.
#[derive(Debug)]
pub(super) struct Sent {
    /// Which project, by its place among the keys.
    pub(super) project: usize,
    /// Which session of it.
    pub(super) session: usize,
    /// How many events.
    pub(super) events: usize,
    /// Where the edges say that the batches stand.
    pub(super) receipts: Vec<Receipt>,
}

/// An ack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Receipt {
    /// Of the staging topic.
    pub(super) partition: i32,
    /// In the partition.
    pub(super) offset: i64,
    /// The batch's first event.
    pub(super) first: usize,
}

impl Clients {
    /// Sends until told to stop, and then until the last batch of each session is acknowledged.
    pub(super) async fn run(self: Arc<Self>) -> Vec<Sent> {
        let client = Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(Duration::from_secs(1))
            .build()
            .expect("a client");
        let mut tasks = JoinSet::new();
        for project in 0..self.keys.len() {
            for session in 0..self.sessions {
                let (clients, client) = (Arc::clone(&self), client.clone());
                tasks.spawn(async move { clients.session(project, session, &client).await });
            }
        }
        tasks.join_all().await
    }

    async fn session(&self, project: usize, session: usize, client: &Client) -> Sent {
        let mut chance = Chance::of(self.story.seed, (project * self.sessions + session) as u64, u64::MAX);
        let sessions = (self.keys.len() * self.sessions) as u64;
        let mut sent = Sent {
            project,
            session,
            events: 0,
            receipts: Vec::new(),
        };
        while !self.stop.load(Ordering::Relaxed) {
            let size = 1 + chance.below(LARGEST);
            self.batch(&mut sent, usize::try_from(size).expect("small"), client, &mut chance)
                .await;
            self.acknowledged.fetch_add(size, Ordering::Relaxed);
            let mean_pause = sessions * size * 1_000 / self.rate;
            tokio::time::sleep(Duration::from_millis(chance.below(2 * mean_pause + 1))).await;
        }
        sent
    }

    async fn batch(&self, sent: &mut Sent, size: usize, client: &Client, chance: &mut Chance) {
        let (project, first) = (sent.project, sent.events);
        let body = self.body(project, sent.session, first, size);
        let doors = self.doors.len() as u64;
        let edge = usize::try_from(chance.below(doors)).expect("small");
        let way = chance.below(100);
        let copies = 2 + usize::from(chance.below(2) == 0);
        let post = |nth: usize| self.post(client, edge + nth, &body, first, size);

        let mut acks = Vec::new();
        if way < SENT_AT_ONCE {
            let (one, other) = tokio::join!(post(0), post(1));
            acks.extend([one, other].into_iter().flatten());
        }
        let began = Instant::now();
        let mut attempts = 0;
        while acks.is_empty() {
            assert!(
                began.elapsed() < GIVE_UP,
                "no edge acknowledges a batch within {GIVE_UP:?}"
            );
            if attempts > 0 {
                tokio::time::sleep(RETRY).await;
            }
            acks.extend(post(attempts).await);
            attempts += 1;
        }
        if (SENT_AT_ONCE..SENT_AT_ONCE + SENT_AGAIN).contains(&way) {
            for nth in 1..copies {
                acks.extend(post(attempts + nth).await);
            }
        }
        self.acknowledged_again
            .fetch_add(acks.len() as u64 - 1, Ordering::Relaxed);
        sent.receipts.extend(acks);
        sent.events += size;
    }

    fn body(&self, project: usize, session: usize, first: usize, size: usize) -> Bytes {
        let events: Vec<String> = (first..first + size)
            .map(|number| self.story.event(session, number).json)
            .collect();
        let (key, name) = (&self.keys[project], session_name(session));
        let events = events.join(",");
        format!(r#"{{"project_key":"{key}","session_id":"{name}","events":[{events}]}}"#).into()
    }

    /// One attempt; `None` where it is in doubt or refused for now.
    async fn post(&self, client: &Client, edge: usize, body: &Bytes, first: usize, size: usize) -> Option<Receipt> {
        let door = self.doors[edge % self.doors.len()]
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let request = client.post(format!("{door}/v1/events")).body(body.clone());
        let answered = async {
            let response = request.send().await?;
            let (status, receipt) = (response.status(), response.headers().get("x-gosight-receipt").cloned());
            Ok::<_, reqwest::Error>((status, receipt, response.text().await?))
        };
        let Ok((status, receipt, text)) = answered.await else {
            self.in_doubt.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        if status == 503 || status == 429 {
            return None;
        }
        assert_eq!(status, 200, "an edge refused a good batch: {text}");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(answer["accepted_count"], size, "{text}");
        let receipt = receipt.expect("an ack has a receipt");
        let (position, _) = receipt.to_str().expect("text").split_once(';').expect("a receipt");
        let mut parts = position.rsplit(':');
        let mut number = || parts.next().expect("topic:partition:offset").parse::<i64>();
        let (offset, partition) = (number().expect("an offset"), number().expect("a partition"));
        Some(Receipt {
            partition: i32::try_from(partition).expect("small"),
            offset,
            first,
        })
    }
}
