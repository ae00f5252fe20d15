//! What a lane commits: the work that computes a transaction's outputs, one after the other, where they are handed to the log.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use crate::{Header, NewRecord};

/// An output as its maker holds it. Equal keys share a partition, as for [`NewRecord`].
#[derive(Debug, Clone, Copy)]
pub struct Output<'a> {
    /// The topic's name.
    pub topic: &'a Arc<str>,
    /// The key; it decides the partition.
    pub key: &'a Bytes,
    /// The value.
    pub value: &'a Bytes,
    /// Headers in order.
    pub headers: &'a [Header],
}

/// Where the outputs of one transaction go, in order.
pub trait Outputs {
    /// Adds an output to the transaction, which begins with the first one.
    ///
    /// # Errors
    /// The transaction can't be committed any more, so further outputs are of no use; [`crate::Lane::transact`] tells why.
    fn add(&mut self, output: Output<'_>) -> Result<(), Doomed>;
}

/// The transaction can't be committed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doomed;

/// Computes the outputs of one transaction and says what is to become of it. Runs on a thread on which it may take its time, but its
/// transaction is open meanwhile and has [`crate::LaneOptions::transaction_timeout`] in all.
pub type Work = Box<dyn FnOnce(&mut dyn Outputs) -> Verdict + Send>;

/// What is to become of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is committed, with the positions of what was polled.
    Commit,
    /// It is aborted, and what was polled comes again.
    GiveBack,
}

/// What became of a transaction that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Its outputs and positions stand on the log.
    Committed,
    /// Nothing happened, and the lane stands at the committed positions again.
    GivenBack,
}

impl Output<'_> {
    /// Bytes that count against limits and queues: key, value and headers.
    pub fn size(&self) -> usize {
        self.key.len() + self.value.len() + self.headers.iter().map(Header::size).sum::<usize>()
    }

    /// The same, to be kept.
    pub fn to_record(&self) -> NewRecord {
        NewRecord {
            topic: Arc::clone(self.topic),
            key: self.key.clone(),
            value: self.value.clone(),
            headers: self.headers.to_vec(),
        }
    }
}

impl NewRecord {
    /// The record as an output.
    pub fn as_output(&self) -> Output<'_> {
        Output {
            topic: &self.topic,
            key: &self.key,
            value: &self.value,
            headers: &self.headers,
        }
    }
}

/// Outputs that are kept for later.
impl Outputs for Vec<NewRecord> {
    fn add(&mut self, output: Output<'_>) -> Result<(), Doomed> {
        self.push(output.to_record());
        Ok(())
    }
}

/// The work of outputs that are there already.
pub(crate) fn handing_over(outputs: Vec<NewRecord>) -> Work {
    Box::new(move |into| {
        // Where one is refused the lane knows why.
        let _ = outputs.iter().try_for_each(|output| into.add(output.as_output()));
        Verdict::Commit
    })
}

/// Runs work, which may panic: the error says so.
pub(crate) fn run(work: Work, outputs: &mut dyn Outputs) -> Result<Verdict, String> {
    catch_unwind(AssertUnwindSafe(|| work(outputs))).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        format!(
            "making a transaction's outputs panicked: {}",
            text.unwrap_or("no reason given")
        )
    })
}
