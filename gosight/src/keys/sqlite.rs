//! Keys in the file of `gosight dev`.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use gosight_edge::admission::SqliteKeys;
use jiff::Timestamp;
use serde_json::Value;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePool, SqlitePoolOptions, SqliteRow};
use uuid::Uuid;

use super::new_key::NewKey;
use super::store::{StandingKey, Store, named};
use crate::failure::Failure;

/// Short transactions beside a running edge.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The edge needs no such column and makes none.
const HAS_CREATED: &str = "SELECT EXISTS (SELECT 1 FROM pragma_table_info('api_keys') WHERE name = 'created_at_ms')";
const ADD_CREATED: &str = "ALTER TABLE api_keys ADD COLUMN created_at_ms INTEGER";

const KEYS: &str = "
SELECT k.id, k.project_id, k.key_prefix, k.name, k.permissions, k.is_active AND p.is_active AS active,
       k.created_at_ms, k.expires_at_ms
FROM api_keys k JOIN projects p ON p.id = k.project_id
WHERE ?1 IS NULL OR k.project_id = ?1
ORDER BY k.created_at_ms, k.rowid";

const INSERT: &str = "
INSERT INTO api_keys (id, project_id, key_hash, key_prefix, name, permissions, expires_at_ms, created_at_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)";

/// SQLite.
pub(super) struct SqliteStore {
    pool: SqlitePool,
}

impl SqliteStore {
    pub(super) async fn open(directory: &Path) -> Result<Self, Failure> {
        let file = directory.join("keys.db");
        if !file.exists() {
            let path = directory.display();
            return Err(Failure::unavailable(format!(
                "there are no keys in {path}; start `gosight dev --data {path}` once, or name PostgreSQL with --postgres or --config"
            )));
        }
        // The tables are the edge's own.
        SqliteKeys::open(&file)
            .await
            .map_err(|error| Failure::software(error.to_string()))?;
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .map_err(failed)?;
        let store = Self { pool };
        store.add_created().await.map_err(failed)?;
        Ok(store)
    }

    async fn add_created(&self) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let is_there: bool = sqlx::query_scalar(HAS_CREATED).fetch_one(&mut *transaction).await?;
        if !is_there {
            sqlx::query(ADD_CREATED).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn has_project(&self, project: Uuid) -> Result<bool, Failure> {
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM projects WHERE id = ?)")
            .bind(project.to_string())
            .fetch_one(&self.pool)
            .await
            .map_err(failed)
    }

    async fn create_project(&self, project: Uuid, name: &str) -> Result<(), Failure> {
        sqlx::query("INSERT INTO projects (id, name) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(project.to_string())
            .bind(name)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(failed)
    }

    async fn insert(&self, key: &NewKey) -> Result<(), Failure> {
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        insert(&mut connection, key).await.map_err(failed)
    }

    async fn keys(&self, project: Option<Uuid>) -> Result<Vec<StandingKey>, Failure> {
        let rows = sqlx::query(KEYS)
            .bind(project.map(|project| project.to_string()))
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        rows.iter().map(|row| decode(row).map_err(failed)).collect()
    }

    async fn deactivate(&self, id: Uuid) -> Result<(), Failure> {
        sqlx::query("UPDATE api_keys SET is_active = 0 WHERE id = ?")
            .bind(id.to_string())
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(failed)
    }

    async fn replace(&self, old: Uuid, ends_ms: i64, new: &NewKey) -> Result<(), Failure> {
        let replaced = async {
            let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
            insert(&mut transaction, new).await?;
            sqlx::query("UPDATE api_keys SET expires_at_ms = ? WHERE id = ?")
                .bind(ends_ms)
                .bind(old.to_string())
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await
        };
        replaced.await.map_err(failed)
    }
}

async fn insert(connection: &mut SqliteConnection, key: &NewKey) -> Result<(), sqlx::Error> {
    sqlx::query(INSERT)
        .bind(key.id.to_string())
        .bind(key.project_id.to_string())
        .bind(&key.hash)
        .bind(&key.prefix)
        .bind(&key.name)
        .bind(Value::from(key.permissions.clone()).to_string())
        .bind(key.expires_at_ms)
        .bind(Timestamp::now().as_millisecond())
        .execute(connection)
        .await
        .map(drop)
}

fn decode(row: &SqliteRow) -> Result<StandingKey, sqlx::Error> {
    let uuid = |column: &str| {
        let text: String = row.try_get(column)?;
        text.parse::<Uuid>().map_err(|error| sqlx::Error::Decode(error.into()))
    };
    let permissions: String = row.try_get("permissions")?;
    Ok(StandingKey {
        prefix: row.try_get("key_prefix")?,
        id: uuid("id")?,
        project_id: uuid("project_id")?,
        name: row.try_get("name")?,
        permissions: named(&serde_json::from_str(&permissions).unwrap_or_default()),
        active: row.try_get("active")?,
        created_at_ms: row.try_get("created_at_ms")?,
        // The embedded edge counts no usage.
        last_used_at_ms: None,
        expires_at_ms: row.try_get("expires_at_ms")?,
    })
}

fn failed(error: sqlx::Error) -> Failure {
    Failure::software(format!("keys.db: {error}"))
}
