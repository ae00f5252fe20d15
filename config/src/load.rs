//! From a file, or from what we ship, to checked settings.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::checks::{Check, Contradiction};
use crate::document::{Document, Node};
use crate::errors::{ConfigErrors, Fault};
use crate::values::Values;
use crate::{EdgeSettings, EnricherSettings, read};

/// A configuration is a few kilobytes; who names a larger file named the wrong one.
const LARGEST_FILE: u64 = 1 << 20;

const SHIPPED_EDGE: Shipped = Shipped {
    name: "edge.yaml (built in)",
    text: include_str!("../edge.yaml"),
};
const SHIPPED_ENRICHER: Shipped = Shipped {
    name: "enricher.yaml (built in)",
    text: include_str!("../enricher.yaml"),
};

/// A file that is part of the binary.
struct Shipped {
    name: &'static str,
    text: &'static str,
}

/// Where settings come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The file that we ship as part of the binary: the defaults, with addresses from the environment.
    Shipped,
}

impl Source {
    /// The file, or what we ship.
    pub fn file_or_shipped(file: Option<&Path>) -> Self {
        file.map_or(Self::Shipped, |file| Self::File(file.to_owned()))
    }
}

/// The environment of this process. A variable that is not UTF-8 counts as not set; `std::env::vars` would panic.
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Settings that passed every check, and what an operator should know about them.
#[derive(Debug, Clone)]
pub struct Loaded<S> {
    /// The settings.
    pub settings: S,
    /// For example keys that are accepted and ignored; to be logged at start.
    pub warnings: Vec<String>,
    values: Values,
}

impl<S> Loaded<S> {
    /// The keys whose values are written in another way than there, in alphabetical order.
    pub fn differing_keys<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        self.values.differing(&other.values)
    }
}

impl EdgeSettings {
    /// Reads and checks.
    ///
    /// # Errors
    /// All mistakes that could be found, for a person.
    pub fn load(source: &Source, environment: &BTreeMap<String, String>) -> Result<Loaded<Self>, ConfigErrors> {
        Self::load_and(source, environment, |_| Vec::new())
    }

    /// The same with more checks, of what needs more than the settings themselves: what they find is told with its place in the file.
    ///
    /// # Errors
    /// All mistakes that could be found, for a person.
    pub fn load_and(
        source: &Source,
        environment: &BTreeMap<String, String>,
        check: impl FnOnce(&Self) -> Vec<Contradiction>,
    ) -> Result<Loaded<Self>, ConfigErrors> {
        load(source, &SHIPPED_EDGE, environment, check)
    }
}

impl EnricherSettings {
    /// Reads and checks.
    ///
    /// # Errors
    /// All mistakes that could be found, for a person.
    pub fn load(source: &Source, environment: &BTreeMap<String, String>) -> Result<Loaded<Self>, ConfigErrors> {
        Self::load_and(source, environment, |_| Vec::new())
    }

    /// The same with more checks, of what needs more than the settings themselves: what they find is told with its place in the file.
    ///
    /// # Errors
    /// All mistakes that could be found, for a person.
    pub fn load_and(
        source: &Source,
        environment: &BTreeMap<String, String>,
        check: impl FnOnce(&Self) -> Vec<Contradiction>,
    ) -> Result<Loaded<Self>, ConfigErrors> {
        load(source, &SHIPPED_ENRICHER, environment, check)
    }
}

fn load<S: DeserializeOwned + Check>(
    source: &Source,
    shipped: &Shipped,
    environment: &BTreeMap<String, String>,
    check: impl FnOnce(&S) -> Vec<Contradiction>,
) -> Result<Loaded<S>, ConfigErrors> {
    match source {
        Source::Shipped => settings(shipped.text, shipped, environment, check)
            .map_err(|faults| ConfigErrors::new(shipped.name, faults)),
        Source::File(path) => text_of(path)
            .map_err(|fault| vec![fault])
            .and_then(|text| settings(&text, shipped, environment, check))
            .map_err(|faults| ConfigErrors::new(&path.display().to_string(), faults)),
    }
}

fn text_of(path: &Path) -> Result<String, Fault> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Fault::whole("there is no such file; check --config and CONFIG_PATH"),
        _ => Fault::whole(format!("can't be read: {error}; check --config and CONFIG_PATH")),
    };
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(Fault::whole("is a directory; name the file in it"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(Fault::whole(
            "is larger than 1 MiB, so it is no configuration; check --config and CONFIG_PATH",
        ));
    }
    String::from_utf8(bytes).map_err(|_| Fault::whole("is not UTF-8 text; save it as UTF-8"))
}

fn settings<S: DeserializeOwned + Check>(
    text: &str,
    shipped: &Shipped,
    environment: &BTreeMap<String, String>,
    check: impl FnOnce(&S) -> Vec<Contradiction>,
) -> Result<Loaded<S>, Vec<Fault>> {
    let Document { root, mut faults } = Document::parse(text, environment).map_err(|fault| vec![fault])?;
    let reference = Document::parse(shipped.text, &BTreeMap::new()).map_err(|fault| vec![fault])?;
    let read = read::read::<S>(&root, &reference.root.leaves(), &mut faults);
    if let Some(settings) = &read {
        // A faulty value has its default standing in, about which nothing need be said.
        let mut contradictions = settings.contradictions();
        contradictions.extend(check(settings));
        let meant = contradictions
            .into_iter()
            .filter(|contradiction| !contradiction.keys.iter().any(|key| root.is_faulty_at(key)));
        faults.extend(meant.map(|contradiction| fault(&root, &contradiction)));
    }
    match read {
        Some(settings) if faults.is_empty() => Ok(Loaded {
            warnings: settings.warnings(),
            settings,
            values: Values::of(&root, &reference.root),
        }),
        _ => Err(faults),
    }
}

/// The contradiction at the first of its keys that the file has.
fn fault(root: &Node, contradiction: &Contradiction) -> Fault {
    let standing = contradiction.keys.iter().find_map(|key| root.find(key));
    let item = contradiction.item.as_deref();
    let standing = standing.map(|node| item.and_then(|text| node.item(text)).unwrap_or(node));
    match (standing, contradiction.keys.first()) {
        (Some(node), _) => read::shown(node, Fault::at(node.place, &node.path, &contradiction.what)),
        (None, Some(key)) => Fault::of_default(key, &contradiction.what),
        (None, None) => Fault::whole(contradiction.what.as_str()),
    }
}
