//! From one process to four: what an event costs, and whether every partition is served alike. One lane each, so that every lane has
//! as many partitions as the others.

use gosight_eventlog::EventLog;
use gosight_tests::stack::Stack;

use crate::ROUNDS;
use crate::work::{Measured, work_off};

/// How many processes share the partitions.
const PROCESSES: [usize; 3] = [1, 2, 4];

/// Works off the backlog with more and more processes, in turns, and prints the table.
pub(crate) async fn scale(log: &dyn EventLog, stack: &Stack, geoip: &str) {
    let mut sums = [Measured::default(); PROCESSES.len()];
    for round in 0..ROUNDS {
        for (sum, count) in sums.iter_mut().zip(PROCESSES) {
            sum.add(work_off_with(count, round, log, stack, geoip).await);
        }
    }
    println!("\nenrichers of one group on the same backlog, one lane each, {ROUNDS} rounds in turns");
    println!(
        "  {:<10} {:>10} {:>14} {:>10} {:>26}",
        "processes", "events/s", "CPU µs/event", "to one", "longest lag to the mean"
    );
    let [one, ..] = sums;
    for (sum, count) in sums.iter().zip(PROCESSES) {
        println!(
            "  {count:<10} {:>10.0} {:>14.2} {:>10.2} {:>26.2}",
            sum.rate(),
            sum.cost(),
            sum.cost() / one.cost(),
            sum.unevenness
        );
    }
}

async fn work_off_with(count: usize, round: usize, log: &dyn EventLog, stack: &Stack, geoip: &str) -> Measured {
    let group = format!("{}-{count}-{round}", stack.topic("scale"));
    let mut processes = Vec::with_capacity(count);
    for number in 0..count {
        let instance = format!("scale-{count}-{round}-{number}");
        let variables = [
            ("INSTANCE_ID", instance.as_str()),
            ("GROUP", group.as_str()),
            ("GEOIP_DATABASE", geoip),
            ("LANES", "1"),
        ];
        processes.push(stack.process("gosight-enricher", &variables));
    }
    work_off(log, stack, &group, processes).await
}
