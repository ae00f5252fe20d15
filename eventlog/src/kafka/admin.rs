//! Topics, offsets and health: questions to the brokers, none of which runs on a thread of the async runtime.

use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use gosight_config::kafka::KafkaSettings;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::{Offset, TopicPartitionList};

use super::client::{Lines, base, free_consumer};
use super::fault::{Question, code_of, is_unknown_topic, settings_refused};
use super::{REQUEST_TIMEOUT, blocking};
use crate::{LogError, PartitionBounds, TimestampSource, TopicCreation, TopicInfo, TopicSpec};

/// Copies of a partition at the most.
const MAX_REPLICATION: i32 = 3;
/// How often a partition without a leader is asked for again.
const LEADER_STEP: Duration = Duration::from_millis(50);

/// Asks the brokers.
pub(super) struct Admin {
    settings: KafkaSettings,
    client_id: String,
    clients: RwLock<Arc<Clients>>,
}

/// They hold nothing but connections, so new ones may take their place at any time.
pub(super) struct Clients {
    pub(super) admin: AdminClient<Lines>,
    /// Metadata and offsets; it has no partitions.
    pub(super) questions: BaseConsumer<Lines>,
}

impl Clients {
    fn new(settings: &KafkaSettings, client_id: &str) -> Result<Self, LogError> {
        let admin = AdminClient::from_config_and_context(&base(settings, client_id), Lines)
            .map_err(|error| settings_refused(&error))?;
        let questions = free_consumer(settings, client_id, client_id)
            .create_with_context(Lines)
            .map_err(|error| settings_refused(&error))?;
        Ok(Self { admin, questions })
    }
}

impl Admin {
    /// Creates the clients; the brokers need not be there.
    pub(super) fn new(settings: &KafkaSettings, client_id: &str) -> Result<Self, LogError> {
        Ok(Self {
            settings: settings.clone(),
            client_id: client_id.to_owned(),
            clients: RwLock::new(Arc::new(Clients::new(settings, client_id)?)),
        })
    }

