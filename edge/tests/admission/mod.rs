//! What the tests of admission share: addresses of the real services, and waiting without sleeping on hope.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod counting;
pub mod keys_table;

use std::time::{Duration, Instant};

use gosight_config::edge::{PostgresSettings, RedisSettings};
use gosight_config::kafka::Secret;
use tokio::net::TcpListener;

pub fn postgres() -> PostgresSettings {
    PostgresSettings {
        dsn: Secret::new(address("POSTGRES_DSN")),
        max_connections: 4,
        ..PostgresSettings::default()
    }
}

pub fn redis() -> RedisSettings {
    RedisSettings {
        addr: address("REDIS_ADDR"),
        password: Secret::new(std::env::var("REDIS_PASSWORD").unwrap_or_default()),
        // Generous: what a busy test machine needs.
        timeout: Duration::from_millis(500),
        ..RedisSettings::default()
    }
}

/// A PostgreSQL that accepts connections and says nothing. It lives as long as its listener.
pub async fn dead_postgres() -> (TcpListener, PostgresSettings) {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let settings = PostgresSettings {
        dsn: Secret::new(format!("postgres://nobody:nothing@{address}/none")),
        timeout: Duration::from_millis(600),
        ..PostgresSettings::default()
    };
    (silent, settings)
}

/// Asks until the answer is yes, and fails when it is not within the limit.
pub async fn eventually(limit: Duration, mut question: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    loop {
        if question().await {
            return;
        }
        assert!(begun.elapsed() < limit, "not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn address(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make services`, then `. .services/env`"))
}
