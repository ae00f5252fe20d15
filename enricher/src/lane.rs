//! One lane's loop: poll, process, publish and commit, strictly in order for its partitions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use gosight_eventlog::{
    Assigned, Ended, Lane, LaneError, LaneOptions, LogError, LogRecord, Outputs, PollLimit, Polled, Verdict,
};
use gosight_lifecycle::{Latch, Shutdown};
use gosight_schemas::event_count;
use tokio::sync::oneshot;

use crate::EnricherParts;
use crate::breaker::Breaker;
use crate::core::Assets;
use crate::geo_files::LiveGeo;
use crate::outputs::{Counts, OutputTopics, outputs_of};
use crate::partitions::{OutOfOrder, Partitions, WindowLimits};
use crate::prime::primed_window;
use crate::progress::LanePositions;
use crate::topic_limits::{NoSmaller, tightened};

/// Windows that are read at the same time when several partitions come at once.
const PRIMED_AT_ONCE: usize = 4;
/// So many transactions that were aborted one after the other are no coincidence: the lane does not work.
const ABORTS_IN_A_ROW: u32 = 3;
/// Before a transaction is tried again, so that a lasting cause does not keep the brokers and the log lines busy: after the first
/// abort, and twice as long after each further one, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// A lane that has been given no partition for so long is ready all the same: there are more lanes than partitions.
const READY_WITHOUT_PARTITIONS: Duration = Duration::from_secs(5);

/// A lane that reads windows gives a sign of life after each such time: often enough for any session timeout.
const STAY_EVERY: Duration = Duration::from_millis(300);

/// A lane at work.
pub(crate) struct LaneTask {
    parts: Arc<EnricherParts>,
    /// The process's assets, with tighter limits where a topic turned out to have them.
    assets: Arc<Assets>,
    /// The city files that count now.
    live_geo: Arc<LiveGeo>,
    topics: Arc<OutputTopics>,
    lane: Box<dyn Lane>,
    /// Locked by the work of a transaction, else by us.
    partitions: Arc<Mutex<Partitions>>,
    /// Where they stand, for the others of this process to see.
    positions: LanePositions,
    limit: PollLimit,
    breaker: Breaker,
    /// Transactions that were aborted since the last one that was committed.
    aborts: u32,
    latch: Latch,
}

