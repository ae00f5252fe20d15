//! The one strict pass over a body: whether it is JSON at all (RFC 8259, as serde_json reads it), and where its parts stand, two
//! levels deep. What reads them afterwards ([`super::fields`], [`super::elements`]) rests on it and only looks for their ends. Nothing here recurses.

use std::borrow::Cow;

use gosight_schemas::json::plain_until;

use super::{Field, MAX_DEPTH, Raw};

/// Digits that the largest double has; an integer with more may be beyond it.
const DIGITS: usize = 309;

/// The text is no sound JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::core) struct Unsound;

/// What was seen inside of a value: where it was not, a rule about it needs no further look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::core) struct Seen {
    /// A backslash.
    pub(in crate::core) escapes: bool,
    /// More than [`MAX_DEPTH`] levels.
    pub(in crate::core) depth: bool,
    /// A number with an exponent, or with so many digits that no double may hold it.
    pub(in crate::core) wide_number: bool,
}

impl Seen {
    /// Of a value that was never looked at.
    const ANYTHING: Self = Self {
        escapes: true,
        depth: true,
        wide_number: true,
    };
}

/// One element of an array.
pub(in crate::core) struct Element<'a> {
    pub(in crate::core) value: Raw<'a>,
    pub(in crate::core) seen: Seen,
    /// Its fields, where it is an object that the pass has taken apart.
    pub(in crate::core) parts: Option<Vec<Part<'a>>>,
}

/// A field of an element.
pub(in crate::core) struct Part<'a> {
    pub(in crate::core) name: Cow<'a, str>,
    pub(in crate::core) value: Raw<'a>,
    /// Its own fields, where it is an object that the pass has taken apart.
    pub(in crate::core) fields: Option<Vec<Field<'a>>>,
}

impl<'a> Element<'a> {
    /// A sound value that no pass has looked at.
    pub(in crate::core) const fn unseen(value: Raw<'a>) -> Self {
        Self {
            value,
            seen: Seen::ANYTHING,
            parts: None,
        }
    }
}

impl<'a> From<Field<'a>> for Part<'a> {
    fn from(Field { name, value }: Field<'a>) -> Self {
        Self {
            name,
            value,
            fields: None,
        }
    }
}

/// An object around one large array, whose elements are told apart in the same pass.
pub(in crate::core) struct Around<'a> {
    /// The other fields.
    pub(in crate::core) fields: Vec<Field<'a>>,
    /// `None` where no field has the array's name.
    pub(in crate::core) elements: Option<Vec<Element<'a>>>,
}

