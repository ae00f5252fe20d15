//! `gosight`, the operator's tool: starts everything on one machine, creates topics, shows what stands on them. Each command is
//! a file of its own. May depend on every crate of this workspace; nothing depends on it.

mod command_line;
mod connection;
mod dev;
mod failure;
mod tail;
mod topics;

use std::process::ExitCode;

use clap::Parser;

use crate::command_line::{Command, CommandLine, TopicsCommand};

/// Bodies and records of 4 to 40 KB live for milliseconds: glibc's allocator merges and splits them all the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::Failure::software(format!("the runtime could not start: {error}")).report(),
    };
    let result = runtime.block_on(async {
        match command_line.command {
            Command::Dev(arguments) => dev::run(arguments).await,
            Command::Tail(arguments) => tail::run(arguments).await,
            Command::Topics(TopicsCommand::Create(arguments)) => topics::create(arguments).await,
        }
    });
    // Blocking work that a command has given up on must not hold the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
