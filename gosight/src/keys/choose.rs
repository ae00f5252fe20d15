//! The one key that a prefix or an id names.

use uuid::Uuid;

use super::store::StandingKey;
use crate::failure::Failure;
use crate::output::printable;

/// The key of that id, or the only one whose prefix begins so.
pub(super) fn one(keys: Vec<StandingKey>, named: &str) -> Result<StandingKey, Failure> {
    let shown = printable(named);
    let id = named.parse::<Uuid>().ok();
    let is_named = |key: &StandingKey| match id {
        Some(id) => key.id == id,
        None => !named.is_empty() && key.prefix.starts_with(named),
    };
    let mut found: Vec<StandingKey> = keys.into_iter().filter(is_named).collect();
    if found.len() > 1 {
        let ids: Vec<String> = found
            .iter()
            .map(|key| format!("  {} {} of project {}", key.id, printable(&key.prefix), key.project_id))
            .collect();
        return Err(Failure::usage(format!(
            "{shown} names {} keys; name one by its id:\n{}",
            found.len(),
            ids.join("\n")
        )));
    }
    found.pop().ok_or_else(|| {
        Failure::usage(format!(
            "no key has a prefix or id {shown}; `gosight keys list` shows them"
        ))
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::one;
    use crate::keys::store::StandingKey;

    fn key(id: u128, prefix: &str) -> StandingKey {
        StandingKey {
            id: Uuid::from_u128(id),
            project_id: Uuid::nil(),
            prefix: prefix.to_owned(),
            name: String::new(),
            permissions: Vec::new(),
            active: true,
            created_at_ms: None,
            last_used_at_ms: None,
            expires_at_ms: None,
        }
    }

    #[test]
    fn a_key_is_named_by_its_id_or_a_prefix_that_only_it_has() {
        let keys = || vec![key(1, "gs_abcdefghi"), key(2, "gs_abcdefxyz"), key(3, "gs_abcdefxyz")];
        assert_eq!(one(keys(), "gs_abcdefg").unwrap().id, Uuid::from_u128(1));
        assert_eq!(
            one(keys(), &Uuid::from_u128(3).to_string()).unwrap().id,
            Uuid::from_u128(3)
        );
        for unclear in [
            "gs_abcdef",
            "gs_abcdefxyz",
            "gs_other",
            "",
            &Uuid::from_u128(9).to_string(),
        ] {
            assert!(one(keys(), unclear).is_err(), "{unclear:?}");
        }
    }
}
