//! The writer's rare jobs.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor};

use super::super::queue::Control;
use super::Writer;
use super::transaction::begin;
use crate::{Cleanup, LogError, TimestampSource, TopicCreation, TopicSpec};

/// Partitions of a topic at the most: each poll may have to look at every one.
const MAX_PARTITIONS: i32 = 1_000;

/// What the writer does after a control job.
pub(super) enum Next {
    GoOn,
    Stop,
}

impl Writer {
    /// Does the job and answers it.
    pub(super) async fn control(&mut self, control: Control) -> Next {
        // Whoever does not wait any more does not need the answer.
        match control {
            Control::Identify {
                transactional_id,
                reply,
            } => {
                let what = format!("taking over {transactional_id}");
                let result = self.identify(&transactional_id).await;
                let _ = reply.send(self.settle(&what, result).await);
            }
            Control::CreateTopics { topics, reply } => {
                let result = match topics.iter().try_for_each(check) {
                    Ok(()) => {
                        let result = self.create_topics(&topics).await;
                        self.settle("creating topics", result).await
                    }
                    Err(error) => Err(error),
                };
                let _ = reply.send(result);
            }
            Control::Ping { reply } => {
                let result = self.ping().await;
                let _ = reply.send(self.settle("writing to the log", result).await);
            }
            Control::Stop { reply } => {
                if let Some(connection) = self.connection.take()
                    && let Err(error) = connection.close().await
                {
                    tracing::warn!(%error, "the log's file was not closed in order; nothing is lost");
                }
                self.jobs.close();
                let _ = reply.send(());
                return Next::Stop;
            }
        }
        Next::GoOn
    }

    async fn settle<T>(&mut self, what: &str, result: Result<T, sqlx::Error>) -> Result<T, LogError> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => {
                self.recover().await;
                Err(LogError::Failed {
                    what: format!("{what} in {}", self.path.display()),
                    reason: error.to_string(),
                })
            }
        }
    }

    async fn identify(&mut self, transactional_id: &str) -> Result<i64, sqlx::Error> {
        let connection = self.connect().await?;
        connection.execute("BEGIN IMMEDIATE").await?;
        let epoch = sqlx::query_scalar(
            "INSERT INTO transactional_ids (id, epoch) VALUES (?, 1)
             ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING epoch",
        )
        .bind(transactional_id)
        .fetch_one(&mut *connection)
        .await?;
        connection.execute("COMMIT").await?;
        Ok(epoch)
    }

    async fn ping(&mut self) -> Result<(), sqlx::Error> {
        let connection = self.connect().await?;
        connection.execute("BEGIN IMMEDIATE").await?;
        connection.execute("COMMIT").await?;
        Ok(())
    }

    async fn create_topics(&mut self, topics: &[TopicSpec]) -> Result<Vec<TopicCreation>, sqlx::Error> {
        self.connect().await?;
        let Some(connection) = &mut self.connection else {
            return Err(sqlx::Error::WorkerCrashed);
        };
        begin(connection, &mut self.tails).await?;
        let mut creations = Vec::with_capacity(topics.len());
        for topic in topics {
            creations.push(create(connection, topic).await?);
        }
        connection.execute("COMMIT").await?;
        // New partitions have ends to be read.
        self.tails.forget();
        Ok(creations)
    }
}

async fn create(connection: &mut SqliteConnection, topic: &TopicSpec) -> Result<TopicCreation, sqlx::Error> {
    // What is longer than SQLite can count is kept for ever, and so is all of a compacted topic.
    let retention_ms = match topic.cleanup {
        Cleanup::Delete => i64::try_from(topic.retention.as_millis()).ok(),
        Cleanup::Compact => None,
    };
    let created: Option<i64> = sqlx::query_scalar(
        "INSERT INTO topics (name, retention_ms, max_message_bytes, log_append_time) VALUES (?, ?, ?, ?)
         ON CONFLICT DO NOTHING RETURNING id",
    )
    .bind(&topic.name)
    .bind(retention_ms)
    .bind(topic.max_message_bytes)
    .bind(topic.timestamps == TimestampSource::LogAppendTime)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(id) = created else {
        return Ok(TopicCreation::Existed(topic.name.clone()));
    };
    for partition in 0..topic.partitions {
        sqlx::query("INSERT INTO logs (topic, partition) VALUES (?, ?)")
            .bind(id)
            .bind(partition)
            .execute(&mut *connection)
            .await?;
    }
    Ok(TopicCreation::Created(topic.name.clone()))
}

fn check(topic: &TopicSpec) -> Result<(), LogError> {
    let TopicSpec { name, partitions, .. } = topic;
    if name.is_empty() || name.len() > 249 {
        return Err(LogError::Settings {
            reason: format!("topic {name:?}: a name has 1 to 249 characters"),
        });
    }
    if !(1..=MAX_PARTITIONS).contains(partitions) {
        return Err(LogError::Settings {
            reason: format!("topic {name}: {partitions} partitions; choose 1 to {MAX_PARTITIONS}"),
        });
    }
    Ok(())
}
