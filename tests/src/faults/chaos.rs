//! Faults at random: one hand each for enrichers, edges and brokers, so that faults of different kinds meet.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use tokio::task::JoinSet;

use super::cast::{Cast, LANES, SESSION_TIMEOUT, TRANSACTION_TIMEOUT};
use super::story::Chance;

/// How long the fault's own questions to Kafka may take.
const ASK: Duration = Duration::from_secs(5);
/// What a zombie has missed: its session, and with it a transaction.
const LONG_FREEZE: [Duration; 2] = [
    Duration::from_secs(SESSION_TIMEOUT.as_secs() + 1),
    Duration::from_secs(TRANSACTION_TIMEOUT.as_secs() + 3),
];

/// What happened.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// kill -9.
    pub(super) kills: AtomicU64,
    /// SIGSTOP and SIGCONT.
    pub(super) freezes: AtomicU64,
    /// Identities of lanes that were taken over.
    pub(super) fences: AtomicU64,
    /// Enrichers that ended by themselves and were started again.
    pub(super) exits: AtomicU64,
    /// The highest count of rebalances that the brokers' logs have shown.
    pub(super) rebalances: AtomicU64,
}

/// Something bad.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Kill,
    /// For less than anyone's patience.
    FreezeShortly,
    /// Until others have taken over.
    FreezeLong,
    /// Another producer takes a lane's transactional id.
    Fence,
}

const OF_ENRICHERS: [Fault; 8] = [
    Fault::Kill,
    Fault::Kill,
    Fault::Kill,
    Fault::FreezeLong,
    Fault::FreezeLong,
    Fault::FreezeLong,
    Fault::FreezeShortly,
    Fault::Fence,
];
const OF_EDGES: [Fault; 4] = [Fault::Kill, Fault::FreezeShortly, Fault::Kill, Fault::FreezeLong];
const OF_BROKERS: [Fault; 3] = [Fault::Kill, Fault::FreezeShortly, Fault::FreezeLong];

/// One hand, with its own share of chance.
struct Hand {
    cast: Arc<Cast>,
    tally: Arc<Tally>,
    began: Instant,
    chance: Chance,
    /// Faults yet to come before all have come once.
    deck: Vec<Fault>,
}

/// The hands at work.
#[derive(Debug)]
pub(super) struct Chaos {
    tasks: JoinSet<()>,
    stop: Arc<AtomicBool>,
}

impl Chaos {
    /// Begins; the same seed draws the same faults in the same order.
    pub(super) fn begin(cast: &Arc<Cast>, tally: &Arc<Tally>, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let began = Instant::now();
        let hand = |number| Hand {
            cast: Arc::clone(cast),
            tally: Arc::clone(tally),
            began,
            chance: Chance::of(seed, u64::MAX, number),
            deck: Vec::new(),
        };
        let mut tasks = JoinSet::new();
        let (mut enrichers, mut edges, mut brokers) = (hand(1), hand(2), hand(3));
        let until = Arc::clone(&stop);
        tasks.spawn(async move {
            while !until.load(Ordering::Relaxed) {
                enrichers.pause(200..2_000).await;
                enrichers.at_an_enricher().await;
            }
        });
        let until = Arc::clone(&stop);
        tasks.spawn(async move {
            while !until.load(Ordering::Relaxed) {
                edges.pause(500..5_000).await;
                edges.at_an_edge().await;
            }
        });
        let until = Arc::clone(&stop);
        tasks.spawn(async move {
            while !until.load(Ordering::Relaxed) {
                brokers.pause(4_000..10_000).await;
                brokers.at_a_broker().await;
            }
        });
        Self { tasks, stop }
    }

    /// A hand that failed ends the test.
    pub(super) fn check(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            ended.expect("a fault could not be made");
        }
    }

    /// Ends when everyone runs again.
    pub(super) async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
    }
}

impl Hand {
    fn below(&mut self, end: u64) -> u64 {
        self.chance.below(end)
    }

    fn between(&mut self, range: [Duration; 2]) -> Duration {
        let [shortest, longest] = range.map(|duration| u64::try_from(duration.as_millis()).expect("short"));
        Duration::from_millis(shortest + self.below(longest - shortest))
    }

    async fn pause(&mut self, ms: std::ops::Range<u64>) {
        let range = [Duration::from_millis(ms.start), Duration::from_millis(ms.end)];
        tokio::time::sleep(self.between(range)).await;
    }

    fn draw(&mut self, all: &[Fault]) -> Fault {
        if self.deck.is_empty() {
            self.deck.extend(all);
        }
        let which = self.below(self.deck.len() as u64);
        self.deck.swap_remove(usize::try_from(which).expect("small"))
    }

    fn says(&self, what: &str) {
        println!("{:7.1} s  {what}", self.began.elapsed().as_secs_f64());
    }

