//! `gosight tail`: records of a topic as they come.

mod arguments;
mod body;
pub(crate) mod filter;
pub(crate) mod pace;
pub(crate) mod render;

use std::io::{self, Write};
use std::time::{Duration, Instant};

use gosight_config::kafka::TopicNames;
use gosight_eventlog::{EventLog, LogError, LogRecord, Reader};

use crate::failure::Failure;
use crate::output;
use crate::ranges::{self, Bound};
use crate::{connection, pretty_json};

use self::filter::Filter;

pub(crate) use self::arguments::{TailArguments, TopicChoice};

/// Records that one read brings at the most: bounds what a slow terminal makes us hold.
const CHUNK: usize = 1_000;
/// How long one read waits for the first record.
const WAIT: Duration = Duration::from_millis(500);
/// How often it is looked whether the reader keeps up.
const LOOK: Duration = Duration::from_secs(2);

impl From<filter::NoSuchField> for Failure {
    fn from(error: filter::NoSuchField) -> Self {
        Self::usage(error.to_string())
    }
}

/// `gosight tail`
pub(crate) async fn run(arguments: TailArguments) -> Result<(), Failure> {
    let from = Bound::parse_or(arguments.from.as_deref(), Bound::End, jiff::Timestamp::now())?;
    let filter = Filter::new(&arguments)?;
    let opened = connection::open_existing(&arguments.log, "gosight-tail").await?;
    let topic = topic_name(arguments.topic, &opened.topics);
    let mut tail = Tail::open(&*opened.log, topic, &from).await?;

    // One for all reads: a Ctrl-C while records are shown counts too.
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let mut records = tokio::select! {
            records = tail.next() => records?,
            _ = &mut stop => return Ok(()),
        };
        records.retain(|record| filter.lets_through(record, arguments.topic));
        // Partitions come one after the other; people read by time. The sort is stable, so a partition keeps its order.
        records.sort_by_key(|record| record.timestamp_ms);
        records.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= records.len() as u64;
        output::written(show(&records, &arguments))?;
    }
    Ok(())
}

/// A reader that says what it leaves out.
struct Tail<'a> {
    log: &'a dyn EventLog,
    topic: &'a str,
    reader: Box<dyn Reader>,
    /// Whether everything that stood there has been shown: from then on being behind is no wish.
    is_live: bool,
    looked: Instant,
}

impl<'a> Tail<'a> {
    async fn open(log: &'a dyn EventLog, topic: &'a str, from: &Bound) -> Result<Self, Failure> {
        let spans = ranges::spans(log, topic, from, &Bound::End).await?;
        let starts: Vec<(i32, i64)> = spans.iter().map(|span| (span.partition, span.from)).collect();
        Ok(Self {
            log,
            topic,
            reader: log.reader(topic, &starts).await?,
            is_live: spans.iter().all(ranges::Span::is_empty),
            looked: Instant::now(),
        })
    }

    async fn next(&mut self) -> Result<Vec<LogRecord>, Failure> {
        if self.looked.elapsed() >= LOOK {
            self.keep_up().await?;
        }
        match self.reader.next(CHUNK, WAIT).await {
            Ok(records) => {
                self.is_live |= records.is_empty();
                Ok(records)
            }
            Err(error @ LogError::Failed { .. }) => self.pass_deleted(error).await,
            Err(error) => Err(error.into()),
        }
    }

    async fn keep_up(&mut self) -> Result<(), Failure> {
        self.looked = Instant::now();
        let (positions, bounds) = (self.reader.positions(), self.log.bounds(self.topic).await?);
        let behind = pace::behind(&positions, &bounds);
        self.is_live |= behind == 0;
        if self.is_live && behind > pace::FAR_BEHIND {
            let skip = pace::to_end(&positions, &bounds);
            self.go_on(&skip, "they come faster than they are shown; a filter shows less")
                .await?;
        }
        Ok(())
    }

    /// Goes on after what retention has deleted under the reader; any other failure is one.
    async fn pass_deleted(&mut self, error: LogError) -> Result<Vec<LogRecord>, Failure> {
        let bounds = self.log.bounds(self.topic).await?;
        match pace::past_deleted(&self.reader.positions(), &bounds) {
            Some(skip) => self.go_on(&skip, "their retention ended before they were read").await?,
            None => return Err(error.into()),
        }
        Ok(Vec::new())
    }

    async fn go_on(&mut self, skip: &pace::Skip, why: &str) -> Result<(), Failure> {
        self.reader = self.log.reader(self.topic, &skip.starts).await?;
        output::note(&format!("── skipped {} records: {why}", skip.records));
        Ok(())
    }
}

fn show(records: &[LogRecord], arguments: &TailArguments) -> io::Result<()> {
    let colours = pretty_json::Colours::of_stdout();
    let mut output = io::stdout().lock();
    for record in records {
        render::record(&mut output, record, arguments.topic, arguments.format, colours)?;
    }
    output.flush()
}

fn topic_name(choice: TopicChoice, names: &TopicNames) -> &str {
    match choice {
        TopicChoice::Raw => &names.events,
        TopicChoice::Errors => &names.errors,
        TopicChoice::Staging => &names.staging,
        TopicChoice::Replay => &names.replay,
    }
}
