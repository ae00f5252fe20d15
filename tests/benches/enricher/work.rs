//! One group at work on the backlog, and what it took.

use std::time::{Duration, Instant};

use gosight_eventlog::EventLog;
use gosight_tests::process::Process;
use gosight_tests::stack::Stack;
use gosight_tests::{usage, wait};

use crate::backlog::{BATCHES, EVENTS_PER_BATCH};

/// For whatever is waited for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);
/// Starting up, joining the group and the first growth of memory are not measured: counting begins when so many batches are committed.
const MEASURED_FROM: u64 = BATCHES / 4;
/// How far the partitions are from each other is seen here.
const HALF: u64 = BATCHES / 2;

/// What processes took for their part of the backlog.
#[derive(Default, Clone, Copy)]
pub(crate) struct Measured {
    events: f64,
    seconds: f64,
    cpu_seconds: f64,
    /// The most that a process had.
    pub(crate) resident_mib: f64,
    /// The longest lag of a partition to the mean, when half of the backlog was left.
    pub(crate) unevenness: f64,
}

impl Measured {
    /// Events per second.
    pub(crate) fn rate(self) -> f64 {
        self.events / self.seconds
    }

    /// CPU per event, µs.
    pub(crate) fn cost(self) -> f64 {
        self.cpu_seconds * 1e6 / self.events
    }

    /// One round more of the same.
    pub(crate) fn add(&mut self, round: Self) {
        self.events += round.events;
        self.seconds += round.seconds;
        self.cpu_seconds += round.cpu_seconds;
        self.resident_mib = self.resident_mib.max(round.resident_mib);
        self.unevenness = self.unevenness.max(round.unevenness);
    }
}

/// Watches the group's positions until nothing is left, then ends its processes.
pub(crate) async fn work_off(log: &dyn EventLog, stack: &Stack, group: &str, processes: Vec<Process>) -> Measured {
    let staging = stack.topic("staging");
    let positions = || async { log.committed(group, &staging).await.unwrap_or_default() };
    let at_least = |batches: u64| {
        wait::until("the group moves on", DEADLINE, move || async move {
            let positions = positions().await;
            let committed: i64 = positions.iter().map(|(_, next)| *next).sum();
            let committed = u64::try_from(committed).expect("no negative offsets");
            (committed >= batches).then_some((committed, positions))
        })
    };
    let cpu = || -> Duration { processes.iter().map(|process| usage::cpu(process.id())).sum() };
    let (from, _) = at_least(MEASURED_FROM).await;
    let (started, cpu_before) = (Instant::now(), cpu());
    let (_, half) = at_least(HALF).await;
    let (to, _) = at_least(BATCHES).await;
    let (seconds, cpu_seconds) = (started.elapsed().as_secs_f64(), (cpu() - cpu_before).as_secs_f64());
    let resident = processes.iter().map(|process| usage::peak_resident_mib(process.id()));
    let resident_mib = resident.fold(0.0, f64::max);
    let ends = log.bounds(&staging).await.expect("Kafka answers");
    let lag = ends.iter().map(|bounds| {
        let committed = half.iter().find(|(partition, _)| *partition == bounds.partition);
        bounds.end - committed.map_or(0, |(_, next)| *next)
    });
    let lag: Vec<i64> = lag.collect();
    let mean = lag.iter().sum::<i64>() as f64 / lag.len() as f64;
    for process in processes {
        process.kill().await;
    }
    Measured {
        events: ((to - from) * EVENTS_PER_BATCH) as f64,
        seconds,
        cpu_seconds,
        resident_mib,
        unevenness: lag.into_iter().max().unwrap_or_default() as f64 / mean.max(1.0),
    }
}
