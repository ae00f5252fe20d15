//! Avro's binary encoding, field after field. Source: Apache Avro 1.12 specification, "Binary encoding".

/// What is left of a record. Every reading gives `None` where the bytes are not such a field.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Of a whole record.
    pub(crate) fn of(record: &'a [u8]) -> Self {
        Self { rest: record }
    }

    /// Whether nothing is left.
    pub(crate) fn are_read(&self) -> bool {
        self.rest.is_empty()
    }

    /// An int, a long, the place of an enum's symbol or of a union's branch: zigzag, seven bits a byte from the lowest on. Of those that
    /// take ten bytes none is read, since writers disagree over their last bits.
    #[inline]
    pub(crate) fn integer(&mut self) -> Option<i64> {
        let mut bits = 0_u64;
        for shift in (0..63).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            bits |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed());
            }
        }
        None
    }

    /// Bytes, after their length.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.integer()?).ok()?;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    /// A string.
    pub(crate) fn text(&mut self) -> Option<String> {
        Some(std::str::from_utf8(self.bytes()?).ok()?.to_owned())
    }

    /// A boolean.
    pub(crate) fn boolean(&mut self) -> Option<bool> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        match byte {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// The union `["null", …]`; `None` also where the value is none.
    pub(crate) fn optional<T>(&mut self, value: impl Fn(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.integer()? {
            0 => Some(None),
            1 => value(self).map(Some),
            _ => None,
        }
    }

    /// A map of strings whose blocks have no size before them, as we write it.
    pub(crate) fn map<M: FromIterator<(String, String)>>(&mut self) -> Option<M> {
        let mut entries = Vec::new();
        loop {
            let count = self.integer()?;
            if count == 0 {
                return Some(entries.into_iter().collect());
            }
            for _ in 0..u64::try_from(count).ok()? {
                entries.push((self.text()?, self.text()?));
            }
        }
    }
}
