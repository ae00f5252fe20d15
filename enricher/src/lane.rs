//! One lane's loop: poll, process, commit, strictly in order for its partitions.

use std::sync::Arc;
use std::time::Instant;

use gosight_eventlog::{Lane, LaneError, LaneOptions, LogError, LogRecord, NewRecord, PollLimit, Polled};
use gosight_lifecycle::Shutdown;

use crate::EnricherParts;
use crate::outputs::{Counts, OutputTopics, outputs_of};
use crate::partitions::{OutOfOrder, Partitions};
use crate::prime::primed_window;

/// A lane at work.
pub(crate) struct LaneTask {
    parts: Arc<EnricherParts>,
    topics: Arc<OutputTopics>,
    lane: Box<dyn Lane>,
    partitions: Partitions,
    limit: PollLimit,
}

/// Why a lane stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaneFailure {
    /// The transaction, or the membership.
    #[error("{0}")]
    Lane(LaneError),
    /// Opening it, or reading the window of a new partition.
    #[error("{0}")]
    Log(LogError),
    /// The order sentinel.
    #[error("{0}")]
    OutOfOrder(#[from] OutOfOrder),
    /// A record of a partition that was never assigned.
    #[error("record {0} came from a partition that this lane was never given")]
    Unassigned(String),
    /// Processing panicked outside of a batch.
    #[error("processing crashed: {0}")]
    Crashed(#[from] tokio::task::JoinError),
}

/// What one round of processing gives.
struct Processed {
    partitions: Partitions,
    outputs: Result<(Vec<NewRecord>, Counts), LaneFailure>,
}

impl LaneTask {
    /// Joins the group as lane `number` of this process.
    pub(crate) async fn open(parts: &Arc<EnricherParts>, number: u32) -> Result<Self, LaneFailure> {
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
        let max_entries = usize::try_from(settings.dedupe.max_entries).unwrap_or(usize::MAX);
        Ok(Self {
            topics: Arc::new(OutputTopics::new(&settings.kafka.topics)),
            partitions: Partitions::new(settings.dedupe.window, max_entries),
            limit: PollLimit {
                max_records: usize::try_from(settings.transaction.max_batches).unwrap_or(usize::MAX),
                max_bytes: usize::try_from(settings.transaction.max_bytes.as_u64()).unwrap_or(usize::MAX),
                max_wait: settings.transaction.max_wait,
            },
            parts: Arc::clone(parts),
            lane,
        })
    }

    /// Works until the shutdown begins, then leaves the group.
    pub(crate) async fn run(mut self, shutdown: &Shutdown) -> Result<(), LaneFailure> {
        while !shutdown.has_begun() {
            let polled = match self.lane.poll(self.limit).await {
                Ok(polled) => polled,
                Err(LaneError::Aborted { reason }) => {
                    self.aborted(&reason);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            self.settle_assignment(&polled).await?;
            if !polled.records.is_empty() {
                self = self.transact(polled.records).await?;
            }
        }
        Ok(self.lane.close().await?)
    }

    async fn settle_assignment(&mut self, polled: &Polled) -> Result<(), LaneFailure> {
        for partition in &polled.revoked {
            tracing::info!(partition, "partition revoked");
            self.partitions.revoke(*partition);
        }
        for assigned in &polled.assigned {
            let started = Instant::now();
            let window = primed_window(&self.parts, *assigned, &self.partitions).await?;
            tracing::info!(
                partition = assigned.partition,
                next_offset = assigned.next_offset,
                window_ids = window.len(),
                primed_in = ?started.elapsed(),
                "partition assigned"
            );
            self.partitions.assign(assigned.partition, assigned.next_offset, window);
        }
        Ok(())
    }

    /// Processes the records and commits what came out of them, or puts everything back.
    async fn transact(mut self, records: Vec<LogRecord>) -> Result<Self, LaneFailure> {
        let started = Instant::now();
        let processed = {
            let (parts, topics, partitions) = (Arc::clone(&self.parts), Arc::clone(&self.topics), self.partitions);
            // Tens of milliseconds of pure computing: not on a thread that serves sockets.
            tokio::task::spawn_blocking(move || process(&parts, &topics, partitions, &records)).await?
        };
        self.partitions = processed.partitions;
        let (outputs, counts) = processed.outputs?;
        match self.lane.commit(outputs).await {
            Ok(()) => {
                let early = self.partitions.keep();
                counts.record();
                metrics::counter!("enricher_transactions_total", "outcome" => "committed").increment(1);
                metrics::counter!("enricher_dedupe_early_evictions_total").increment(early);
                metrics::histogram!("enricher_transaction_seconds").record(started.elapsed());
                let (_, ids) = self.partitions.totals();
                metrics::gauge!("enricher_dedupe_ids").set(ids as f64);
            }
            Err(LaneError::Aborted { reason }) => self.aborted(&reason),
            Err(error) => return Err(error.into()),
        }
        Ok(self)
    }

    /// The log stands at the committed positions again, and so must we.
    fn aborted(&mut self, reason: &str) {
        tracing::warn!(reason, "transaction aborted; its batches are taken again");
        metrics::counter!("enricher_transactions_total", "outcome" => "aborted").increment(1);
        self.partitions.discard();
    }
}

fn process(
    parts: &EnricherParts,
    topics: &OutputTopics,
    mut partitions: Partitions,
    records: &[LogRecord],
) -> Processed {
    let mut outputs = Vec::new();
    let mut counts = Counts::default();
    let mut result = Ok(());
    for record in records {
        result = match partitions.advance(record) {
            Ok(Some(partition)) => {
                let window = &mut partition.window;
                outputs_of(record, &parts.assets, window, topics, &mut outputs, &mut counts);
                Ok(())
            }
            Ok(None) => Err(LaneFailure::Unassigned(record.position.to_string())),
            Err(error) => Err(error.into()),
        };
        if result.is_err() {
            metrics::counter!("enricher_order_violations_total").increment(1);
            break;
        }
    }
    Processed {
        partitions,
        outputs: result.map(|()| (outputs, counts)),
    }
}
