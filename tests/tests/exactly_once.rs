//! Nothing is lost, doubled, altered or reordered while edges, enrichers and brokers are killed and frozen. `make fault` does it with a million.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::Path;
use std::time::Duration;

use gosight_tests::faults::{Ordeal, seed};

#[tokio::test(flavor = "multi_thread")]
async fn every_event_comes_out_once_and_in_order_whatever_dies_or_stands_still() {
    let ordeal = Ordeal {
        seed: seed(),
        events: 36_000,
        brokers: 1,
        projects: 3,
        sessions: 40,
        rate: 1_500,
        minimum: 3,
        deadline: Duration::from_secs(240),
    };
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("exactly-once");
    ordeal.run(&directory).await;
}
