//! How a command ends: a message for a person and an exit code for a script. The codes are documented in [`EXIT_CODES`].

use std::process::ExitCode;

use gosight_eventlog::LogError;
use gosight_lifecycle::exit;

use crate::output;

/// What scripts may rely on; `gosight --help` shows it.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0   done, and nothing to object to
  1   done, and it found what it was asked to look for: a difference, a reject, something unacknowledged
  64  the command line or the configuration is wrong; trying again will not help
  69  something that it needs is not there (log, database, edge); trying again may help
  70  it failed in a way that it does not know; a defect, or a broken disk";

/// Why a command ended before its end, or with something to object to.
#[derive(Debug)]
pub(crate) struct Failure {
    /// For standard error; empty where nobody has to be told.
    message: String,
    code: u8,
}

impl Failure {
    /// The command did its work and found what scripts must know by the exit code. The report itself is printed already.
    pub(crate) fn finding(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: exit::FINDING,
        }
    }

    /// Whoever read our output went away: there is nothing left to do, and nothing wrong.
    pub(crate) fn seen_enough() -> Self {
        Self {
            message: String::new(),
            code: exit::SUCCESS,
        }
    }

    /// The command line or the configuration is bad.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: exit::BAD_CONFIGURATION,
        }
    }

    /// Something that we need is not there.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: exit::UNAVAILABLE,
        }
    }

    /// An unexpected failure.
    pub(crate) fn software(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: exit::FAILED,
        }
    }

    /// Says it on standard error.
    pub(crate) fn report(self) -> ExitCode {
        if !self.message.is_empty() {
            output::note(&format!("gosight: {}", self.message));
        }
        exit::code(self.code)
    }
}

/// Shows the help that was asked for, or what is wrong with the command line.
pub(crate) fn not_a_command(help_or_error: &clap::Error) -> ExitCode {
    // Nobody is left to be told when this fails.
    let _ = help_or_error.print();
    exit::code(if help_or_error.use_stderr() {
        exit::BAD_CONFIGURATION
    } else {
        exit::SUCCESS
    })
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Settings { .. } => Self::usage(error.to_string()),
            LogError::Timeout { .. } | LogError::UnknownTopic { .. } => Self::unavailable(error.to_string()),
            LogError::Failed { .. } => Self::software(error.to_string()),
        }
    }
}
