//! `gosight-edge`: takes batches over HTTP, gRPC and gRPC-Web, authenticates the key, rate-limits the project, and answers success
//! only after the staging topic has the batch. It never looks inside an event. A transport (`transport/`) only reads and writes its
//! protocol; the one way of a batch is `ingest.rs`. May depend on `proto`, `schemas`, `config`, `eventlog` and `lifecycle`, never
//! on `enricher`.

mod accounts;
mod activity;
pub mod admission;
mod body;
mod budget;
mod client;
mod closing;
mod decompress;
mod envelope;
mod examine;
mod forwarding;
mod ingest;
mod live;
mod new_id;
mod outcome;
mod protocol;
mod quota;
pub mod reload;
mod replay;
mod restrictions;
mod server;
mod socket;
mod tls;
mod transport;
mod wire;

pub use examine::{Claimed, Examined, examine};
pub use live::Live;
pub use outcome::{Accepted, Fate, InStream, Outcome, Reason, Refusal, Retry, Rule};
pub use server::{EdgeError, EdgeParts, Listeners, serve};
pub use tls::{Tls, TlsError};
