//! `gosight topics`: the contract's topics.

use gosight_config::{EdgeSettings, EnricherSettings};
use gosight_eventlog::kafka::KafkaLog;
use gosight_eventlog::{EventLog, TimestampSource, TopicCreation, TopicInfo, TopicSpec};
use gosight_schemas::topics::{ERRORS_SHAPE, RAW_SHAPE, REPLAY_SHAPE, STAGING_SHAPE, Shape};

use crate::command_line::TopicsArguments;
use crate::connection;
use crate::failure::Failure;

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

/// `gosight topics create`
pub(crate) async fn create(arguments: TopicsArguments) -> Result<(), Failure> {
    let edge = connection::edge_settings(arguments.config.as_deref(), arguments.brokers.as_deref())?;
    let enricher = connection::enricher_settings(arguments.enricher_config.as_deref())?;
    let log = KafkaLog::connect(&edge.kafka, "gosight-topics")?;
    let topics = contract(&edge, &enricher);
    for outcome in log.create_topics(&topics).await? {
        let (name, verb) = match outcome {
            TopicCreation::Created(name) => (name, "created"),
            TopicCreation::Existed(name) => (name, "exists "),
        };
        match log.describe(&name).await? {
            Some(info) => say(&format!("{verb}  {}", describe(&info))),
            None => say(&format!("{verb}  {name}")),
        }
    }
    let (raw, errors) = (&edge.kafka.topics.events, &edge.kafka.topics.errors);
    say(&format!(
        "Readers of {raw} and {errors} must set isolation.level=read_committed: they are written in transactions."
    ));
    Ok(())
}

fn describe(info: &TopicInfo) -> String {
    let retention = info.retention.map_or_else(
        || "for ever".to_owned(),
        |retention| humantime::format_duration(retention).to_string(),
    );
    let clock = match info.timestamps {
        TimestampSource::LogAppendTime => "LogAppendTime",
        TimestampSource::CreateTime => "CreateTime",
    };
    format!(
        "{:<24} {:>3} partitions, replication {}, min.isr {}, retention {retention}, records up to {} bytes, {clock}",
        info.name, info.partitions, info.replication, info.min_insync, info.max_message_bytes
    )
}

#[allow(clippy::print_stdout, reason = "a command speaks to a person")]
fn say(line: &str) {
    println!("{line}");
}
