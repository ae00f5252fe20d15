//! `gosight topics create`

use gosight_eventlog::kafka::KafkaLog;
use gosight_eventlog::{EventLog, TopicCreation, TopicInfo};
use serde::Serialize;

use super::arguments::CreateArguments;
use super::{age, clock, contract};
use crate::connection;
use crate::failure::Failure;
use crate::output::{self, Row};

/// A topic as it stands afterwards.
#[derive(Debug, Serialize)]
struct Standing {
    topic: String,
    outcome: &'static str,
    partitions: i32,
    replication: i32,
    min_insync_replicas: i32,
    /// Absent: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_ms: Option<u64>,
    max_message_bytes: u32,
    timestamp_type: &'static str,
    #[serde(skip)]
    retention: String,
}

pub(super) async fn run(arguments: CreateArguments) -> Result<(), Failure> {
    let edge = connection::edge_settings(arguments.config.as_deref(), arguments.brokers.as_deref())?;
    let enricher = connection::enricher_settings(arguments.enricher_config.as_deref())?;
    let log = KafkaLog::connect(&edge.kafka, "gosight-topics")?;
    let mut standing = Vec::new();
    for creation in log.create_topics(&contract(&edge, &enricher)).await? {
        let (name, outcome) = match creation {
            TopicCreation::Created(name) => (name, "created"),
            TopicCreation::Existed(name) => (name, "exists"),
        };
        let Some(info) = log.describe(&name).await? else {
            return Err(Failure::unavailable(format!("topic {name} went away again at once")));
        };
        standing.push(Standing::new(info, outcome));
    }
    output::rows(arguments.format, &standing)?;
    let (raw, errors) = (&edge.kafka.topics.events, &edge.kafka.topics.errors);
    output::note(&format!(
        "Readers of {raw} and {errors} must set isolation.level=read_committed: they are written in transactions."
    ));
    Ok(())
}

impl Standing {
    fn new(info: TopicInfo, outcome: &'static str) -> Self {
        Self {
            topic: info.name,
            outcome,
            partitions: info.partitions,
            replication: info.replication,
            min_insync_replicas: info.min_insync,
            retention_ms: info
                .retention
                .map(|retention| u64::try_from(retention.as_millis()).unwrap_or(u64::MAX)),
            max_message_bytes: info.max_message_bytes,
            timestamp_type: clock(info.timestamps),
            retention: info.retention.map_or_else(|| "for ever".to_owned(), age),
        }
    }
}

impl Row for Standing {
    const HEADINGS: &'static [&'static str] = &[
        "TOPIC",
        "OUTCOME",
        "PARTITIONS",
        "REPLICATION",
        "MIN.ISR",
        "RETENTION",
        "LARGEST RECORD",
        "TIMESTAMPS",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.topic.clone(),
            self.outcome.to_owned(),
            self.partitions.to_string(),
            self.replication.to_string(),
            self.min_insync_replicas.to_string(),
            self.retention.clone(),
            self.max_message_bytes.to_string(),
            self.timestamp_type.to_owned(),
        ]
    }
}
