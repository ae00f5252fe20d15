//! Reading a file into settings.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Deserializer};

use crate::{EdgeSettings, EnricherSettings};

/// Where settings come from.
#[derive(Debug, Clone)]
pub struct Source {}

impl Source {
    /// The file, or what we ship.
    pub fn file_or_shipped(_file: Option<&Path>) -> Self {
        Self {}
    }
}

/// Settings that passed every check, and what an operator should know about them.
#[derive(Debug, Clone)]
pub struct Loaded<S> {
    /// The settings.
    pub settings: S,
    /// For example keys that are accepted and ignored; to be logged at start.
    pub warnings: Vec<String>,
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, thiserror::Error)]
#[error("stub")]
pub struct ConfigErrors;

impl EdgeSettings {
    /// Reads and checks.
    pub fn load(_source: &Source, _environment: &BTreeMap<String, String>) -> Result<Loaded<Self>, ConfigErrors> {
        Ok(Loaded {
            settings: Self::default(),
            warnings: Vec::new(),
        })
    }
}

impl EnricherSettings {
    /// Reads and checks.
    pub fn load(_source: &Source, _environment: &BTreeMap<String, String>) -> Result<Loaded<Self>, ConfigErrors> {
        Ok(Loaded {
            settings: Self::default(),
            warnings: Vec::new(),
        })
    }
}

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
