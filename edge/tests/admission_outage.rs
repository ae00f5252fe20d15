//! Redis is killed under two edges that are offered double, and comes back. It is a Redis of the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gosight_config::edge::{RateLimitSettings, RedisSettings};
use gosight_edge::admission::{Limiter, RedisLimiter};
use gosight_lifecycle::telemetry::{PrometheusHandle, init_metrics};

const RATE: u32 = 1_000;
const BURST: u32 = 500;
/// How long each state lasts.
const PHASE: Duration = Duration::from_secs(3);
/// What a Redis that does not answer may add to a request.
const ADDED: Duration = Duration::from_millis(50);

struct Redis {
    port: u16,
    directory: tempfile::TempDir,
    process: Child,
}

impl Redis {
    async fn start() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let directory = tempfile::tempdir().unwrap();
        let process = spawn(port, &directory);
        let redis = Self {
            port,
            directory,
            process,
        };
        redis.answers().await;
        redis
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    async fn start_again(&mut self) {
        self.process = spawn(self.port, &self.directory);
        self.answers().await;
    }

    async fn answers(&self) {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        eventually("redis-server answers", async || {
            let Ok(mut connection) = client.get_multiplexed_async_connection().await else {
                return false;
            };
            redis::cmd("PING").query_async::<()>(&mut connection).await.is_ok()
        })
        .await;
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(port: u16, directory: &tempfile::TempDir) -> Child {
    Command::new("redis-server")
        .args([
            "--bind",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--save",
            "",
            "--appendonly",
            "no",
        ])
        .current_dir(directory.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed (Debian: apt-get install redis-server)")
}

async fn eventually(what: &str, mut question: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !question().await {
        assert!(begun.elapsed() < Duration::from_secs(15), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An edge that is offered the whole rate, so that two together are offered double.
struct Edge {
    limiter: RedisLimiter,
    offered: AtomicU64,
    admitted: AtomicU64,
    refused: AtomicU64,
    slow: AtomicU64,
}

impl Edge {
    fn new(redis: &Redis) -> Self {
        let settings = RateLimitSettings {
            requests_per_second: RATE,
            burst: BURST,
            ..RateLimitSettings::default()
        };
        let address = RedisSettings {
            addr: format!("127.0.0.1:{}", redis.port),
            // Less than what may be added, for the scheduling of a busy machine.
            timeout: ADDED / 2,
            ..RedisSettings::default()
        };
        Self {
            limiter: RedisLimiter::connect(&address, &settings).unwrap(),
            offered: AtomicU64::new(0),
            admitted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            slow: AtomicU64::new(0),
        }
    }

    async fn offer(&self, stop: &AtomicBool) {
        let begun = Instant::now();
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            while Duration::from_secs(1) * sent / RATE <= begun.elapsed() && !stop.load(Ordering::Relaxed) {
                sent += 1;
                let asked = Instant::now();
                self.offered.fetch_add(1, Ordering::Relaxed);
                let counter = match self.limiter.admit("the-project", 1).await {
                    Ok(()) => &self.admitted,
                    Err(_) => &self.refused,
                };
                counter.fetch_add(1, Ordering::Relaxed);
                if asked.elapsed() > ADDED {
                    self.slow.fetch_add(1, Ordering::Relaxed);
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn admitted(&self) -> f64 {
        self.admitted.load(Ordering::Relaxed) as f64
    }
}

/// What both admitted a second while a phase lasted.
async fn phase(edges: &[Edge; 2]) -> [f64; 2] {
    let (begun, before) = (Instant::now(), [edges[0].admitted(), edges[1].admitted()]);
    tokio::time::sleep(PHASE).await;
    let seconds = begun.elapsed().as_secs_f64();
    [0, 1].map(|edge| (edges[edge].admitted() - before[edge]) / seconds)
}

/// A phase in which Redis answered every time: a busy machine may keep it from that for longer than the timeout.
async fn phase_with_redis(edges: &[Edge; 2], metrics: &PrometheusHandle) -> [f64; 2] {
    for _ in 0..10 {
        let before = fallbacks(metrics);
        let admitted = phase(edges).await;
        if fallbacks(metrics) <= before {
            return admitted;
        }
    }
    panic!("Redis did not answer in time throughout any of ten phases");
}

/// Requests that were limited without Redis; the series appears with the first.
fn fallbacks(metrics: &PrometheusHandle) -> f64 {
    let text = metrics.render();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("edge_limiter_fallbacks_total ")?.parse().ok());
    value.unwrap_or(0.0)
}

fn counted(metrics: &PrometheusHandle, series: &str) -> f64 {
    let text = metrics.render();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("{series} is not in\n{text}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_edge_goes_on_at_the_whole_rate_and_returns() {
    let metrics = init_metrics().unwrap();
    let mut redis = Redis::start().await;
    let edges = [Edge::new(&redis), Edge::new(&redis)];
    let stop = AtomicBool::new(false);
    let rate = f64::from(RATE);
    let judge = async {
        // The bursts are spent before anything is measured.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let shared = phase_with_redis(&edges, &metrics).await;
        let together = shared[0] + shared[1];
        assert!((0.85 * rate..=1.2 * rate).contains(&together), "with Redis: {shared:?}");

        redis.kill();
        eventually("both edges see it", async || {
            edges.iter().all(|edge| edge.limiter.degradation().is_some())
        })
        .await;
        let alone = phase(&edges).await;
        for admitted in alone {
            assert!(
                (0.85 * rate..=1.1 * rate).contains(&admitted),
                "without Redis: {alone:?}"
            );
        }
        assert!(edges.iter().all(|edge| edge.limiter.degradation().is_some()));

        redis.start_again().await;
        eventually("both edges return", async || {
            edges.iter().all(|edge| edge.limiter.degradation().is_none())
        })
        .await;
        let shared = phase_with_redis(&edges, &metrics).await;
        let together = shared[0] + shared[1];
        let most = 1.2 * rate + f64::from(BURST) / PHASE.as_secs_f64();
        assert!((0.85 * rate..=most).contains(&together), "with Redis again: {shared:?}");
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(edges[0].offer(&stop), edges[1].offer(&stop), judge);

    for edge in &edges {
        let (offered, slow) = (edge.offered.load(Ordering::Relaxed), edge.slow.load(Ordering::Relaxed));
        assert_eq!(
            offered,
            edge.admitted.load(Ordering::Relaxed) + edge.refused.load(Ordering::Relaxed)
        );
        // One in a thousand for the scheduling of a busy machine.
        assert!(
            slow <= offered / 1_000,
            "{slow} of {offered} requests took longer than {ADDED:?}"
        );
    }
    assert!(fallbacks(&metrics) >= f64::from(RATE), "{}", metrics.render());
    assert!(counted(&metrics, r#"edge_redis_failures_total{user="limiter"}"#) >= 1.0);
}
