//! Open-loop load: batches leave when they are due, whatever became of the earlier ones, and latency counts from the moment at which
//! a batch was due. So a slow server can't slow the clock down and hide what it makes clients wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::keep_alive::KeepAlive;

/// Between opening the connections and the first batch.
const LEAD: Duration = Duration::from_millis(300);

/// How much, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct OpenLoop {
    /// Batches that fall due in a second.
    pub batches_per_second: u32,
    /// How long they do.
    pub length: Duration,
    /// Requests at once; beyond it batches wait, which counts as their latency.
    pub connections: u64,
}

/// What came of it.
#[derive(Debug)]
pub struct Answers {
    /// From due to acknowledged, µs.
    pub latency: Histogram<u64>,
    /// Requests that were answered by anything but 200.
    pub refused: u64,
    /// From the first batch's time to the last answer.
    pub took: Duration,
}

impl OpenLoop {
    /// Sends to `http`. `request` gives a batch as it goes over the wire, by its number.
    pub async fn run<R>(self, http: &str, request: R) -> Answers
    where
        R: Fn(u64) -> Vec<u8> + Send + Sync + 'static,
    {
        let total = u64::from(self.batches_per_second) * self.length.as_secs();
        let (next, request) = (Arc::new(AtomicU64::new(0)), Arc::new(request));
        let started = Instant::now() + LEAD;
        let mut tasks = JoinSet::new();
        for _ in 0..self.connections {
            let mut connection = KeepAlive::open(http).await;
            let (next, request) = (Arc::clone(&next), Arc::clone(&request));
            tasks.spawn(async move {
                let (mut latency, mut refused) = (histogram(), 0_u64);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= total {
                        return (latency, refused);
                    }
                    let due =
                        started + Duration::from_nanos(number * 1_000_000_000 / u64::from(self.batches_per_second));
                    tokio::time::sleep_until(due.into()).await;
                    if connection.exchange(&request(number)).await != 200 {
                        refused += 1;
                        continue;
                    }
                    let micros = u64::try_from(due.elapsed().as_micros()).expect("short");
                    latency.record(micros.max(1)).expect("it resizes itself");
                }
            });
        }
        let (mut latency, mut refused) = (histogram(), 0);
        for (some, more) in tasks.join_all().await {
            latency.add(some).expect("it resizes itself");
            refused += more;
        }
        Answers {
            latency,
            refused,
            took: started.elapsed(),
        }
    }
}

impl Answers {
    /// Adds what came of another run.
    pub fn add(&mut self, other: Self) {
        self.latency.add(other.latency).expect("it resizes itself");
        self.refused += other.refused;
        self.took += other.took;
    }

    /// The latency, ms, that a share of the batches stayed within.
    pub fn milliseconds(&self, share: f64) -> f64 {
        self.latency.value_at_quantile(share) as f64 / 1000.0
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("3 digits")
}
