//! Settling rejects that nobody needs.

use gosight_schemas::ledger::{JobKind, JobState, RejectResult};

use super::filter::Filter;
use super::source::Source;
use super::writer::{Order, Writer, first_entry, take_over};
use crate::failure::Failure;

/// Entries of one transaction.
const TOGETHER: usize = 1_000;

/// What a discard is asked for.
pub(crate) struct Discard {
    pub(crate) filter: Filter,
    pub(crate) who: String,
    pub(crate) reason: String,
}

/// What it did.
pub(crate) struct Discarded {
    pub(crate) job_id: String,
    pub(crate) count: u64,
}

/// Settles every waiting reject that the filter names.
pub(crate) async fn discard(source: &Source, order: Discard, mut step: impl FnMut(u64)) -> Result<Discarded, Failure> {
    let job = take_over(source, &source.ledger(&Filter::default()).await?, None).await?;
    let ledger = source.ledger(&order.filter).await?;
    let errors = &source.topics.errors;
    let spans = order.filter.times().spans(&*source.log, errors).await?;
    let filter = serde_json::to_value(&order.filter).map_err(|error| Failure::software(error.to_string()))?;
    let first = Order {
        kind: JobKind::Discard,
        who: order.who,
        filter,
        reason: Some(order.reason),
    };
    let mut writer = Writer::new(job, source, first_entry(first, errors, &spans));
    writer.commit(JobState::Running).await?;
    let mut letters = source.letters_over(&spans, &order.filter, ledger).await?;
    while let Some(seen) = letters.next().await? {
        step(seen.len() as u64);
        for seen in seen {
            if let Some(letter) = &seen.letter {
                writer.settle(letter, RejectResult::Discarded, None, None)?;
            }
            writer.passed(&seen.position);
            if writer.waiting() >= TOGETHER {
                writer.commit(JobState::Running).await?;
            }
        }
    }
    writer.commit(JobState::Done).await?;
    Ok(Discarded {
        job_id: writer.job_id().to_owned(),
        count: writer.done(),
    })
}
