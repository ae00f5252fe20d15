//! An event as pretty JSON, with the lines of some fields marked.

use std::fmt::Write;

use serde_json::Value;

use crate::output::printable;

/// Before the lines of a marked field, and before the others.
const MARK: &str = "> ";
const NO_MARK: &str = "  ";

/// Pretty JSON, each line behind a margin in which the fields (JSON pointers, RFC 6901) are marked. Text that does not read as JSON
/// is shown as it is. Control characters come out escaped either way.
pub(crate) fn pretty(json: &str, fields: &[&str]) -> String {
    let Ok(value) = serde_json::from_str::<Value>(json) else {
        return format!("{NO_MARK}{}", printable(json));
    };
    let mut lines = Lines {
        fields,
        text: String::new(),
    };
    lines.value(&value, &mut String::new(), 0, "", "");
    lines.text.pop();
    lines.text
}

struct Lines<'a> {
    fields: &'a [&'a str],
    text: String,
}

impl Lines<'_> {
    fn line(&mut self, pointer: &str, depth: usize, text: &str) {
        let is_marked = !pointer.is_empty() && self.fields.contains(&pointer);
        self.text.push_str(if is_marked { MARK } else { NO_MARK });
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{:1$}{text}", "", depth * 2);
    }

    fn value(&mut self, value: &Value, pointer: &mut String, depth: usize, before: &str, after: &str) {
        let length = pointer.len();
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                self.line(pointer, depth, &format!("{before}{{"));
                let last = fields.len() - 1;
                for (index, (name, field)) in fields.iter().enumerate() {
                    pointer.push('/');
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    let before = format!("{}: ", scalar(&Value::from(name.as_str())));
                    self.value(field, pointer, depth + 1, &before, if index == last { "" } else { "," });
                    pointer.truncate(length);
                }
                self.line("", depth, &format!("}}{after}"));
            }
            Value::Array(elements) if !elements.is_empty() => {
                self.line(pointer, depth, &format!("{before}["));
                let last = elements.len() - 1;
                for (index, element) in elements.iter().enumerate() {
                    let _ = write!(pointer, "/{index}");
                    self.value(element, pointer, depth + 1, "", if index == last { "" } else { "," });
                    pointer.truncate(length);
                }
                self.line("", depth, &format!("]{after}"));
            }
            other => self.line(pointer, depth, &format!("{before}{}{after}", scalar(other))),
        }
    }
}

/// JSON escapes control characters itself, but for those beyond ASCII.
fn scalar(value: &Value) -> String {
    printable(&value.to_string())
}

#[cfg(test)]
mod tests {
    use super::pretty;

    #[test]
    fn the_field_is_marked_wherever_it_stands() {
        let event = r#"{"a":[1,{"x/y":"\u009b31m"}],"b":{},"c":null}"#;
        assert_eq!(
            pretty(event, &["/a/1/x~1y", "/c", "/missing", ""]),
            "  {\n    \"a\": [\n      1,\n      {\n>       \"x/y\": \"\\u{9b}31m\"\n      }\n    ],\n    \"b\": {},\n>   \"c\": null\n  }"
        );
    }

    #[test]
    fn what_is_no_json_is_shown_as_it_is() {
        assert_eq!(pretty("no\u{1b} json", &[]), "  no\\u{1b} json");
    }
}
