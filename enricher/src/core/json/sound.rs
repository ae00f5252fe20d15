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
mod tests;
