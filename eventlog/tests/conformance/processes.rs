//! What a killed process leaves behind.

use std::sync::Arc;
use std::time::Duration;

use gosight_eventlog::Position;

use crate::bench::{
    Bench, PATIENCE, append_all, assert_each_once, assert_order_per_key, numbered, read_all, read_count, record, text,
};
use crate::child::{Process, tell, told};
use crate::work::{await_assigned, done, pass_on, pass_on_once};

pub(crate) async fn what_is_acknowledged_outlives_kill_9(bench: Bench) {
    if let Some(told) = told() {
        append_until_killed(&bench, told["topic"].as_str().into()).await;
    }
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 3).await;
    log.close(Duration::from_secs(10)).await.unwrap();
    drop(log);

    let mut acknowledged: Vec<(Position, String)> = Vec::new();
    for round in 0..3 {
        let child = Process::start(&bench, &[("topic", &topic), ("round", &round.to_string())]);
        let mut lines = Vec::new();
        while lines.len() < 200 {
            lines.push(child.line().await);
        }
        lines.extend(child.kill_9());
        acknowledged.extend(lines.iter().map(|line| {
            let (position, value) = line.split_once(' ').unwrap();
            (position.parse().unwrap(), value.to_owned())
        }));
    }
    let log = bench.open().await;
    let read = read_all(&log, &topic).await;
    for (position, value) in &acknowledged {
        let found = read.iter().find(|record| record.position == *position);
        let found = found.unwrap_or_else(|| panic!("{position} was acknowledged and is gone"));
        assert_eq!(&text(found), value, "another record stands at {position}");
    }
}

/// The child: several appends at a time, each told to the parent when it is durable.
async fn append_until_killed(bench: &Bench, topic: Arc<str>) {
    let log = bench.open().await;
    let round = told().unwrap()["round"].clone();
    let writers = (0..8).map(|writer| {
        let (log, topic, round) = (Arc::clone(&log), Arc::clone(&topic), round.clone());
        tokio::spawn(async move {
            for number in 0.. {
                let value = format!("{round}-{writer}-{number}");
                let position = log
                    .append(record(&topic, &format!("key-{writer}"), value.clone()))
                    .await;
                tell(&format!("{} {value}", position.unwrap()));
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    tokio::time::sleep(PATIENCE).await;
    drop(writers);
    panic!("the parent did not kill its child");
}

pub(crate) async fn a_killed_lane_loses_and_doubles_nothing(bench: Bench) {
    if let Some(told) = told() {
        pass_on_until_killed(&bench, &told["topic"], told["output"].as_str().into(), &told["group"]).await;
    }
    const COUNT: usize = 20_000;
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 4).await;
    let output = bench.topic(&log, "out", 4).await;
    append_all(&log, numbered(&topic, 100, 0..COUNT)).await;
    log.close(Duration::from_secs(10)).await.unwrap();
    drop(log);

    let group = bench.name("group");
    // The kills meet different steps of a transaction; whichever they meet, nothing may be lost or doubled.
    for delay in [2, 8, 20, 35] {
        let child = Process::start(&bench, &[("topic", &topic), ("output", &output), ("group", &group)]);
        for _ in 0..5 {
            child.line().await;
        }
        tokio::time::sleep(Duration::from_millis(delay)).await;
        child.kill_9();
    }
    let log = bench.open().await;
    let killed = std::time::Instant::now();
    let mut lane = log
        .lane(gosight_eventlog::LaneOptions {
            group,
            ..bench.lane_options(&topic, "heir")
        })
        .await
        .unwrap();
    let done = done(&await_assigned(&mut lane, 4).await);
    let took = killed.elapsed();
    assert!(
        took < Duration::from_secs(10),
        "it took {took:?} until a killed lane's partitions were taken over"
    );
    assert!(done > 0 && done < COUNT, "the children passed on {done} records");
    pass_on(&mut lane, &output, COUNT - done).await;
    lane.close().await.unwrap();
    let outputs = read_count(&log, &output, COUNT).await;
    assert_each_once(&outputs, 0..COUNT);
    assert_order_per_key(&outputs);
}

/// The child: a lane that tells its parent after each commit.
async fn pass_on_until_killed(bench: &Bench, topic: &str, output: Arc<str>, group: &str) {
    let log = bench.open().await;
    let options = gosight_eventlog::LaneOptions {
        group: group.to_owned(),
        transactional_id: format!("{group}-child"),
        ..bench.lane_options(topic, "child")
    };
    let mut lane = log.lane(options).await.unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        let (_, committed) = pass_on_once(&mut lane, &output, 100).await;
        if committed > 0 {
            tell(&committed.to_string());
        }
    }
    panic!("the parent did not kill its child");
}
