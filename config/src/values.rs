//! The values of a file by their keys, for telling which differ from those of another one. Only hashes: some are passwords.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::document::{Node, Shape};

/// Hashes of values by the paths of their keys; a list is one value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Values(BTreeMap<String, u64>);

impl Values {
    /// The values of a file; for the keys that it leaves out, those of the reference.
    pub(crate) fn of(root: &Node, reference: &Node) -> Self {
        let mut values = Self::default();
        values.add(reference);
        values.add(root);
        values
    }

    /// Keys whose values are written in another way.
    pub(crate) fn differing<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let all = self.0.keys().chain(other.0.keys());
        let mut keys: Vec<&str> = all
            .filter(|key| self.0.get(*key) != other.0.get(*key))
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    fn add(&mut self, node: &Node) {
        match &node.shape {
            Shape::Section(entries) => entries.iter().for_each(|entry| self.add(&entry.value)),
            // A section that is left empty is not there.
            Shape::Scalar(scalar) if scalar.is_null() => {}
            _ => {
                let mut hasher = DefaultHasher::new();
                hash(node, &mut hasher);
                self.0.insert(node.path.clone(), hasher.finish());
            }
        }
    }
}

fn hash(node: &Node, hasher: &mut impl Hasher) {
    match &node.shape {
        Shape::Scalar(scalar) => scalar.text.hash(hasher),
        Shape::List(items) => {
            items.len().hash(hasher);
            items.iter().for_each(|item| hash(item, hasher));
        }
        Shape::Section(entries) => {
            entries.len().hash(hasher);
            for entry in entries {
                entry.key.hash(hasher);
                hash(&entry.value, hasher);
            }
        }
    }
}
