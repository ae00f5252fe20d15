//! Writes a replay's transactions: outputs and progress together, by one runner at a time.

use std::time::Duration;

use gosight_eventlog::{EventLog, Job, JobError, NewRecord};

use crate::failure::Failure;

/// So many aborts in a row are no coincidence.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// The one writer of a replay. A second one of the same id fences it off.
pub(crate) struct ReplayWriter {
    id: String,
    job: Box<dyn Job>,
}

impl ReplayWriter {
    /// Takes the replay over: an earlier writer's open transaction is aborted, and it commits nothing any more.
    pub(crate) async fn open(log: &dyn EventLog, id: &str) -> Result<Self, Failure> {
        Ok(Self {
            id: id.to_owned(),
            job: log.job(&format!("gosight-replay-{id}")).await?,
        })
    }

    /// Appends all or nothing.
    pub(crate) async fn commit(&mut self, records: Vec<NewRecord>) -> Result<(), Failure> {
        let mut attempt = 1;
        loop {
            let error = match self.job.commit(records.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            match error {
                JobError::Aborted { .. } if attempt < ATTEMPTS => {
                    tokio::time::sleep(PAUSE * attempt).await;
                    attempt += 1;
                }
                error => return Err(self.failure(&error)),
            }
        }
    }

    fn failure(&self, error: &JobError) -> Failure {
        let id = &self.id;
        match error {
            JobError::Fenced { .. } => {
                Failure::unavailable(format!("another runner has taken replay {id} over; this one ends"))
            }
            JobError::OutputTooLarge { topic, .. } => Failure::usage(format!(
                "{error}: raise the max.message.bytes of {topic}, then go on with: gosight replay --resume {id}"
            )),
            JobError::Aborted { .. } | JobError::InDoubt { .. } => {
                Failure::unavailable(format!("{error}; go on with: gosight replay --resume {id}"))
            }
        }
    }
}
