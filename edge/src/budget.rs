//! Bytes in flight: what all requests together may hold in memory.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::outcome::Refusal;

/// The process' budget of bytes. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    capacity: usize,
}

/// Bytes that one request holds. They return when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Budget,
    permit: Option<OwnedSemaphorePermit>,
}

impl Budget {
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(capacity)),
            capacity,
        }
    }

    /// A request that holds nothing yet.
    pub(crate) fn hold(&self) -> Held {
        Held {
            budget: self.clone(),
            permit: None,
        }
    }

    /// Bytes that all requests hold now.
    pub(crate) fn in_flight(&self) -> usize {
        self.capacity - self.free.available_permits()
    }

    /// Bytes that all requests may hold.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }
}

impl Held {
    /// Takes `bytes` more, or refuses at once: waiting would only move the queue from the socket into memory.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        let count = u32::try_from(bytes).map_err(|_| Refusal::overloaded())?;
        let more = Arc::clone(&self.budget.free)
            .try_acquire_many_owned(count)
            .map_err(|_| Refusal::overloaded())?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }

    /// Parts with `bytes` of what it holds (or all, where it holds less), for a message that leaves its stream.
    pub(crate) fn part(&mut self, bytes: usize) -> Self {
        let part = self.permit.as_mut().and_then(|permit| {
            let count = bytes.min(permit.num_permits());
            permit.split(count)
        });
        Self {
            budget: self.budget.clone(),
            permit: part,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn what_is_held_returns_and_no_more_is_given_than_there_is() {
        let budget = Budget::new(100);
        let mut held = budget.hold();
        held.take(60).unwrap();
        assert!(held.take(41).is_err());
        held.take(40).unwrap();
        let part = held.part(30);
        assert_eq!(budget.in_flight(), 100);
        drop(held);
        assert_eq!(budget.in_flight(), 30);
        drop(part);
        assert_eq!(budget.in_flight(), 0);
    }
}
