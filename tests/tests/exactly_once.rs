//! Nothing is lost, doubled, altered or reordered while edges, enrichers and brokers are killed and frozen.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::Path;
use std::time::Duration;

use gosight_tests::events::now_ms;
use gosight_tests::faults::Ordeal;

/// A number from the environment; `make fault` documents them.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is no number")),
    )
}

fn seed() -> u64 {
    number("FAULT_SEED").unwrap_or_else(|| now_ms().unsigned_abs())
}

fn directory(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_comes_out_once_and_in_order_whatever_dies_or_stands_still() {
    let ordeal = Ordeal {
        seed: seed(),
        events: 50_000,
        brokers: 1,
        projects: 3,
        sessions: 40,
        rate: 2_500,
        minimum: 3,
        deadline: Duration::from_secs(240),
    };
    ordeal.run(&directory("exactly-once")).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes many minutes: make fault"]
async fn so_do_a_million() {
    let brokers = number("FAULT_BROKERS").map_or(1, |count| u32::try_from(count).unwrap());
    let ordeal = Ordeal {
        seed: seed(),
        events: number("FAULT_EVENTS").unwrap_or(1_000_000),
        brokers,
        projects: 4,
        sessions: 75,
        rate: 6_000,
        minimum: 20,
        deadline: Duration::from_secs(1_800),
    };
    ordeal.run(&directory(&format!("exactly-once-million-{brokers}"))).await;
}
