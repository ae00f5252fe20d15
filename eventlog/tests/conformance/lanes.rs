//! One lane: outputs and positions, all or nothing.

use std::sync::Arc;
use std::time::Duration;

use gosight_eventlog::{Assigned, Ended, EventLog, LaneError, LaneOptions, Outputs, PollLimit, Verdict};

use crate::bench::{
    Bench, PATIENCE, append_all, assert_each_once, noise, numbered, numbers, read_all, read_count, record, texts,
};
use crate::work::{await_assigned, await_records, limit, pass_on, passed_on, poll};

const CLOSE: Duration = Duration::from_secs(10);

pub(crate) async fn a_commit_moves_outputs_and_positions_together(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 1).await;
    let output = bench.topic(&log, "out", 3).await;
    append_all(&log, numbered(&topic, 5, 0..10)).await;

    let mut lane = bench.lane(&log, &topic, "lane").await;
    let assigned = await_assigned(&mut lane, 1).await;
    let first = Assigned {
        partition: 0,
        next_offset: 0,
    };
    assert_eq!(assigned, [first], "a new group starts at the earliest offset");
    let group = bench.name("group");
    assert_eq!(log.committed(&group, &topic).await.unwrap(), []);

    let records = await_records(&mut lane, limit(4)).await;
    assert!(
        read_all(&log, &output).await.is_empty(),
        "nothing is there before the commit"
    );
    let outputs: Vec<_> = records.iter().map(|record| passed_on(record, &output)).collect();
    lane.commit(outputs).await.unwrap();
    let count = records.len();
    assert_each_once(&read_count(&log, &output, count).await, 0..count);
    assert_eq!(
        log.committed(&group, &topic).await.unwrap(),
        [(0, i64::try_from(count).unwrap())]
    );

    // What was polled and not committed is not committed by closing.
    let open = await_records(&mut lane, limit(1)).await;
    assert_eq!(numbers(&open), [count]);
    lane.close().await.unwrap();
    let mut lane = bench.lane(&log, &topic, "lane").await;
    let assigned = await_assigned(&mut lane, 1).await;
    assert_eq!(assigned[0].next_offset, i64::try_from(count).unwrap());
    pass_on(&mut lane, &output, 10 - count).await;
    assert_each_once(&read_count(&log, &output, 10).await, 0..10);
    lane.close().await.unwrap();
}

pub(crate) async fn positions_outlive_a_restart(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 3).await;
    let output = bench.topic(&log, "out", 3).await;
    append_all(&log, numbered(&topic, 30, 0..300)).await;
    let mut lane = bench.lane(&log, &topic, "lane").await;
    pass_on(&mut lane, &output, 300).await;
    lane.close().await.unwrap();
    let group = bench.name("group");
    let mut before = log.committed(&group, &topic).await.unwrap();
    log.close(CLOSE).await.unwrap();
    drop(log);

    let log = bench.open().await;
    let mut after = log.committed(&group, &topic).await.unwrap();
    before.sort_unstable();
    after.sort_unstable();
    assert_eq!(after, before);
    append_all(&log, numbered(&topic, 30, 300..400)).await;
    let mut lane = bench.lane(&log, &topic, "lane").await;
    let mut assigned: Vec<_> = await_assigned(&mut lane, 3)
        .await
        .iter()
        .map(|assigned| (assigned.partition, assigned.next_offset))
        .collect();
    assigned.sort_unstable();
    assert_eq!(assigned, before, "a lane begins where the group stands");
    pass_on(&mut lane, &output, 100).await;
    assert_each_once(&read_count(&log, &output, 400).await, 0..400);
    lane.close().await.unwrap();
}

pub(crate) async fn a_rewind_gives_the_same_records_again(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 1).await;
    let output = bench.topic(&log, "out", 1).await;
    append_all(&log, numbered(&topic, 5, 0..50)).await;
    let mut lane = bench.lane(&log, &topic, "lane").await;
    let begun = await_records(&mut lane, limit(7)).await;
    lane.commit(begun.iter().map(|record| passed_on(record, &output)).collect())
        .await
        .unwrap();
    for _ in 0..3 {
        let records = await_records(&mut lane, limit(10)).await;
        assert_eq!(numbers(&records)[0], begun.len());
        lane.rewind().await.unwrap();
    }
    lane.rewind().await.unwrap();
    pass_on(&mut lane, &output, 50 - begun.len()).await;
    assert_each_once(&read_count(&log, &output, 50).await, 0..50);
    lane.close().await.unwrap();
}

