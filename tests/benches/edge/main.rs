//! The edge beside its two limits, in one run and by one load: (a) a bare handler that counts and produces with acks=all, (b) the
//! same without Kafka. Closed loop for CPU and throughput, the servers in turns, so that a machine that is busy with other things
//! slows all of them; what counts are the ratios of a round, and of these the median. Open loop for latency, counted from the
//! moment at which a batch was due. Then the edge alone at full load, for its memory: BENCH_SOAK seconds, 30 by default, 600 to see
//! it flat over ten minutes. Real Kafka, PostgreSQL, Redis.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that can't go on panics with the reason"
)]

mod load;

use std::collections::BTreeMap;
use std::time::Duration;

use gosight_tests::open_loop::{Answers, OpenLoop};
use gosight_tests::process::Process;
use gosight_tests::report::{self, Report};
use gosight_tests::stack::Stack;
use gosight_tests::{plot, usage};
use hdrhistogram::Histogram;

use self::load::{CONNECTIONS, Load, Measured, bodies, closed_loop};

const ROUNDS: u32 = 7;
const ROUND: Duration = Duration::from_millis(1_200);
const WARM_UP: Duration = Duration::from_millis(300);

const OPEN_LOOP_ROUNDS: u32 = 3;
const OPEN_LOOP: Duration = Duration::from_secs(5);
const OPEN_LOOP_BATCHES_PER_SECOND: u32 = 1_000;
const OPEN_LOOP_CONNECTIONS: u64 = 256;
const OPEN_LOOP_SESSIONS: u64 = 64;

const SOAK_SECONDS: u64 = 30;
/// How often the memory is looked at during the soak.
const SOAK_POINTS: u32 = 10;

/// One server under load.
struct Server {
    name: &'static str,
    process: u32,
    http: String,
    grpc: Option<String>,
}

/// A server under one load, round after round.
struct Row<'a> {
    label: &'static str,
    server: &'a Server,
    load: &'a Load,
    rounds: Vec<Measured>,
}

#[tokio::main]
async fn main() {
    let stack = Stack::new().await;
    let topic = stack.create_topic("baseline").await;
    let edge = stack.edge().await;
    let (kafka, kafka_http) = baseline(&stack, &[&topic]).await;
    let (bare, bare_http) = baseline(&stack, &[]).await;
    let server = |name, process: &Process, http: &str| Server {
        name,
        process: process.id(),
        http: http.to_owned(),
        grpc: None,
    };
    let edge_server = Server {
        grpc: Some(format!("http://{}", edge.grpc)),
        ..server("edge", &edge.process, &edge.http)
    };
    let limit = server("(a) bare handler, acks=all", &kafka, &kafka_http);
    let no_log = server("(b) bare handler, no Kafka", &bare, &bare_http);

    let mut report = Report::default();
    report.line(format!(
        "\nedge, closed loop, {CONNECTIONS} connections, {ROUNDS} rounds of {ROUND:?} each in turns; ratios to (a) of the same round, median"
    ));
    report.line(format!(
        "  {:<12} {:<28} {:>10} {:>9} {:>14} {:>9} {:>9}",
        "load", "server", "events/s", "to (a)", "CPU µs/event", "to (a)", "RSS MiB"
    ));
    let row = |label, server, load| Row {
        label,
        server,
        load,
        rounds: Vec::new(),
    };
    let (tens, hundreds) = (Load::http(&stack.key, 10), Load::http(&stack.key, 100));
    let streams = Load::grpc(&stack.key, 100);
    let of_ten = vec![
        row("HTTP × 10", &limit, &tens),
        row("HTTP × 10", &no_log, &tens),
        row("HTTP × 10", &edge_server, &tens),
    ];
    let of_a_hundred = vec![
        row("HTTP × 100", &limit, &hundreds),
        row("HTTP × 100", &no_log, &hundreds),
        row("HTTP × 100", &edge_server, &hundreds),
        row("gRPC × 100", &edge_server, &streams),
    ];
    for rows in [of_ten, of_a_hundred] {
        table(rows, &mut report).await;
    }
    latency(&limit, &edge_server, &stack.key, &mut report).await;
    soak(&edge_server, &tens, &mut report).await;
    let path = report.save("edge.txt");
    report.line(format!("\n  all of this in {}", path.display()));
}

