//! The bodies on the embedded engine, and what only it can show.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gosight_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
use gosight_eventlog::{EventLog, TopicSpec};
use tokio::time::Instant;

use crate::bench::{Bench, Engine, PATIENCE, append_all, create, noise, numbered, read_all, record};
use crate::lanes::{assert_lost_range_is_named, stand_at_two};

crate::every_body!(Engine::Embedded);

async fn open(bench: &Bench) -> Arc<dyn EventLog> {
    let options = EmbeddedOptions {
        retention_interval: Duration::from_millis(50),
        ..EmbeddedOptions::default()
    };
    EmbeddedLog::open(bench.directory(), options).await.unwrap()
}

fn bytes_in(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

/// Waits until nothing is left of a topic.
async fn gone(log: &Arc<dyn EventLog>, topic: &str) {
    let deadline = Instant::now() + PATIENCE;
    while log
        .bounds(topic)
        .await
        .unwrap()
        .iter()
        .any(|bound| bound.earliest < bound.end)
    {
        assert!(Instant::now() < deadline, "old records of {topic} stay");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_records_go_and_the_file_stops_growing() {
    let bench = Bench::new(Engine::Embedded, "");
    let log = open(&bench).await;
    let kept = bench.topic(&log, "kept", 2).await;
    append_all(&log, numbered(&kept, 10, 0..100)).await;
    let short = TopicSpec {
        retention: Duration::from_millis(300),
        ..bench.spec("short", 2)
    };
    let short = create(&log, short).await;
    let value = noise(10_000);
    let mut sizes = Vec::new();
    for _ in 0..8 {
        append_all(
            &log,
            (0..200).map(|number| record(&short, &format!("key-{number}"), value.clone())),
        )
        .await;
        gone(&log, &short).await;
        sizes.push(bytes_in(bench.directory()));
    }
    // Room that old records leave is used again: without that, each round adds 2 MB.
    let grown = sizes[7].saturating_sub(sizes[2]);
    assert!(
        grown < 2_000_000,
        "the file grew by {grown} bytes in five rounds: {sizes:?}"
    );
    assert_eq!(
        log.bounds(&short)
            .await
            .unwrap()
            .iter()
            .map(|bound| bound.end)
            .sum::<i64>(),
        1_600
    );
    assert_eq!(read_all(&log, &kept).await.len(), 100, "what is not old stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_names_records_that_went_before_it_consumed_them() {
    let bench = Bench::new(Engine::Embedded, "");
    let log = open(&bench).await;
    let short = TopicSpec {
        retention: Duration::from_millis(1_500),
        ..bench.spec("in", 1)
    };
    let topic = create(&log, short).await;
    stand_at_two(&bench, &log, &topic).await;
    gone(&log, &topic).await;
    assert_lost_range_is_named(&bench, &log, &topic, 10).await;
}