pub(crate) async fn an_aborted_commit_leaves_nothing(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 1).await;
    let output = bench.topic(&log, "out", 1).await;
    let small = bench.small_topic(&log).await;
    append_all(&log, numbered(&topic, 5, 0..10)).await;
    // The second handle has not heard of the limit, so there the transaction is under way when the brokers refuse.
    let another = bench.another_handle(&log).await;
    for (handle, name) in [(&log, "lane"), (&another, "lane-of-another-handle")] {
        let mut lane = bench.lane(handle, &topic, name).await;
        let records = await_records(&mut lane, limit(10)).await;
        let mut outputs: Vec<_> = records.iter().map(|record| passed_on(record, &output)).collect();
        outputs.push(record(&small, "key", noise(1_200_000)));
        match lane.commit(outputs).await {
            Err(LaneError::OutputTooLarge { topic, size, limit }) => {
                assert_eq!((topic.as_str(), size, limit), (&*small, 1_200_003, 1 << 20));
            }
            other => panic!("it was not refused as too large: {other:?}"),
        }
        assert!(read_all(&log, &output).await.is_empty(), "an aborted output was read");
        assert_eq!(
            log.committed(&bench.name("group"), &topic).await.unwrap(),
            [],
            "a position moved"
        );

        // The lane goes on: it can give back what it polled, or commit it with other outputs.
        if name == "lane" {
            lane.rewind().await.unwrap();
            let again = await_records(&mut lane, limit(10)).await;
            assert_eq!(numbers(&again)[0], 0);
        } else {
            let outputs = records.iter().map(|record| passed_on(record, &output)).collect();
            lane.commit(outputs).await.unwrap();
            pass_on(&mut lane, &output, 10 - records.len()).await;
        }
        lane.close().await.unwrap();
    }
    assert_each_once(&read_count(&log, &output, 10).await, 0..10);
}

pub(crate) async fn work_that_gives_back_leaves_nothing(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 1).await;
    let output = bench.topic(&log, "out", 1).await;
    append_all(&log, numbered(&topic, 5, 0..10)).await;
    let mut lane = bench.lane(&log, &topic, "lane").await;
    for verdict in [Verdict::GiveBack, Verdict::Commit] {
        let records = await_records(&mut lane, limit(10)).await;
        assert_eq!(numbers(&records)[0], 0, "what was given back comes again");
        let (written, output, count) = (Arc::clone(&output), Arc::clone(&output), records.len());
        let work = move |outputs: &mut dyn Outputs| {
            for record in &records {
                outputs.add(passed_on(record, &output).as_output()).unwrap();
            }
            verdict
        };
        let ended = lane.transact(Box::new(work)).await.unwrap();
        let committed = if verdict == Verdict::Commit { count } else { 0 };
        assert_eq!(ended == Ended::Committed, committed > 0);
        let moved: i64 = log
            .committed(&bench.name("group"), &topic)
            .await
            .unwrap()
            .iter()
            .map(|(_, next)| *next)
            .sum();
        assert_eq!(usize::try_from(moved).unwrap(), committed);
        assert_eq!(read_all(&log, &written).await.len(), committed);
    }
    lane.close().await.unwrap();
}

pub(crate) async fn work_that_panics_ends_the_lane_and_leaves_nothing(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 1).await;
    let output = bench.topic(&log, "out", 1).await;
    append_all(&log, numbered(&topic, 5, 0..10)).await;
    let mut lane = bench.lane(&log, &topic, "lane").await;
    let records = await_records(&mut lane, limit(10)).await;
    let to = Arc::clone(&output);
    let work = move |outputs: &mut dyn Outputs| {
        outputs.add(passed_on(&records[0], &to).as_output()).unwrap();
        panic!("a defect")
    };
    match lane.transact(Box::new(work)).await {
        Err(LaneError::Broken { reason }) => assert!(reason.contains("a defect"), "{reason}"),
        other => panic!("the lane went on: {other:?}"),
    }
    assert!(matches!(lane.commit(Vec::new()).await, Err(LaneError::Broken { .. })));
    drop(lane);
    let mut heir = bench.lane(&log, &topic, "lane").await;
    pass_on(&mut heir, &output, 10).await;
    assert_each_once(&read_count(&log, &output, 10).await, 0..10);
    heir.close().await.unwrap();
}

