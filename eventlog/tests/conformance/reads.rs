//! Reading without a group: ranges, bounds, times.

use std::time::Duration;

use gosight_eventlog::{LogError, PartitionBounds};

use crate::bench::{
    Bench, PATIENCE, append_all, assert_order_per_key, now_ms, numbered, numbers, read_all, read_count, record, texts,
};
use crate::work::pass_on;

pub(crate) async fn a_reader_starts_where_it_is_told_and_reaches_the_end(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 2).await;
    let output = bench.topic(&log, "out", 2).await;
    append_all(&log, numbered(&topic, 10, 0..100)).await;
    // Records that came in transactions: Kafka's markers stand among them.
    let mut lane = bench.lane(&log, &topic, "lane").await;
    pass_on(&mut lane, &output, 100).await;
    lane.close().await.unwrap();
    let all = read_count(&log, &output, 100).await;
    assert_order_per_key(&all);

    let partition = all[0].position.partition;
    let of_partition: Vec<_> = all
        .iter()
        .filter(|record| record.position.partition == partition)
        .cloned()
        .collect();
    let middle = of_partition[of_partition.len() / 2].position.offset;
    let mut reader = log.reader(&output, &[(partition, middle)]).await.unwrap();
    assert_eq!(reader.positions(), [(partition, middle)]);
    let mut read = Vec::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while read.len() < of_partition.len() - of_partition.len() / 2 {
        assert!(tokio::time::Instant::now() < deadline, "the reader stands still");
        let records = reader.next(3, Duration::from_millis(500)).await.unwrap();
        assert!(records.len() <= 3, "{} records came", records.len());
        if let Some(last) = records.last() {
            assert!(reader.positions()[0].1 > last.position.offset);
        }
        read.extend(records);
    }
    assert_eq!(read, of_partition[of_partition.len() / 2..]);
    assert!(
        reader.next(3, Duration::from_millis(300)).await.unwrap().is_empty(),
        "more came than there is"
    );
    let end = log
        .bounds(&output)
        .await
        .unwrap()
        .iter()
        .find(|bound| bound.partition == partition)
        .unwrap()
        .end;
    assert_eq!(reader.positions(), [(partition, end)]);

    // It waits for what is appended later.
    let late = {
        let key = String::from_utf8(of_partition[0].key.clone().unwrap().to_vec()).unwrap();
        record(&output, &key, "late")
    };
    let log_later = std::sync::Arc::clone(&log);
    let appending = tokio::spawn(async move { append_all(&log_later, [late]).await });
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut came = Vec::new();
    while came.is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "the late record did not come");
        came = reader.next(3, Duration::from_secs(5)).await.unwrap();
    }
    assert_eq!(texts(&came), ["late"]);
    appending.await.unwrap();

    let past_the_end = log.reader(&output, &[(partition, end + 1_000)]).await.err();
    assert!(
        matches!(past_the_end, Some(LogError::Failed { .. })),
        "{past_the_end:?}"
    );
    let no_partition = log.reader(&output, &[(2, 0)]).await.err();
    assert!(
        matches!(no_partition, Some(LogError::Failed { .. })),
        "{no_partition:?}"
    );
}

pub(crate) async fn bounds_follow_the_records(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 3).await;
    let sorted = |mut bounds: Vec<PartitionBounds>| {
        bounds.sort_unstable_by_key(|bound| bound.partition);
        bounds
    };
    let bound = |partition, end| PartitionBounds {
        partition,
        earliest: 0,
        end,
    };
    assert_eq!(
        sorted(log.bounds(&topic).await.unwrap()),
        [bound(0, 0), bound(1, 0), bound(2, 0)]
    );
    let positions = append_all(&log, numbered(&topic, 40, 0..40)).await;
    let count = |partition| {
        let of_partition = positions.iter().filter(|position| position.partition == partition);
        i64::try_from(of_partition.count()).unwrap()
    };
    let expected = [bound(0, count(0)), bound(1, count(1)), bound(2, count(2))];
    assert_eq!(sorted(log.bounds(&topic).await.unwrap()), expected);
}

pub(crate) async fn times_lead_to_offsets(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 1).await;
    append_all(&log, numbered(&topic, 1, 0..5)).await;
    let last = read_all(&log, &topic).await[4].timestamp_ms;
    // The clock has to tick before the next append.
    while now_ms() <= last + 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    append_all(&log, numbered(&topic, 1, 5..8)).await;
    let records = read_all(&log, &topic).await;
    assert_eq!(numbers(&records), [0, 1, 2, 3, 4, 5, 6, 7]);
    let second_part = records[5].timestamp_ms;
    assert!(second_part > last + 1);
    assert_eq!(log.offsets_at(&topic, 0).await.unwrap(), [(0, 0)]);
    assert_eq!(log.offsets_at(&topic, records[0].timestamp_ms).await.unwrap(), [(0, 0)]);
    assert_eq!(log.offsets_at(&topic, last + 1).await.unwrap(), [(0, 5)]);
    assert_eq!(log.offsets_at(&topic, second_part).await.unwrap(), [(0, 5)]);
    assert_eq!(log.offsets_at(&topic, now_ms() + 3_600_000).await.unwrap(), [(0, 8)]);
}
