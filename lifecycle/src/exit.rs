//! Exit codes, for scripts and supervisors. Values are those of sysexits.h where it has one.

use std::process::ExitCode;

/// All is done.
pub const SUCCESS: u8 = 0;
/// A command did its work and found what it was asked to look for, as `diff` and `grep` say it.
pub const FINDING: u8 = 1;
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
