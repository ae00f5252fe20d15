//! `gosight dlq`: dead letters. What can be asked of them (reading, grouping, testing, redriving) is apart from how it is printed, so
//! that another front can ask the same: [`source`] reads, [`groups`], [`trial`] and [`patch`] are pure, [`redrive`] and [`discard`]
//! write in transactions with the ledger.

mod arguments;
mod commands;
pub(crate) mod discard;
pub(crate) mod filter;
pub(crate) mod groups;
pub(crate) mod letter;
pub(crate) mod neighbours;
pub(crate) mod patch;
mod published;
pub(crate) mod redact;
pub(crate) mod redrive;
pub(crate) mod source;
pub(crate) mod trial;
mod writer;

pub(crate) use self::arguments::DlqCommand;
pub(crate) use self::commands::run;
