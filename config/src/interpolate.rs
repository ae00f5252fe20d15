//! `${NAME}` and `${NAME:-default}` inside one text of a file. The file has been parsed by then, so that nothing in a variable's value
//! can become a key, a list or a comment.

use std::collections::BTreeMap;

/// A text whose variables have been replaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Interpolated {
    /// The text.
    pub(crate) text: String,
    /// Variables that it names, in their order; empty where there were none.
    pub(crate) names: Vec<String>,
}

/// What is wrong with a `${`. It never holds a default or a value: either may be a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InterpolationError {
    /// The variable is not set.
    #[error("${{{0}}} is not set; set the environment variable {0}, or give a default: ${{{0}:-default}}")]
    Missing(String),
    /// No closing brace.
    #[error(
        "`${{` has no closing brace; write ${{NAME}} or ${{NAME:-default}}, and $${{ for the two characters themselves"
    )]
    Unclosed,
    /// Neither `${NAME}` nor `${NAME:-default}`.
    #[error(
        "a `${{` must begin ${{NAME}} or ${{NAME:-default}}; write one of them, and $${{ for the two characters themselves"
    )]
    Form,
}

/// Replaces the variables of a text. `${NAME:-default}` takes the default also for an empty variable, as shells do; `$${` stands for `${`,
/// and every other `$` for itself.
///
/// # Errors
/// The first variable that can't be replaced.
pub(crate) fn interpolate(
    text: &str,
    environment: &BTreeMap<String, String>,
) -> Result<Interpolated, InterpolationError> {
    let mut done = Interpolated {
        text: String::with_capacity(text.len()),
        names: Vec::new(),
    };
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, after) = (&rest[..start], &rest[start + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            done.text.push_str(before);
            done.text.push_str("${");
            rest = after;
            continue;
        }
        done.text.push_str(before);
        let end = after.find('}').ok_or(InterpolationError::Unclosed)?;
        let (name, default) = reference(&after[..end])?;
        let value = environment.get(name).map(String::as_str);
        let value = match default {
            Some(default) => value.filter(|value| !value.is_empty()).unwrap_or(default),
            None => value.ok_or_else(|| InterpolationError::Missing(name.to_owned()))?,
        };
        done.text.push_str(value);
        done.names.push(name.to_owned());
        rest = &after[end + 1..];
    }
    done.text.push_str(rest);
    Ok(done)
}

/// Name and default of what stands between the braces.
fn reference(inside: &str) -> Result<(&str, Option<&str>), InterpolationError> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|other| other.is_ascii_alphanumeric() || other == '_');
    let nested = default.is_some_and(|default| default.contains("${"));
    if !is_name || nested {
        return Err(InterpolationError::Form);
    }
    Ok((name, default))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str) -> Result<String, InterpolationError> {
        let environment = [("HOST", "db"), ("EMPTY", ""), ("ODD", "a: \"b\" #'${HOST}\n- c")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        interpolate(text, &environment).map(|done| done.text)
    }

    #[test]
    fn variables_and_defaults_are_replaced_and_other_dollars_stay() {
        for (text, expected) in [
            ("", ""),
            ("plain $HOST $ $$ }", "plain $HOST $ $$ }"),
            ("${HOST}", "db"),
            ("a-${HOST}-${HOST:-x}-z", "a-db-db-z"),
            ("${NONE:-127.0.0.1:9092}", "127.0.0.1:9092"),
            ("${NONE:-}", ""),
            ("${EMPTY}", ""),
            ("${EMPTY:-x}", "x"),
            ("$${HOST}", "${HOST}"),
            ("ä${HOST}ö", "ädbö"),
            // What a variable holds is not looked at again.
            ("${ODD}", "a: \"b\" #'${HOST}\n- c"),
        ] {
            assert_eq!(replaced(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_refused() {
        assert_eq!(
            replaced("x${NONE}"),
            Err(InterpolationError::Missing("NONE".to_owned()))
        );
        assert_eq!(replaced("${HOST"), Err(InterpolationError::Unclosed));
        for text in [
            "${}",
            "${1A}",
            "${HOST-x}",
            "${HOST:?x}",
            "${A B}",
            "${NONE:-${HOST}}",
            "${:-x}",
        ] {
            assert_eq!(replaced(text), Err(InterpolationError::Form), "{text}");
        }
    }
}
