//! The fault test: events with known ids go through two edges and three enrichers on a Kafka of the test's own, while all of them are
//! killed and frozen at random; afterwards an oracle looks up what was acknowledged.

#![allow(clippy::print_stdout, reason = "a run is told while it goes on")]

mod cast;
mod chaos;
mod clients;
mod oracle;
mod story;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gosight_eventlog::EventLog;

use self::cast::Cast;
use self::chaos::{Chaos, Tally};
use self::clients::{Clients, Sent};
use self::oracle::Oracle;
use self::story::Story;
use crate::broker::Broker;
use crate::events::now_ms;
use crate::wait;

/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How often it is told.
const TELL: Duration = Duration::from_secs(15);
/// From the last fault to the last event on raw: lanes that failed often wait for up to 30 s.
const DRAINED_WITHIN: Duration = Duration::from_secs(120);

/// What a run does.
#[derive(Debug, Clone, Copy)]
pub struct Ordeal {
    /// Decides events and faults.
    pub seed: u64,
    /// So many events at the least.
    pub events: u64,
    /// Nodes of Kafka: 1 or 3.
    pub brokers: u32,
    /// Projects, and sessions of each.
    pub projects: usize,
    /// Sessions of each project.
    pub sessions: usize,
    /// Events a second while nothing hinders.
    pub rate: u64,
    /// So many aborted transactions, rebalances and duplicates have to be met; the load goes on until they are.
    pub minimum: u64,
    /// The load must be done by then.
    pub deadline: Duration,
}

/// A number from the environment; `make fault` documents them.
///
/// # Panics
/// It is there and no number.
pub fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// The seed that the environment names, or another one each time.
pub fn seed() -> u64 {
    number("FAULT_SEED").unwrap_or_else(|| now_ms().unsigned_abs())
}

/// What faults the enrichers met, by what they and the brokers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Met {
    aborts: u64,
    rebalances: u64,
    resent: u64,
}

impl Ordeal {
    /// Runs it; panics with what was found if anything is wrong.
    pub async fn run(self, directory: &Path) {
        println!(
            "FAULT_SEED={} FAULT_BROKERS={} FAULT_EVENTS={}",
            self.seed, self.brokers, self.events
        );
        let began = Instant::now();
        let broker = Broker::start_nodes(directory, self.brokers).await;
        let cast = Arc::new(Cast::start(broker).await);
        let (mut projects, mut keys) = (Vec::new(), Vec::new());
        for number in 0..self.projects {
            let (project, key) = cast.stack.another_project(number).await;
            projects.push(project);
            keys.push(key);
        }
        let story = Story {
            seed: self.seed,
            began: now_ms(),
        };
        let clients = Arc::new(Clients {
            story,
            keys,
            sessions: self.sessions,
            rate: self.rate,
            doors: Arc::clone(&cast.doors),
            stop: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            acknowledged_again: AtomicU64::new(0),
            in_doubt: AtomicU64::new(0),
        });
        println!("everyone runs after {:.1} s", began.elapsed().as_secs_f64());

        let (sent, tally, loaded) = self.load(&cast, &clients).await;
        self.drain(&cast, &tally).await;
        let met = met(&cast, &tally, &clients).await;
        check_metrics(&cast.metrics().await);
        cast.stop().await;
        let outputs = cast.outputs().await;

        let findings = Oracle::new(&story, &projects, &sent).judge(&cast.stack, &sent).await;
        println!("{findings}{met:?} {tally:?}");
        println!(
            "{} attempts in doubt; load {:.1} s, all {:.1} s",
            clients.in_doubt.load(Ordering::Relaxed),
            loaded.as_secs_f64(),
            began.elapsed().as_secs_f64()
        );
        if !findings.are_good() {
            let kept = keep(directory, &outputs);
            panic!("FAULT_SEED={}\n{findings}what the processes printed: {kept}", self.seed);
        }
        check_logs(&outputs);
        let [exits, fences] = [&tally.exits, &tally.fences].map(|count| count.load(Ordering::Relaxed));
        assert!(
            exits <= fences,
            "{exits} enrichers ended by themselves, {fences} had lost their identity"
        );
        let least = met.aborts.min(met.rebalances).min(findings.batches_again);
        assert!(
            least >= self.minimum,
            "too few faults were met: {met:?}, {} batches again",
            findings.batches_again
        );
    }