/// Measures the rows in turns; the first is what the others are compared with.
async fn table(mut rows: Vec<Row<'_>>, report: &mut Report) {
    for _ in 0..ROUNDS {
        for row in &mut rows {
            let measured = closed_loop(row.server, row.load, WARM_UP, ROUND).await;
            row.rounds.push(measured);
        }
    }
    let first = rows[0].rounds.clone();
    let compared = |row: &Row<'_>, value: fn(Measured) -> f64| {
        median(
            row.rounds
                .iter()
                .zip(&first)
                .map(|(of_row, of_first)| value(*of_row) / value(*of_first)),
        )
    };
    for row in &rows {
        let rounds = || row.rounds.iter().copied();
        report.line(format!(
            "  {:<12} {:<28} {:>10.0} {:>9.2} {:>14.2} {:>9.2} {:>9.1}",
            row.label,
            row.server.name,
            median(rounds().map(Measured::events_per_second)),
            compared(row, Measured::events_per_second),
            median(rounds().map(Measured::micros_per_event)),
            compared(row, Measured::micros_per_event),
            rounds().map(|round| round.resident_mib).fold(0.0, f64::max),
        ));
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn baseline(stack: &Stack, arguments: &[&str]) -> (Process, String) {
    let environment = BTreeMap::from([("KAFKA_BROKERS".to_owned(), stack.brokers().to_owned())]);
    let mut process = Process::start("baseline-edge", arguments, &environment);
    let http = process.printed("listening", Duration::from_secs(10)).await;
    (process, http)
}

async fn latency(limit: &Server, edge: &Server, key: &str, report: &mut Report) {
    report.line(format!(
        "\nedge, open loop, {} events/s in batches of 10, {OPEN_LOOP_ROUNDS} times {OPEN_LOOP:?} in turns; promised: p99 under 10 ms, p99.9 under 50 ms",
        OPEN_LOOP_BATCHES_PER_SECOND * 10
    ));
    report.line(format!(
        "  {:<28} {:>8} {:>8} {:>8} {:>8}   percentiles in",
        "server", "p50 ms", "p99 ms", "p99.9 ms", "max ms"
    ));
    let mut measured = [
        (limit, "edge-open-loop-baseline", empty()),
        (edge, "edge-open-loop", empty()),
    ];
    for _ in 0..OPEN_LOOP_ROUNDS {
        for (server, _, answers) in &mut measured {
            answers.add(open_loop(server, key).await);
        }
    }
    for (server, file, answers) in &measured {
        report.line(format!(
            "  {:<28} {:>8.2} {:>8.2} {:>8.2} {:>8.2}   {}",
            server.name,
            answers.milliseconds(0.5),
            answers.milliseconds(0.99),
            answers.milliseconds(0.999),
            answers.milliseconds(1.0),
            report::percentiles(file, &answers.latency).display()
        ));
    }
    let curves = measured
        .each_ref()
        .map(|(server, _, answers)| (server.name, &answers.latency));
    let plot = plot::percentiles("Ack latency at 10,000 events/s, batches of 10, open loop", &curves);
    report.line(format!(
        "  plotted in {}",
        report::file("edge-open-loop.svg", &plot).display()
    ));
}

fn empty() -> Answers {
    Answers {
        latency: Histogram::new(3).expect("3 digits"),
        refused: 0,
        took: Duration::ZERO,
    }
}

async fn open_loop(server: &Server, key: &str) -> Answers {
    let bodies: Vec<Vec<u8>> = (0..OPEN_LOOP_SESSIONS)
        .flat_map(|session| bodies(key, session, 10))
        .collect();
    let load = OpenLoop {
        batches_per_second: OPEN_LOOP_BATCHES_PER_SECOND,
        length: OPEN_LOOP,
        connections: OPEN_LOOP_CONNECTIONS,
    };
    let answers = load
        .run(&server.http, move |number| {
            bodies[usize::try_from(number).expect("few") % bodies.len()].clone()
        })
        .await;
    assert_eq!(answers.refused, 0);
    answers
}

/// Memory of the edge while it does as much as it can.
async fn soak(edge: &Server, load: &Load, report: &mut Report) {
    let seconds = std::env::var("BENCH_SOAK").map_or(SOAK_SECONDS, |text| {
        text.parse().expect("BENCH_SOAK is a number of seconds")
    });
    let whole = Duration::from_secs(seconds);
    report.line(format!(
        "\nedge, closed loop, {CONNECTIONS} connections, HTTP × 10, {whole:?}; promised: RSS under 64 MB and flat"
    ));
    report.line(format!(
        "  {:>9} {:>12} {:>14} {:>9}",
        "after s", "events/s", "CPU µs/event", "RSS MiB"
    ));
    for point in 1..=SOAK_POINTS {
        let measured = closed_loop(edge, load, Duration::ZERO, whole / SOAK_POINTS).await;
        report.line(format!(
            "  {:>9.0} {:>12.0} {:>14.2} {:>9.1}",
            (whole * point / SOAK_POINTS).as_secs_f64(),
            measured.events_per_second(),
            measured.micros_per_event(),
            usage::resident_mib(edge.process)
        ));
    }
}
