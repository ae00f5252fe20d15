//! JSON as the topics need it: values that pass as their own bytes, and what writes objects around them.

use std::borrow::Cow;

use serde::Serialize;
use uuid::Uuid;
use wide::u8x16;

use crate::Properties;

/// A JSON value as its own bytes. Whoever makes one vouches that they are sound JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawJson<'a>(Cow<'a, str>);

impl<'a> RawJson<'a> {
    /// The client's own bytes.
    pub const fn borrowed(json: &'a str) -> Self {
        Self(Cow::Borrowed(json))
    }

    /// Bytes that were made here.
    pub const fn owned(json: String) -> Self {
        Self(Cow::Owned(json))
    }

    /// The bytes.
    pub fn get(&self) -> &str {
        &self.0
    }
}

/// The start of a field for [`ObjectWriter`]; the comma of the first field becomes the object's brace.
macro_rules! field {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}
pub(crate) use field;

/// Writes one JSON object field by field, escaping texts exactly as serde_json does.
pub(crate) struct ObjectWriter<'o> {
    out: &'o mut Vec<u8>,
    /// Where the object's first byte stands or will stand.
    start: usize,
}

impl<'o> ObjectWriter<'o> {
    /// Begins an object at the end of `out`.
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start }
    }

    /// Ends it.
    #[inline]
    pub(crate) fn end(self) {
        match self.out.get_mut(self.start) {
            Some(comma) => *comma = b'{',
            None => self.out.push(b'{'),
        }
        self.out.push(b'}');
    }

    #[inline]
    pub(crate) fn text(&mut self, field: &'static str, text: &str) {
        self.out.extend_from_slice(field.as_bytes());
        write_text(self.out, text);
    }

    #[inline]
    pub(crate) fn text_if_any(&mut self, field: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(field, text);
        }
    }

    #[inline]
    pub(crate) fn integer(&mut self, field: &'static str, number: i64) {
        self.out.extend_from_slice(field.as_bytes());
        self.out
            .extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    #[inline]
    pub(crate) fn integer_if_any(&mut self, field: &'static str, number: Option<i64>) {
        if let Some(number) = number {
            self.integer(field, number);
        }
    }

    #[inline]
    pub(crate) fn uuid(&mut self, field: &'static str, id: Uuid) {
        self.out.extend_from_slice(field.as_bytes());
        self.out.push(b'"');
        let mut buffer = Uuid::encode_buffer();
        self.out
            .extend_from_slice(id.hyphenated().encode_lower(&mut buffer).as_bytes());
        self.out.push(b'"');
    }

    #[inline]
    pub(crate) fn raw(&mut self, field: &'static str, json: &RawJson<'_>) {
        self.out.extend_from_slice(field.as_bytes());
        self.out.extend_from_slice(json.get().as_bytes());
    }

    /// A value as serde_json writes it; every part of it has a JSON form.
    pub(crate) fn value_if_any(&mut self, field: &'static str, value: Option<&impl Serialize>) {
        let Some(value) = value else { return };
        let start = self.out.len();
        self.out.extend_from_slice(field.as_bytes());
        if serde_json::to_writer(&mut *self.out, value).is_err() {
            self.out.truncate(start);
        }
    }

    /// Fields that were written before, each with its comma.
    #[inline]
    pub(crate) fn written(&mut self, fields: &[u8]) {
        self.out.extend_from_slice(fields);
    }

    /// Bytes in the object so far.
    pub(crate) fn len(&self) -> usize {
        self.out.len() - self.start
    }

    /// Fields that came with their names.
    pub(crate) fn properties(&mut self, properties: &Properties<'_>) {
        for (name, value) in properties {
            self.named(name, value);
        }
    }

    /// A field whose name came from outside.
    pub(crate) fn named(&mut self, name: &str, json: &RawJson<'_>) {
        self.out.push(b',');
        write_text(self.out, name);
        self.out.push(b':');
        self.out.extend_from_slice(json.get().as_bytes());
    }

    /// A field that is an object of its own.
    #[inline]
    pub(crate) fn object(&mut self, field: &'static str, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        self.out.extend_from_slice(field.as_bytes());
        let mut inner = ObjectWriter::new(self.out);
        write(&mut inner);
        inner.end();
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.push(b'"');
    let mut from = 0;
    loop {
        let at = plain_until(bytes, from);
        out.extend_from_slice(&bytes[from..at]);
        let Some(special) = bytes.get(at) else { break };
        write_escaped(out, *special);
        from = at + 1;
    }
    out.push(b'"');
}

#[cold]
fn write_escaped(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x09 => b't',
        0x0A => b'n',
        0x0C => b'f',
        0x0D => b'r',
        control => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(control >> 4)]);
            out.push(HEX[usize::from(control & 0xF)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

/// Where the first byte at or after `from` stands that a JSON string can't hold as it is, or that ends one: a quote, a backslash, a
/// control character. The length where there is none.
#[inline]
pub fn plain_until(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(sixteen) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let special = special_of_sixteen(*sixteen);
        if special != 0 {
            return at + special.trailing_zeros() as usize;
        }
        at += 16;
    }
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let special = special_of_eight(*eight);
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b'"' | b'\\' | 0..0x20) {
            return at;
        }
        at += 1;
    }
    at
}