    async fn freeze<S: Future<Output = ()>>(&mut self, whom: &str, time: Duration, signal: impl Fn(&'static str) -> S) {
        self.says(&format!("{whom} is frozen for {time:?}"));
        signal("STOP").await;
        tokio::time::sleep(time).await;
        signal("CONT").await;
        self.tally.freezes.fetch_add(1, Ordering::Relaxed);
    }

    async fn at_an_enricher(&mut self) {
        let exits = self.cast.start_ended_enrichers().await;
        if exits > 0 {
            self.says(&format!("{exits} ended enrichers are started again"));
        }
        self.tally.exits.fetch_add(exits, Ordering::Relaxed);
        let number = usize::try_from(self.below(self.cast.enrichers())).expect("small");
        let (cast, whom) = (Arc::clone(&self.cast), format!("enricher {number}"));
        let signal = |signal| cast.signal_enricher(number, signal);
        match self.draw(&OF_ENRICHERS) {
            Fault::Kill => {
                self.says(&format!("{whom} is killed"));
                cast.kill_enricher(number).await;
                self.tally.kills.fetch_add(1, Ordering::Relaxed);
                self.pause(0..1_500).await;
                cast.start_enricher(number).await;
            }
            Fault::FreezeShortly => {
                let time = self.between([Duration::from_millis(100), SESSION_TIMEOUT / 2]);
                self.freeze(&whom, time, signal).await;
            }
            Fault::FreezeLong => {
                let time = self.between(LONG_FREEZE);
                self.freeze(&whom, time, signal).await;
            }
            Fault::Fence => {
                let id = cast.transactional_id(number, self.below(LANES));
                self.says(&format!("{whom} loses its identity {id}"));
                let brokers = cast.broker.address.clone();
                let taken = tokio::task::spawn_blocking(move || take_over(&brokers, &id));
                let is_taken = taken.await.expect("it does not panic");
                self.tally.fences.fetch_add(u64::from(is_taken), Ordering::Relaxed);
            }
        }
    }

    async fn at_an_edge(&mut self) {
        let number = usize::try_from(self.below(self.cast.edges())).expect("small");
        let (cast, whom) = (Arc::clone(&self.cast), format!("edge {number}"));
        let long = match self.draw(&OF_EDGES) {
            Fault::Kill => {
                self.says(&format!("{whom} is killed"));
                cast.kill_edge(number).await;
                self.tally.kills.fetch_add(1, Ordering::Relaxed);
                self.pause(0..2_000).await;
                cast.start_edge(number).await;
                return;
            }
            Fault::FreezeLong => 8,
            Fault::FreezeShortly | Fault::Fence => 1,
        };
        let time = self.between([Duration::from_millis(200), Duration::from_secs(long)]);
        self.freeze(&whom, time, |signal| cast.signal_edge(number, signal))
            .await;
    }

    async fn at_a_broker(&mut self) {
        let cast = Arc::clone(&self.cast);
        let node = self.node().await;
        let whom = format!("broker {node}");
        let signal = |signal| {
            cast.broker.signal_node(node, signal);
            std::future::ready(())
        };
        match self.draw(&OF_BROKERS) {
            Fault::Kill => {
                self.note_rebalances();
                self.says(&format!("{whom} is killed"));
                signal("KILL").await;
                self.tally.kills.fetch_add(1, Ordering::Relaxed);
                self.pause(0..4_000).await;
                cast.broker.start_again().await;
                self.says(&format!("{whom} runs again"));
            }
            Fault::FreezeShortly | Fault::Fence => {
                let time = self.between([Duration::from_millis(200), Duration::from_secs(2)]);
                self.freeze(&whom, time, signal).await;
            }
            Fault::FreezeLong => {
                let time = self.between(LONG_FREEZE);
                self.freeze(&whom, time, signal).await;
            }
        }
    }

    /// The node to hit: the leader of a partition by chance.
    async fn node(&mut self) -> u32 {
        let nodes = self.cast.broker.nodes();
        let by_chance = 1 + u32::try_from(self.below(u64::from(nodes))).expect("small");
        if nodes == 1 {
            return 1;
        }
        let which = usize::try_from(self.below(3)).expect("small");
        let topic = self.cast.stack.topic(["staging", "raw", "errors"][which]);
        let (brokers, partition) = (self.cast.broker.address.clone(), self.below(3));
        let asked = tokio::task::spawn_blocking(move || leader(&brokers, &topic, partition));
        asked.await.expect("it does not panic").unwrap_or(by_chance)
    }

    /// The log of a broker begins anew with its next start.
    fn note_rebalances(&self) {
        let count = self.cast.broker.rebalances(&self.cast.stack.group());
        self.tally.rebalances.fetch_max(count, Ordering::Relaxed);
    }
}

/// Fences a lane; tells whether it could.
fn take_over(brokers: &str, transactional_id: &str) -> bool {
    let producer: Result<BaseProducer, _> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("transactional.id", transactional_id)
        .set("log_level", "0")
        .create();
    // Where no answer comes it may have been taken over all the same.
    producer.is_ok_and(|producer| {
        let _ = producer.init_transactions(ASK);
        true
    })
}

fn leader(brokers: &str, topic: &str, partition: u64) -> Option<u32> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("log_level", "0")
        .create()
        .ok()?;
    let metadata = consumer.fetch_metadata(Some(topic), ASK).ok()?;
    let partitions = metadata.topics().first()?.partitions();
    let found = partitions
        .iter()
        .find(|candidate| u64::try_from(candidate.id()) == Ok(partition))?;
    u32::try_from(found.leader()).ok()
}
