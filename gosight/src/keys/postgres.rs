//! Keys in the dashboard's database.

use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use gosight_config::edge::PostgresSettings;
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use uuid::Uuid;

use super::new_key::NewKey;
use super::store::{StandingKey, Store};
use crate::failure::Failure;

/// One after the other is enough for a person.
const CONNECTIONS: u32 = 1;
/// A command of a person may wait longer than an edge's look-up.
const PATIENCE: Duration = Duration::from_secs(10);

const KEYS: &str = "
SELECT k.id, k.project_id, k.key_prefix::text AS prefix, k.name::text AS name, COALESCE(k.permissions, '[]') AS permissions,
       COALESCE(k.is_active AND p.is_active, false) AS active,
       (extract(epoch FROM k.created_at) * 1000)::bigint AS created_at_ms,
       (extract(epoch FROM k.last_used_at) * 1000)::bigint AS last_used_at_ms,
       CASE WHEN isfinite(k.expires_at) THEN (extract(epoch FROM k.expires_at) * 1000)::bigint
            WHEN k.expires_at = '-infinity' THEN 0
       END AS expires_at_ms
FROM api_keys k JOIN projects p ON p.id = k.project_id
WHERE $1::uuid IS NULL OR k.project_id = $1
ORDER BY k.created_at, k.id";

const INSERT: &str = "
INSERT INTO api_keys (id, project_id, key_hash, key_prefix, name, permissions, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, to_timestamp($7::bigint / 1000.0))";

/// PostgreSQL.
pub(super) struct PostgresStore {
    pool: PgPool,
}

impl PostgresStore {
    pub(super) async fn connect(settings: &PostgresSettings) -> Result<Self, Failure> {
        let options = PgConnectOptions::from_str(settings.dsn.reveal()).map_err(|error| {
            Failure::usage(format!(
                "the address of PostgreSQL does not parse: {error}; write postgres://user:password@host:port/database"
            ))
        })?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .connect_with(options.application_name("gosight-keys"))
            .await
            .map_err(failed)?;
        Ok(Self { pool })
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn has_project(&self, project: Uuid) -> Result<bool, Failure> {
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM projects WHERE id = $1)")
            .bind(project)
            .fetch_one(&self.pool)
            .await
            .map_err(failed)
    }

    async fn create_project(&self, project: Uuid, name: &str) -> Result<(), Failure> {
        sqlx::query("INSERT INTO projects (id, name) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
            .bind(project)
            .bind(name)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(failed)
    }

    async fn insert(&self, key: &NewKey) -> Result<(), Failure> {
        insert(&self.pool, key).await.map_err(failed)
    }

    async fn keys(&self, project: Option<Uuid>) -> Result<Vec<StandingKey>, Failure> {
        let rows = sqlx::query(KEYS)
            .bind(project)
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        rows.iter().map(|row| decode(row).map_err(failed)).collect()
    }

    async fn deactivate(&self, id: Uuid) -> Result<(), Failure> {
        sqlx::query("UPDATE api_keys SET is_active = false WHERE id = $1")
            .bind(id)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(failed)
    }

    async fn replace(&self, old: Uuid, ends_ms: i64, new: &NewKey) -> Result<(), Failure> {
        let replaced = async {
            let mut transaction = self.pool.begin().await?;
            insert(&mut *transaction, new).await?;
            // The new key has the old one's rate.
            sqlx::query(
                "UPDATE api_keys SET rate_limit = (SELECT rate_limit FROM api_keys WHERE id = $1) WHERE id = $2",
            )
            .bind(old)
            .bind(new.id)
            .execute(&mut *transaction)
            .await?;
            sqlx::query("UPDATE api_keys SET expires_at = to_timestamp($2::bigint / 1000.0) WHERE id = $1")
                .bind(old)
                .bind(ends_ms)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await
        };
        replaced.await.map_err(failed)
    }
}

async fn insert<'e>(executor: impl sqlx::PgExecutor<'e>, key: &NewKey) -> Result<(), sqlx::Error> {
    sqlx::query(INSERT)
        .bind(key.id)
        .bind(key.project_id)
        .bind(&key.hash)
        .bind(&key.prefix)
        .bind(&key.name)
        .bind(Value::from(key.permissions.clone()))
        .bind(key.expires_at_ms)
        .execute(executor)
        .await
        .map(drop)
}

fn decode(row: &PgRow) -> Result<StandingKey, sqlx::Error> {
    let permissions: Value = row.try_get("permissions")?;
    Ok(StandingKey {
        prefix: row.try_get("prefix")?,
        id: row.try_get("id")?,
        project_id: row.try_get("project_id")?,
        name: row.try_get("name")?,
        permissions: super::store::named(&permissions),
        active: row.try_get("active")?,
        created_at_ms: row.try_get("created_at_ms")?,
        last_used_at_ms: row.try_get("last_used_at_ms")?,
        expires_at_ms: row.try_get("expires_at_ms")?,
    })
}

fn failed(error: sqlx::Error) -> Failure {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Tls(_) => Failure::unavailable(format!(
            "PostgreSQL does not answer: {error}; check --postgres or postgres.dsn"
        )),
        other => Failure::software(format!("PostgreSQL: {other}")),
    }
}
