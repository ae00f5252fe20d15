//! The dashboard's side of the tables, and what stands in Redis.

use gosight_edge::admission::key_hash;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

pub(crate) struct KeysTable {
    pool: PgPool,
}

pub(crate) struct TestKey {
    pub(crate) text: String,
    pub(crate) id: Uuid,
    pub(crate) project: Uuid,
}

impl KeysTable {
    pub(crate) async fn connect() -> Self {
        let dsn = super::postgres().dsn;
        let pool = PgPoolOptions::new().max_connections(2).connect(dsn.reveal()).await;
        Self {
            pool: pool.expect("PostgreSQL at POSTGRES_DSN does not answer"),
        }
    }

    /// A project and a key of its own.
    pub(crate) async fn add_key(&self) -> TestKey {
        let key = TestKey {
            text: format!("gs_test_{}", Uuid::new_v4().simple()),
            id: Uuid::new_v4(),
            project: Uuid::new_v4(),
        };
        sqlx::query("INSERT INTO projects (id, name) VALUES ($1, 'test')")
            .bind(key.project)
            .execute(&self.pool)
            .await
            .unwrap();
        self.insert_key(&key).await;
        key
    }

    pub(crate) async fn insert_key(&self, key: &TestKey) {
        sqlx::query(
            "INSERT INTO api_keys (id, project_id, key_hash, key_prefix, name) VALUES ($1, $2, $3, 'gs_', 'test')",
        )
        .bind(key.id)
        .bind(key.project)
        .bind(key_hash(&key.text))
        .execute(&self.pool)
        .await
        .unwrap();
    }

    pub(crate) async fn delete_key(&self, key: &TestKey) {
        self.run("DELETE FROM api_keys WHERE id = $1 AND $2 = ''", key.id, "")
            .await;
    }

    /// `change` is an assignment that takes its value from `$2`.
    pub(crate) async fn set_key(&self, key: &TestKey, change: &str, value: &str) {
        self.run(&format!("UPDATE api_keys SET {change} WHERE id = $1"), key.id, value)
            .await;
    }

    pub(crate) async fn set_project(&self, key: &TestKey, change: &str, value: &str) {
        self.run(
            &format!("UPDATE projects SET {change} WHERE id = $1"),
            key.project,
            value,
        )
        .await;
    }

    /// The key's counter, and whether `last_used_at` is of the last minute.
    pub(crate) async fn request_count(&self, key: &TestKey) -> (i64, bool) {
        let row = sqlx::query(
            "SELECT request_count, COALESCE(last_used_at > now() - interval '1 minute', false) AS lately \
             FROM api_keys WHERE id = $1",
        )
        .bind(key.id)
        .fetch_one(&self.pool)
        .await
        .unwrap();
        (row.get("request_count"), row.get("lately"))
    }

    pub(crate) async fn redis_value(key_hash: &str) -> Option<Vec<u8>> {
        redis::cmd("GET")
            .arg(format!("gosight:key:v2:{key_hash}"))
            .query_async(&mut redis_connection().await)
            .await
            .unwrap()
    }

    pub(crate) async fn damage_redis_value(key_hash: &str) {
        redis::cmd("SET")
            .arg(format!("gosight:key:v2:{key_hash}"))
            .arg(b"\xff damaged")
            .arg("EX")
            .arg(60)
            .query_async::<()>(&mut redis_connection().await)
            .await
            .unwrap();
    }

    async fn run(&self, statement: &str, id: Uuid, value: &str) {
        let done = sqlx::query(AssertSqlSafe(statement.to_owned()))
            .bind(id)
            .bind(value)
            .execute(&self.pool)
            .await
            .unwrap();
        assert_eq!(done.rows_affected(), 1, "{statement}");
    }
}

pub(crate) async fn redis_connection() -> redis::aio::MultiplexedConnection {
    let settings = super::redis();
    let password = settings.password.reveal();
    let url = match password.is_empty() {
        true => format!("redis://{}", settings.addr),
        false => format!("redis://:{password}@{}", settings.addr),
    };
    let client = redis::Client::open(url).unwrap();
    client
        .get_multiplexed_async_connection()
        .await
        .expect("Redis at REDIS_ADDR does not answer")
}
