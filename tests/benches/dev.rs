//! `gosight dev` under an open-loop load of 20,000 events/s in batches of 10, end to end: ack latency counted from the moment at
//! which a batch was due (so that a slow server cannot slow the clock down), and the time until every event stands on raw.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that can't go on panics with the reason, and prints its table"
)]

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use gosight_tests::dev::Dev;
use gosight_tests::events::now_ms;
use gosight_tests::keep_alive::request;
use gosight_tests::open_loop::OpenLoop;
use gosight_tests::{report, usage, wait};
use hdrhistogram::Histogram;
use tempfile::TempDir;

const EVENTS_PER_BATCH: u64 = 10;
const BATCHES_PER_SECOND: u32 = 2_000;
const WARM_UP: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(15);
const SESSIONS: u64 = 500;
/// Requests at once; where more would be needed the promise is broken anyway.
const CONNECTIONS: u64 = 256;
const SYNCS: usize = 200;

#[tokio::main]
async fn main() {
    let data = TempDir::new().expect("a temporary directory");
    let sync = sync_latency(data.path());
    let dev = Dev::start(data.path()).await;
    let client = reqwest::Client::new();
    let load = |length| OpenLoop {
        batches_per_second: BATCHES_PER_SECOND,
        length,
        connections: CONNECTIONS,
    };

    let warm = load(WARM_UP).run(&dev.http, body).await;
    let cpu = usage::cpu(dev.process.id());
    let first = u64::from(BATCHES_PER_SECOND) * WARM_UP.as_secs();
    let measured = load(MEASURED).run(&dev.http, move |number| body(first + number)).await;
    let acked_at = Instant::now();
    let sent = (warm.latency.len() + measured.latency.len()) * EVENTS_PER_BATCH;
    wait::until(
        "every acknowledged event stands on raw",
        Duration::from_secs(60),
        || async { (on_raw(&client, &dev.admin).await >= sent).then_some(()) },
    )
    .await;
    let behind = acked_at.elapsed();
    let cpu = usage::cpu(dev.process.id()) - cpu;

    let acked = (measured.latency.len() * EVENTS_PER_BATCH) as f64;
    println!();
    println!("gosight dev, batches of {EVENTS_PER_BATCH}, {MEASURED:?}, open loop");
    println!(
        "  offered          {:>9} events/s",
        u64::from(BATCHES_PER_SECOND) * EVENTS_PER_BATCH
    );
    println!(
        "  acknowledged     {:>9.0} events/s",
        acked / measured.took.as_secs_f64()
    );
    println!("  refused, failed  {:>9}", measured.refused);
    println!("  ack p50          {:>9.2} ms", measured.milliseconds(0.50));
    println!(
        "  ack p99          {:>9.2} ms   (promised: under 20)",
        measured.milliseconds(0.99)
    );
    println!("  ack p99.9        {:>9.2} ms", measured.milliseconds(0.999));
    println!(
        "  all on raw after {:>9.2} ms   from the last ack",
        behind.as_secs_f64() * 1000.0
    );
    println!(
        "  server CPU       {:>9.2} µs per event",
        cpu.as_secs_f64() * 1e6 / acked
    );
    println!(
        "  the disk's sync  {:>9.2} ms p50, {:.2} ms p99",
        sync.value_at_quantile(0.50) as f64 / 1000.0,
        sync.value_at_quantile(0.99) as f64 / 1000.0
    );
    println!(
        "  percentiles in   {}",
        report::percentiles("dev-open-loop", &measured.latency).display()
    );
}

/// How long the disk takes to make a write durable, µs: no acknowledgement can be faster.
fn sync_latency(directory: &Path) -> Histogram<u64> {
    let mut file = File::create(directory.join("sync")).expect("the directory can be written");
    let mut latency = Histogram::new(3).expect("3 digits");
    for _ in 0..SYNCS {
        file.write_all(&[0; 64 * 1024]).expect("the disk has room");
        let started = Instant::now();
        file.sync_data().expect("it can be synced");
        let micros = u64::try_from(started.elapsed().as_micros()).expect("short");
        latency.record(micros.max(1)).expect("it resizes itself");
    }
    latency
}

fn body(number: u64) -> Vec<u8> {
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
    request(&body)
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
