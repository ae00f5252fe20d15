//! From one process to four: what an event costs, and whether every partition is served alike. One lane each, so that every lane has
//! as many partitions as the others.

use gosight_eventlog::EventLog;
use gosight_tests::stack::Stack;

use crate::work::{Measured, work_off};

/// How many processes share the partitions.
const PROCESSES: [usize; 3] = [1, 2, 4];

/// Works off the backlog with more and more processes, and prints the table.
pub(crate) async fn scale(log: &dyn EventLog, stack: &Stack, geoip: &str) {
    println!("\nenrichers of one group on the same backlog");
    println!(
        "  {:<10} {:>10} {:>14} {:>10} {:>26}",
        "processes", "events/s", "CPU µs/event", "to one", "longest lag to the mean"
    );
    let mut one = None::<Measured>;
    for count in PROCESSES {
        let group = format!("{}-{count}", stack.topic("scale"));
        let mut processes = Vec::with_capacity(count);
        for number in 0..count {
            let instance = format!("scale-{count}-{number}");
            let variables = [
                ("INSTANCE_ID", instance.as_str()),
                ("GROUP", group.as_str()),
                ("GEOIP_DATABASE", geoip),
                ("LANES", "1"),
            ];
            processes.push(stack.process("gosight-enricher", &variables));
        }
        let measured = work_off(log, stack, &group, processes).await;
        let one = one.get_or_insert(measured);
        println!(
            "  {count:<10} {:>10.0} {:>14.2} {:>10.2} {:>26.2}",
            measured.rate(),
            measured.cost(),
            measured.cost() / one.cost(),
            measured.unevenness
        );
    }
}
