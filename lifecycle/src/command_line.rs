//! The command line of a service.

use std::path::PathBuf;

use clap::Args;

/// Arguments that every service takes.
#[derive(Debug, Clone, Args)]
pub struct ServiceArguments {
    /// Configuration file; without one the built-in defaults apply, which read their addresses from the environment
    #[arg(long, value_name = "FILE", env = "CONFIG_PATH")]
    pub config: Option<PathBuf>,

    /// Check the configuration, say what is wrong with it, and exit
    #[arg(long)]
    pub check: bool,
}
