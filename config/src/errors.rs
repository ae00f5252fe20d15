//! What is wrong with a configuration, told to the person who wrote it.

use std::fmt;

/// Characters of a value that an error repeats.
const LONGEST_VALUE: usize = 60;
/// Mistakes that are told at once; whoever has more has the wrong file.
pub(crate) const MOST_FAULTS: usize = 20;

/// What is wrong with a configuration: one line for each mistake, with file, line, column, key, value and what to do.
/// Secrets are never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    file: String,
    faults: Vec<Fault>,
    untold: usize,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    place: Option<Place>,
    key: String,
    value: Value,
    what: String,
}

/// A place in the file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// What is said of the value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    /// Nothing: there is none, or nobody knows what it holds.
    Untold,
    /// The value, and the variables that it came from.
    Shown(String, Vec<String>),
    /// That it is a secret, and the variables that it came from.
    Hidden(Vec<String>),
}

impl Fault {
    /// A mistake of the file as a whole.
    pub(crate) fn whole(what: impl Into<String>) -> Self {
        Self {
            place: None,
            key: String::new(),
            value: Value::Untold,
            what: what.into(),
        }
    }

    /// A mistake at a place; `key` is empty where none is concerned.
    pub(crate) fn at(place: Place, key: &str, what: &str) -> Self {
        Self {
            place: Some(place),
            key: key.to_owned(),
            ..Self::whole(what)
        }
    }

    /// A mistake of a key that the file does not have.
    pub(crate) fn of_default(key: &str, what: &str) -> Self {
        Self {
            key: key.to_owned(),
            ..Self::whole(what)
        }
    }

    /// With another reason.
    pub(crate) fn because(self, what: &str) -> Self {
        Self {
            what: what.to_owned(),
            ..self
        }
    }

    /// With the value, which is no secret.
    pub(crate) fn showing(self, value: &str, variables: &[String]) -> Self {
        Self {
            value: Value::Shown(shortened(value), variables.to_vec()),
            ..self
        }
    }

    /// Without the value, which is a secret.
    pub(crate) fn hiding(self, variables: &[String]) -> Self {
        Self {
            value: Value::Hidden(variables.to_vec()),
            ..self
        }
    }
}

/// On one line and of bounded length.
fn shortened(value: &str) -> String {
    let mut shown: String = value.chars().take(LONGEST_VALUE).collect();
    if value.chars().nth(LONGEST_VALUE).is_some() {
        shown.push('…');
    }
    // Line breaks and other control characters, but not quotes.
    shown
        .chars()
        .flat_map(|letter| match letter.is_control() {
            true => letter.escape_default().collect::<Vec<_>>(),
            false => vec![letter],
        })
        .collect()
}

impl ConfigErrors {
    /// The mistakes of a file, in the order of its lines.
    pub(crate) fn new(file: &str, mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| fault.place);
        let untold = faults.len().saturating_sub(MOST_FAULTS);
        faults.truncate(MOST_FAULTS);
        Self {
            file: file.to_owned(),
            faults,
            untold,
        }
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.faults.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            f.write_str(&self.file)?;
            if let Some(Place { line, column }) = fault.place {
                write!(f, ":{line}:{column}")?;
            }
            write!(f, ": {fault}")?;
        }
        if self.untold > 0 {
            write!(f, "\n{}: and {} more", self.file, self.untold)?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        match &self.value {
            Value::Untold => {}
            Value::Shown(value, variables) => write!(f, " = `{value}`{}", From(variables))?,
            Value::Hidden(variables) => write!(f, " (a secret, not shown){}", From(variables))?,
        }
        if !self.key.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.what)
    }
}

/// Where a value came from.
struct From<'a>(&'a [String]);

impl fmt::Display for From<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => Ok(()),
            names => write!(f, " (from {})", names.join(", ")),
        }
    }
}
