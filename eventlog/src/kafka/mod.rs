//! The engine for many machines: Kafka by librdkafka. Its calls block, so none of them runs on a thread of the async runtime: a
//! lane has a thread of its own, everything else goes to the runtime's threads for blocking work, and every wait has a limit.

mod admin;
mod client;
mod fault;
mod lane;
mod limits;
mod lost;
mod producer;
mod reader;
mod record;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gosight_config::kafka::KafkaSettings;
use tokio::runtime::Handle;

use self::admin::Admin;
use self::fault::Question;
use self::lane::KafkaLane;
use self::limits::TopicLimits;
use self::producer::{Appender, Closing};
use self::reader::KafkaReader;
use crate::{
    AppendError, Durable, EventLog, Lane, LaneOptions, LogError, NewRecord, PartitionBounds, Reader, TopicCreation,
    TopicInfo, TopicSpec,
};

/// How long one question to the brokers may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The group name of readers. Nothing is committed under it.
const READER_GROUP: &str = "gosight-readers";

/// A Kafka cluster.
pub struct KafkaLog {
    settings: KafkaSettings,
    client_id: String,
    admin: Arc<Admin>,
    limits: Arc<TopicLimits>,
    appender: Arc<Appender>,
}

impl KafkaLog {
    /// Creates the clients. The brokers need not be there: what needs them fails or waits, and [`EventLog::health`] tells.
    /// `client_id` is the name under which the brokers' logs and quotas know this process. Must be called in a tokio runtime.
    pub fn connect(settings: &KafkaSettings, client_id: &str) -> Result<Arc<Self>, LogError> {
        let runtime = Handle::try_current().map_err(|error| LogError::Settings {
            reason: error.to_string(),
        })?;
        let capacity = usize::try_from(settings.queue_bytes.as_u64()).unwrap_or(usize::MAX);
        let appender = Appender::new(client::append_producer(settings, client_id), capacity)?;
        let admin = Arc::new(Admin::new(settings, client_id)?);
        let limits = Arc::new(TopicLimits::new(Arc::clone(&admin), runtime));
        let topics = &settings.topics;
        for topic in [&topics.staging, &topics.events, &topics.errors, &topics.replay] {
            limits.get(topic);
        }
        Ok(Arc::new(Self {
            settings: settings.clone(),
            client_id: client_id.to_owned(),
            admin,
            limits,
            appender: Arc::new(appender),
        }))
    }

    fn question(&self, what: String, topic: &str) -> Question {
        Question {
            what,
            topic: Some(topic.to_owned()),
            timeout: REQUEST_TIMEOUT,
            address: self.settings.brokers.join(","),
        }
    }
}

#[async_trait]
impl EventLog for KafkaLog {
    fn append(&self, record: NewRecord) -> Durable {
        let limits = Arc::clone(&self.limits);
        let topic = Arc::clone(&record.topic);
        let size = record.size();
        let appender = Arc::clone(&self.appender);
        let queued = appender.enqueue(record, limits.get(&topic));
        Box::pin(async move {
            match queued?.await {
                Ok(Ok(position)) => Ok(position),
                Ok(Err(error)) => Err(appender.append_error(&error, &topic, size, &limits).await),
                Err(_) => Err(AppendError::InDoubt {
                    reason: "the producer went away".to_owned(),
                }),
            }
        })
    }

    async fn lane(&self, options: LaneOptions) -> Result<Box<dyn Lane>, LogError> {
        self.admin.partitions(&options.topic).await?;
        let question = self.question(format!("opening lane {}", options.transactional_id), &options.topic);
        let consumer = client::lane_consumer(&self.settings, &self.client_id, &options);
        let producer = client::lane_producer(&self.settings, &self.client_id, &options);
        let lane = KafkaLane::open(consumer, producer, options, Arc::clone(&self.limits), question).await?;
        Ok(Box::new(lane))
    }

    async fn reader(&self, topic: &str, starts: &[(i32, i64)]) -> Result<Box<dyn Reader>, LogError> {
        let bounds = self.admin.bounds(topic).await?;
        let config = client::free_consumer(&self.settings, &self.client_id, READER_GROUP);
        let question = self.question(format!("reading topic {topic}"), topic);
        Ok(Box::new(
            KafkaReader::open(config, topic, starts, &bounds, question).await?,
        ))
    }

    async fn bounds(&self, topic: &str) -> Result<Vec<PartitionBounds>, LogError> {
        self.admin.bounds(topic).await
    }

    async fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<Vec<(i32, i64)>, LogError> {
        self.admin.offsets_at(topic, time_ms).await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<(i32, i64)>, LogError> {
        self.admin.committed(group, topic).await
    }

    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<Vec<TopicCreation>, LogError> {
        let creations = self.admin.create_topics(topics).await?;
        for (spec, creation) in topics.iter().zip(&creations) {
            if matches!(creation, TopicCreation::Created(_)) {
                self.limits.learn(&spec.name, spec.max_message_bytes);
            }
        }
        Ok(creations)
    }

    async fn describe(&self, topic: &str) -> Result<Option<TopicInfo>, LogError> {
        let info = self.admin.describe(topic).await?;
        if let Some(info) = &info {
            self.limits.learn(topic, info.max_message_bytes);
        }
        Ok(info)
    }

    async fn health(&self, timeout: Duration) -> Result<(), LogError> {
        let topic = &self.settings.topics.staging;
        lost::replace_lost_clients(&self.appender, &self.admin, topic, timeout).await?;
        self.admin.health(topic, timeout / 2).await
    }

    async fn close(&self, timeout: Duration) -> Result<(), LogError> {
        let appender = Arc::clone(&self.appender);
        match blocking(move || appender.close(timeout)).await? {
            Closing::Drained => Ok(()),
            Closing::Left(count) => Err(LogError::Timeout {
                what: format!("closing the log with {count} records on their way"),
                timeout,
                address: self.settings.brokers.join(","),
            }),
        }
    }
}

/// Runs a call that blocks away from the async runtime.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Result<T, LogError> {
    tokio::task::spawn_blocking(call)
        .await
        .map_err(|error| LogError::Failed {
            what: "a call of librdkafka".to_owned(),
            reason: error.to_string(),
        })
}
