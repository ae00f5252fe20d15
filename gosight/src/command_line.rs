//! The subcommands by name. Each has its arguments, with their help and examples, in a module of its own; a struct that other
//! arguments flatten has no doc comment, since clap would take it for the command's description.

use clap::{Parser, Subcommand};

use crate::failure::{EXIT_CODES, Failure};
use crate::{dev, tail, topics};

/// The operator's tool of GoSight Ingest.
#[derive(Debug, Parser)]
#[command(
    name = "gosight",
    version,
    about = "The operator's tool of GoSight Ingest",
    propagate_version = true,
    after_help = EXIT_CODES
)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Dev(dev::DevArguments),
    Tail(tail::TailArguments),
    #[command(subcommand)]
    Topics(topics::TopicsCommand),
}

impl Command {
    /// Runs the command to its end.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Dev(arguments) => dev::run(arguments).await,
            Self::Tail(arguments) => tail::run(arguments).await,
            Self::Topics(command) => topics::run(command).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::CommandLine;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_examples() {
        let mut waiting = vec![CommandLine::command()];
        while let Some(command) = waiting.pop() {
            let name = command.get_name().to_owned();
            assert!(command.get_about().is_some(), "{name} has no description");
            if !command.has_subcommands() {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(
                    help.contains("Examples:\n  gosight "),
                    "{name} shows no examples: {help:?}"
                );
            }
            waiting.extend(command.get_subcommands().cloned());
        }
    }
}
