//! Exit codes, for scripts and supervisors. Values are those of sysexits.h where it has one.

use std::process::ExitCode;

/// The configuration or the command line is bad; starting again will not help (EX_USAGE).
pub const BAD_CONFIGURATION: u8 = 64;
/// A service that we need is not there; starting again may help (EX_UNAVAILABLE).
pub const UNAVAILABLE: u8 = 69;
/// A defect or an unexpected failure (EX_SOFTWARE).
pub const FAILED: u8 = 70;

/// The exit code as `main` returns it.
pub fn code(value: u8) -> ExitCode {
    ExitCode::from(value)
}
