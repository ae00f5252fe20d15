//! `gosight dev` under an open-loop load of 20,000 events/s in batches of 10, end to end: ack latency counted from the moment at
//! which a batch was due (so that a slow server cannot slow the clock down), and the time until every event stands on raw.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that can't go on panics with the reason, and prints its table"
)]

use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gosight_tests::dev::Dev;
use gosight_tests::events::now_ms;
use gosight_tests::wait;
use hdrhistogram::Histogram;
use tempfile::TempDir;
use tokio::sync::Semaphore;

const EVENTS_PER_BATCH: u64 = 10;
const BATCHES_PER_SECOND: u64 = 2_000;
const WARM_UP: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(20);
const SESSIONS: u64 = 500;
/// More requests than this at once, and the server has failed the load anyway.
const IN_FLIGHT: usize = 2_000;

#[tokio::main]
async fn main() {
    let data = TempDir::new().expect("a temporary directory");
    let dev = Dev::start(data.path()).await;
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a client");

    let warm = run(&client, &dev.http, WARM_UP).await;
    let measured = run(&client, &dev.http, MEASURED).await;
    let acked_at = Instant::now();
    let sent = warm.acked + measured.acked;
    wait::until(
        "every acknowledged event stands on raw",
        Duration::from_secs(60),
        || async { (on_raw(&client, &dev.admin).await >= sent).then_some(()) },
    )
    .await;
    let behind = acked_at.elapsed();

    let milliseconds = |quantile: f64| measured.latency.value_at_quantile(quantile) as f64 / 1000.0;
    println!();
    println!("gosight dev, batches of {EVENTS_PER_BATCH}, {MEASURED:?}, open loop");
    println!(
        "  offered          {:>9} events/s",
        BATCHES_PER_SECOND * EVENTS_PER_BATCH
    );
    println!(
        "  acknowledged     {:>9.0} events/s",
        measured.acked as f64 / measured.took.as_secs_f64()
    );
    println!("  refused, failed  {:>9}", measured.failed);
    println!("  ack p50          {:>9.2} ms", milliseconds(0.50));
    println!(
        "  ack p99          {:>9.2} ms   (promised: under 20)",
        milliseconds(0.99)
    );
    println!("  ack p99.9        {:>9.2} ms", milliseconds(0.999));
    println!(
        "  all on raw after {:>9.2} ms   from the last ack",
        behind.as_secs_f64() * 1000.0
    );
    println!("  server CPU       {:>9.2} µs per event", dev_cpu(&dev) / sent as f64);
}

struct Measured {
    acked: u64,
    failed: u64,
    took: Duration,
    latency: Histogram<u64>,
}

async fn run(client: &reqwest::Client, http: &str, length: Duration) -> Measured {
    let url = format!("{http}/v1/events");
    let latency = Arc::new(Mutex::new(Histogram::<u64>::new(3).expect("3 digits")));
    let failures = Arc::new(Mutex::new(0_u64));
    let in_flight = Arc::new(Semaphore::new(IN_FLIGHT));
    let batches = BATCHES_PER_SECOND * length.as_secs();
    let started = Instant::now();
    for number in 0..batches {
        let due = started
            + Duration::from_secs(1) * u32::try_from(number).expect("few")
                / u32::try_from(BATCHES_PER_SECOND).expect("few");
        tokio::time::sleep_until(due.into()).await;
        let permit = Arc::clone(&in_flight).acquire_owned().await.expect("never closed");
        let request = client
            .post(&url)
            .header("content-type", "application/json")
            .body(body(number));
        let (latency, failures) = (Arc::clone(&latency), Arc::clone(&failures));
        tokio::spawn(async move {
            let acked = request
                .send()
                .await
                .is_ok_and(|response| response.status().is_success());
            let micros = u64::try_from(due.elapsed().as_micros()).expect("short");
            if acked {
                latency.lock().unwrap().record(micros.max(1)).expect("auto-resizing");
            } else {
                *failures.lock().unwrap() += 1;
            }
            drop(permit);
        });
    }
    let _all = in_flight
        .acquire_many(u32::try_from(IN_FLIGHT).expect("few"))
        .await
        .expect("never closed");
    let took = started.elapsed();
    let latency = latency.lock().unwrap().clone();
    let failed = *failures.lock().unwrap();
    Measured {
        acked: (batches - failed) * EVENTS_PER_BATCH,
        failed,
        took,
        latency,
    }
}

fn body(number: u64) -> String {
    let session = number % SESSIONS;
    let now = now_ms();
    let mut body = format!("{{\"project_key\":\"gs_test_key\",\"session_id\":\"bench-{session}\",\"events\":[");
    for index in 0..EVENTS_PER_BATCH {
        let comma = if index == 0 { "" } else { "," };
        write!(
            body,
            "{comma}{{\"type\":\"click\",\"timestamp\":{now},\"page\":{{\"url\":\"https://shop.example/products/42?ref=mail\",\
             \"path\":\"/products/42\",\"title\":\"A good product\"}},\"payload\":{{\"x\":120,\"y\":430,\"number\":{number},\
             \"index\":{index},\"target_selector\":\"main > div.product > button.buy\",\"target_tag\":\"button\",\
             \"target_classes\":[\"buy\",\"primary\"]}}}}"
        )
        .expect("a string grows");
    }
    body.push_str("]}");
    body
}

/// Events on raw as the enricher counts them after each commit.
async fn on_raw(client: &reqwest::Client, admin: &str) -> u64 {
    let response = client
        .get(format!("{admin}/metrics"))
        .send()
        .await
        .expect("the admin port answers");
    let text = response.text().await.expect("text");
    text.lines()
        .filter(|line| line.starts_with("enricher_events_total{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// User and system time of the process so far, µs.
fn dev_cpu(dev: &Dev) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", dev.process.id())).expect("Linux");
    let after_name = stat.rsplit(") ").next().expect("a name in brackets");
    let fields: Vec<&str> = after_name.split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().expect("utime") + fields[12].parse::<f64>().expect("stime");
    ticks * 10_000.0
}
