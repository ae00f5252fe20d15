//! Jobs: outputs, all or nothing, and one holder at a time.

use std::sync::Arc;

use gosight_eventlog::{Cleanup, EventLog, JobError, TopicSpec};
use tokio::time::Instant;

use crate::bench::{
    Bench, PATIENCE, append_all, assert_each_once, assert_order_per_key, create, noise, numbered, read_all, read_count,
    record, text, texts,
};
use crate::child::{Process, tell, told};

pub(crate) async fn a_jobs_outputs_come_together_and_in_order(bench: Bench) {
    let log = bench.open().await;
    let first = bench.topic(&log, "first", 3).await;
    let second = bench.topic(&log, "second", 1).await;
    let mut job = log.job(&bench.name("job")).await.unwrap();
    job.commit(Vec::new()).await.unwrap();
    for round in 0..5 {
        let mut outputs = numbered(&first, 7, round * 100..(round + 1) * 100);
        outputs.push(record(&second, "progress", round.to_string()));
        job.commit(outputs).await.unwrap();
    }
    let records = read_count(&log, &first, 500).await;
    assert_each_once(&records, 0..500);
    assert_order_per_key(&records);
    assert_eq!(texts(&read_count(&log, &second, 5).await), ["0", "1", "2", "3", "4"]);
}

pub(crate) async fn a_jobs_failed_commit_leaves_nothing(bench: Bench) {
    let log = bench.open().await;
    let output = bench.topic(&log, "out", 2).await;
    let small = bench.small_topic(&log).await;
    let missing = bench.name("missing").into();
    // The second handle has not heard of the limit, so there the transaction is under way when the brokers refuse.
    let another = bench.another_handle(&log).await;
    for (handle, name) in [(&log, "job"), (&another, "job-of-another-handle")] {
        let mut job = handle.job(&bench.name(name)).await.unwrap();
        let mut outputs = numbered(&output, 5, 0..10);
        outputs.push(record(&small, "key", noise(1_200_000)));
        match job.commit(outputs).await {
            Err(JobError::OutputTooLarge { topic, size, limit }) => {
                assert_eq!((topic.as_str(), size, limit), (&*small, 1_200_003, 1 << 20));
            }
            other => panic!("it was not refused as too large: {other:?}"),
        }
        let mut outputs = numbered(&output, 5, 0..10);
        outputs.push(record(&missing, "key", "value"));
        match job.commit(outputs).await {
            Err(JobError::Aborted { reason }) => assert!(reason.contains("does not exist"), "{reason}"),
            other => panic!("it was not aborted: {other:?}"),
        }
        assert!(read_all(&log, &output).await.is_empty(), "an aborted output was read");
        assert!(read_all(&log, &small).await.is_empty(), "an aborted output was read");
    }
    // It can go on.
    let mut job = log.job(&bench.name("job")).await.unwrap();
    job.commit(vec![record(&missing, "key", "value")]).await.unwrap_err();
    job.commit(numbered(&output, 5, 0..10)).await.unwrap();
    assert_each_once(&read_count(&log, &output, 10).await, 0..10);
}

pub(crate) async fn a_fenced_job_commits_nothing(bench: Bench) {
    let log = bench.open().await;
    let output = bench.topic(&log, "out", 2).await;
    let id = bench.name("job");
    let mut older = log.job(&id).await.unwrap();
    older.commit(numbered(&output, 5, 0..10)).await.unwrap();
    let mut another = log.job(&bench.name("another-job")).await.unwrap();
    let mut newer = log.job(&id).await.unwrap();
    // What the older one has committed can be read by whoever has opened the newer one.
    assert_each_once(&read_all(&log, &output).await, 0..10);
    for _ in 0..2 {
        match older.commit(numbered(&output, 5, 10..20)).await {
            Err(JobError::Fenced { transactional_id }) => assert_eq!(transactional_id, id),
            other => panic!("the older holder was not fenced: {other:?}"),
        }
    }
    newer.commit(numbered(&output, 5, 20..30)).await.unwrap();
    another.commit(numbered(&output, 5, 10..20)).await.unwrap();
    assert_each_once(&read_count(&log, &output, 30).await, 0..30);
}

/// How many outputs one commit of the killed job has, beside its progress.
const TOGETHER: usize = 50;

pub(crate) async fn a_killed_job_leaves_whole_commits_and_its_progress(bench: Bench) {
    if let Some(told) = told() {
        commit_until_killed(
            &bench,
            &told["id"],
            told["output"].as_str().into(),
            told["progress"].as_str().into(),
        )
        .await;
    }
    let log = bench.open().await;
    let output = bench.topic(&log, "out", 3).await;
    let progress = bench.topic(&log, "progress", 1).await;
    let id = bench.name("job");
    for delay in [1, 5, 12] {
        let child = Process::start(&bench, &[("id", &id), ("output", &output), ("progress", &progress)]);
        for _ in 0..3 {
            child.line().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(delay)).await;
        child.kill_9();
    }
    // Whoever opens the job next sees how far it has come for good, at once.
    let mut job = log.job(&id).await.unwrap();
    let done = commits_done(&log, &progress).await;
    assert!(done >= 9, "{done} commits of three children");
    assert_each_once(&read_all(&log, &output).await, 0..done * TOGETHER);
    commit_next(&mut job, done, &output, &progress).await.unwrap();
    let records = read_count(&log, &output, (done + 1) * TOGETHER).await;
    assert_each_once(&records, 0..(done + 1) * TOGETHER);
    assert_order_per_key(&records);
}

async fn commits_done(log: &Arc<dyn EventLog>, progress: &str) -> usize {
    let last = read_all(log, progress).await.last().map(text);
    last.map_or(0, |last| last.parse().unwrap())
}

async fn commit_next(
    job: &mut Box<dyn gosight_eventlog::Job>,
    done: usize,
    output: &Arc<str>,
    progress: &Arc<str>,
) -> Result<(), JobError> {
    let mut outputs = numbered(output, 7, done * TOGETHER..(done + 1) * TOGETHER);
    outputs.push(record(progress, "progress", (done + 1).to_string()));
    job.commit(outputs).await
}

/// The child: goes on where the job stands, and tells its parent after each commit.
async fn commit_until_killed(bench: &Bench, id: &str, output: Arc<str>, progress: Arc<str>) {
    let log = bench.open().await;
    let mut job = log.job(id).await.unwrap();
    let mut done = commits_done(&log, &progress).await;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        commit_next(&mut job, done, &output, &progress).await.unwrap();
        done += 1;
        tell(&done.to_string());
    }
    panic!("the parent did not kill its child");
}

pub(crate) async fn a_compacted_topic_keeps_the_last_of_each_key(bench: Bench) {
    let log = bench.open().await;
    let spec = TopicSpec {
        cleanup: Cleanup::Compact,
        retention: std::time::Duration::from_millis(1),
        ..bench.spec("ledger", 1)
    };
    let topic = create(&log, spec).await;
    let info = log.describe(&topic).await.unwrap().unwrap();
    assert_eq!((info.cleanup, info.retention), (Cleanup::Compact, None));
    append_all(&log, numbered(&topic, 3, 0..30)).await;
    let mut last: Vec<_> = read_all(&log, &topic).await.iter().map(text).collect();
    let last = last.split_off(last.len() - 3);
    assert_eq!(last, ["27", "28", "29"], "whatever went, these stay");
}
