//! The long fault run, `make fault`: a million events while edges, enrichers and brokers are killed and frozen. No test, since it takes
//! many minutes; tests/tests/exactly_once.rs holds the short one.
//!
//! FAULT_SEED decides events and faults, FAULT_EVENTS how many events at the least, FAULT_BROKERS 1 or 3.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "it ends with a panic that says what broke"
)]

use std::path::Path;
use std::time::Duration;

use gosight_tests::faults::{Ordeal, number, seed};

fn main() {
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
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("exactly-once-million-{brokers}"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(ordeal.run(&directory));
}
