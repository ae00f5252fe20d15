//! What a store of keys offers, and what a stored key says.

use std::sync::Arc;

use async_trait::async_trait;

use crate::admission::Grant;
use crate::outcome::{Reason, Refusal};

/// A key as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// What it allows, when it is valid.
    pub grant: Grant,
    /// The key and its project are both active.
    pub is_active: bool,
    /// Its permissions include `ingest`.
    pub permits_ingest: bool,
    /// From then on it is not valid (Unix ms).
    pub expires_at_ms: Option<i64>,
}

/// The database did not answer, or a setting of it is wrong. The text is for the operator.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct KeyStoreError(pub String);

/// How often a key was used since the last time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUsage {
    /// Id of the key.
    pub key_id: Arc<str>,
    /// Requests.
    pub requests: u64,
    /// The last of them (Unix ms).
    pub last_used_at_ms: i64,
}

/// Where keys stand.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// The key of that hash (lower-case hex SHA-256 of the whole key), or `None` where there is none.
    async fn find(&self, key_hash: &str) -> Result<Option<StoredKey>, KeyStoreError>;

    /// The same for many at once, in their order.
    async fn find_all(&self, key_hashes: &[String]) -> Result<Vec<Option<StoredKey>>, KeyStoreError> {
        let mut found = Vec::with_capacity(key_hashes.len());
        for key_hash in key_hashes {
            found.push(self.find(key_hash).await?);
        }
        Ok(found)
    }

    /// Adds to the usage counters. A store without counters does nothing.
    async fn record_usage(&self, _usage: &[KeyUsage]) -> Result<(), KeyStoreError> {
        Ok(())
    }
}

impl StoredKey {
    /// Whether the key allows sending at that time (Unix ms).
    pub(super) fn judge(&self, now_ms: i64) -> Result<Grant, Refusal> {
        let expired = self.expires_at_ms.is_some_and(|expires_at| expires_at <= now_ms);
        if !self.is_active || expired {
            return Err(Refusal::invalid_key());
        }
        if !self.permits_ingest {
            return Err(Refusal::new(
                Reason::KeyNotPermitted,
                "This API key's permissions do not include ingest",
            ));
        }
        Ok(self.grant.clone())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use gosight_schemas::PrivacyRules;

    use super::StoredKey;
    use crate::admission::Grant;
    use crate::outcome::Reason;

    pub(in crate::admission::keys) fn valid_key() -> StoredKey {
        StoredKey {
            grant: Grant {
                project_id: "b0000000-0000-0000-0000-000000000001".into(),
                key_id: "c0000000-0000-0000-0000-000000000001".into(),
                privacy: PrivacyRules { anonymize_ip: true },
                requests_per_minute: Some(1_000),
            },
            is_active: true,
            permits_ingest: true,
            expires_at_ms: None,
        }
    }

    #[test]
    fn a_key_is_valid_until_it_expires() {
        let key = StoredKey {
            expires_at_ms: Some(1_000),
            ..valid_key()
        };
        assert_eq!(key.judge(999).unwrap(), key.grant);
        assert_eq!(key.judge(1_000).unwrap_err().reason(), Reason::InvalidKey);
    }

    #[test]
    fn an_inactive_key_is_invalid_whatever_it_permits() {
        let inactive = StoredKey {
            is_active: false,
            permits_ingest: false,
            ..valid_key()
        };
        assert_eq!(inactive.judge(0).unwrap_err().reason(), Reason::InvalidKey);
        let reading_only = StoredKey {
            permits_ingest: false,
            ..valid_key()
        };
        assert_eq!(reading_only.judge(0).unwrap_err().reason(), Reason::KeyNotPermitted);
    }
}