    /// Those that ask now.
    pub(super) fn clients(&self) -> Arc<Clients> {
        Arc::clone(&self.clients.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// New ones, for the place of those that ask now.
    pub(super) fn new_clients(&self) -> Result<Clients, LogError> {
        Clients::new(&self.settings, &self.client_id)
    }

    /// Asks with these from now on. What the ones before were asked they still answer. Blocks while they end.
    pub(super) fn take(&self, clients: Arc<Clients>) {
        let before = std::mem::replace(
            &mut *self.clients.write().unwrap_or_else(PoisonError::into_inner),
            clients,
        );
        drop(before);
    }

    fn question(&self, what: String, topic: Option<&str>) -> Question {
        Question {
            what,
            topic: topic.map(str::to_owned),
            timeout: REQUEST_TIMEOUT,
            address: self.settings.brokers.join(","),
        }
    }

    /// Metadata of one topic, or of all.
    async fn metadata(&self, question: Question) -> Result<Metadata, LogError> {
        let clients = self.clients();
        let topic = question.topic.clone();
        let timeout = question.timeout;
        blocking(move || clients.questions.fetch_metadata(topic.as_deref(), timeout))
            .await?
            .map_err(|error| question.failed(&error))
    }

    /// Partitions of a topic that is there, with how many copies each has; `None` where it is not.
    async fn shape(&self, topic: &str) -> Result<Option<Shape>, LogError> {
        let question = self.question(format!("looking up topic {topic}"), Some(topic));
        let metadata = match self.metadata(question.clone()).await {
            Err(LogError::UnknownTopic { .. }) => return Ok(None),
            other => other?,
        };
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Ok(None);
        };
        match found.error().map(RDKafkaErrorCode::from) {
            Some(code) if is_unknown_topic(code) => return Ok(None),
            // Partitions that have just been made have no leader yet.
            Some(RDKafkaErrorCode::LeaderNotAvailable) | None => {}
            Some(code) => return Err(question.refused(code)),
        }
        let mut partitions: Vec<i32> = found.partitions().iter().map(|partition| partition.id()).collect();
        partitions.sort_unstable();
        if partitions.is_empty() {
            return Ok(None);
        }
        let copies = found
            .partitions()
            .iter()
            .map(|partition| partition.replicas().len())
            .min()
            .unwrap_or_default();
        Ok(Some(Shape {
            partitions,
            replication: i32::try_from(copies).unwrap_or(i32::MAX),
        }))
    }

    /// The partitions of a topic, in order.
    pub(super) async fn partitions(&self, topic: &str) -> Result<Vec<i32>, LogError> {
        let shape = self.shape(topic).await?;
        shape
            .map(|shape| shape.partitions)
            .ok_or_else(|| LogError::UnknownTopic {
                topic: topic.to_owned(),
            })
    }

    /// See [`crate::EventLog::create_topics`].
    pub(super) async fn create_topics(&self, specs: &[TopicSpec]) -> Result<Vec<TopicCreation>, LogError> {
        if specs.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        let question = self.question(format!("creating topics {}", names.join(", ")), None);
        let brokers = self.metadata(question.clone()).await?.brokers().len();
        let replication = i32::try_from(brokers)
            .unwrap_or(MAX_REPLICATION)
            .clamp(1, MAX_REPLICATION);
        let properties: Vec<[(&str, String); 4]> =
            specs.iter().map(|spec| topic_properties(spec, replication)).collect();
        let topics: Vec<NewTopic<'_>> = specs
            .iter()
            .zip(&properties)
            .map(|(spec, properties)| {
                let topic = NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(replication));
                properties
                    .iter()
                    .fold(topic, |topic, (name, value)| topic.set(name, value))
            })
            .collect();
        let results = self
            .clients()
            .admin
            .create_topics(&topics, &admin_options())
            .await
            .map_err(|error| question.failed(&error))?;
        let creations = results
            .into_iter()
            .map(|result| match result {
                Ok(name) => Ok(TopicCreation::Created(name)),
                Err((name, RDKafkaErrorCode::TopicAlreadyExists)) => Ok(TopicCreation::Existed(name)),
                Err((name, code)) => Err(LogError::Failed {
                    what: format!("creating topic {name}"),
                    reason: code.to_string(),
                }),
            })
            .collect::<Result<Vec<_>, _>>()?;
        for name in names {
            self.await_usable(name).await?;
        }
        Ok(creations)
    }

