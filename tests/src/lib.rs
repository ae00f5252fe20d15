//! What the end-to-end tests and benchmarks share: they start the real binaries, speak to them over real sockets and read the
//! topics as a downstream service would. May depend on everything, and reaches the services through their public doors only.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test that can't go on panics with the reason"
)]

pub mod broker;
pub mod browser;
pub mod clients;
pub mod dev;
pub mod events;
pub mod faults;
pub mod keep_alive;
pub mod load;
pub mod open_loop;
pub mod process;
pub mod report;
pub mod stack;
pub mod topic;
pub mod usage;
pub mod wait;
