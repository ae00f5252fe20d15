//! Topic administration.

use std::time::Duration;

use gosight_eventlog::{AppendError, Cleanup, LogError, TimestampSource, TopicCreation, TopicInfo, TopicSpec};

use crate::bench::{Bench, STAGING, append_all, read_all, record};

pub(crate) async fn topics_are_created_once_and_described(bench: Bench) {
    let log = bench.open().await;
    let first = TopicSpec {
        retention: Duration::from_secs(7_200),
        max_message_bytes: 2_345_678,
        timestamps: TimestampSource::CreateTime,
        ..bench.spec("first", 5)
    };
    let second = bench.spec("second", 2);
    let created = log.create_topics(std::slice::from_ref(&first)).await.unwrap();
    assert_eq!(created, [TopicCreation::Created(first.name.clone())]);

    let changed = TopicSpec {
        partitions: 9,
        max_message_bytes: 1_000_000,
        timestamps: TimestampSource::LogAppendTime,
        ..first.clone()
    };
    let created = log.create_topics(&[changed, second.clone()]).await.unwrap();
    assert_eq!(
        created,
        [
            TopicCreation::Existed(first.name.clone()),
            TopicCreation::Created(second.name.clone())
        ]
    );
    for spec in [first, second] {
        let info = log.describe(&spec.name).await.unwrap().unwrap();
        let expected = TopicInfo {
            name: spec.name.clone(),
            partitions: spec.partitions,
            // One node: min(3, brokers), and one less in sync, but at least one.
            replication: 1,
            brokers: 1,
            min_insync: 1,
            retention: Some(spec.retention),
            cleanup: Cleanup::Delete,
            max_message_bytes: spec.max_message_bytes,
            timestamps: spec.timestamps,
        };
        assert_eq!(info, expected, "it is as it was asked for at first");
        let topic = spec.name.as_str().into();
        append_all(&log, [record(&topic, "key", "it can be used at once")]).await;
        assert_eq!(read_all(&log, &topic).await.len(), 1);
    }
    assert_eq!(log.create_topics(&[]).await.unwrap(), []);
    log.create_topics(&[bench.spec(STAGING, 1)]).await.unwrap();
    log.health(Duration::from_secs(10)).await.unwrap();
}

pub(crate) async fn a_missing_topic_is_named(bench: Bench) {
    let log = bench.open().await;
    let name = bench.name("missing");
    let topic = name.as_str().into();
    let append = log.append(record(&topic, "key", "value")).await;
    assert!(
        matches!(&append, Err(AppendError::UnknownTopic { topic }) if *topic == name),
        "{append:?}"
    );
    assert_eq!(log.describe(&name).await.unwrap(), None);
    let named = |error: Option<LogError>| {
        assert!(
            matches!(&error, Some(LogError::UnknownTopic { topic }) if *topic == name),
            "{error:?}"
        );
    };
    named(log.reader(&name, &[(0, 0)]).await.err());
    named(log.bounds(&name).await.err());
    named(log.offsets_at(&name, 0).await.err());
    named(log.committed("group", &name).await.err());
    named(log.lane(bench.lane_options(&name, "lane")).await.err());
    assert_eq!(log.describe(&name).await.unwrap(), None, "asking did not create it");
}
