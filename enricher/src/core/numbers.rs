//! Numbers that JSON can write and no double can hold (`1e999`). Readers downstream decode numbers into doubles and refuse the whole
//! record for one of them. Integers of any size that a double reaches pass, exact or not.

use std::ops::Range;

/// Digits that the largest double has; an integer with more may be beyond it.
const DIGITS: usize = 309;

/// Where the first such number stands, in bytes. `json` is known to be well-formed.
pub(super) fn beyond_double(json: &str) -> Option<Range<usize>> {
    // A text may look like one, so only what looks like one is worth reading the strings around it.
    if looks_like_one(json.as_bytes()) {
        first(json)
    } else {
        None
    }
}

/// Nearly every event ends here: it takes an exponent or hundreds of digits.
fn looks_like_one(bytes: &[u8]) -> bool {
    memchr::memchr2_iter(b'e', b'E', bytes).any(|at| has_exponent(bytes, at) && is_infinite(number_around(bytes, at)))
        || (0..bytes.len()).step_by(DIGITS).any(|at| {
            // A run of so many digits covers one of these bytes.
            bytes[at].is_ascii_digit() && is_infinite(number_around(bytes, at))
        })
}

/// Whether the letter at `at` stands between a digit and an exponent that is not negative.
fn has_exponent(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    before.is_some_and(u8::is_ascii_digit)
        && bytes
            .get(at + 1)
            .is_some_and(|next| next.is_ascii_digit() || *next == b'+')
}

fn number_around(bytes: &[u8], at: usize) -> &[u8] {
    let (before, after) = bytes.split_at(at);
    let start = before
        .iter()
        .rposition(|byte| !is_part(*byte))
        .map_or(0, |last| last + 1);
    let length = after.iter().position(|byte| !is_part(*byte)).unwrap_or(after.len());
    &bytes[start..at + length]
}

fn first(json: &str) -> Option<Range<usize>> {
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = after_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let number = number_around(bytes, at);
                if is_infinite(number) {
                    return Some(at..at + number.len());
                }
                at += number.len();
            }
            _ => at += 1,
        }
    }
    None
}

/// The byte after the string that begins at `quote`.
fn after_string(bytes: &[u8], quote: usize) -> usize {
    let mut from = quote + 1;
    while let Some(found) = bytes.get(from..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        let at = from + found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        from = at + 2;
    }
    bytes.len()
}

fn is_part(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
}

fn is_infinite(number: &[u8]) -> bool {
    let number = std::str::from_utf8(number).unwrap_or_default();
    number.parse().is_ok_and(f64::is_infinite)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::beyond_double;

    #[test]
    fn only_what_no_double_holds_is_found() {
        let many = |count: usize| format!("[{}]", "9".repeat(count));
        for (json, expected) in [
            ("1e999", Some(0)),
            ("[-1E+400]", Some(1)),
            (r#"{"a":"1e999","b":1e309}"#, Some(17)),
            (r#"{"a":"\"","b":[0,  12.5e400 ]}"#, Some(19)),
            (&many(309), Some(1)),
            (&format!(r#"{{"{}":{}0e9}}"#, "x".repeat(50), "1".repeat(300)), Some(54)),
            (&many(308), None),
            ("1.7976931348623157e308", None),
            ("1.7976931348623159e308", Some(0)),
            ("1e-999", None),
            ("0e999", None),
            ("9007199254740993", None),
            ("[1e308,-1e+308,\"1e999\"]", None),
            (r#""\\","#, None),
            (r#"{"1e999":"\"1e999"}"#, None),
            (&format!("\"{}\"", "7".repeat(700)), None),
            ("\"0197f3a0-1e11-7e00-8e999-1e9999\"", None),
            ("", None),
        ] {
            assert_eq!(beyond_double(json).map(|number| number.start), expected, "{json}");
        }
    }

    proptest! {
        #[test]
        fn a_number_is_found_exactly_where_a_double_is_infinite(
            digits in "(0|[1-9][0-9]{0,5}|[1-9][0-9]{300,320})", fraction in "(\\.[0-9]{1,20})?",
            exponent in "([eE][+-]?[0-9]{1,4})?", before in "[a-z0-9e ]{0,400}"
        ) {
            let number = format!("{digits}{fraction}{exponent}");
            let json = format!(r#"{{"k":"{before}","n":{number}}}"#);
            let infinite = number.parse::<f64>().unwrap().is_infinite();
            let found = beyond_double(&json).map(|at| &json[at]);
            prop_assert_eq!(found, infinite.then_some(&*number));
        }
    }
}
