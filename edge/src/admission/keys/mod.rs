//! Keys: in-process cache → Redis → database.

mod database;
mod directory;
mod hash;
mod look_ups;
mod memory;
mod postgres;
mod redis_cache;
mod requests;
mod sqlite;
mod store;
mod usage;

pub use directory::KeyDirectory;
pub use hash::key_hash;
pub use postgres::PostgresKeys;
pub use redis_cache::RedisKeyCache;
pub use sqlite::SqliteKeys;
pub use store::{KeyStore, KeyStoreError, KeyUsage, StoredKey};
