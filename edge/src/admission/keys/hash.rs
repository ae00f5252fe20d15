//! The name under which a key is known everywhere but in the request itself.

use std::fmt;

use sha2::{Digest, Sha256};

/// SHA-256 of the whole key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct KeyHash([u8; 32]);

impl KeyHash {
    pub(super) fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

/// Lower-case hex, as in `api_keys.key_hash`.
impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The hash of a key as the database has it: SHA-256 of the whole key, 64 characters of lower-case hex.
pub fn key_hash(key: &str) -> String {
    KeyHash::of(key).to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_hash_is_the_contracts() {
        assert_eq!(
            super::key_hash("gs_test_project_key"),
            "dcb88588b93c599180731b5cafe355d90a28915ca3d1f475cd4f1a4cd7e8b7a9"
        );
    }
}
