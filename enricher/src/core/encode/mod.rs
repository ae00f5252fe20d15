//! From outcomes to the bytes of their records.

mod event;
mod reject;

pub(super) use event::{metric_name, raw_value};
pub(super) use reject::{Original, Rejecter};
