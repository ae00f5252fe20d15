//! What `gosight keys` takes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::output::OutputFormat;

/// Manage the API keys of projects
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    Create(CreateArguments),
    List(ListArguments),
    Revoke(RevokeArguments),
    Rotate(RotateArguments),
}

// Where the keys stand: PostgreSQL where it is named, else the embedded log's directory. Both on the command line are refused: who
// revokes a key must know where. (The environment is read apart: clap takes a variable for an argument.)
#[derive(Debug, Args)]
pub(crate) struct StoreArguments {
    /// Directory of `gosight dev`, whose keys stand in SQLite [default: data, unless PostgreSQL is named]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["postgres", "config"])]
    pub(crate) data: Option<PathBuf>,

    /// PostgreSQL, as postgres://user:password@host:port/database; over the one of the configuration
    /// [env: POSTGRES_DSN, unless --data is there]
    #[arg(long, value_name = "URL")]
    pub(crate) postgres: Option<String>,

    /// Edge configuration whose `postgres` section names the database [env: CONFIG_PATH, unless --data is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Make a key; it is shown once and stands nowhere
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gosight keys create --project b0000000-0000-0000-0000-000000000001 --name 'Web shop'\n  \
                  gosight keys create --project 7d0c5a52-6f0b-4c39-9a51-52d1b8f5c0de --create-project --expires-in 90days\n  \
                  gosight keys create --project b0000000-0000-0000-0000-000000000001 --config edge.yaml --format json"
)]
pub(crate) struct CreateArguments {
    /// The project that the key will belong to
    #[arg(long, value_name = "UUID")]
    pub(crate) project: Uuid,

    /// What it is for, for the people who list keys
    #[arg(long, value_name = "NAME", default_value = "gosight")]
    pub(crate) name: String,

    /// What it permits; may be given several times
    #[arg(long = "permission", value_name = "PERMISSION", default_value = "ingest")]
    pub(crate) permissions: Vec<String>,

    /// It stops after so long, for example 90days; without it never
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) expires_in: Option<Duration>,

    /// Make the project too where it does not exist; without it a project that does not exist is an error
    #[arg(long)]
    pub(crate) create_project: bool,

    #[command(flatten)]
    pub(crate) store: StoreArguments,

    /// How to show the key
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
}

/// List keys, without the keys themselves
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gosight keys list\n  gosight keys list --project b0000000-0000-0000-0000-000000000001 --format json\n  \
                  gosight keys list --config edge.yaml"
)]
pub(crate) struct ListArguments {
    /// Only the keys of this project
    #[arg(long, value_name = "UUID")]
    pub(crate) project: Option<Uuid>,

    #[command(flatten)]
    pub(crate) store: StoreArguments,

    /// How to show the keys
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
}

/// Stop a key for good
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gosight keys revoke gs_to_revoke\n  \
                  gosight keys revoke gs_to_revoke --project b0000000-0000-0000-0000-000000000001")]
pub(crate) struct RevokeArguments {
    /// Its prefix or its id, as `gosight keys list` shows them
    #[arg(value_name = "PREFIX|ID")]
    pub(crate) key: String,

    /// Only among the keys of this project
    #[arg(long, value_name = "UUID")]
    pub(crate) project: Option<Uuid>,

    #[command(flatten)]
    pub(crate) store: StoreArguments,

    /// How to show the key
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
}

/// Make a key in the place of another, which goes on for a grace time
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gosight keys rotate gs_to_rotate\n  gosight keys rotate gs_to_rotate --grace 7days --format json"
)]
pub(crate) struct RotateArguments {
    /// The old key's prefix or id, as `gosight keys list` shows them
    #[arg(value_name = "PREFIX|ID")]
    pub(crate) key: String,

    /// Only among the keys of this project
    #[arg(long, value_name = "UUID")]
    pub(crate) project: Option<Uuid>,

    /// The old key stops after so long; 0s stops it at once
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = humantime::parse_duration)]
    pub(crate) grace: Duration,

    #[command(flatten)]
    pub(crate) store: StoreArguments,

    /// How to show the new key
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
}