    /// Waits until a new topic's partitions answer: brokers learn of it one after the other.
    async fn await_usable(&self, topic: &str) -> Result<(), LogError> {
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        loop {
            match self.bounds(topic).await {
                Err(LogError::UnknownTopic { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(LEADER_STEP).await;
                }
                other => return other.map(drop),
            }
        }
    }

    /// See [`crate::EventLog::describe`].
    pub(super) async fn describe(&self, topic: &str) -> Result<Option<TopicInfo>, LogError> {
        let Some(shape) = self.shape(topic).await? else {
            return Ok(None);
        };
        let question = self.question(format!("reading the configuration of topic {topic}"), Some(topic));
        let described = self
            .clients()
            .admin
            .describe_configs(&[ResourceSpecifier::Topic(topic)], &admin_options())
            .await
            .map_err(|error| question.failed(&error))?;
        let resource = match described.into_iter().next() {
            Some(Ok(resource)) => resource,
            Some(Err(code)) if is_unknown_topic(code) => return Ok(None),
            Some(Err(code)) => return Err(question.refused(code)),
            None => return Err(question.refused("the answer was empty")),
        };
        let property = |name: &str| {
            resource
                .get(name)
                .and_then(|entry| entry.value.clone())
                .ok_or_else(|| question.refused(format!("the answer has no {name}")))
        };
        let number = |name: &str| {
            let text = property(name)?;
            text.parse::<i64>()
                .map_err(|_| question.refused(format!("{name} is {text:?}, which is no number")))
        };
        Ok(Some(TopicInfo {
            name: topic.to_owned(),
            partitions: i32::try_from(shape.partitions.len()).unwrap_or(i32::MAX),
            replication: shape.replication,
            min_insync: i32::try_from(number("min.insync.replicas")?).unwrap_or(i32::MAX),
            retention: u64::try_from(number("retention.ms")?).ok().map(Duration::from_millis),
            max_message_bytes: u32::try_from(number("max.message.bytes")?).unwrap_or(u32::MAX),
            timestamps: match property("message.timestamp.type")?.as_str() {
                "LogAppendTime" => TimestampSource::LogAppendTime,
                _ => TimestampSource::CreateTime,
            },
        }))
    }

    /// See [`crate::EventLog::bounds`].
    pub(super) async fn bounds(&self, topic: &str) -> Result<Vec<PartitionBounds>, LogError> {
        let partitions = self.partitions(topic).await?;
        let question = self.question(format!("reading the offsets of topic {topic}"), Some(topic));
        let clients = self.clients();
        let name = topic.to_owned();
        let timeout = question.timeout;
        blocking(move || {
            let deadline = Instant::now() + timeout;
            partitions
                .into_iter()
                .map(|partition| {
                    // This consumer reads committed records, so the upper end is the last stable offset.
                    let (earliest, end) = with_leader(deadline, || {
                        clients.questions.fetch_watermarks(&name, partition, timeout)
                    })?;
                    Ok(PartitionBounds {
                        partition,
                        earliest,
                        end,
                    })
                })
                .collect::<Result<Vec<_>, _>>()
        })
        .await?
        .map_err(|error| question.failed(&error))
    }

    /// See [`crate::EventLog::offsets_at`].
    pub(super) async fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<Vec<(i32, i64)>, LogError> {
        let bounds = self.bounds(topic).await?;
        let question = self.question(format!("looking up offsets of topic {topic} by time"), Some(topic));
        let clients = self.clients();
        let name = topic.to_owned();
        let timeout = question.timeout;
        let found = blocking(move || {
            let mut times = TopicPartitionList::with_capacity(bounds.len());
            for bound in &bounds {
                // Negative numbers ask for something else.
                times.add_partition_offset(&name, bound.partition, Offset::Offset(time_ms.max(0)))?;
            }
            let found = clients.questions.offsets_for_times(times, timeout)?;
            bounds
                .iter()
                .map(|bound| {
                    let element = found.find_partition(&name, bound.partition);
                    let Some(element) = element else {
                        return Ok((bound.partition, bound.end));
                    };
                    element.error()?;
                    Ok(match element.offset() {
                        Offset::Offset(offset) => (bound.partition, offset.min(bound.end)),
                        _ => (bound.partition, bound.end),
                    })
                })
                .collect::<Result<Vec<_>, _>>()
        });
        found.await?.map_err(|error| question.failed(&error))
    }

    /// See [`crate::EventLog::committed`].
    pub(super) async fn committed(&self, group: &str, topic: &str) -> Result<Vec<(i32, i64)>, LogError> {
        let partitions = self.partitions(topic).await?;
        let question = self.question(
            format!("reading the positions of group {group} on topic {topic}"),
            Some(topic),
        );
        let config = free_consumer(&self.settings, &self.client_id, group);
        let name = topic.to_owned();
        let timeout = question.timeout;
        let committed = blocking(move || {
            let consumer: BaseConsumer<Lines> = config.create_with_context(Lines)?;
            let mut list = TopicPartitionList::with_capacity(partitions.len());
            for partition in partitions {
                list.add_partition(&name, partition);
            }
            let committed = consumer.committed_offsets(list, timeout)?;
            let mut positions = Vec::new();
            for element in committed.elements() {
                element.error()?;
                if let Offset::Offset(offset) = element.offset() {
                    positions.push((element.partition(), offset));
                }
            }
            Ok(positions)
        });
        committed.await?.map_err(|error| question.failed(&error))
    }

    /// See [`crate::EventLog::health`]. `topic` is one that we use: asking for all would grow with the cluster.
    pub(super) async fn health(&self, topic: &str, timeout: Duration) -> Result<(), LogError> {
        let question = Question {
            timeout,
            ..self.question("asking the brokers for their state".to_owned(), Some(topic))
        };
        let metadata = self.metadata(question.clone()).await?;
        if metadata.brokers().is_empty() {
            return Err(question.refused("the cluster has no broker"));
        }
        if metadata.topics().iter().all(|found| found.partitions().is_empty()) {
            return Err(LogError::UnknownTopic {
                topic: topic.to_owned(),
            });
        }
        let leaderless = metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions())
            .find(|partition| partition.leader() < 0);
        match leaderless {
            Some(partition) => {
                Err(question.refused(format!("topic {topic} partition {} has no leader", partition.id())))
            }
            None => Ok(()),
        }
    }

