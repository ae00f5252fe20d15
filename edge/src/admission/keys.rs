//! Keys: in-process cache → Redis → database.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use gosight_config::edge::{KeySettings, PostgresSettings, RedisSettings};

use super::Grant;
use crate::outcome::Refusal;

/// A key as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// What it allows.
    pub grant: Grant,
}

/// The database did not answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct KeyStoreError(pub String);

/// Where keys stand.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// The key of that hash (lower-case hex SHA-256 of the whole key), or `None` where there is none.
    async fn find(&self, key_hash: &str) -> Result<Option<StoredKey>, KeyStoreError>;
}

/// Keys in PostgreSQL.
pub struct PostgresKeys;
impl PostgresKeys {
    /// Connects lazily.
    pub fn connect(_settings: &PostgresSettings) -> Result<Self, KeyStoreError> {
        Ok(Self)
    }
}
#[async_trait]
impl KeyStore for PostgresKeys {
    async fn find(&self, _key_hash: &str) -> Result<Option<StoredKey>, KeyStoreError> {
        Ok(None)
    }
}

/// Keys in SQLite.
pub struct SqliteKeys;
impl SqliteKeys {
    /// Opens the file.
    pub async fn open(_path: &Path) -> Result<Self, KeyStoreError> {
        Ok(Self)
    }
    /// Makes sure that the project and the key exist.
    pub async fn ensure_key(&self, _project_id: &str, _key: &str, _name: &str) -> Result<(), KeyStoreError> {
        Ok(())
    }
}
#[async_trait]
impl KeyStore for SqliteKeys {
    async fn find(&self, _key_hash: &str) -> Result<Option<StoredKey>, KeyStoreError> {
        Ok(None)
    }
}

/// Redis in front of the database.
pub struct RedisKeyCache;
impl RedisKeyCache {
    /// Connects lazily.
    pub fn connect(_settings: &RedisSettings, _keys: &KeySettings) -> Result<Self, KeyStoreError> {
        Ok(Self)
    }
}

/// Answers who a key is.
pub struct KeyDirectory;
impl KeyDirectory {
    /// A directory over a store, with Redis in front where there is one.
    pub fn new(_settings: &KeySettings, _store: Arc<dyn KeyStore>, _redis: Option<RedisKeyCache>) -> Self {
        Self
    }
    /// What the key allows.
    ///
    /// # Errors
    /// [`crate::Reason::InvalidKey`], [`crate::Reason::KeyNotPermitted`] or [`crate::Reason::KeysUnavailable`].
    pub async fn look_up(&self, _key: &str) -> Result<Grant, Refusal> {
        Err(Refusal::invalid_key())
    }
}
