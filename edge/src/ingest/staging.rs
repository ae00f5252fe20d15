//! A record on its way to the log, and what becomes of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use gosight_eventlog::{AppendError, Durable, Position};
use uuid::Uuid;

use super::destination::record_too_large;
use crate::accounts::{Account, Accounts};
use crate::budget::Held;
use crate::outcome::{Accepted, Fate, Outcome, Reason, Refusal};

/// A record on its way to the log; resolves when it is durable or may not be. A client that hangs up meanwhile changes nothing: the
/// rest happens in the background, so that the books tell what became of the record.
pub(crate) struct Staging(Option<OnTheWay>);

enum OnTheWay {
    Record(ToBeDurable),
    Dropped(Uuid),
}

pub(super) struct ToBeDurable {
    pub(super) durable: Durable,
    pub(super) account: Account,
    pub(super) batch_id: Uuid,
    pub(super) events: u32,
    /// Its part of the budget is free again when the log has it.
    pub(super) held: Held,
    pub(super) accounts: Arc<Accounts>,
}

impl Staging {
    /// The log has been handed the record.
    pub(super) fn record(record: ToBeDurable) -> Self {
        Self(Some(OnTheWay::Record(record)))
    }

    /// A restriction dropped it: no log has it.
    pub(super) fn dropped(batch_id: Uuid) -> Self {
        Self(Some(OnTheWay::Dropped(batch_id)))
    }
}

impl ToBeDurable {
    fn settle(self, result: Result<Position, AppendError>) -> Outcome {
        drop(self.held);
        match result {
            Ok(position) => {
                let accepted = Accepted {
                    events: self.events,
                    batch_id: self.batch_id,
                    fate: Fate::Staged(position),
                };
                self.account.accept(&accepted);
                Ok(accepted)
            }
            Err(error) => {
                let refusal = append_refusal(&error);
                self.accounts.log_failure(refusal.reason(), &error);
                Err(self.account.refuse(refusal))
            }
        }
    }
}

impl Future for Staging {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self.0.take() {
            Some(OnTheWay::Dropped(batch_id)) => Poll::Ready(Ok(Accepted {
                events: 0,
                batch_id,
                fate: Fate::Dropped,
            })),
            Some(OnTheWay::Record(mut record)) => match record.durable.as_mut().poll(cx) {
                Poll::Ready(result) => Poll::Ready(record.settle(result)),
                Poll::Pending => {
                    self.0 = Some(OnTheWay::Record(record));
                    Poll::Pending
                }
            },
            None => Poll::Pending,
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let Some(OnTheWay::Record(mut record)) = self.0.take() else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let result = record.durable.as_mut().await;
                let _ = record.settle(result);
            });
        }
    }
}

/// What an error of the log means for the sender. Its text is for the operator's log: it names our machines.
fn append_refusal(error: &AppendError) -> Refusal {
    match error {
        AppendError::TooLarge { size, limit, .. } => record_too_large(*size, *limit),
        AppendError::QueueFull { .. } => {
            Refusal::new(Reason::LogBusy, "The service can't store more at the moment; try again")
        }
        AppendError::UnknownTopic { .. } | AppendError::InDoubt { .. } => Refusal::new(
            Reason::LogUnavailable,
            "The batch may not be stored; send it again, a repeated event is recognised by its id",
        ),
        AppendError::Closed => Refusal::shutting_down(),
    }
}

#[cfg(test)]
mod tests {
    use gosight_eventlog::AppendError;

    use super::append_refusal;
    use crate::outcome::Reason;

    #[test]
    fn what_the_log_says_is_not_told_to_the_sender() {
        let refusal = append_refusal(&AppendError::InDoubt {
            reason: "broker 10.0.0.7 said no".to_owned(),
        });
        assert_eq!(refusal.reason(), Reason::LogUnavailable);
        assert!(!refusal.message().contains("10.0.0.7"));
        assert_eq!(append_refusal(&AppendError::Closed).reason(), Reason::ShuttingDown);
        let full = AppendError::QueueFull { in_flight_bytes: 1 };
        assert_eq!(append_refusal(&full).reason(), Reason::LogBusy);
        let large = AppendError::TooLarge {
            topic: "t".to_owned(),
            size: 2,
            limit: 1,
        };
        assert_eq!(append_refusal(&large).reason(), Reason::RecordTooLarge);
    }
}
