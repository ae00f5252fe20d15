//! At a steady load: how long after it was staged an event can be read on raw.

use std::time::Duration;

use gosight_eventlog::EventLog;
use gosight_tests::events::now_ms;
use gosight_tests::stack::Stack;
use hdrhistogram::Histogram;
use serde::Deserialize;
use tokio::time::{MissedTickBehavior, interval};

use crate::backlog::{EVENTS_PER_BATCH, staged};
use crate::work::DEADLINE;

const EVENTS_PER_SECOND: u64 = 10_000;
/// The first seconds are not counted: the enricher joins its group.
const WARM_UP: Duration = Duration::from_secs(12);
const MEASURED: Duration = Duration::from_secs(30);
/// Batches that are staged together.
const AT_ONCE: u64 = 2;

#[derive(Deserialize)]
struct Received {
    server_timestamp: i64,
}

/// Stages batches at a steady rate, reads raw as a consumer does, and prints percentiles. Counted from when the batch was made, so
/// that staging itself is in it.
pub(crate) async fn latency(geoip: &str) {
    let stack = Stack::new().await;
    let log = stack.log();
    let variables = [("INSTANCE_ID", "only"), ("GEOIP_DATABASE", geoip)];
    let (process, _) = stack.enricher_with(&variables).await;
    let raw = stack.topic("raw");
    let starts: Vec<(i32, i64)> = (0..12).map(|partition| (partition, 0)).collect();
    let mut reader = log.reader(&raw, &starts).await.expect("the topic can be read");
    let batches = EVENTS_PER_SECOND / EVENTS_PER_BATCH * (WARM_UP + MEASURED).as_secs();
    let from = now_ms() + i64::try_from(WARM_UP.as_millis()).expect("short");

    let sending = async {
        let staging = stack.topic("staging").as_str().into();
        let mut ticks = interval(
            Duration::from_secs(1) / u32::try_from(EVENTS_PER_SECOND / EVENTS_PER_BATCH / AT_ONCE).expect("few"),
        );
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut last = None;
        for number in 0..batches {
            if number % AT_ONCE == 0 {
                ticks.tick().await;
            }
            last = Some(log.append(staged(number, &stack, &staging)));
        }
        last.expect("some").await.expect("Kafka takes it");
    };
    let reading = async {
        let mut taken = Histogram::<u64>::new(3).expect("three digits");
        let mut left = batches * EVENTS_PER_BATCH;
        while left > 0 {
            let records = reader.next(2_000, DEADLINE).await.expect("the topic can be read");
            let now = now_ms();
            assert!(!records.is_empty(), "{left} events did not come");
            left -= records.len() as u64;
            for record in &records {
                let Received { server_timestamp } = serde_json::from_slice(&record.value).expect("an event");
                if server_timestamp >= from {
                    taken
                        .record(u64::try_from(now - server_timestamp).unwrap_or_default())
                        .expect("in range");
                }
            }
        }
        taken
    };
    let ((), taken) = tokio::join!(sending, reading);
    process.kill().await;
    println!(
        "\nstaged to readable on raw at {EVENTS_PER_SECOND} events/s for {} s, {} events: p50 {} ms, p99 {} ms, p99.9 {} ms, max {} ms",
        MEASURED.as_secs(),
        taken.len(),
        taken.value_at_quantile(0.5),
        taken.value_at_quantile(0.99),
        taken.value_at_quantile(0.999),
        taken.max()
    );
}
