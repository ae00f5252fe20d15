//! Several lanes of one group: partitions are shared, handed over, and no record is lost or doubled on the way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gosight_eventlog::Lane;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::bench::{
    Bench, PATIENCE, SESSION, append_all, assert_each_once, assert_order_per_key, numbered, read_all, read_count,
};
use crate::work::{await_assigned, await_records, done, limit, pass_on, pass_on_once};

/// A lane that passes on what comes until it is told to stop.
struct Running {
    /// The partitions that it holds now.
    held: watch::Receiver<BTreeSet<i32>>,
    passed: Arc<AtomicUsize>,
    stop: CancellationToken,
    task: JoinHandle<Box<dyn Lane>>,
}

impl Running {
    fn start(mut lane: Box<dyn Lane>, output: &Arc<str>) -> Self {
        let (holding, held) = watch::channel(BTreeSet::new());
        let stop = CancellationToken::new();
        let passed = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn({
            let (stop, passed, output) = (stop.clone(), Arc::clone(&passed), Arc::clone(output));
            async move {
                while !stop.is_cancelled() {
                    // Few at a time, so that the group changes in the middle of the work.
                    let (polled, committed) = pass_on_once(&mut lane, &output, 20).await;
                    passed.fetch_add(committed, Ordering::Relaxed);
                    holding.send_modify(|held| {
                        held.retain(|partition| !polled.revoked.contains(partition));
                        for assigned in &polled.assigned {
                            assert!(
                                held.insert(assigned.partition),
                                "partition {} was given twice",
                                assigned.partition
                            );
                        }
                    });
                }
                lane
            }
        });
        Self {
            held,
            passed,
            stop,
            task,
        }
    }

    fn passed(&self) -> usize {
        self.passed.load(Ordering::Relaxed)
    }

    async fn holds(&mut self, count: usize) {
        let held = timeout(PATIENCE, self.held.wait_for(|held| held.len() == count)).await;
        if let Err(error) = held.map(|held| held.map(|_| ())) {
            panic!(
                "the lane holds {:?}, not {count} partitions: {error}",
                *self.held.borrow()
            );
        }
    }

    async fn stop(self) -> Box<dyn Lane> {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}

async fn passed_in_total(lanes: &[&Running], count: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let passed: usize = lanes.iter().map(|lane| lane.passed()).sum();
        if passed >= count {
            return;
        }
        assert!(Instant::now() < deadline, "{passed} of {count} records were passed on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn lanes_share_partitions_and_hand_them_over(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 6).await;
    let output = bench.topic(&log, "out", 6).await;
    append_all(&log, numbered(&topic, 100, 0..3_000)).await;

    let mut first = Running::start(bench.lane(&log, &topic, "first").await, &output);
    first.holds(6).await;
    let mut second = Running::start(bench.lane(&log, &topic, "second").await, &output);
    first.holds(3).await;
    second.holds(3).await;
    append_all(&log, numbered(&topic, 100, 3_000..5_000)).await;
    passed_in_total(&[&first, &second], 5_000).await;
    assert!(first.held.borrow().is_disjoint(&second.held.borrow()));
    append_all(&log, numbered(&topic, 100, 5_000..6_000)).await;

    // One that closes hands over at once, not when its session ends.
    let from_second = second.passed();
    let lane = second.stop().await;
    let closing = Instant::now();
    lane.close().await.unwrap();
    first.holds(6).await;
    let took = closing.elapsed();
    assert!(
        took < SESSION,
        "it took {took:?} until the partitions of a closed lane were taken over"
    );
    append_all(&log, numbered(&topic, 100, 6_000..7_000)).await;
    passed_in_total(&[&first], 7_000 - from_second - 1_000).await;

    read_count(&log, &output, 7_000).await;
    first.stop().await.close().await.unwrap();
    let outputs = read_all(&log, &output).await;
    assert_each_once(&outputs, 0..7_000);
    assert_order_per_key(&outputs);
}

pub(crate) async fn a_dropped_lane_hands_over(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 2).await;
    let output = bench.topic(&log, "out", 2).await;
    append_all(&log, numbered(&topic, 10, 0..100)).await;
    let mut dropped = bench.lane(&log, &topic, "dropped").await;
    pass_on_once(&mut dropped, &output, 10).await;
    await_records(&mut dropped, limit(10)).await;
    let dropping = Instant::now();
    drop(dropped);

    let mut heir = bench.lane(&log, &topic, "heir").await;
    let assigned = await_assigned(&mut heir, 2).await;
    let took = dropping.elapsed();
    assert!(
        took < SESSION * 3,
        "it took {took:?} until the partitions of a dropped lane were taken over"
    );
    pass_on(&mut heir, &output, 100 - done(&assigned)).await;
    assert_each_once(&read_count(&log, &output, 100).await, 0..100);
    heir.close().await.unwrap();
}
