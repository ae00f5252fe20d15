//! A transaction of a lane or a job while its outputs come.

use std::sync::Arc;

use super::transactions::{Failure, Open, Transactions};
use crate::kafka::record::size_on_broker;
use crate::{Doomed, Output, Outputs};

/// A transaction while its outputs come. It begins with the first.
pub(super) struct Filling<'a> {
    transactions: &'a Transactions,
    open: Option<Open>,
    /// The limit of the last output's topic, so that it is not looked up for each.
    limit: Option<(Arc<str>, Option<usize>)>,
    /// Why it can't be committed any more.
    failure: Option<Failure>,
}

impl<'a> Filling<'a> {
    pub(super) fn new(transactions: &'a Transactions) -> Self {
        Self {
            transactions,
            open: None,
            limit: None,
            failure: None,
        }
    }

    /// The transaction, begun now if it was not.
    pub(super) fn begun(&mut self) -> Result<Open, Failure> {
        let open = match self.open {
            Some(open) => open,
            None => self.transactions.begin()?,
        };
        self.open = Some(open);
        Ok(open)
    }

    /// The transaction, if it has begun.
    pub(super) fn open(&self) -> Option<Open> {
        self.open
    }

    /// Why it can't be committed, if so.
    pub(super) fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    fn try_add(&mut self, output: Output<'_>) -> Result<(), Failure> {
        // A record over the limit would abort every transaction that it is in.
        if let Some(limit) = self.limit(output.topic).filter(|limit| size_on_broker(output) > *limit) {
            return Err(Failure::TooLarge {
                topic: output.topic.to_string(),
                size: output.size(),
                limit,
            });
        }
        let open = self.begun()?;
        self.transactions.send(output, open.deadline)
    }

    fn limit(&mut self, topic: &Arc<str>) -> Option<usize> {
        match &self.limit {
            Some((last, limit)) if Arc::ptr_eq(last, topic) => *limit,
            _ => {
                let limit = self.transactions.limit(topic);
                self.limit = Some((Arc::clone(topic), limit));
                limit
            }
        }
    }
}

impl Outputs for Filling<'_> {
    fn add(&mut self, output: Output<'_>) -> Result<(), Doomed> {
        if self.failure.is_some() {
            return Err(Doomed);
        }
        self.try_add(output).map_err(|failure| {
            self.failure = Some(failure);
            Doomed
        })
    }
}
