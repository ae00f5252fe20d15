//! Where keys stand: what both databases offer, and which one the arguments name.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use gosight_config::kafka::Secret;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::arguments::StoreArguments;
use super::new_key::NewKey;
use super::postgres::PostgresStore;
use super::sqlite::SqliteStore;
use crate::failure::Failure;
use crate::output::Row;
use crate::{connection, moment};

/// Where `gosight dev` keeps its data unless told otherwise.
const DEFAULT_DATA: &str = "data";

/// A key as it stands.
#[derive(Debug, Clone, Serialize)]
pub(super) struct StandingKey {
    pub(super) prefix: String,
    pub(super) id: Uuid,
    pub(super) project_id: Uuid,
    pub(super) name: String,
    pub(super) permissions: Vec<String>,
    /// The key's own switch, and its project's.
    pub(super) active: bool,
    /// Unix ms, as the next two; absent where the database does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_used_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at_ms: Option<i64>,
}

/// What the commands need of a database.
#[async_trait]
pub(super) trait Store: Send + Sync {
    async fn has_project(&self, project: Uuid) -> Result<bool, Failure>;
    async fn create_project(&self, project: Uuid, name: &str) -> Result<(), Failure>;
    async fn insert(&self, key: &NewKey) -> Result<(), Failure>;
    /// All keys, or those of one project, the newest last.
    async fn keys(&self, project: Option<Uuid>) -> Result<Vec<StandingKey>, Failure>;
    async fn deactivate(&self, id: Uuid) -> Result<(), Failure>;
    /// Both in one transaction: the old key ends then (Unix ms), and the new one stands.
    async fn replace(&self, old: Uuid, ends_ms: i64, new: &NewKey) -> Result<(), Failure>;
}

/// Opens the database that the arguments name.
pub(super) async fn open(arguments: &StoreArguments) -> Result<Box<dyn Store>, Failure> {
    if let Some(directory) = &arguments.data {
        return Ok(Box::new(SqliteStore::open(directory).await?));
    }
    let dsn = arguments.postgres.clone().or_else(|| connection::given("POSTGRES_DSN"));
    let config = arguments
        .config
        .clone()
        .or_else(|| connection::given("CONFIG_PATH").map(PathBuf::from));
    if dsn.is_none() && config.is_none() {
        return Ok(Box::new(SqliteStore::open(Path::new(DEFAULT_DATA)).await?));
    }
    let mut settings = connection::edge_settings(config.as_deref(), None)?.postgres;
    if let Some(dsn) = dsn {
        settings.dsn = Secret::new(dsn);
    }
    Ok(Box::new(PostgresStore::connect(&settings).await?))
}

impl StandingKey {
    /// Whether an edge would accept it then (Unix ms).
    pub(super) fn works_at(&self, now_ms: i64) -> bool {
        self.active && self.expires_at_ms.is_none_or(|expires| expires > now_ms)
    }
}

impl Row for StandingKey {
    const HEADINGS: &'static [&'static str] = &[
        "PREFIX",
        "ID",
        "PROJECT",
        "NAME",
        "PERMISSIONS",
        "ACTIVE",
        "CREATED",
        "LAST USED",
        "EXPIRES",
    ];

    fn cells(&self) -> Vec<String> {
        let time = |ms: Option<i64>, absent: &str| ms.map_or_else(|| absent.to_owned(), moment::shown);
        vec![
            self.prefix.clone(),
            self.id.to_string(),
            self.project_id.to_string(),
            self.name.clone(),
            self.permissions.join(", "),
            if self.active { "yes" } else { "no" }.to_owned(),
            time(self.created_at_ms, "-"),
            time(self.last_used_at_ms, "-"),
            time(self.expires_at_ms, "never"),
        ]
    }
}

/// What a JSON array of permissions names; anything else permits nothing, as the edge reads it.
pub(super) fn named(permissions: &Value) -> Vec<String> {
    let all = permissions.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