/// Why a lane stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaneFailure {
    /// The transaction, or the membership.
    #[error("{0}")]
    Lane(#[from] LaneError),
    /// Opening it, or reading the window of a new partition.
    #[error("{0}")]
    Log(#[from] LogError),
    /// The order sentinel.
    #[error("{0}")]
    OutOfOrder(#[from] OutOfOrder),
    /// A record of a partition that was never assigned.
    #[error("record {0} came from a partition that this lane was never given")]
    Unassigned(String),
    /// An output that can't be made small enough.
    #[error("{0}")]
    NoSmaller(#[from] NoSmaller),
}

/// What was done with the records of one transaction.
#[derive(Default)]
struct Done {
    counts: Counts,
    /// Why the lane can't go on, whatever became of the transaction.
    failure: Option<LaneFailure>,
}

impl LaneTask {
    /// Joins the group as lane `number` of this process.
    pub(crate) async fn open(
        parts: &Arc<EnricherParts>,
        live_geo: &Arc<LiveGeo>,
        number: u32,
        latch: Latch,
        positions: LanePositions,
    ) -> Result<Self, LaneFailure> {
        let settings = &parts.settings;
        let consumer = &settings.consumer;
        let options = LaneOptions {
            group: consumer.group.clone(),
            topic: settings.kafka.topics.staging.clone(),
            transactional_id: format!("{}-{}-{number}", consumer.group, consumer.instance_id),
            session_timeout: consumer.session_timeout,
            transaction_timeout: settings.transaction.timeout,
        };
        let lane = parts.log.lane(options).await?;
        let windows = WindowLimits {
            length: settings.dedupe.window,
            max_entries: usize::try_from(settings.dedupe.max_entries).unwrap_or(usize::MAX),
        };
        let events = usize::try_from(settings.transaction.max_events).unwrap_or(usize::MAX);
        Ok(Self {
            assets: Arc::clone(&parts.assets),
            live_geo: Arc::clone(live_geo),
            topics: Arc::new(OutputTopics::new(&settings.kafka.topics)),
            partitions: Arc::new(Mutex::new(Partitions::new(windows))),
            positions,
            limit: PollLimit {
                max_records: events,
                max_bytes: usize::try_from(settings.transaction.max_bytes.as_u64()).unwrap_or(usize::MAX),
                max_weight: events,
                weight: events_of,
                max_wait: settings.transaction.max_wait,
            },
            breaker: Breaker::new(Instant::now()),
            aborts: 0,
            parts: Arc::clone(parts),
            lane,
            latch,
        })
    }

    /// Works until the shutdown begins, then leaves the group, as it does after a failure.
    pub(crate) async fn run(mut self, shutdown: &Shutdown) -> Result<(), LaneFailure> {
        let worked = self.work(shutdown).await;
        let closed = self.lane.close().await;
        worked?;
        Ok(closed?)
    }

    async fn work(&mut self, shutdown: &Shutdown) -> Result<(), LaneFailure> {
        let opened = Instant::now();
        let mut is_ready = false;
        while !shutdown.has_begun() {
            let limit = PollLimit {
                max_records: self.breaker.max_batches(self.limit.max_records),
                ..self.limit
            };
            let polled = match self.lane.poll(limit).await {
                Ok(polled) => polled,
                Err(LaneError::Aborted { reason }) => {
                    self.aborted(&reason, shutdown).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            tokio::select! {
                settled = self.settle_assignment(&polled) => settled?,
                () = shutdown.begun() => return Ok(()),
            }
            if !is_ready && (!polled.assigned.is_empty() || opened.elapsed() >= READY_WITHOUT_PARTITIONS) {
                self.latch.ready();
                is_ready = true;
            }
            if !polled.records.is_empty() {
                self.transact(polled.records, shutdown).await?;
            }
        }
        Ok(())
    }

    /// Forgets what left and reads the windows of what came, before the first record of it.
    async fn settle_assignment(&mut self, polled: &Polled) -> Result<(), LaneFailure> {
        if !polled.revoked.is_empty() || !polled.assigned.is_empty() {
            metrics::counter!("enricher_rebalances_total").increment(1);
        }
        for partition in &polled.revoked {
            tracing::info!(partition, "partition revoked");
            self.partitions().revoke(*partition);
        }
        if !polled.revoked.is_empty() {
            self.show_positions();
        }
        let started = Instant::now();
        // A long window takes minutes to read, and a member that does not poll for so long loses what it was given.
        let primed = {
            let (parts, windows) = (&self.parts, self.partitions().windows());
            let priming = stream::iter(polled.assigned.iter().copied())
                .map(|assigned| async move {
                    let window = primed_window(parts, assigned, windows).await?;
                    Ok::<_, LaneFailure>((assigned, window))
                })
                .buffer_unordered(PRIMED_AT_ONCE)
                .try_collect::<Vec<_>>();
            let mut priming = std::pin::pin!(priming);
            loop {
                tokio::select! {
                    primed = &mut priming => break primed?,
                    () = tokio::time::sleep(STAY_EVERY) => self.lane.stay().await?,
                }
            }
        };
        for (Assigned { partition, next_offset }, window) in primed {
            let (ids, primed_in) = (window.len(), started.elapsed());
            tracing::info!(partition, next_offset, ids, ?primed_in, "partition assigned");
            self.partitions().assign(partition, next_offset, window);
        }
        if !polled.assigned.is_empty() {
            self.show_positions();
        }
        Ok(())
    }

    /// Processes the records and commits what comes out of them, or puts everything back.
    async fn transact(&mut self, records: Vec<LogRecord>, shutdown: &Shutdown) -> Result<(), LaneFailure> {
        let started = Instant::now();
        let (done, ended) = self.attempt(records).await;
        let Done { counts, failure } = done.unwrap_or_default();
        if let Some(failure) = failure {
            metrics::counter!("enricher_order_violations_total").increment(1);
            return Err(failure);
        }
        match ended {
            Ok(Ended::Committed) => self.committed(counts, started),
            Ok(Ended::GivenBack) => self.pause(&counts, shutdown).await,
            Err(LaneError::OutputTooLarge { topic, size, limit }) => {
                self.lane.rewind().await?;
                self.partitions().discard();
                self.tighten(&topic, size, limit)?;
            }
            Err(LaneError::Aborted { reason }) => self.aborted(&reason, shutdown).await,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// One transaction. What was done is absent where the lane did not run the work.
    async fn attempt(&mut self, records: Vec<LogRecord>) -> (Option<Done>, Result<Ended, LaneError>) {
        self.take_over_geo();
        let (assets, topics) = (Arc::clone(&self.assets), Arc::clone(&self.topics));
        let partitions = Arc::clone(&self.partitions);
        let faults_allowed = self.breaker.allowed(Instant::now());
        let (report, mut reported) = oneshot::channel();
        let ended = self.lane.transact(Box::new(move |outputs| {
            let mut partitions = partitions.lock().unwrap_or_else(PoisonError::into_inner);
            let done = process(&assets, &topics, &mut partitions, &records, outputs);
            let is_good = done.failure.is_none() && done.counts.faults() <= faults_allowed;
            // The one who waits for it is below.
            let _ = report.send(done);
            if is_good { Verdict::Commit } else { Verdict::GiveBack }
        }));
        let ended = ended.await;
        (reported.try_recv().ok(), ended)
    }

    fn show_positions(&mut self) {
        let partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        self.positions.set(partitions.committed());
    }

    fn partitions(&self) -> MutexGuard<'_, Partitions> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changed city files count from the next transaction on, so that every batch sees one snapshot.
    fn take_over_geo(&mut self) {
        let live = self.live_geo.load();
        let is_same = match (live.as_deref(), &self.assets.geo) {
            (Some(live), Some(ours)) => live.is(ours),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !is_same {
            self.assets = Arc::new(Assets {
                geo: live.as_deref().cloned(),
                ..Assets::clone(&self.assets)
            });
        }
    }

    fn committed(&mut self, mut counts: Counts, started: Instant) {
        let early = self.partitions().keep();
        self.show_positions();
        counts.record();
        metrics::counter!("enricher_transactions_total", "outcome" => "committed").increment(1);
        metrics::counter!("enricher_dedupe_early_evictions_total").increment(early);
        metrics::histogram!("enricher_transaction_seconds").record(started.elapsed());
        if counts.faults() > 0 {
            tracing::error!(faults = counts.faults_in_words(), "they stand on the errors topic");
        }
        if self.breaker.committed(counts.faults(), self.limit.max_records) {
            tracing::info!("staged batches can be processed again");
            self.latch.ready();
        }
        if std::mem::take(&mut self.aborts) >= ABORTS_IN_A_ROW {
            tracing::info!("transactions are committed again");
            self.latch.ready();
        }
    }

    /// The log stands at the committed positions again, and so must we.
    async fn aborted(&mut self, reason: &str, shutdown: &Shutdown) {
        tracing::warn!(reason, "transaction aborted; its batches are taken again");
        metrics::counter!("enricher_transactions_total", "outcome" => "aborted").increment(1);
        self.partitions().discard();
        self.aborts = self.aborts.saturating_add(1);
        if self.aborts >= ABORTS_IN_A_ROW {
            let aborts = self.aborts;
            self.latch
                .unready(format!("{aborts} transactions in a row were aborted: {reason}"));
        }
        let doublings = (self.aborts - 1).min(16);
        let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LAST_PAUSE);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.begun() => {}
        }
    }

    /// Too many faults of ours: everything was put back; waits.
    async fn pause(&mut self, counts: &Counts, shutdown: &Shutdown) {
        self.partitions().discard();
        let pause = self.breaker.refused(counts.batches(), Instant::now());
        let faults = counts.faults_in_words();
        tracing::error!(
            faults,
            ?pause,
            "the lane goes slowly: is the enricher older than the edges?"
        );
        metrics::counter!("enricher_breaker_pauses_total").increment(1);
        self.latch.unready(format!(
            "{faults}; they are let through a few a minute: upgrade the enricher, or see the errors topic"
        ));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.begun() => {}
        }
    }

    /// A topic takes less than the settings say: what is larger becomes a reject, or a shorter reject, from now on.
    fn tighten(&mut self, topic: &str, size: usize, limit: usize) -> Result<(), LaneFailure> {
        let output = self.topics.output(topic);
        self.assets = Arc::new(tightened(&self.assets, output, limit)?);
        let setting = output.setting();
        tracing::error!(
            topic,
            size,
            limit,
            setting,
            "an output does not fit its topic, whose limit is below the setting"
        );
        self.latch.degraded(format!(
            "topic {topic} takes {limit} bytes a record, less than {setting}; larger outputs become rejects"
        ));
        Ok(())
    }
}

/// How many events a staged record holds; a record that can't be read becomes one reject.
fn events_of(record: &LogRecord) -> usize {
    event_count(&record.value).map_or(1, |events| events.max(1) as usize)
}

fn process(
    assets: &Assets,
    topics: &OutputTopics,
    partitions: &mut Partitions,
    records: &[LogRecord],
    outputs: &mut dyn Outputs,
) -> Done {
    let mut done = Done::default();
    for record in records {
        let partition = match partitions.advance(record) {
            Ok(Some(partition)) => partition,
            Ok(None) => {
                done.failure = Some(LaneFailure::Unassigned(record.position.to_string()));
                break;
            }
            Err(error) => {
                done.failure = Some(error.into());
                break;
            }
        };
        if outputs_of(record, assets, &mut partition.window, topics, outputs, &mut done.counts).is_err() {
            // The lane tells why.
            break;
        }
    }
    done
}
