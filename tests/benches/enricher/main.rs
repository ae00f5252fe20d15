//! The enricher beside its limit: one process each, with the same two lanes of the same log, works off the same backlog on real
//! Kafka, in turns. The limit consumes, cuts and produces in transactions and does nothing else. GEOIP_DATABASE names a city file
//! of real size; without it a small one is used. Then one to four enrichers on that backlog, and one at a steady load. The names
//! `limit`, `scale` and `latency` choose a part: `cargo bench --bench enricher -- latency`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark that can't go on panics with the reason, and prints its table"
)]

mod backlog;
mod latency;
mod scale;
mod work;

use std::collections::BTreeMap;
use std::path::Path;

use gosight_eventlog::{EventLog, LogRecord};
use gosight_tests::process::Process;
use gosight_tests::stack::Stack;

use backlog::{BATCHES, EVENTS_PER_BATCH, make_backlog};
use work::{DEADLINE, Measured, work_off};

const ROUNDS: usize = 4;
/// What can be measured alone.
const PARTS: [&str; 3] = ["limit", "scale", "latency"];
/// A process without city files.
const NO_GEOIP: &str = "";

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    for name in &wanted {
        assert!(
            PARTS.contains(&name.as_str()),
            "no part is called {name}: there are {PARTS:?}"
        );
    }
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|name| name == part);
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/geoip/geolite2-city.mmdb");
    let geoip = std::env::var("GEOIP_DATABASE").unwrap_or_else(|_| fixture.to_str().expect("UTF-8").to_owned());
    if is_wanted("limit") || is_wanted("scale") {
        let stack = Stack::new().await;
        let log = stack.log();
        stack.create_topic("baseline").await;
        make_backlog(&*log, &stack).await;
        if is_wanted("limit") {
            beside_the_limit(&*log, &stack, &geoip).await;
        }
        if is_wanted("scale") {
            scale::scale(&*log, &stack, &geoip).await;
        }
    }
    if is_wanted("latency") {
        latency::latency(&geoip).await;
    }
}

/// Works off the backlog in turns with the limit, and prints the table.
async fn beside_the_limit(log: &dyn EventLog, stack: &Stack, geoip: &str) {
    let (mut pieces, mut as_large, mut ours) = (Measured::default(), Measured::default(), Measured::default());
    let mut size = 0;
    for round in 0..ROUNDS {
        let group = |kind: &str| format!("{}-{kind}-{round}", stack.topic("group"));
        let name = group("ours");
        let process = stack.enricher_of_group(&name, geoip).await;
        ours.add(work_off(log, stack, &name, vec![process]).await);
        size = output_size(log, &stack.topic("raw")).await;
        for (sum, name, bytes) in [
            (&mut pieces, group("pieces"), None),
            (&mut as_large, group("large"), Some(size)),
        ] {
            sum.add(work_off(log, stack, &name, vec![baseline(stack, &name, bytes)]).await);
        }
    }
    let name = format!("{}-bare", stack.topic("group"));
    let process = stack.enricher_of_group(&name, NO_GEOIP).await;
    let without_file = work_off(log, stack, &name, vec![process]).await.resident_mib;
    println!(
        "\nenricher, backlog of {} events in batches of {EVENTS_PER_BATCH}, one process, {ROUNDS} rounds in turns, {geoip}",
        BATCHES * EVENTS_PER_BATCH
    );
    println!(
        "  {:<40} {:>10} {:>10} {:>14} {:>14} {:>9}",
        "", "events/s", "to limit", "CPU µs/event", "CPU to limit", "peak RSS"
    );
    let limit = pieces;
    for (name, measured) in [
        ("limit: input in pieces".to_owned(), pieces),
        (format!("limit: {size} bytes with 4 headers, as ours"), as_large),
        ("enricher".to_owned(), ours),
    ] {
        println!(
            "  {:<40} {:>10.0} {:>10.2} {:>14.2} {:>14.2} {:>9.1}",
            name,
            measured.rate(),
            measured.rate() / limit.rate(),
            measured.cost(),
            measured.cost() / limit.cost(),
            measured.resident_mib
        );
    }
    println!("  peak RSS in MiB; without the city file {without_file:.1}");
}

fn baseline(stack: &Stack, group: &str, bytes: Option<usize>) -> Process {
    let environment = BTreeMap::from([("KAFKA_BROKERS".to_owned(), stack.brokers().to_owned())]);
    let pieces = EVENTS_PER_BATCH.to_string();
    let (staging, output, bytes) = (
        stack.topic("staging"),
        stack.topic("baseline"),
        bytes.map(|bytes| bytes.to_string()),
    );
    let mut arguments = vec![&*staging, &*output, group, &*pieces];
    arguments.extend(bytes.as_deref());
    Process::start("baseline-enricher", &arguments, &environment)
}

/// Bytes of a record on raw, on average: key, value and headers.
async fn output_size(log: &dyn EventLog, raw: &str) -> usize {
    let mut reader = log.reader(raw, &[(0, 0)]).await.expect("the topic can be read");
    let records = reader.next(1_000, DEADLINE).await.expect("the topic can be read");
    let bytes = records.iter().map(LogRecord::size).sum::<usize>();
    bytes / records.len().max(1)
}