    /// Load and faults, until there was enough of both.
    async fn load(self, cast: &Arc<Cast>, clients: &Arc<Clients>) -> (Vec<Sent>, Arc<Tally>, Duration) {
        let began = Instant::now();
        let mut sending = tokio::spawn(Arc::clone(clients).run());
        let tally = Arc::new(Tally::default());
        let mut chaos = Chaos::begin(cast, &tally, self.seed);
        let mut told = began;
        loop {
            tokio::select! {
                ended = &mut sending => panic!("clients ended early: {ended:?}"),
                () = tokio::time::sleep(LOOK) => chaos.check(),
            }
            let met = met(cast, &tally, clients).await;
            let events = clients.acknowledged.load(Ordering::Relaxed);
            let tells = || println!("{:7.1} s  {events} events, {met:?}", began.elapsed().as_secs_f64());
            if events >= self.events && met.aborts.min(met.rebalances).min(met.resent) >= self.minimum {
                tells();
                break;
            }
            assert!(
                began.elapsed() < self.deadline,
                "FAULT_SEED={}: within {:?} only {events} events and {met:?}",
                self.seed,
                self.deadline
            );
            if told.elapsed() >= TELL {
                told = Instant::now();
                tells();
            }
        }
        chaos.end().await;
        // The last batches meet no fault, so that what was in doubt before is settled.
        clients.stop.store(true, Ordering::Relaxed);
        let sent = sending.await.expect("clients end well");
        (sent, tally, began.elapsed())
    }

    /// Waits until the group has consumed everything that is staged.
    async fn drain(self, cast: &Cast, tally: &Tally) {
        let log = cast.stack.log();
        let (topic, group) = (cast.stack.topic("staging"), cast.stack.group());
        let what = format!("everything staged is consumed; FAULT_SEED={}", self.seed);
        wait::until(&what, DRAINED_WITHIN, || async {
            let exits = cast.start_ended_enrichers().await;
            tally.exits.fetch_add(exits, Ordering::Relaxed);
            let committed = log.committed(&group, &topic).await.ok()?;
            let bounds = log.bounds(&topic).await.ok()?;
            let is_consumed = bounds
                .iter()
                .all(|at| at.end == at.earliest || committed.contains(&(at.partition, at.end)));
            is_consumed.then_some(())
        })
        .await;
    }
}

async fn met(cast: &Cast, tally: &Tally, clients: &Clients) -> Met {
    let outputs = cast.outputs().await;
    let aborted = |line: &&str| line.contains("transaction aborted") || line.contains("ended the transaction");
    let rebalances = cast.broker.rebalances(&cast.stack.group());
    Met {
        aborts: outputs
            .iter()
            .map(|output| output.lines().filter(aborted).count() as u64)
            .sum(),
        rebalances: tally.rebalances.load(Ordering::Relaxed).max(rebalances),
        resent: clients.acknowledged_again.load(Ordering::Relaxed),
    }
}

/// What the enrichers that run to the end say of themselves.
fn check_metrics(texts: &[String]) {
    for text in texts {
        for line in [
            "enricher_order_violations_total 0",
            "enricher_dedupe_early_evictions_total 0",
            "enricher_breaker_pauses_total 0",
        ] {
            assert!(text.lines().any(|have| have == line), "not {line}:\n{text}");
        }
    }
}

/// Writes what everyone has printed to a file beside the brokers' directory, which goes.
fn keep(directory: &Path, outputs: &[String]) -> String {
    let path = directory.with_extension("log");
    std::fs::write(&path, outputs.join("\n---\n")).expect("target can be written");
    path.display().to_string()
}

/// Errors in logs are of the kinds that faults explain, and nothing ever panicked or came out of order.
fn check_logs(outputs: &[String]) {
    for line in outputs.iter().flat_map(|output| output.lines()) {
        let is_explained = line.contains("the lane stopped") && !line.contains("order is broken");
        let is_bad =
            line.contains(" ERROR ") && !is_explained || line.contains("panicked at") || line.contains("crashed");
        assert!(!is_bad, "{line}");
    }
}
