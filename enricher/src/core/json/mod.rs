//! JSON values as the client's own bytes: read only as far as a rule needs. Nothing here recurses, so no depth of nesting costs
//! stack.

mod parts;
mod sound;

use std::borrow::Cow;
use std::fmt;

use gosight_schemas::RawJson;

use super::numbers;

pub(super) use self::parts::{elements, fields};
pub(super) use self::sound::{Around, Element, Part, fields_around};

/// A value of sound JSON, as the client's own bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// Of text that is known to be one sound value, without space around it.
    pub(super) const fn new(json: &'a str) -> Self {
        Self(json)
    }

    /// The bytes.
    pub(super) const fn get(self) -> &'a str {
        self.0
    }
}

impl<'a> From<Raw<'a>> for RawJson<'a> {
    fn from(value: Raw<'a>) -> Self {
        Self::borrowed(value.0)
    }
}

/// Levels of objects and arrays that an event may have. Readers downstream have limits of their own (serde_json's is 128), and
/// an output wraps the event in up to two levels more.
pub(super) const MAX_DEPTH: usize = 100;

/// Characters of a value that a message repeats.
const SHOWN: usize = 60;

/// One field of an object.
#[derive(Clone)]
pub(super) struct Field<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) value: Raw<'a>,
}

/// What a value is, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

/// What a value is, by its first byte.
pub(super) fn kind(value: Raw<'_>) -> Kind {
    match value.get().as_bytes().first() {
        Some(b'n') => Kind::Null,
        Some(b't' | b'f') => Kind::Boolean,
        Some(b'"') => Kind::String,
        Some(b'[') => Kind::Array,
        Some(b'{') => Kind::Object,
        _ => Kind::Number,
    }
}