/// Reads such an object.
///
/// # Errors
/// It is no JSON, no object, or what has the array's name is none.
pub(in crate::core) fn fields_around<'a>(object: &'a str, array: &str) -> Result<Around<'a>, Unsound> {
    let mut reader = Reader::new(object);
    let mut around = Around {
        fields: Vec::with_capacity(8),
        elements: None,
    };
    reader.space();
    reader.object(|reader, name| {
        let name = name.ok_or(Unsound)?;
        if name == array {
            around.elements = Some(reader.elements()?);
        } else {
            let value = reader.raw_value(1)?;
            around.fields.push(Field { name, value });
        }
        Ok(())
    })?;
    reader.space();
    if reader.at == object.len() {
        Ok(around)
    } else {
        Err(Unsound)
    }
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// What closes each object and array that is open within the value that is passed.
    open: Vec<u8>,
    /// Objects around that value, up to the element.
    around: usize,
    seen: Seen,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            open: Vec::new(),
            around: 0,
            seen: Seen::default(),
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), Unsound> {
        (self.next() == Some(byte)).then_some(()).ok_or(Unsound)
    }

    fn elements(&mut self) -> Result<Vec<Element<'a>>, Unsound> {
        let mut elements = Vec::new();
        self.expect(b'[')?;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(elements);
        }
        loop {
            self.space();
            elements.push(self.element()?);
            self.space();
            match self.next() {
                Some(b',') => {}
                Some(b']') => return Ok(elements),
                _ => return Err(Unsound),
            }
        }
    }

    fn element(&mut self) -> Result<Element<'a>, Unsound> {
        self.seen = Seen::default();
        let from = self.at;
        let parts = match self.peek() {
            Some(b'{') => self.parts()?,
            _ => self.value(0).map(|()| None)?,
        };
        Ok(Element {
            value: self.raw_from(from)?,
            seen: self.seen,
            parts,
        })
    }

    /// The fields of an element, and those of its objects. `None` where a name is no Unicode.
    fn parts(&mut self) -> Result<Option<Vec<Part<'a>>>, Unsound> {
        let mut parts = Some(Vec::with_capacity(8));
        self.object(|reader, name| {
            let from = reader.at;
            let fields = match reader.peek() {
                Some(b'{') => reader.fields()?,
                _ => reader.value(1).map(|()| None)?,
            };
            let value = reader.raw_from(from)?;
            push(&mut parts, name.map(|name| Part { name, value, fields }));
            Ok(())
        })?;
        Ok(parts)
    }

    fn fields(&mut self) -> Result<Option<Vec<Field<'a>>>, Unsound> {
        let mut fields = Some(Vec::with_capacity(8));
        self.object(|reader, name| {
            let value = reader.raw_value(2)?;
            push(&mut fields, name.map(|name| Field { name, value }));
            Ok(())
        })?;
        Ok(fields)
    }

    /// Passes an object; `value` passes the value of each field. A name is absent where it is no Unicode.
    #[inline]
    fn object(
        &mut self,
        mut value: impl FnMut(&mut Self, Option<Cow<'a, str>>) -> Result<(), Unsound>,
    ) -> Result<(), Unsound> {
        self.expect(b'{')?;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let name = self.name()?;
            self.space();
            value(self, name)?;
            self.space();
            match self.next() {
                Some(b',') => self.space(),
                Some(b'}') => return Ok(()),
                _ => return Err(Unsound),
            }
        }
    }

    fn raw_value(&mut self, around: usize) -> Result<Raw<'a>, Unsound> {
        let from = self.at;
        self.value(around)?;
        self.raw_from(from)
    }

    fn raw_from(&self, from: usize) -> Result<Raw<'a>, Unsound> {
        self.text.get(from..self.at).map(Raw::new).ok_or(Unsound)
    }

    /// Passes one value, whatever it holds, within so many objects.
    fn value(&mut self, around: usize) -> Result<(), Unsound> {
        self.open.clear();
        self.around = around;
        loop {
            self.space();
            match self.next().ok_or(Unsound)? {
                b'"' => self.string()?,
                b'-' => {
                    let first = self.next().ok_or(Unsound)?;
                    self.number(first)?;
                }
                digit @ b'0'..=b'9' => self.number(digit)?,
                b'{' => {
                    if self.opens(b'}') {
                        self.pass_name()?;
                        continue;
                    }
                }
                b'[' => {
                    if self.opens(b']') {
                        continue;
                    }
                }
                b't' => self.literal(b"rue")?,
                b'f' => self.literal(b"alse")?,
                b'n' => self.literal(b"ull")?,
                _ => return Err(Unsound),
            }
            if !self.goes_on()? {
                return Ok(());
            }
        }
    }

    /// An object or array begins; whether anything stands in it.
    fn opens(&mut self, close: u8) -> bool {
        self.seen.depth |= self.around + self.open.len() >= MAX_DEPTH;
        self.space();
        if self.peek() == Some(close) {
            self.at += 1;
            return false;
        }
        self.open.push(close);
        true
    }

    /// Behind a value: whether another one follows within what is open.
    fn goes_on(&mut self) -> Result<bool, Unsound> {
        while let Some(close) = self.open.last().copied() {
            self.space();
            match self.next() {
                Some(b',') => {
                    if close == b'}' {
                        self.space();
                        self.pass_name()?;
                    }
                    return Ok(true);
                }
                Some(byte) if byte == close => {
                    self.open.pop();
                }
                _ => return Err(Unsound),
            }
        }
        Ok(false)
    }

    /// A field's name and the colon. The name is absent where it is no Unicode.
    #[inline]
    fn name(&mut self) -> Result<Option<Cow<'a, str>>, Unsound> {
        self.expect(b'"')?;
        let from = self.at;
        self.at = plain_until(self.bytes, from);
        let name = if self.peek() == Some(b'"') {
            self.at += 1;
            self.text.get(from..self.at - 1).map(Cow::Borrowed)
        } else {
            self.string()?;
            let json = self.text.get(from - 1..self.at).ok_or(Unsound)?;
            serde_json::from_str(json).ok().map(Cow::Owned)
        };
        self.space();
        self.expect(b':')?;
        Ok(name)
    }

    /// The same of a name that nobody asks for.
    #[inline]
    fn pass_name(&mut self) -> Result<(), Unsound> {
        self.expect(b'"')?;
        self.string()?;
        self.space();
        self.expect(b':')
    }

    /// The rest of a string.
    #[inline]
    fn string(&mut self) -> Result<(), Unsound> {
        loop {
            self.at = plain_until(self.bytes, self.at);
            match self.next() {
                Some(b'"') => return Ok(()),
                Some(b'\\') => self.escape()?,
                _ => return Err(Unsound),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Unsound> {
        self.seen.escapes = true;
        match self.next() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => {
                let digits = self.bytes.get(self.at..self.at + 4).ok_or(Unsound)?;
                self.at += 4;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(()).ok_or(Unsound)
            }
            _ => Err(Unsound),
        }
    }

    #[inline]
    fn literal(&mut self, rest: &[u8]) -> Result<(), Unsound> {
        let is_it = self.bytes.get(self.at..).is_some_and(|bytes| bytes.starts_with(rest));
        self.at += rest.len();
        is_it.then_some(()).ok_or(Unsound)
    }

    /// The rest of a number after its first digit.
    #[inline]
    fn number(&mut self, first: u8) -> Result<(), Unsound> {
        let from = self.at;
        match first {
            b'0' => {
                if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                    return Err(Unsound);
                }
            }
            b'1'..=b'9' => self.digits(),
            _ => return Err(Unsound),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.seen.wide_number = true;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        self.seen.wide_number |= self.at - from >= DIGITS - 1;
        Ok(())
    }

    #[inline]
    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), Unsound> {
        let from = self.at;
        self.digits();
        (self.at > from).then_some(()).ok_or(Unsound)
    }
}

