//! Reading a file into settings.

use serde::{Deserialize, Deserializer};

/// A list, or one text whose commas separate its items, as it comes from an environment variable.
pub(crate) fn list_or_commas<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum ListOrText {
        List(Vec<String>),
        Text(String),
    }
    let items = match ListOrText::deserialize(deserializer)? {
        ListOrText::List(items) => items,
        ListOrText::Text(text) => vec![text],
    };
    Ok(items
        .iter()
        .flat_map(|item| item.split(','))
        .map(|item| item.trim().to_owned())
        .filter(|item| !item.is_empty())
        .collect())
}
