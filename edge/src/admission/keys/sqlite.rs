//! Keys in SQLite, for `gosight dev` and installations of one process: the same two tables, as far as we read them.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use gosight_schemas::PrivacyRules;
use serde_json::Value;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow};
use uuid::Uuid;

use super::hash::key_hash;
use super::store::{KeyStore, KeyStoreError, StoredKey};
use crate::admission::Grant;

const TABLES: &str = r#"
CREATE TABLE IF NOT EXISTS projects (
    id        TEXT PRIMARY KEY,
    name      TEXT NOT NULL,
    settings  TEXT NOT NULL DEFAULT '{}',
    is_active INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE IF NOT EXISTS api_keys (
    id            TEXT PRIMARY KEY,
    project_id    TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    key_hash      TEXT NOT NULL UNIQUE,
    key_prefix    TEXT NOT NULL,
    name          TEXT NOT NULL,
    permissions   TEXT NOT NULL DEFAULT '["ingest"]',
    is_active     INTEGER NOT NULL DEFAULT 1,
    -- Unix ms
    expires_at_ms INTEGER
) STRICT;"#;

const FIND: &str = "
SELECT k.id, k.project_id, k.is_active AND p.is_active AS is_active, k.permissions, p.settings, k.expires_at_ms
FROM api_keys k JOIN projects p ON p.id = k.project_id
WHERE k.key_hash = ?";

/// A statement waits so long for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECTIONS: u32 = 2;

/// Keys in SQLite.
pub struct SqliteKeys {
    pool: SqlitePool,
}

impl SqliteKeys {
    /// Opens the file, and makes it and its tables where they are missing.
    ///
    /// # Errors
    /// The file can't be opened or is no database.
    pub async fn open(path: &Path) -> Result<Self, KeyStoreError> {
        let failed = |error| KeyStoreError(format!("{}: {error}", path.display()));
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(BUSY_TIMEOUT)
            .connect_with(options)
            .await
            .map_err(failed)?;
        sqlx::raw_sql(TABLES).execute(&pool).await.map_err(failed)?;
        Ok(Self { pool })
    }

    /// Makes sure that the project and the key exist. What is there already stays as it is.
    ///
    /// # Errors
    /// The database fails, or the key belongs to another project.
    pub async fn ensure_key(&self, project_id: &str, key: &str, name: &str) -> Result<(), KeyStoreError> {
        let owner = self.insert(project_id, key, name).await.map_err(failed)?;
        if owner != project_id {
            return Err(KeyStoreError(format!(
                "the key {name:?} belongs to project {owner}, not to {project_id}; use another key"
            )));
        }
        Ok(())
    }

    /// The project that the key belongs to afterwards.
    async fn insert(&self, project_id: &str, key: &str, name: &str) -> Result<String, sqlx::Error> {
        let hash = key_hash(key);
        let prefix: String = key.chars().take(12).collect();
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("INSERT INTO projects (id, name) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(project_id)
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "INSERT INTO api_keys (id, project_id, key_hash, key_prefix, name) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(Uuid::new_v4().to_string())
        .bind(project_id)
        .bind(&hash)
        .bind(prefix)
        .bind(name)
        .execute(&mut *transaction)
        .await?;
        let owner = sqlx::query_scalar("SELECT project_id FROM api_keys WHERE key_hash = ?")
            .bind(&hash)
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(owner)
    }
}

#[async_trait]
impl KeyStore for SqliteKeys {
    async fn find(&self, key_hash: &str) -> Result<Option<StoredKey>, KeyStoreError> {
        let row = sqlx::query(FIND)
            .bind(key_hash)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed)?;
        row.as_ref().map(decode).transpose().map_err(failed)
    }
}

fn failed(error: sqlx::Error) -> KeyStoreError {
    KeyStoreError(format!("keys.db: {error}"))
}

fn decode(row: &SqliteRow) -> Result<StoredKey, sqlx::Error> {
    let id: String = row.try_get("id")?;
    let project_id: String = row.try_get("project_id")?;
    let permissions: String = row.try_get("permissions")?;
    let settings: String = row.try_get("settings")?;
    Ok(StoredKey {
        grant: Grant {
            project_id: project_id.into(),
            key_id: id.into(),
            privacy: PrivacyRules {
                anonymize_ip: anonymizes_ip(&settings),
            },
            // The embedded table has no such column.
            requests_per_minute: None,
        },
        is_active: row.try_get("is_active")?,
        permits_ingest: permits_ingest(&permissions),
        expires_at_ms: row.try_get("expires_at_ms")?,
    })
}

/// Whether a JSON array names `ingest`; anything else permits nothing.
fn permits_ingest(permissions: &str) -> bool {
    let permissions: Value = serde_json::from_str(permissions).unwrap_or_default();
    permissions
        .as_array()
        .is_some_and(|all| all.iter().any(|one| one == "ingest"))
}

/// `privacy.anonymizeIp` of a project's settings; missing or of another type: no.
fn anonymizes_ip(settings: &str) -> bool {
    let settings: Value = serde_json::from_str(settings).unwrap_or_default();
    settings
        .pointer("/privacy/anonymizeIp")
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::{anonymizes_ip, permits_ingest};

    #[test]
    fn only_a_list_that_names_ingest_permits_it() {
        assert!(permits_ingest(r#"["read", "ingest"]"#));
        for other in [
            r#"[]"#,
            r#"["read"]"#,
            r#"{"ingest": true}"#,
            r#""ingest""#,
            "null",
            "no JSON",
            r#"[["ingest"]]"#,
        ] {
            assert!(!permits_ingest(other), "{other}");
        }
    }

    #[test]
    fn only_true_anonymizes() {
        assert!(anonymizes_ip(r#"{"privacy": {"anonymizeIp": true}}"#));
        for other in [
            "{}",
            "null",
            "[]",
            r#"{"privacy": 1}"#,
            r#"{"privacy": {"anonymizeIp": "true"}}"#,
            "no JSON",
        ] {
            assert!(!anonymizes_ip(other), "{other}");
        }
    }
}
