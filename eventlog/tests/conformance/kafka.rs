//! The bodies on Kafka, and what only Kafka can show.

use std::sync::Arc;
use std::time::Duration;

use gosight_eventlog::kafka::KafkaLog;
use gosight_eventlog::{AppendError, EventLog, LaneError, LaneOptions, Outputs, Verdict};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::bench::{
    Bench, Engine, PATIENCE, SESSION, append_all, assert_each_once, kafka_settings, noise, numbered, read_all,
    read_count, record, texts,
};
use crate::child::{Process, tell, told};
use crate::lanes::{assert_lost_range_is_named, stand_at_two};
use crate::work::{await_assigned, await_records, limit, pass_on, passed_on};

crate::every_body!(Engine::Kafka);

fn bench(test: &'static str) -> Bench {
    Bench::new(Engine::Kafka, test)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_transaction_is_not_read() {
    let bench = bench("");
    let log = bench.open().await;
    let topic = bench.topic(&log, "out", 1).await;
    append_all(&log, [record(&topic, "key", "before")]).await;
    let open = tokio::task::block_in_place(|| {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", kafka_settings().brokers.join(","))
            .set("transactional.id", bench.name("open"))
            .create()
            .unwrap();
        let patience = Duration::from_secs(20);
        producer.init_transactions(patience).unwrap();
        producer.begin_transaction().unwrap();
        producer
            .send(BaseRecord::to(&topic).key("key").payload("open"))
            .unwrap();
        producer.flush(patience).unwrap();
        producer
    });
    append_all(&log, [record(&topic, "key", "after")]).await;

    assert_eq!(
        log.bounds(&topic).await.unwrap()[0].end,
        1,
        "the end is that of committed records"
    );
    assert_eq!(texts(&read_all(&log, &topic).await), ["before"]);
    assert_eq!(log.offsets_at(&topic, i64::MAX / 2).await.unwrap(), [(0, 1)]);
    tokio::task::block_in_place(|| open.abort_transaction(Duration::from_secs(20))).unwrap();
    assert_eq!(texts(&read_count(&log, &topic, 2).await), ["before", "after"]);
}

/// A process that stands still for longer than its session is no member any more when it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_was_put_out_commits_nothing() {
    let bench = bench(concat!(module_path!(), "::a_lane_that_was_put_out_commits_nothing"));
    let options = |group: &str, topic: &str, lane: &str| LaneOptions {
        group: group.to_owned(),
        transactional_id: format!("{group}-{lane}"),
        ..bench.lane_options(topic, lane)
    };
    if let Some(told) = told() {
        let log = bench.open().await;
        let mut lane = log
            .lane(options(&told["group"], &told["topic"], "child"))
            .await
            .unwrap();
        let records = await_records(&mut lane, limit(10)).await;
        tell("polled");
        let pause = std::time::SystemTime::now();
        while pause.elapsed().unwrap() < SESSION {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Stopped meanwhile; some time for librdkafka to hear what has become of it, differing from round to round.
        tokio::time::sleep(Duration::from_millis(told["linger"].parse().unwrap())).await;
        let output = told["output"].as_str().into();
        let outputs = records.iter().map(|record| passed_on(record, &output)).collect();
        match lane.commit(outputs).await {
            Err(LaneError::Aborted { reason }) => tell(&format!("aborted: {reason}")),
            other => tell(&format!("{other:?}")),
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let log = bench.open().await;
    let mut rounds = Vec::new();
    for linger in ["0", "300", "1500"] {
        let topic = bench.topic(&log, &format!("in-{linger}"), 1).await;
        let output = bench.topic(&log, &format!("out-{linger}"), 1).await;
        append_all(&log, numbered(&topic, 5, 0..10)).await;
        let group = bench.name(&format!("group-{linger}"));
        let told = [
            ("topic", &*topic),
            ("output", &*output),
            ("group", group.as_str()),
            ("linger", linger),
        ];
        rounds.push((Process::start(&bench, &told), topic, output, group, linger == "1500"));
    }
    for (child, ..) in &rounds {
        assert_eq!(child.line().await, "polled");
        child.signal("STOP");
    }
    for (child, topic, output, group, told_by_the_group) in &rounds {
        let mut heir = log.lane(options(group, topic, "heir")).await.unwrap();
        pass_on(&mut heir, output, 10).await;
        child.signal("CONT");
        let line = child.line().await;
        assert!(line.starts_with("aborted: "), "the lane that was put out: {line}");
        // By then it has heard from the group, and says so.
        assert!(!*told_by_the_group || line.contains("put this lane out"), "{line}");
        assert_each_once(&read_count(&log, output, 10).await, 0..10);
        heir.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_at_once() {
    let bench = bench("");
    let settings = gosight_config::kafka::KafkaSettings {
        queue_bytes: bytesize::ByteSize::kib(8),
        ..kafka_settings()
    };
    let log: Arc<dyn EventLog> = KafkaLog::connect(&settings, "conformance").unwrap();
    let topic = bench.topic(&log, "in", 1).await;
    let queued: Vec<_> = (0..20)
        .map(|_| log.append(record(&topic, "key", vec![b'x'; 1_000])))
        .collect();
    let results = futures::future::join_all(queued).await;
    let taken = results.iter().filter(|result| result.is_ok()).count();
    assert!((1..=8).contains(&taken), "{taken} records were taken into 8 KiB");
    for refused in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(
            matches!(refused, AppendError::QueueFull { in_flight_bytes } if *in_flight_bytes > 4_096),
            "{refused:?}"
        );
    }
    // What has become durable makes room.
    append_all(&log, [record(&topic, "key", "room again")]).await;
    assert_eq!(read_all(&log, &topic).await.len(), taken + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_do_not_answer_are_named_in_time() {
    // A port that was free a moment ago: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let settings = gosight_config::kafka::KafkaSettings {
        brokers: vec![format!("127.0.0.1:{port}")],
        delivery_timeout: Duration::from_secs(1),
        ..gosight_config::kafka::KafkaSettings::default()
    };
    let log = KafkaLog::connect(&settings, "conformance").unwrap();
    let begun = std::time::Instant::now();
    let error = log.health(Duration::from_millis(500)).await.unwrap_err();
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
    let topic = "topic".into();
    let append = log.append(record(&topic, "key", "value")).await;
    assert!(matches!(append, Err(AppendError::InDoubt { .. })), "{append:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "it took {:?}",
        begun.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_the_staging_topic_is_not_well() {
    let log = bench("health").open().await;
    let error = log.health(Duration::from_secs(10)).await.unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_names_records_that_went_before_it_consumed_them() {
    let bench = bench("");
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 1).await;
    stand_at_two(&bench, &log, &topic).await;
    let admin: AdminClient<_> = ClientConfig::new()
        .set("bootstrap.servers", kafka_settings().brokers.join(","))
        .create()
        .unwrap();
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&topic, 0, Offset::Offset(5)).unwrap();
    let deleted = admin.delete_records(&before, &AdminOptions::new()).await.unwrap();
    deleted.elements()[0].error().unwrap();
    assert_lost_range_is_named(&bench, &log, &topic, 5).await;
}

/// Outputs travel while others are still made: by then the brokers may have refused one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_while_outputs_are_made_is_named() {
    let bench = bench("");
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 1).await;
    let output = bench.topic(&log, "out", 1).await;
    let small = bench.small_topic(&log).await;
    append_all(&log, numbered(&topic, 5, 0..10)).await;
    // A handle that has not heard of the limit.
    let another = bench.another_handle(&log).await;
    let mut lane = bench.lane(&another, &topic, "lane").await;
    let records = await_records(&mut lane, limit(10)).await;
    let to = Arc::clone(&output);
    let work = move |outputs: &mut dyn Outputs| {
        let large = record(&small, "key", noise(1_200_000));
        outputs.add(large.as_output()).unwrap();
        let more = passed_on(&records[0], &to);
        let begun = std::time::Instant::now();
        while outputs.add(more.as_output()).is_ok() {
            assert!(begun.elapsed() < PATIENCE, "it was not refused");
            std::thread::sleep(Duration::from_millis(1));
        }
        Verdict::Commit
    };
    match lane.transact(Box::new(work)).await {
        Err(LaneError::OutputTooLarge { size, limit, .. }) => assert_eq!((size, limit), (1_200_003, 1 << 20)),
        other => panic!("it was not refused as too large: {other:?}"),
    }
    lane.rewind().await.unwrap();
    pass_on(&mut lane, &output, 10).await;
    assert_each_once(&read_count(&log, &output, 10).await, 0..10);
    lane.close().await.unwrap();
}

/// A lane that reads windows only stays, for minutes: others join and leave the group meanwhile, and so can it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_only_stays_holds_nobody_up() {
    let bench = bench("");
    let log = bench.open().await;
    let topic = bench.topic(&log, "in", 6).await;
    let mut staying = bench.lane(&log, &topic, "staying").await;
    await_assigned(&mut staying, 6).await;
    let others = async {
        let mut second = bench.lane(&log, &topic, "second").await;
        await_assigned(&mut second, 3).await;
        let mut third = bench.lane(&log, &topic, "third").await;
        let thirds = async {
            await_assigned(&mut third, 2).await;
            third.close().await.unwrap();
        };
        let seconds = async {
            loop {
                second.poll(limit(1)).await.unwrap();
            }
        };
        tokio::select! {
            () = thirds => {}
            () = seconds => {}
        }
        second.close().await.unwrap();
    };
    let stays = async {
        loop {
            staying.stay().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = others => {}
        () = stays => {}
    }
    // What the others had is offered to it, and it leaves while it has not polled.
    let gone = std::time::Instant::now();
    while gone.elapsed() < SESSION / 2 {
        staying.stay().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    staying.close().await.unwrap();
}
