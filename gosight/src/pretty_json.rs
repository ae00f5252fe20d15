//! JSON for people: indented, in colours on a terminal, and otherwise exactly as it stands: keys in their order, numbers as they were
//! written.

use crate::output;

/// Deeper levels are not indented further.
const DEEPEST: usize = 40;

const KEY: &str = "\u{1b}[36m";
const TEXT: &str = "\u{1b}[32m";
const DIM: &str = "\u{1b}[2m";
const RESET: &str = "\u{1b}[0m";

/// Whether colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    On,
    Off,
}

impl Colours {
    /// As the terminal and NO_COLOR (no-color.org) have it.
    pub(crate) fn of_stdout() -> Self {
        let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let terminal = console::Term::stdout();
        if terminal.features().colors_supported() && !is_unwanted {
            Self::On
        } else {
            Self::Off
        }
    }

    /// A line that surrounds what it is about.
    pub(crate) fn dim(self, text: &str) -> String {
        self.paint(DIM, text)
    }

    fn paint(self, colour: &str, text: &str) -> String {
        match self {
            Self::On => format!("{colour}{text}{RESET}"),
            Self::Off => text.to_owned(),
        }
    }
}

/// A JSON text, indented. What is no JSON comes out as something that is none either.
pub(crate) fn pretty(json: &str, colours: Colours) -> String {
    let mut shown = String::with_capacity(json.len() * 2);
    let mut depth: usize = 0;
    let mut rest = json.trim_start();
    while let Some(first) = rest.chars().next() {
        let token = match first {
            '"' => string_end(rest),
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            _ => rest
                .find(|character: char| character.is_ascii_whitespace() || "{}[],:\"".contains(character))
                .unwrap_or(rest.len()),
        };
        let (text, after) = rest.split_at(token);
        rest = after.trim_start_matches(|character: char| character.is_ascii_whitespace());
        match first {
            '{' | '[' => {
                shown.push(first);
                if !rest.starts_with(['}', ']']) {
                    depth += 1;
                    new_line(&mut shown, depth);
                } else if let Some(closing) = rest.chars().next() {
                    shown.push(closing);
                    rest = rest[1..].trim_start();
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut shown, depth);
                shown.push(first);
            }
            ',' => {
                shown.push(first);
                new_line(&mut shown, depth);
            }
            ':' => shown.push_str(": "),
            '"' if rest.starts_with(':') => shown.push_str(&colours.paint(KEY, &harmless(text))),
            '"' => shown.push_str(&colours.paint(TEXT, &harmless(text))),
            _ => shown.push_str(&harmless(text)),
        }
    }
    shown
}

/// Bytes of the string at the beginning, with its quotes.
fn string_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (place, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return place + 1,
            _ => {}
        }
    }
    text.len()
}

/// The same text in JSON's own escapes where a character would steer the terminal.
fn harmless(text: &str) -> String {
    if !text.chars().any(output::steers) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if output::steers(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            shown.push(character);
        }
    }
    shown
}

fn new_line(shown: &mut String, depth: usize) {
    shown.push('\n');
    shown.extend(std::iter::repeat_n("  ", depth.min(DEEPEST)));
}

#[cfg(test)]
mod tests {
    use super::{Colours, pretty};

    #[test]
    fn keys_keep_their_order_and_numbers_their_digits() {
        let json = r#"{"z":1e999,"a":[1, {"b":"x\"}\\"},[]],"c":{},"d":12345678901234567890123,"e":null}"#;
        let expected = r#"{
  "z": 1e999,
  "a": [
    1,
    {
      "b": "x\"}\\"
    },
    []
  ],
  "c": {},
  "d": 12345678901234567890123,
  "e": null
}"#;
        assert_eq!(pretty(json, Colours::Off), expected);
        assert_eq!(
            pretty(expected, Colours::Off),
            expected,
            "also of what has spaces already"
        );
    }

    #[test]
    fn colours_tell_keys_from_texts_and_steer_nothing_else() {
        let shown = pretty("{\"k\":\"\u{202e}t\u{9b}\"}", Colours::On);
        assert_eq!(
            shown,
            "{\n  \u{1b}[36m\"k\"\u{1b}[0m: \u{1b}[32m\"\\u202et\\u009b\"\u{1b}[0m\n}"
        );
    }

    #[test]
    fn what_is_no_json_ends_all_the_same() {
        for text in ["", "{", "\"open", "}}}]", "[[[[", "{\"a\":", "\u{fc}\u{1f600}"] {
            pretty(text, Colours::Off);
        }
    }
}
