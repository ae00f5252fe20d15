//! How a command fails: a message for a person and an exit code for a script.

use std::process::ExitCode;

use gosight_eventlog::LogError;
use gosight_lifecycle::exit;

/// Why a command ended without success.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
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
    #[allow(clippy::print_stderr, reason = "a command speaks to a person")]
    pub(crate) fn report(self) -> ExitCode {
        eprintln!("gosight: {}", self.message);
        exit::code(self.code)
    }
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
