//! `gosight topics`: the contract's topics.

mod arguments;
mod check;
mod create;
mod differences;

use gosight_config::{EdgeSettings, EnricherSettings};
use gosight_eventlog::{TimestampSource, TopicSpec};
use gosight_schemas::topics::{ERRORS_SHAPE, RAW_SHAPE, REPLAY_SHAPE, STAGING_SHAPE, Shape};

use crate::failure::Failure;

pub(crate) use self::arguments::TopicsCommand;

/// `gosight topics`
pub(crate) async fn run(command: TopicsCommand) -> Result<(), Failure> {
    match command {
        TopicsCommand::Check(arguments) => check::run(arguments).await,
        TopicsCommand::Create(arguments) => create::run(arguments).await,
    }
}

/// The four topics as the two services need them.
pub(crate) fn contract(edge: &EdgeSettings, enricher: &EnricherSettings) -> Vec<TopicSpec> {
    let names = &edge.kafka.topics;
    let spec = |name: &str, shape: Shape, max_record: bytesize::ByteSize, timestamps| TopicSpec {
        name: name.to_owned(),
        partitions: shape.partitions,
        retention: shape.retention,
        max_message_bytes: u32::try_from(max_record.as_u64()).unwrap_or(u32::MAX),
        timestamps,
    };
    let (by_log, by_producer) = (TimestampSource::LogAppendTime, TimestampSource::CreateTime);
    let (limits, validation) = (&edge.limits, &enricher.validation);
    vec![
        spec(&names.staging, STAGING_SHAPE, limits.staging_record, by_log),
        spec(&names.events, RAW_SHAPE, validation.raw_record, by_producer),
        spec(&names.errors, ERRORS_SHAPE, validation.errors_record, by_producer),
        spec(&names.replay, REPLAY_SHAPE, limits.replay_record, by_producer),
    ]
}

/// A topic's clock, as Kafka writes it.
fn clock(source: TimestampSource) -> &'static str {
    match source {
        TimestampSource::LogAppendTime => "LogAppendTime",
        TimestampSource::CreateTime => "CreateTime",
    }
}

/// How long records stay, for a person.
fn age(retention: std::time::Duration) -> String {
    humantime::format_duration(retention).to_string()
}