    /// A topic's limit for one record, bytes; `None` where the brokers can't tell now.
    pub(super) async fn record_limit(&self, topic: &str) -> Option<usize> {
        let described = self
            .clients()
            .admin
            .describe_configs(&[ResourceSpecifier::Topic(topic)], &admin_options())
            .await;
        match described {
            Ok(resources) => {
                let resource = resources.into_iter().next()?.ok()?;
                resource.get("max.message.bytes")?.value.as_ref()?.parse().ok()
            }
            Err(error) => {
                tracing::debug!(topic, %error, code = ?code_of(&error), "the topic's limit could not be read");
                None
            }
        }
    }
}

/// What a topic's metadata says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shape {
    partitions: Vec<i32>,
    replication: i32,
}

/// Asks again until the deadline while a partition that is there has no leader that knows of it: it is new, or moves.
fn with_leader<T>(deadline: Instant, ask: impl Fn() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    loop {
        let answer = ask();
        let waits = matches!(
            answer.as_ref().err().and_then(code_of),
            Some(
                RDKafkaErrorCode::NotLeaderForPartition
                    | RDKafkaErrorCode::LeaderNotAvailable
                    | RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::UnknownPartition
            )
        );
        if !waits || Instant::now() >= deadline {
            return answer;
        }
        thread::sleep(LEADER_STEP);
    }
}

fn admin_options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(REQUEST_TIMEOUT))
        .operation_timeout(Some(REQUEST_TIMEOUT))
}

fn topic_properties(spec: &TopicSpec, replication: i32) -> [(&'static str, String); 4] {
    let timestamps = match spec.timestamps {
        TimestampSource::LogAppendTime => "LogAppendTime",
        TimestampSource::CreateTime => "CreateTime",
    };
    [
        ("retention.ms", spec.retention.as_millis().to_string()),
        ("max.message.bytes", spec.max_message_bytes.to_string()),
        ("message.timestamp.type", timestamps.to_owned()),
        // One copy may be missing without stopping writes.
        ("min.insync.replicas", (replication - 1).max(1).to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::topic_properties;
    use crate::{TimestampSource, TopicSpec};

    #[test]
    fn one_copy_may_be_missing_but_never_all() {
        let spec = TopicSpec {
            name: "t".to_owned(),
            partitions: 1,
            retention: Duration::from_secs(60),
            max_message_bytes: 1_000,
            timestamps: TimestampSource::LogAppendTime,
        };
        let min_insync = |replication| {
            let properties = topic_properties(&spec, replication);
            properties
                .iter()
                .find(|(name, _)| *name == "min.insync.replicas")
                .map(|(_, value)| value.clone())
        };
        assert_eq!(min_insync(1).as_deref(), Some("1"));
        assert_eq!(min_insync(2).as_deref(), Some("1"));
        assert_eq!(min_insync(3).as_deref(), Some("2"));
    }
}
