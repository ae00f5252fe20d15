//! Runs a replay to its end, or until it is stopped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gosight_eventlog::{EventLog, Header, NewRecord};
use gosight_schemas::headers;
use gosight_schemas::ledger::JobState;
use indicatif::ProgressBar;

use super::job::{Counts, Replay};
use super::source::{Enricher, Made, Source};
use super::writer::ReplayWriter;
use crate::failure::Failure;
use crate::ranges::Bound;

/// Records and bytes that one transaction takes at the most, but one staged batch.
const MOST_RECORDS: usize = 10_000;
const MOST_BYTES: usize = 8 << 20;
/// Progress is noted after so many staged batches, also where filters leave everything out.
const MOST_BATCHES: u64 = 20_000;
/// With a rate, a transaction takes what may be written in so long.
const PACE: Duration = Duration::from_millis(200);

/// Where the records of a replay go.
pub(crate) enum Sink {
    /// Nowhere.
    DryRun,
    /// To their topics, with the progress.
    Write(ReplayWriter),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Everything is replayed.
    Done,
    /// It was asked to stop.
    Stopped,
}

/// One run of a replay.
pub(crate) struct Run<'a> {
    pub(crate) log: &'a dyn EventLog,
    /// The ledger's name.
    pub(crate) ledger: Arc<str>,
    pub(crate) enricher: Arc<Enricher>,
    pub(crate) sink: Sink,
    /// Records a second.
    pub(crate) rate: Option<u32>,
    pub(crate) progress: &'a ProgressBar,
    pub(crate) stop: &'a tokio::sync::Notify,
}

/// What waits for the next transaction.
#[derive(Default)]
struct Pending {
    records: Vec<NewRecord>,
    bytes: usize,
    counts: Counts,
    /// The next offset of the partition.
    next: i64,
}

impl Run<'_> {
    /// Works through what is left of the replay. `from` is the bound that it begins at.
    pub(crate) async fn run(&mut self, replay: &mut Replay, from: &Bound) -> Result<Ended, Failure> {
        let mut pace = Pace::new(self.rate);
        let ended = self.work(replay, from, &mut pace).await?;
        replay.state = match ended {
            Ended::Done => JobState::Done,
            Ended::Stopped => JobState::Cancelled,
        };
        self.write(replay, Vec::new()).await?;
        Ok(ended)
    }

    async fn work(&mut self, replay: &mut Replay, from: &Bound, pace: &mut Pace) -> Result<Ended, Failure> {
        for span in replay.left.clone().into_iter().filter(|span| !span.is_empty()) {
            let mut source = Source::open(self.log, &replay.topic, &self.enricher, span, from).await?;
            let mut pending = Pending {
                next: span.from,
                ..Pending::default()
            };
            loop {
                let made = tokio::select! {
                    biased;
                    () = self.stop.notified() => {
                        self.commit(replay, span.partition, pending).await?;
                        return Ok(Ended::Stopped);
                    }
                    made = source.next() => made?,
                };
                let Some(made) = made else { break };
                for one in made {
                    pending.add(one, &replay.id);
                    if pending.is_full(pace.most_records()) {
                        let count = pending.records.len();
                        self.commit(replay, span.partition, pending.take()).await?;
                        pace.wait(count).await;
                    }
                }
            }
            pending.next = span.to;
            let count = pending.records.len();
            self.commit(replay, span.partition, pending).await?;
            pace.wait(count).await;
        }
        Ok(Ended::Done)
    }

    async fn commit(&mut self, replay: &mut Replay, partition: i32, pending: Pending) -> Result<(), Failure> {
        replay.advance(partition, pending.next, pending.counts);
        self.write(replay, pending.records).await?;
        self.progress.inc(pending.counts.batches);
        Ok(())
    }

    /// Commits records with the replay's state.
    async fn write(&mut self, replay: &Replay, mut records: Vec<NewRecord>) -> Result<(), Failure> {
        let Sink::Write(writer) = &mut self.sink else {
            return Ok(());
        };
        records.push(replay.record(&self.ledger)?);
        writer.commit(records).await
    }
}

impl Pending {
    /// Everything; what comes next begins after it.
    fn take(&mut self) -> Self {
        let empty = Self {
            next: self.next,
            ..Self::default()
        };
        std::mem::replace(self, empty)
    }

    fn is_full(&self, most_records: usize) -> bool {
        self.records.len() >= most_records || self.bytes >= MOST_BYTES || self.counts.batches >= MOST_BATCHES
    }

    fn add(&mut self, made: Made, id: &str) {
        self.next = made.offset + 1;
        self.counts += made.counts;
        for mut output in made.outputs {
            output.headers.push(Header::new(headers::REPLAY_ID, id.to_owned()));
            self.bytes += output.size();
            self.records.push(output);
        }
    }
}

/// Keeps a rate by pauses between transactions.
struct Pace {
    rate: Option<u32>,
    next: Instant,
}

impl Pace {
    fn new(rate: Option<u32>) -> Self {
        Self {
            rate,
            next: Instant::now(),
        }
    }

    fn most_records(&self) -> usize {
        let Some(rate) = self.rate else { return MOST_RECORDS };
        let a_pace = f64::from(rate) * PACE.as_secs_f64();
        // At least one.
        (a_pace as usize).clamp(1, MOST_RECORDS)
    }

    async fn wait(&mut self, records: usize) {
        let Some(rate) = self.rate else { return };
        let takes = Duration::from_secs_f64(records as f64 / f64::from(rate));
        self.next = self.next.max(Instant::now()) + takes;
        tokio::time::sleep_until(self.next.into()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_RECORDS, Pace};

    #[test]
    fn a_rate_makes_small_transactions() {
        assert_eq!(Pace::new(None).most_records(), MOST_RECORDS);
        assert_eq!(Pace::new(Some(1_000)).most_records(), 200);
        assert_eq!(Pace::new(Some(1)).most_records(), 1);
        assert_eq!(Pace::new(Some(u32::MAX)).most_records(), MOST_RECORDS);
    }
}