/// A bit is set for each byte that is one of them.
#[inline]
fn special_of_sixteen(bytes: [u8; 16]) -> u32 {
    let bytes = u8x16::from(bytes);
    let quotes = bytes.simd_eq(u8x16::splat(b'"'));
    let backslashes = bytes.simd_eq(u8x16::splat(b'\\'));
    let controls = bytes.simd_eq(bytes.min(u8x16::splat(0x1F)));
    (quotes | backslashes | controls).to_bitmask()
}

/// A byte's high bit is set where it is one of them. A borrow may set it falsely, but only above a true one, and the lowest counts.
#[inline]
fn special_of_eight(bytes: [u8; 8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(bytes);
    let quote = word ^ (ONES * 0x22);
    let backslash = word ^ (ONES * 0x5C);
    let special = (quote.wrapping_sub(ONES) & !quote)
        | (backslash.wrapping_sub(ONES) & !backslash)
        | (word.wrapping_sub(ONES * 0x20) & !word);
    special & HIGH
}

#[cfg(test)]
mod tests {
    use super::{ObjectWriter, RawJson, plain_until, write_text};

    #[test]
    fn texts_are_escaped_as_serde_json_does() {
        let every_ascii: String = (0..128_u8).map(char::from).collect();
        for text in [
            "",
            "plain",
            "exactly 8",
            "é — 😀 — é",
            "a \"quote\" and a \\ in a longer text",
            &every_ascii,
            &every_ascii[3..],
        ] {
            let mut written = Vec::new();
            write_text(&mut written, text);
            assert_eq!(
                String::from_utf8(written).unwrap(),
                serde_json::to_string(text).unwrap()
            );
        }
    }

    #[test]
    fn the_first_special_byte_is_found_wherever_it_stands() {
        for byte in 0..=255_u8 {
            let is_special = byte < 0x20 || byte == b'"' || byte == b'\\';
            for length in 0..36 {
                for at in 0..length {
                    let mut bytes = vec![0xFF; length];
                    bytes[at] = byte;
                    let expected = if is_special { at } else { length };
                    assert_eq!(plain_until(&bytes, 0), expected, "{byte} at {at} of {length}");
                }
            }
        }
    }

    #[test]
    fn objects_begin_and_end_whatever_stands_in_them() {
        let mut out = b"before ".to_vec();
        ObjectWriter::new(&mut out).end();
        let mut outer = ObjectWriter::new(&mut out);
        outer.object(field!("a"), |_| {});
        outer.object(field!("b"), |inner| inner.named("c\"", &RawJson::borrowed("[1]")));
        outer.integer(field!("d"), i64::MIN);
        outer.end();
        let expected = r#"before {}{"a":{},"b":{"c\"":[1]},"d":-9223372036854775808}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
