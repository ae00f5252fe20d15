//! Who plays: two edges, three enrichers, the brokers; each may be killed, frozen and started again.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::broker::Broker;
use crate::process::Process;
use crate::stack::{Edge, Stack};

const EDGES: usize = 2;
const ENRICHERS: usize = 3;
/// Lanes of an enricher.
pub(super) const LANES: u64 = 2;
/// A member of the group that is silent for longer is put out. Short, so that many faults fit into a run.
pub(super) const SESSION_TIMEOUT: Duration = Duration::from_secs(3);
/// A transaction that is open for longer is aborted by the brokers.
pub(super) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(5);
/// What an ended process may take: drain, leaving the group, a busy machine.
const ENDS_WITHIN: Duration = Duration::from_secs(40);

/// An enricher that runs.
#[derive(Debug)]
pub(super) struct Enricher {
    /// The process.
    pub(super) process: Process,
    /// `http://address:port`
    pub(super) admin: String,
}

/// Everyone.
#[derive(Debug)]
pub(super) struct Cast {
    /// Topics, projects, configuration.
    pub(super) stack: Stack,
    /// Kafka.
    pub(super) broker: Broker,
    edges: Vec<Mutex<Option<Edge>>>,
    /// Where clients find the edges.
    pub(super) doors: Arc<Vec<RwLock<String>>>,
    enrichers: Vec<Mutex<Option<Enricher>>>,
    /// What processes that have ended had printed.
    past: std::sync::Mutex<Vec<String>>,
}

impl Cast {
    /// Starts everyone.
    pub(super) async fn start(broker: Broker) -> Self {
        let stack = Stack::on(broker.address.clone()).await;
        let cast = Self {
            stack,
            broker,
            edges: (0..EDGES).map(|_| Mutex::default()).collect(),
            doors: Arc::new((0..EDGES).map(|_| RwLock::default()).collect()),
            enrichers: (0..ENRICHERS).map(|_| Mutex::default()).collect(),
            past: std::sync::Mutex::default(),
        };
        for number in 0..EDGES {
            cast.start_edge(number).await;
        }
        for number in 0..ENRICHERS {
            cast.start_enricher(number).await;
        }
        cast
    }

    /// How many edges there are.
    pub(super) fn edges(&self) -> u64 {
        self.edges.len() as u64
    }

    /// How many enrichers there are.
    pub(super) fn enrichers(&self) -> u64 {
        self.enrichers.len() as u64
    }

    /// Starts an edge that does not run.
    pub(super) async fn start_edge(&self, number: usize) {
        let edge = self.stack.edge_with(&[("DELIVERY_TIMEOUT", "6s")]).await;
        self.doors[number]
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&edge.http);
        *self.edges[number].lock().await = Some(edge);
    }

    /// Starts an enricher that does not run, under the identity that it had before.
    pub(super) async fn start_enricher(&self, number: usize) {
        let (session, transaction) = (seconds(SESSION_TIMEOUT), seconds(TRANSACTION_TIMEOUT));
        let variables = [
            ("INSTANCE_ID", &*instance(number)),
            ("SESSION_TIMEOUT", &session),
            ("TRANSACTION_TIMEOUT", &transaction),
        ];
        let (process, admin) = self.stack.enricher_with(&variables).await;
        *self.enrichers[number].lock().await = Some(Enricher { process, admin });
    }

    /// kill -9
    pub(super) async fn kill_edge(&self, number: usize) {
        if let Some(edge) = self.edges[number].lock().await.take() {
            self.remember(edge.process.killed().await);
        }
    }

    /// kill -9
    pub(super) async fn kill_enricher(&self, number: usize) {
        if let Some(enricher) = self.enrichers[number].lock().await.take() {
            self.remember(enricher.process.killed().await);
        }
    }

    /// Sends a signal, where it runs.
    pub(super) async fn signal_edge(&self, number: usize, signal: &str) {
        if let Some(edge) = &mut *self.edges[number].lock().await
            && !edge.process.has_ended()
        {
            edge.process.signal(signal);
        }
    }

    /// Sends a signal, where it runs.
    pub(super) async fn signal_enricher(&self, number: usize, signal: &str) {
        if let Some(enricher) = &mut *self.enrichers[number].lock().await
            && !enricher.process.has_ended()
        {
            enricher.process.signal(signal);
        }
    }

    /// Starts enrichers that have ended by themselves, as a supervisor does; tells how many.
    pub(super) async fn start_ended_enrichers(&self) -> u64 {
        let mut count = 0;
        for (number, place) in self.enrichers.iter().enumerate() {
            let ended = place.lock().await.take_if(|enricher| enricher.process.has_ended());
            if let Some(mut enricher) = ended {
                enricher.process.ended(ENDS_WITHIN).await;
                self.remember(enricher.process.output());
                self.start_enricher(number).await;
                count += 1;
            }
        }
        count
    }

    /// Names a lane's producer, so that another one can take its identity.
    pub(super) fn transactional_id(&self, number: usize, lane: u64) -> String {
        format!("{}-{}-{lane}", self.stack.group(), instance(number))
    }

    /// What each enricher that runs shows of itself at `/metrics`.
    pub(super) async fn metrics(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for place in &self.enrichers {
            if let Some(enricher) = &*place.lock().await {
                let response = reqwest::get(format!("{}/metrics", enricher.admin)).await;
                texts.push(response.expect("it runs").text().await.expect("text"));
            }
        }
        texts
    }

    /// What everyone has printed so far.
    pub(super) async fn outputs(&self) -> Vec<String> {
        let mut outputs = self.past.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for place in &self.edges {
            outputs.extend(place.lock().await.iter().map(|edge| edge.process.output()));
        }
        for place in &self.enrichers {
            outputs.extend(place.lock().await.iter().map(|enricher| enricher.process.output()));
        }
        outputs
    }

    /// SIGTERM to everyone; each must end in time and well.
    pub(super) async fn stop(&self) {
        let mut processes = Vec::new();
        for place in &self.edges {
            processes.extend(place.lock().await.take().map(|edge| edge.process));
        }
        for place in &self.enrichers {
            processes.extend(place.lock().await.take().map(|enricher| enricher.process));
        }
        for process in &processes {
            process.signal("TERM");
        }
        for mut process in processes {
            let status = process.ended(ENDS_WITHIN).await;
            assert!(status.success(), "SIGTERM ends with {status}:\n{}", process.output());
            self.remember(process.output());
        }
    }

    fn remember(&self, output: String) {
        self.past.lock().unwrap_or_else(PoisonError::into_inner).push(output);
    }
}

fn instance(number: usize) -> String {
    format!("enricher-{number}")
}

fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}