/// What lacks one lacks all.
fn push<T>(all: &mut Option<Vec<T>>, one: Option<T>) {
    match (all.as_mut(), one) {
        (Some(all), Some(one)) => all.push(one),
        _ => *all = None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::super::{fields, lone_surrogate, too_deep};
    use super::{Field, MAX_DEPTH, Seen, fields_around};
    use crate::core::numbers::beyond_double;

    fn seen(value: &str) -> Option<Seen> {
        let body = format!(r#"{{"events":[{value}]}}"#);
        let around = fields_around(&body, "events").ok()?;
        let [element] = around.elements.as_deref()? else {
            return None;
        };
        assert_eq!(element.value.get(), value.trim_matches([' ', '\n', '\t', '\r']));
        Some(element.seen)
    }

    /// Serde_json decides what is JSON; and what was not seen must not be there.
    fn assert_judged(value: &str) {
        let is_sound = serde_json::from_str::<&RawValue>(value).is_ok();
        let seen = seen(value);
        assert_eq!(seen.is_some(), is_sound, "{value}");
        let Some(seen) = seen else { return };
        assert!(seen.escapes || lone_surrogate(value).is_none(), "{value}");
        assert!(seen.wide_number || beyond_double(value).is_none(), "{value}");
        assert_eq!(seen.depth, too_deep(value), "{value}");
    }

    #[test]
    fn what_serde_json_refuses_is_refused() {
        for value in [
            "0",
            "-0",
            "01",
            "-",
            "-a",
            "1.",
            ".1",
            "1.5",
            "1e5",
            "1E+5",
            "1e",
            "1e+",
            "+1",
            "1-",
            "0x1",
            "NaN",
            "tru",
            "true",
            "truex",
            "null",
            "nul",
            "false",
            "fals",
            r#""""#,
            r#"""#,
            r#""\""#,
            r#""\x""#,
            r#""\u12""#,
            r#""\u12g4""#,
            r#""\u1234""#,
            r#""\ud800""#,
            "\"\u{1}\"",
            "\"\n\"",
            "\"\u{7f}\"",
            "\"é😀\"",
            "[]",
            "[ ]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1,2]",
            "{}",
            "{ }",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":1 , "b" : [ ] }"#,
            r#"{a:1}"#,
            r#"{"a":1]"#,
            "[1}",
            "]",
            "}",
            "{",
            "[",
            r#"{"a":{"b":[{"c":null}]}}"#,
            " 1 ",
            "\u{a0}1",
            "// 1",
            "'a'",
            "\u{feff}1",
            "1e999",
            "-1E400",
            r#"{"\ud800":1}"#,
        ] {
            assert_judged(value);
        }
    }

    #[test]
    fn depth_and_wide_numbers_are_seen_at_their_limits() {
        for levels in [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1] {
            assert_judged(&format!("{}{}", "[".repeat(levels), "]".repeat(levels)));
            assert_judged(&format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels)));
            assert_judged(&format!("[{},{{}}]", "[]".to_owned() + &",[]".repeat(levels)));
        }
        for digits in 306..312 {
            for sign in ["", "-"] {
                assert_judged(&format!("{sign}{}", "9".repeat(digits)));
                assert_judged(&format!("{sign}{}.5", "9".repeat(digits)));
            }
        }
    }

    #[test]
    fn nesting_takes_no_stack() {
        let levels = 1_000_000;
        let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(seen(&deep).unwrap().depth);
        assert!(seen(&deep[1..]).is_none());
    }

    #[test]
    fn the_last_array_of_the_name_counts_and_another_kind_is_refused() {
        let around = fields_around(r#" {"a":1,"events":[1],"b":"x","events" : [ 2 , 3 ] } "#, "events").unwrap();
        let names: Vec<&str> = around.fields.iter().map(|field| &*field.name).collect();
        assert_eq!(names, ["a", "b"]);
        let elements: Vec<&str> = around
            .elements
            .unwrap()
            .iter()
            .map(|element| element.value.get())
            .collect();
        assert_eq!(elements, ["2", "3"]);
        let escaped = fields_around(r#"{"e\u0076ents":[]}"#, "events").unwrap();
        assert!(escaped.elements.is_some_and(|elements| elements.is_empty()));
        assert!(fields_around("{}", "events").unwrap().elements.is_none());
        for refused in [
            "",
            "[]",
            "null",
            r#"{"events":{}}"#,
            r#"{"events":null}"#,
            "{} x",
            r#"{"\ud800":1}"#,
        ] {
            assert!(fields_around(refused, "events").is_err(), "{refused}");
        }
    }

    #[test]
    fn bodies_with_any_byte_changed_are_judged_as_serde_json_does() {
        let body = r#" { "a": 1 ,"events" : [ {"b":[2]}, 3 ] ,"c":{} } "#;
        for at in 0..body.len() {
            for byte in ["", "[", "]", "{", "}", ",", ":", "\"", " ", "0", "a", "\n"] {
                let mut changed = body.to_owned();
                changed.replace_range(at..=at, byte);
                let fields = serde_json::from_str::<BTreeMap<String, &RawValue>>(&changed).ok();
                let is_sound = fields.is_some_and(|fields| {
                    let events = fields.get("events");
                    events.is_none_or(|events| events.get().starts_with('['))
                });
                assert_eq!(fields_around(&changed, "events").is_ok(), is_sound, "{changed}");
            }
        }
    }

    /// What the pass took apart is what a reader of its own finds.
    fn assert_taken_apart(value: &str) {
        let body = format!(r#"{{"events":[{value}]}}"#);
        let Ok(around) = fields_around(&body, "events") else {
            return;
        };
        let Some([element]) = around.elements.as_deref() else {
            return;
        };
        let Some(parts) = &element.parts else {
            assert!(fields(element.value).is_none(), "{value}");
            return;
        };
        let expected = fields(element.value).unwrap();
        assert_eq!(parts.len(), expected.len(), "{value}");
        for (part, field) in parts.iter().zip(&expected) {
            assert_eq!((&part.name, part.value), (&field.name, field.value), "{value}");
            let inner = |fields: &Option<Vec<Field<'_>>>| {
                let fields = fields.as_ref()?.iter();
                Some(
                    fields
                        .map(|field| format!("{}={}", field.name, field.value.get()))
                        .collect::<Vec<_>>(),
                )
            };
            assert_eq!(inner(&part.fields), inner(&fields(field.value)), "{value}");
        }
    }

    #[test]
    fn names_and_values_are_those_that_a_reader_finds() {
        for value in [
            "{}",
            "{ }",
            "1",
            "[{}]",
            r#"{"a":1,"b":{"c":{"d":[1,{"e":2}]},"f":"}"},"g":{}}"#,
            r#" { "a\u0062" : { "\"" : null , "\ud800" : 1 } , "x" : [ ] } "#,
            r#"{"\ud800":1,"a":2}"#,
            r#"{"a":2,"\ud800":1,"b":3}"#,
            r#"{"a":1,"a":{"a":1,"a":2}}"#,
        ] {
            assert_taken_apart(value);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn whatever_comes_is_taken_apart_as_a_reader_does(
            names in prop::collection::vec(r#"[a-c"\\é]{0,3}"#, 1..4), inner in r#"[\[\]{},:"a 0-9]{0,12}"#, space in "[ \n]{0,2}"
        ) {
            let names: Vec<String> = names.iter().map(|name| serde_json::to_string(name).unwrap()).collect();
            let plain: Vec<String> = names.iter().map(|name| format!("{space}{name}{space}:{space}{name}{space}")).collect();
            let object = format!("{{{}}}", plain.join(","));
            assert_taken_apart(&object);
            assert_taken_apart(&format!("{{{}:{space}{object}{space},\"x\":[{object}]}}", names[0]));
            assert_taken_apart(&format!("{{{}:{{{inner}}}}}", names[0]));
        }

        #[test]
        fn texts_of_jsons_own_characters_are_judged_as_serde_json_does(
            value in r#"[\[\]{},:"\\ \n0-9eE+.\-a-fnrtu]{0,24}"#
        ) {
            assert_judged(&value);
        }

        #[test]
        fn sound_values_with_a_byte_changed_are_judged_as_serde_json_does(
            text in "\\PC{0,12}", number in any::<f64>(), at in any::<prop::sample::Index>(), byte in any::<char>()
        ) {
            let value = serde_json::json!({ "a": text, "b": [number, null, true, { text: -1 }], "c": {} }).to_string();
            assert_judged(&value);
            let mut characters: Vec<char> = value.chars().collect();
            let at = at.index(characters.len());
            characters[at] = byte;
            assert_judged(&characters.iter().collect::<String>());
            characters.remove(at);
            assert_judged(&characters.iter().collect::<String>());
        }
    }
}
