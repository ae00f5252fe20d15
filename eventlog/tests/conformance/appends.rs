//! Appending: order, placement, sizes, what is kept.

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::Bytes;
use gosight_eventlog::{AppendError, Header, NewRecord, TimestampSource, TopicSpec};

use crate::bench::{
    Bench, MAX_MESSAGE_BYTES, append_all, assert_each_once, assert_order_per_key, create, noise, now_ms, numbered,
    read_all, read_count, record, texts,
};
use crate::murmur2::java_partition;

pub(crate) async fn records_of_a_key_keep_their_order(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 6).await;
    let positions = append_all(&log, numbered(&topic, 20, 0..2_000)).await;

    let read = read_all(&log, &topic).await;
    assert_each_once(&read, 0..2_000);
    assert_order_per_key(&read);
    let mut partition_of = HashMap::new();
    for record in &read {
        let number: usize = std::str::from_utf8(&record.value).unwrap().parse().unwrap();
        assert_eq!(
            record.position, positions[number],
            "a record stands where its append said"
        );
        let partition = partition_of
            .entry(record.key.clone())
            .or_insert(record.position.partition);
        assert_eq!(*partition, record.position.partition, "equal keys share a partition");
    }
    log.close(std::time::Duration::from_secs(10)).await.unwrap();
}

pub(crate) async fn a_key_stands_on_the_partition_where_java_puts_it(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 12).await;
    let output = bench.topic(&log, "out", 12).await;
    let mut keys: Vec<Vec<u8>> = (0..200)
        .map(|number| format!("project:{number}").into_bytes())
        .collect();
    keys.extend((1..40).map(noise));
    keys.extend([b"21".to_vec(), b"foobar".to_vec(), b"abc".to_vec()]);
    let record_of = |key: &Vec<u8>, topic: &std::sync::Arc<str>| NewRecord {
        topic: std::sync::Arc::clone(topic),
        key: Bytes::copy_from_slice(key),
        value: Bytes::from_static(b"v"),
        headers: Vec::new(),
    };
    let positions = append_all(&log, keys.iter().map(|key| record_of(key, &topic))).await;
    for (key, position) in keys.iter().zip(&positions) {
        assert_eq!(
            position.partition,
            java_partition(key, 12),
            "{}",
            String::from_utf8_lossy(key)
        );
    }

    let mut lane = bench.lane(&log, &topic, "lane").await;
    lane.commit(keys.iter().map(|key| record_of(key, &output)).collect())
        .await
        .unwrap();
    lane.close().await.unwrap();
    let outputs = read_count(&log, &output, keys.len()).await;
    assert_eq!(outputs.len(), keys.len());
    for record in outputs {
        assert_eq!(
            record.position.partition,
            java_partition(record.key.as_ref().unwrap(), 12)
        );
    }
}

pub(crate) async fn keys_headers_and_times_are_kept(bench: Bench) {
    let log = bench.open().await;
    let stamped_by_log = bench.topic(&log, "log-time", 1).await;
    let stamped_by_producer = TopicSpec {
        timestamps: TimestampSource::CreateTime,
        ..bench.spec("producer-time", 1)
    };
    let stamped_by_producer = create(&log, stamped_by_producer).await;
    let headers = vec![
        Header::new("origin", "gosight.events.staging:3:42:0"),
        Header::new("binary", vec![0_u8, 255, 10, 0]),
        Header::new("empty", Bytes::new()),
        Header {
            name: Cow::Owned("origin".to_owned()),
            value: Bytes::from_static(b"a second of the same name"),
        },
    ];
    for topic in [&stamped_by_log, &stamped_by_producer] {
        let sent = NewRecord {
            topic: std::sync::Arc::clone(topic),
            key: Bytes::from_static(&[0, 159, 146, 150]),
            value: Bytes::from_static(b"\0value\xff"),
            headers: headers.clone(),
        };
        let empty = record(topic, "key", Vec::new());
        let before = now_ms();
        let positions = append_all(&log, [sent.clone(), empty]).await;
        let after = now_ms();
        let read = read_all(&log, topic).await;
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].position, positions[0]);
        assert_eq!(read[0].key.as_ref(), Some(&sent.key));
        assert_eq!(read[0].value, sent.value);
        assert_eq!(read[0].headers, headers);
        assert_eq!(read[0].header("origin").unwrap(), "gosight.events.staging:3:42:0");
        assert!(read[1].value.is_empty() && read[1].headers.is_empty());
        for record in &read {
            let time = record.timestamp_ms;
            assert!(
                (before..=after).contains(&time),
                "{time} is not within {before}..={after}"
            );
        }
    }
}

pub(crate) async fn a_record_of_a_megabyte_and_a_half_goes_through(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 1).await;
    let output = bench.topic(&log, "out", 1).await;
    let large = noise(1_500_000);
    append_all(&log, [record(&topic, "k", large.clone())]).await;
    let mut lane = bench.lane(&log, &topic, "lane").await;
    crate::work::pass_on(&mut lane, &output, 1).await;
    lane.close().await.unwrap();
    for topic in [&topic, &output] {
        let read = read_count(&log, topic, 1).await;
        assert_eq!(read.len(), 1);
        assert!(read[0].value == large, "the value has changed");
    }
}

pub(crate) async fn a_too_large_record_is_refused_with_its_size(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.small_topic(&log).await;
    // A handle that has not yet heard of the limit answers the same.
    let another = bench.another_handle(&log).await;
    for log in [&log, &another] {
        let refused = record(&topic, "key", noise(1_200_000));
        match log.append(refused).await {
            Err(AppendError::TooLarge {
                topic: named,
                size,
                limit,
            }) => {
                assert_eq!((named.as_str(), size, limit), (&*topic, 1_200_003, 1 << 20));
            }
            other => panic!("it was not refused as too large: {other:?}"),
        }
        append_all(log, [record(&topic, "key", noise(900_000))]).await;
    }
    assert_eq!(read_all(&log, &topic).await.len(), 2, "only what fits is on the log");
    assert_eq!(MAX_MESSAGE_BYTES, 4 << 20, "the other tests' topics allow more");
}

pub(crate) async fn a_closed_log_takes_no_more(bench: Bench) {
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 1).await;
    let queued: Vec<_> = (0..100)
        .map(|number| log.append(record(&topic, "k", number.to_string())))
        .collect();
    log.close(std::time::Duration::from_secs(10)).await.unwrap();
    for durable in queued {
        durable.await.unwrap();
    }
    let refused = log.append(record(&topic, "k", "late")).await;
    assert!(matches!(refused, Err(AppendError::Closed)), "{refused:?}");
    drop(log);
    let log = bench.open().await;
    let read = texts(&read_all(&log, &topic).await);
    assert_eq!(read, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
}
