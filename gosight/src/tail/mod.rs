//! `gosight tail`: records of a topic as they come.

mod arguments;
mod body;
mod render;
mod start;

use std::io::{self, Write};
use std::time::Duration;

use gosight_config::kafka::TopicNames;
use gosight_eventlog::LogRecord;

use crate::connection;
use crate::failure::Failure;
use crate::output;

use self::arguments::TopicChoice;

pub(crate) use self::arguments::TailArguments;

/// Records that one read brings at the most: bounds what a slow terminal makes us hold.
const CHUNK: usize = 1_000;
/// How long one read waits for the first record.
const WAIT: Duration = Duration::from_millis(500);

/// `gosight tail`
pub(crate) async fn run(arguments: TailArguments) -> Result<(), Failure> {
    let start = start::parse(arguments.from.as_deref(), jiff::Timestamp::now())?;
    let opened = connection::open_existing(&arguments.log, "gosight-tail").await?;
    let topic = topic_name(arguments.topic, &opened.topics).to_owned();
    let starts = start::positions(&*opened.log, &topic, start).await?;
    let mut reader = opened.log.reader(&topic, &starts).await?;

    let mut left = arguments.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let mut records = tokio::select! {
            records = reader.next(most, WAIT) => records?,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        // Partitions come one after the other; people read by time. The sort is stable, so a partition keeps its order.
        records.sort_by_key(|record| record.timestamp_ms);
        left -= records.len() as u64;
        output::written(show(&records, &arguments))?;
    }
    Ok(())
}

fn show(records: &[LogRecord], arguments: &TailArguments) -> io::Result<()> {
    let mut output = io::stdout().lock();
    for record in records {
        render::record(&mut output, record, arguments.topic, arguments.format)?;
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

impl From<start::NotAStart> for Failure {
    fn from(error: start::NotAStart) -> Self {
        Self::usage(error.to_string())
    }
}
