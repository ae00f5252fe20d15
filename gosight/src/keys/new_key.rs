//! Making a key.

use gosight_edge::admission::key_hash;
use rand::Rng;
use rand::distr::Alphanumeric;
use uuid::Uuid;

use crate::failure::Failure;

/// How keys begin, so that people and secret scanners know one.
const BEGINNING: &str = "gs_";
/// Random characters of 62 kinds: 238 bits.
const RANDOM_CHARACTERS: usize = 40;
/// Characters of `api_keys.key_prefix`, as the dashboard writes it.
const PREFIX_CHARACTERS: usize = 12;
/// Characters that `api_keys.name` takes.
const LONGEST_NAME: usize = 255;

/// A key as it will stand: without the key itself.
#[derive(Debug, Clone)]
pub(super) struct NewKey {
    pub(super) id: Uuid,
    pub(super) project_id: Uuid,
    /// Lower-case hex SHA-256 of the whole key, as the edge looks it up.
    pub(super) hash: String,
    pub(super) prefix: String,
    pub(super) name: String,
    pub(super) permissions: Vec<String>,
    /// Unix ms; `None` for never.
    pub(super) expires_at_ms: Option<i64>,
}

impl NewKey {
    /// The key itself, and what will stand of it.
    pub(super) fn make(project_id: Uuid, name: String, permissions: Vec<String>) -> Result<(String, Self), Failure> {
        if name.chars().count() > LONGEST_NAME {
            return Err(Failure::usage(format!(
                "--name has more than {LONGEST_NAME} characters; shorten it"
            )));
        }
        // The generator is a cryptographic one, seeded by the operating system.
        let random = rand::rng().sample_iter(Alphanumeric).map(char::from);
        let secret: String = BEGINNING.chars().chain(random.take(RANDOM_CHARACTERS)).collect();
        let key = Self {
            id: Uuid::new_v4(),
            project_id,
            hash: key_hash(&secret),
            prefix: secret.chars().take(PREFIX_CHARACTERS).collect(),
            name,
            permissions,
            expires_at_ms: None,
        };
        Ok((secret, key))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use uuid::Uuid;

    use super::NewKey;

    #[test]
    fn keys_differ_and_only_hash_and_prefix_stay() {
        let made: Vec<_> = (0..100)
            .map(|_| NewKey::make(Uuid::nil(), "n".to_owned(), vec!["ingest".to_owned()]).unwrap())
            .collect();
        let secrets: BTreeSet<_> = made.iter().map(|(secret, _)| secret).collect();
        assert_eq!(secrets.len(), 100);
        for (secret, key) in &made {
            assert_eq!((secret.len(), &secret[..12]), (43, key.prefix.as_str()));
            assert_eq!(key.hash, gosight_edge::admission::key_hash(secret));
            assert!(!format!("{key:?}").contains(secret.as_str()));
        }
    }
}
