//! A job's transactional producer, whose calls block and so run on threads for that.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::ClientConfig;

use super::blocking;
use super::fault::Question;
use super::lane::transactions::{Failure, Transactions};
use super::limits::TopicLimits;
use crate::work::handing_over;
use crate::{Job, JobError, LogError, NewRecord, TRANSACTION_TIMEOUT};

/// How long a job may take to open: the transaction that an older holder left open has to end first.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// See [`Job`].
pub(super) struct KafkaJob {
    transactional_id: String,
    /// Absent while a commit is under way, and after one that was not waited for.
    transactions: Option<Transactions>,
    /// What ended the job.
    ended: Option<JobError>,
}

impl KafkaJob {
    /// Registers the transactional id, which fences an older holder and ends its open transaction.
    pub(super) async fn open(
        producer: ClientConfig,
        transactional_id: &str,
        limits: Arc<TopicLimits>,
        question: Question,
    ) -> Result<Self, LogError> {
        let question = Question {
            timeout: OPEN_TIMEOUT,
            ..question
        };
        let transactions =
            blocking(move || Transactions::open(&producer, TRANSACTION_TIMEOUT, limits, &question)).await??;
        Ok(Self {
            transactional_id: transactional_id.to_owned(),
            transactions: Some(transactions),
            ended: None,
        })
    }
}

#[async_trait]
impl Job for KafkaJob {
    async fn commit(&mut self, outputs: Vec<NewRecord>) -> Result<(), JobError> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        let in_doubt = |reason: &str| JobError::InDoubt {
            reason: reason.to_owned(),
        };
        let Some(transactions) = self.transactions.take() else {
            return Err(in_doubt("an earlier commit was not waited for"));
        };
        if outputs.is_empty() {
            self.transactions = Some(transactions);
            return Ok(());
        }
        let committed = blocking(move || {
            let result = transactions.transact(handing_over(outputs), || Ok(None));
            (transactions, result)
        });
        let (transactions, result) = committed.await.map_err(|error| in_doubt(&error.to_string()))?;
        self.transactions = Some(transactions);
        let error = match result {
            Ok(_) => return Ok(()),
            Err(Failure::Aborted(reason)) => return Err(JobError::Aborted { reason }),
            Err(Failure::TooLarge { topic, size, limit }) => {
                return Err(JobError::OutputTooLarge { topic, size, limit });
            }
            Err(Failure::Fenced) => JobError::Fenced {
                transactional_id: self.transactional_id.clone(),
            },
            Err(Failure::Broken(reason)) => JobError::InDoubt { reason },
        };
        self.ended = Some(error.clone());
        Err(error)
    }
}

impl Drop for KafkaJob {
    fn drop(&mut self) {
        // Dropping a producer blocks until librdkafka's threads have ended.
        if let Some(transactions) = self.transactions.take() {
            let spawned = thread::Builder::new()
                .name("kafka-retire".to_owned())
                .spawn(move || drop(transactions));
            if let Err(error) = spawned {
                tracing::warn!(%error, "no thread to drop a job's producer in");
            }
        }
    }
}
