//! `gosight`, the operator's tool: starts everything on one machine, manages topics and keys, sends, checks and shows events. Each
//! command is a module of its own. May depend on every crate of this workspace; nothing depends on it.

mod audit;
mod command_line;
mod completions;
mod connection;
mod console;
mod dev;
mod dlq;
mod failure;
mod input;
mod keys;
mod ledger;
mod marked;
mod moment;
mod output;
mod outputs;
mod pretty_json;
mod progress;
mod ranges;
mod replay;
mod send;
mod staged_event;
mod story;
mod tail;
mod topics;
mod validate;

use std::process::ExitCode;

use clap::Parser;

use crate::command_line::CommandLine;

/// Bodies and records of 4 to 40 KB live for milliseconds: glibc's allocator merges and splits them all the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(help_or_error) => return failure::not_a_command(&help_or_error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::Failure::software(format!("the runtime could not start: {error}")).report(),
    };
    let result = runtime.block_on(command_line.command.run());
    // Blocking work that a command has given up on must not hold the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