pub(crate) async fn an_output_for_a_missing_topic_aborts(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 1).await;
    let output = bench.topic(&log, "out", 1).await;
    let missing: Arc<str> = bench.name("missing").into();
    append_all(&log, numbered(&topic, 1, 0..3)).await;
    let mut lane = bench.lane(&log, &topic, "lane").await;
    let records = await_records(&mut lane, limit(1)).await;
    let outputs = vec![passed_on(&records[0], &output), record(&missing, "key", "value")];
    let refused = lane.commit(outputs).await;
    match &refused {
        Err(LaneError::Aborted { reason }) => assert!(reason.contains(&*missing), "{reason}"),
        other => panic!("it was not aborted: {other:?}"),
    }
    assert!(read_all(&log, &output).await.is_empty(), "an aborted output was read");
    // After an abort the lane stands at the committed positions again.
    pass_on(&mut lane, &output, 3).await;
    assert_each_once(&read_count(&log, &output, 3).await, 0..3);
    lane.close().await.unwrap();
}

pub(crate) async fn a_fenced_lane_commits_nothing(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 1).await;
    let output = bench.topic(&log, "out", 1).await;
    append_all(&log, numbered(&topic, 5, 0..10)).await;
    let mut zombie = bench.lane(&log, &topic, "lane").await;
    let records = await_records(&mut zombie, limit(10)).await;

    let mut successor = bench.lane(&log, &topic, "lane").await;
    let outputs = records.iter().map(|record| passed_on(record, &output)).collect();
    match zombie.commit(outputs).await {
        Err(LaneError::Fenced { transactional_id }) => assert_eq!(transactional_id, bench.name("lane")),
        other => panic!("the zombie was not fenced: {other:?}"),
    }
    assert!(
        read_all(&log, &output).await.is_empty(),
        "an output of the zombie was read"
    );
    assert_eq!(
        log.committed(&bench.name("group"), &topic).await.unwrap(),
        [],
        "a position moved"
    );
    let again = zombie.commit(vec![record(&output, "key", "99")]).await;
    assert!(
        matches!(again, Err(LaneError::Fenced { .. })),
        "fencing lasts: {again:?}"
    );
    drop(zombie);

    pass_on(&mut successor, &output, 10).await;
    assert_each_once(&read_count(&log, &output, 10).await, 0..10);
    successor.close().await.unwrap();
}

pub(crate) async fn a_lane_of_another_group_fences_by_its_identity(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 1).await;
    let output = bench.topic(&log, "out", 1).await;
    append_all(&log, numbered(&topic, 1, 0..3)).await;
    let mut zombie = bench.lane(&log, &topic, "lane").await;
    let records = await_records(&mut zombie, limit(1)).await;
    let options = LaneOptions {
        group: bench.name("another-group"),
        ..bench.lane_options(&topic, "lane")
    };
    let mut successor = log.lane(options).await.unwrap();
    let refused = zombie.commit(vec![passed_on(&records[0], &output)]).await;
    assert!(matches!(refused, Err(LaneError::Fenced { .. })), "{refused:?}");
    pass_on(&mut successor, &output, 3).await;
    assert_each_once(&read_count(&log, &output, 3).await, 0..3);
    assert_eq!(
        log.committed(&bench.name("group"), &topic).await.unwrap(),
        [],
        "a position moved"
    );
    successor.close().await.unwrap();
}

