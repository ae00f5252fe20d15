//! What is wrong with an event, collected: every problem, not only the first.

use gosight_schemas::{Problem, RejectCode};

use super::json::{self, Raw};

/// Problems that a reject lists; an event with more has the rest counted.
const MAX_PROBLEMS: usize = 50;
/// Bytes of a field's path; a longer one is cut.
const MAX_FIELD: usize = 512;

/// The problems of one event, in the order found.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<Problem>,
    /// How many were found after the list was full.
    more: usize,
}

impl Problems {
    /// Notes one, unless the same was found in the same field before.
    pub(super) fn add(&mut self, code: RejectCode, field: impl Into<String>, message: impl Into<String>) {
        let mut field = field.into();
        if self
            .found
            .iter()
            .any(|problem| problem.code == code && problem.field == field)
        {
            return;
        }
        if self.found.len() == MAX_PROBLEMS {
            self.more += 1;
            return;
        }
        field.truncate(field.floor_char_boundary(MAX_FIELD));
        self.found.push(Problem {
            code,
            field,
            message: message.into(),
        });
    }

    /// A field is absent, `null` or empty.
    pub(super) fn missing(&mut self, field: impl Into<String>, advice: &str) {
        let field = field.into();
        let message = format!("{} is missing; {advice}", name_of(&field));
        self.add(RejectCode::MissingField, field, message);
    }

    /// A field has the wrong type; `wanted` is for example `a string`.
    pub(super) fn wrong_type(&mut self, field: impl Into<String>, wanted: &str, found: Raw<'_>) {
        let field = field.into();
        let message = format!("{} must be {wanted}, but is {}", name_of(&field), json::shown(found));
        self.add(RejectCode::WrongType, field, message);
    }

    /// A number lies outside of its range; `wanted` is for example `from 0 to 100`.
    pub(super) fn out_of_range(&mut self, field: impl Into<String>, wanted: &str, found: &str) {
        let field = field.into();
        let message = format!("{} must be {wanted}, but is {found}", name_of(&field));
        self.add(RejectCode::OutOfRange, field, message);
    }

    /// A text has more bytes than `limit`.
    pub(super) fn too_long(&mut self, field: impl Into<String>, length: usize, limit: usize) {
        let field = field.into();
        let message = format!("{} has {length} bytes; shorten it to at most {limit}", name_of(&field));
        self.add(RejectCode::FieldTooLong, field, message);
    }

    /// Whether a problem of that field was found already.
    pub(super) fn concern(&self, field: &str) -> bool {
        self.found.iter().any(|problem| problem.field == field)
    }

    /// Whether the event is sound.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The list, with the rest counted in its last message.
    pub(super) fn into_list(mut self) -> Vec<Problem> {
        if let (1.., Some(last)) = (self.more, self.found.last_mut()) {
            last.message.push_str(&format!(" (and {} problems more)", self.more));
        }
        self.found
    }
}

/// How a message calls a field: its path without the leading slash.
fn name_of(field: &str) -> String {
    match field.strip_prefix('/') {
        Some(path) => path.replace('/', "."),
        None => "the event".to_owned(),
    }
}
