//! An event as a person reads it, with what is wrong beside the fields that it is wrong with.

use gosight_schemas::Problem;
use serde_json::Value;

use crate::output::printable;

const MARK: &str = "   <-- ";

/// The event as indented JSON; a problem stands at the line where its field begins, or where it would stand if it were there. Strangers'
/// text can't steer the terminal.
pub(crate) fn marked(event: &Value, problems: &[Problem]) -> String {
    let mut lines = Lines {
        text: String::new(),
        problems,
    };
    lines.value("", "", "", event, Comma::None);
    lines.text
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comma {
    None,
    After,
}

struct Lines<'a> {
    text: String,
    problems: &'a [Problem],
}

impl Lines<'_> {
    /// Writes a value after `name`, the field's name with its colon or nothing.
    fn value(&mut self, indent: &str, path: &str, name: &str, value: &Value, comma: Comma) {
        let deeper = format!("{indent}  ");
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                let absent = |field: &str| {
                    let child = field.strip_prefix(path).and_then(|rest| rest.strip_prefix('/'));
                    child.is_some_and(|child| {
                        let first = child.split('/').next().unwrap_or_default();
                        !fields.contains_key(&unescaped(first))
                    })
                };
                self.line(indent, &format!("{name}{{"), path, absent);
                let last = fields.len() - 1;
                for (index, (field, value)) in fields.iter().enumerate() {
                    let child = format!("{path}/{}", field.replace('~', "~0").replace('/', "~1"));
                    let name = format!("{}: ", Value::from(field.as_str()));
                    self.value(&deeper, &child, &name, value, comma_at(index, last));
                }
                self.close(indent, '}', comma);
            }
            Value::Array(values) if !values.is_empty() => {
                self.line(indent, &format!("{name}["), path, |_| false);
                let last = values.len() - 1;
                for (index, value) in values.iter().enumerate() {
                    self.value(&deeper, &format!("{path}/{index}"), "", value, comma_at(index, last));
                }
                self.close(indent, ']', comma);
            }
            plain => {
                let after = if comma == Comma::After { "," } else { "" };
                // What is wrong inside of it, though nothing is there, is wrong with it.
                let inside = |field: &str| field.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
                self.line(indent, &format!("{name}{plain}{after}"), path, inside);
            }
        }
    }

    fn close(&mut self, indent: &str, bracket: char, comma: Comma) {
        self.text.push_str(indent);
        self.text.push(bracket);
        self.text.push_str(if comma == Comma::After { ",\n" } else { "\n" });
    }

    fn line(&mut self, indent: &str, text: &str, path: &str, also: impl Fn(&str) -> bool) {
        self.text.push_str(indent);
        // JSON escapes control characters itself, but for those beyond ASCII.
        self.text.push_str(&printable(text));
        for problem in self.problems {
            if problem.field == path || also(&problem.field) {
                self.text.push_str(MARK);
                self.text.push_str(&printable(&problem.message));
            }
        }
        self.text.push('\n');
    }
}

fn comma_at(index: usize, last: usize) -> Comma {
    if index < last { Comma::After } else { Comma::None }
}

fn unescaped(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use gosight_schemas::{Problem, RejectCode};
    use serde_json::json;

    use super::marked;

    #[test]
    fn a_problem_stands_at_its_field_or_where_that_is_missing() {
        let problem = |field: &str, message: &str| Problem {
            code: RejectCode::MissingField,
            field: field.to_owned(),
            message: message.to_owned(),
        };
        let event = json!({ "page": { "url": 5 }, "list": [1, {}], "type": "click" });
        let problems = [
            problem("/timestamp", "is missing"),
            problem("/page/url", "no string"),
            problem("/page/path", "no path"),
            problem("/list/1/x", "no x"),
            problem("", "bad"),
        ];
        assert_eq!(
            marked(&event, &problems),
            "{   <-- is missing   <-- bad\n  \"list\": [\n    1,\n    {}   <-- no x\n  ],\n  \
             \"page\": {   <-- no path\n    \"url\": 5   <-- no string\n  },\n  \"type\": \"click\"\n}\n"
        );
    }
}