pub(crate) async fn a_poll_keeps_its_limits(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 1).await;
    append_all(&log, (0..20).map(|_| record(&topic, "key", vec![b'x'; 1_000]))).await;
    let mut lane = bench.lane(&log, &topic, "lane").await;
    await_assigned(&mut lane, 1).await;
    let poll_limit = |max_records, max_bytes| PollLimit {
        max_records,
        max_bytes,
        max_weight: usize::MAX,
        weight: |_| 0,
        max_wait: Duration::from_millis(500),
    };
    let records = await_records(&mut lane, poll_limit(6, 1 << 20)).await;
    assert!(records.len() <= 6, "{} records came", records.len());
    lane.rewind().await.unwrap();
    let records = await_records(&mut lane, poll_limit(100, 3_500)).await;
    assert!(records.len() <= 4, "{} records came", records.len());
    lane.rewind().await.unwrap();
    let records = await_records(&mut lane, poll_limit(100, 1)).await;
    assert_eq!(records.len(), 1, "one record is always taken");
    lane.rewind().await.unwrap();
    let by_weight = |max_weight| PollLimit {
        max_weight,
        weight: |record| record.value.len() / 10,
        ..poll_limit(100, 1 << 20)
    };
    let records = await_records(&mut lane, by_weight(201)).await;
    assert!(records.len() <= 3, "{} records came", records.len());
    lane.stay().await.unwrap();
    lane.rewind().await.unwrap();
    lane.stay().await.unwrap();
    let records = await_records(&mut lane, by_weight(1)).await;
    assert_eq!(records.len(), 1, "the record that reaches the limit is the last");
    assert_eq!(records[0].position.offset, 0, "nothing was lost by staying");
    lane.close().await.unwrap();
}

pub(crate) async fn a_poll_that_nobody_waits_for_loses_nothing(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 3).await;
    let output = bench.topic(&log, "out", 3).await;
    let mut lane = bench.lane(&log, &topic, "lane").await;
    append_all(&log, numbered(&topic, 30, 0..600)).await;
    let mut done = 0;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut patience = Duration::from_micros(100);
    while done < 600 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "only {done} of 600 records came"
        );
        let Ok(polled) = tokio::time::timeout(patience, poll(&mut lane, limit(40))).await else {
            patience = patience.mul_f64(1.3).min(Duration::from_millis(300));
            continue;
        };
        let records = polled.unwrap().records;
        if !records.is_empty() {
            done += records.len();
            lane.commit(records.iter().map(|record| passed_on(record, &output)).collect())
                .await
                .unwrap();
            patience = Duration::from_micros(100);
        }
    }
    assert_each_once(&read_count(&log, &output, 600).await, 0..600);
    lane.close().await.unwrap();
}

pub(crate) async fn outputs_without_input_are_committed(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 1).await;
    let output = bench.topic(&log, "out", 1).await;
    let mut lane = bench.lane(&log, &topic, "lane").await;
    lane.commit(Vec::new()).await.unwrap();
    lane.commit(vec![record(&output, "key", "alone")]).await.unwrap();
    assert_eq!(texts(&read_count(&log, &output, 1).await), ["alone"]);
    // Input without outputs moves the positions all the same.
    append_all(&log, numbered(&topic, 1, 0..1)).await;
    await_records(&mut lane, limit(1)).await;
    lane.commit(Vec::new()).await.unwrap();
    assert_eq!(log.committed(&bench.name("group"), &topic).await.unwrap(), [(0, 1)]);
    lane.close().await.unwrap();
}

/// The second half of a test that has made a group stand at offset 2 of a partition and then the records before `earliest` go:
/// the group's next lane stops and names the range.
pub(crate) async fn assert_lost_range_is_named(
    bench: &Bench,
    log: &Arc<dyn EventLog>,
    topic: &Arc<str>,
    earliest: i64,
) {
    let mut lane = bench.lane(log, topic, "late").await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let lost = loop {
        match poll(&mut lane, limit(10)).await {
            Ok(polled) => assert!(polled.records.is_empty(), "the lane skipped the lost records"),
            Err(error) => break error,
        }
        assert!(tokio::time::Instant::now() < deadline, "the lane did not stop");
    };
    match lost {
        LaneError::OffsetsLost {
            topic: named,
            partition,
            next,
            earliest: first,
        } => {
            assert_eq!((named.as_str(), partition, next, first), (&**topic, 0, 2, earliest));
        }
        other => panic!("the lost range was not named: {other:?}"),
    }
    lane.close().await.unwrap();
}

/// Makes this test's group stand at offset 2 of the topic, which has one partition and ten records.
pub(crate) async fn stand_at_two(bench: &Bench, log: &Arc<dyn EventLog>, topic: &Arc<str>) {
    append_all(log, numbered(topic, 1, 0..10)).await;
    let mut lane = bench.lane(log, topic, "early").await;
    let mut done = 0;
    while done < 2 {
        done += await_records(&mut lane, limit(2 - done)).await.len();
        lane.commit(Vec::new()).await.unwrap();
    }
    lane.close().await.unwrap();
}
