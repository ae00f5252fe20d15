//! Fields of a batch that the contract doesn't know. They are repeated with every event, so their size is bounded: what doesn't
//! fit leaves its count behind.

use std::borrow::Cow;

use gosight_schemas::{Properties, RawJson};
use serde_json::json;

/// Bytes of all names and values together.
const MAX_BYTES: usize = 4096;
/// Bytes of one text that a batch says for all of its events: a browser's name, a time zone.
pub(super) const MAX_TEXT: usize = 256;
/// The entry that counts what didn't fit.
const LEFT_OUT: &str = "left_out";

/// Collects fields up to the limit.
#[derive(Default)]
pub(super) struct BatchProperties<'a> {
    kept: Properties<'a>,
    bytes: usize,
    left_out_fields: usize,
    left_out_bytes: usize,
}

impl<'a> BatchProperties<'a> {
    /// Keeps a field, or counts it.
    pub(super) fn keep(&mut self, name: Cow<'a, str>, value: RawJson<'a>) {
        let size = name.len() + value.get().len();
        if self.bytes + size <= MAX_BYTES {
            self.bytes += size;
            self.kept.insert(name, value);
        } else {
            self.left_out_fields += 1;
            self.left_out_bytes += size;
        }
    }

    /// The fields, and where some didn't fit `left_out: {fields, bytes}`.
    pub(super) fn into_properties(mut self) -> Properties<'a> {
        if self.left_out_fields > 0 {
            let counts = json!({ "fields": self.left_out_fields, "bytes": self.left_out_bytes });
            self.kept
                .insert(Cow::Borrowed(LEFT_OUT), RawJson::owned(counts.to_string()));
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use gosight_schemas::RawJson;

    use super::BatchProperties;

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut properties = BatchProperties::default();
        properties.keep("a".into(), RawJson::borrowed("1"));
        for name in ["b", "c"] {
            let value = format!("\"{}\"", "x".repeat(5_000));
            properties.keep(name.into(), RawJson::owned(value));
        }
        let kept = properties.into_properties();
        let kept: Vec<(&str, &str)> = kept.iter().map(|(name, value)| (&**name, value.get())).collect();
        assert_eq!(kept, [("a", "1"), ("left_out", r#"{"bytes":10006,"fields":2}"#)]);
    }
}