/// A string's text, copied only where it has escapes. `None` for any other value, and for half a surrogate pair.
pub(super) fn text(value: Raw<'_>) -> Option<Cow<'_, str>> {
    let json = value.get();
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(json).ok().map(Cow::Owned)
}

/// A number as the nearest double; infinite for `1e999`. `None` for any other value.
pub(super) fn number(value: Raw<'_>) -> Option<f64> {
    if kind(value) != Kind::Number {
        return None;
    }
    value.get().parse().ok()
}

/// A number's whole part, exact within 64 bits; what lies beyond them becomes the nearest that fits. `None` for any other value.
pub(super) fn whole(value: Raw<'_>) -> Option<i64> {
    if kind(value) != Kind::Number {
        return None;
    }
    let json = value.get();
    json.parse()
        .ok()
        .or_else(|| json.parse::<f64>().ok().map(|number| number as i64))
}

/// A text for a message: its beginning, in quotes.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// As much of a text as a message repeats.
pub(super) fn beginning(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// A value for a message: its kind and its beginning.
pub(super) fn shown(value: Raw<'_>) -> String {
    let beginning = beginning(value.get());
    match kind(value) {
        Kind::Null => Kind::Null.to_string(),
        kind => format!("{kind} ({beginning})"),
    }
}

/// Where the first `\u` escape stands that is half of a surrogate pair, in bytes. Such text is grammatical JSON but no Unicode,
/// and strict readers refuse it. `json` is known to be well-formed.
pub(super) fn lone_surrogate(json: &str) -> Option<usize> {
    let bytes = json.as_bytes();
    let mut from = 0;
    while let Some(found) = memchr::memchr(b'\\', bytes.get(from..)?) {
        let escape = from + found;
        from = match utf16_unit(bytes, escape) {
            Some(0xD800..=0xDBFF) => match utf16_unit(bytes, escape + 6) {
                Some(0xDC00..=0xDFFF) => escape + 12,
                _ => return Some(escape),
            },
            Some(0xDC00..=0xDFFF) => return Some(escape),
            Some(_) => escape + 6,
            None => escape + 2,
        };
    }
    None
}

fn utf16_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether a value has more than [`MAX_DEPTH`] levels. `json` is known to be well-formed.
pub(super) fn too_deep(json: &str) -> bool {
    let bytes = json.as_bytes();
    // Nearly every event ends here: it hasn't that many brackets at all.
    if memchr::memchr2_iter(b'[', b'{', bytes).take(MAX_DEPTH + 1).count() <= MAX_DEPTH {
        return false;
    }
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => {
                rest.next();
            }
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// JSON pointer to the innermost value around a byte, as far as names and [`MAX_DEPTH`] allow.
pub(super) fn pointer_to(json: &str, offset: usize) -> String {
    let mut pointer = String::new();
    let start = json.as_ptr().addr();
    let holds = |value: Raw<'_>| {
        let from = value.get().as_ptr().addr() - start;
        (from..from + value.get().len()).contains(&offset)
    };
    let mut inner = json;
    for _ in 0..MAX_DEPTH {
        let child = if inner.starts_with('{') {
            let fields = fields(Raw::new(inner)).unwrap_or_default();
            let found = fields.into_iter().find(|field| holds(field.value));
            found.map(|field| (escaped(&field.name).into_owned(), field.value))
        } else {
            let elements = elements(Raw::new(inner)).unwrap_or_default();
            let found = elements.into_iter().enumerate().find(|(_, value)| holds(*value));
            found.map(|(index, value)| (index.to_string(), value))
        };
        let Some((name, value)) = child else { break };
        pointer.push('/');
        pointer.push_str(&name);
        inner = value.get();
    }
    pointer
}

/// A name as a reference token of a JSON pointer (RFC 6901 §3).
pub(super) fn escaped(name: &str) -> Cow<'_, str> {
    if name.contains(['~', '/']) {
        Cow::Owned(name.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(name)
    }
}

/// A value that may stand in an output: the client's bytes, or a string of them where strict readers would refuse them.
pub(super) fn readable(value: Raw<'_>) -> RawJson<'_> {
    let json = value.get();
    if lone_surrogate(json).is_none() && !too_deep(json) && numbers::beyond_double(json).is_none() {
        return value.into();
    }
    serde_json::to_string(json).map_or(value.into(), RawJson::owned)
}

#[cfg(test)]
mod tests {
    use super::{MAX_DEPTH, Raw, lone_surrogate, pointer_to, quoted, text, too_deep, whole};

    #[test]
    fn half_a_surrogate_pair_is_found_where_serde_json_refuses_it() {
        for (json, expected) in [
            (r#""plain""#, None),
            (r#""\ud83d\ude00""#, None),
            (r#""\\ud800""#, None),
            (r#""\\\\\ud800""#, Some(5)),
            (r#""\ud800""#, Some(1)),
            (r#""\ud800\n""#, Some(1)),
            (r#""\ud800\u0041""#, Some(1)),
            (r#""a\uDC00""#, Some(2)),
            (r#""\ud83d\ude00\udfff""#, Some(13)),
        ] {
            assert_eq!(lone_surrogate(json), expected, "{json}");
            assert_eq!(
                serde_json::from_str::<String>(json).is_err(),
                expected.is_some(),
                "{json}"
            );
        }
    }

    #[test]
    fn a_pointer_leads_to_the_value_around_a_byte() {
        let json = r#"{"a":1,"pay/load":{"x":[1,{"y~":"HERE"}]}}"#;
        let at = json.find("HERE").unwrap();
        assert_eq!(pointer_to(json, at), "/pay~1load/x/1/y~0");
        assert_eq!(pointer_to(json, 0), "");
    }

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(!too_deep(&nested(MAX_DEPTH)));
        assert!(too_deep(&nested(MAX_DEPTH + 1)));
        assert!(!too_deep(&format!(r#"["{}\"{}"]"#, "[".repeat(200), "{".repeat(200))));
        assert!(!too_deep(&format!("[{}[]]", "[],".repeat(500))));
    }

    #[test]
    fn numbers_keep_64_bits() {
        for (json, expected) in [
            ("9007199254740993", Some(9_007_199_254_740_993)),
            ("1732406400123.75", Some(1_732_406_400_123)),
            ("1.5e3", Some(1_500)),
            ("1e999", Some(i64::MAX)),
            ("-1e999", Some(i64::MIN)),
            ("\"1\"", None),
            ("null", None),
        ] {
            assert_eq!(whole(Raw::new(json)), expected, "{json}");
        }
    }

    #[test]
    fn texts_are_unescaped_and_shortened_at_characters() {
        assert_eq!(text(Raw::new(r#""\u00e9\n""#)).as_deref(), Some("é\n"));
        assert_eq!(text(Raw::new("1")), None);
        assert_eq!(quoted(&"é".repeat(61)), format!("\"{}\"…", "é".repeat(60)));
    }
}
