//! Keys in PostgreSQL: the dashboard's tables, read; and the usage counters, written.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use gosight_config::edge::PostgresSettings;
use gosight_schemas::PrivacyRules;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::{Executor, Row};
use uuid::Uuid;

use super::store::{KeyStore, KeyStoreError, KeyUsage, StoredKey};
use crate::admission::{Grant, own_rate};

/// JSON is judged by PostgreSQL itself: nothing that an owner writes into a column can break the look-up of other keys.
const FIND: &str = r#"
SELECT k.key_hash::text AS key_hash,
       k.id,
       k.project_id,
       GREATEST(LEAST(k.rate_limit, 2147483647), 0)::int AS rate_limit,
       COALESCE(k.is_active AND p.is_active, false) AS is_active,
       COALESCE(k.permissions @> '["ingest"]'::jsonb, false) AS permits_ingest,
       COALESCE(p.settings #> '{privacy,anonymizeIp}' = 'true'::jsonb, false) AS anonymize_ip,
       CASE WHEN isfinite(k.expires_at) THEN (extract(epoch FROM k.expires_at) * 1000)::bigint
            WHEN k.expires_at = '-infinity' THEN 0
       END AS expires_at_ms
FROM api_keys k
JOIN projects p ON p.id = k.project_id
WHERE k.key_hash = ANY($1)"#;

const RECORD_USAGE: &str = "
UPDATE api_keys k
SET request_count = COALESCE(k.request_count, 0) + used.requests,
    last_used_at = GREATEST(k.last_used_at, to_timestamp(used.at_ms / 1000.0))
FROM UNNEST($1::uuid[], $2::bigint[], $3::bigint[]) AS used (id, requests, at_ms)
WHERE k.id = used.id";

/// Keys in PostgreSQL.
pub struct PostgresKeys {
    pool: PgPool,
    timeout: Duration,
}

impl PostgresKeys {
    /// Connects when the first key is looked up. Needs a Tokio runtime.
    ///
    /// # Errors
    /// `postgres.dsn` does not parse.
    pub fn connect(settings: &PostgresSettings) -> Result<Self, KeyStoreError> {
        let options = PgConnectOptions::from_str(settings.dsn.reveal()).map_err(|error| {
            KeyStoreError(format!(
                "postgres.dsn does not parse: {error}; write postgres://user:password@host:port/database"
            ))
        })?;
        let timeout = settings.timeout;
        let limit = format!("SET statement_timeout = {}", timeout.as_millis().max(1));
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections)
            .acquire_timeout(timeout)
            // Not by the connection's options: poolers refuse options that they don't know.
            .after_connect(move |connection, _| {
                let limit = limit.clone();
                Box::pin(async move { connection.execute(sqlx::AssertSqlSafe(limit)).await.map(drop) })
            })
            .connect_lazy_with(options.application_name("gosight-edge"));
        Ok(Self { pool, timeout })
    }

    /// Runs a statement within the time limit, in which waiting for a connection is contained.
    async fn run<T>(
        &self,
        statement: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, KeyStoreError> {
        let deadline = tokio::time::Instant::now() + self.timeout;
        let late = |_| KeyStoreError(format!("postgres did not answer within {:?}", self.timeout));
        let failed = |error: sqlx::Error| KeyStoreError(format!("postgres: {error}"));
        let mut connection = tokio::time::timeout_at(deadline, self.pool.acquire())
            .await
            .map_err(late)?
            .map_err(failed)?;
        let answer = tokio::time::timeout_at(deadline, statement(&mut connection)).await;
        if answer.is_err() {
            // Its answer may still come; nobody else should wait for it.
            connection.close_on_drop();
        }
        answer.map_err(late)?.map_err(failed)
    }
}

#[async_trait]
impl KeyStore for PostgresKeys {
    async fn find(&self, key_hash: &str) -> Result<Option<StoredKey>, KeyStoreError> {
        let mut found = self.find_all(&[key_hash.to_owned()]).await?;
        Ok(found.pop().flatten())
    }

    async fn find_all(&self, key_hashes: &[String]) -> Result<Vec<Option<StoredKey>>, KeyStoreError> {
        let rows = self
            .run(async |connection| sqlx::query(FIND).bind(key_hashes).fetch_all(connection).await)
            .await?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in rows {
            let (key_hash, key) = decode(&row).map_err(|error| KeyStoreError(format!("postgres: {error}")))?;
            found.insert(key_hash, key);
        }
        Ok(key_hashes.iter().map(|key_hash| found.remove(key_hash)).collect())
    }

    async fn record_usage(&self, usage: &[KeyUsage]) -> Result<(), KeyStoreError> {
        let mut ids = Vec::with_capacity(usage.len());
        let mut requests = Vec::with_capacity(usage.len());
        let mut last_used = Vec::with_capacity(usage.len());
        for used in usage {
            // Ids come from the table itself.
            let Ok(id) = Uuid::parse_str(&used.key_id) else {
                continue;
            };
            ids.push(id);
            requests.push(i64::try_from(used.requests).unwrap_or(i64::MAX));
            last_used.push(used.last_used_at_ms);
        }
        self.run(async |connection| {
            sqlx::query(RECORD_USAGE)
                .bind(ids)
                .bind(requests)
                .bind(last_used)
                .execute(connection)
                .await
        })
        .await
        .map(drop)
    }
}

fn decode(row: &PgRow) -> Result<(String, StoredKey), sqlx::Error> {
    let id: Uuid = row.try_get("id")?;
    let project_id: Uuid = row.try_get("project_id")?;
    let key = StoredKey {
        grant: Grant {
            project_id: project_id.to_string().into(),
            key_id: id.to_string().into(),
            privacy: PrivacyRules {
                anonymize_ip: row.try_get("anonymize_ip")?,
            },
            requests_per_minute: own_rate(row.try_get("rate_limit")?),
        },
        is_active: row.try_get("is_active")?,
        permits_ingest: row.try_get("permits_ingest")?,
        expires_at_ms: row.try_get("expires_at_ms")?,
    };
    Ok((row.try_get("key_hash")?, key))
}
