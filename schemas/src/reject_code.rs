//! The closed list of reasons for which an event is rejected. Metrics, headers and docs use these names.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why an event is on the errors topic. The text form is snake_case and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectCode {
    /// The event is not valid JSON (for example a broken escape).
    InvalidJson,
    /// The event is not a valid protobuf `gosight.Event`.
    InvalidProtobuf,
    /// The event is valid JSON but no object.
    NotAnObject,
    /// A required field is absent or empty.
    MissingField,
    /// A field has another type than it must have.
    WrongType,
    /// A number or text is outside of its range.
    OutOfRange,
    /// The type is not in the catalogue.
    UnknownType,
    /// A field is longer than allowed.
    FieldTooLong,
    /// The event is larger than allowed.
    EventTooLarge,
    /// The timestamp is too far ahead of the receipt or too long before it.
    TimestampOutOfRange,
    /// The enriched event does not fit the raw topic.
    OutputTooLarge,
    /// The staged record was written by no edge, or is damaged.
    UndecodableRecord,
    /// The staged record has a schema that this version does not know.
    UnknownSchema,
    /// A defect of ours; the event is kept and can be redriven after a fix.
    InternalError,
}

impl RejectCode {
    /// Every code, in the order of the documentation.
    pub const ALL: [Self; 14] = [
        Self::InvalidJson,
        Self::InvalidProtobuf,
        Self::NotAnObject,
        Self::MissingField,
        Self::WrongType,
        Self::OutOfRange,
        Self::UnknownType,
        Self::FieldTooLong,
        Self::EventTooLarge,
        Self::TimestampOutOfRange,
        Self::OutputTooLarge,
        Self::UndecodableRecord,
        Self::UnknownSchema,
        Self::InternalError,
    ];

    /// The name in headers, metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::InvalidProtobuf => "invalid_protobuf",
            Self::NotAnObject => "not_an_object",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::OutOfRange => "out_of_range",
            Self::UnknownType => "unknown_type",
            Self::FieldTooLong => "field_too_long",
            Self::EventTooLarge => "event_too_large",
            Self::TimestampOutOfRange => "timestamp_out_of_range",
            Self::OutputTooLarge => "output_too_large",
            Self::UndecodableRecord => "undecodable_record",
            Self::UnknownSchema => "unknown_schema",
            Self::InternalError => "internal_error",
        }
    }

    /// Whether the cause lies with us and not with the client: such rejects count towards the breaker.
    pub const fn is_our_fault(self) -> bool {
        matches!(
            self,
            Self::UndecodableRecord | Self::UnknownSchema | Self::InternalError
        )
    }
}

impl fmt::Display for RejectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::RejectCode;

    #[test]
    fn json_and_text_name_a_code_alike() {
        for code in RejectCode::ALL {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{code}\""));
        }
    }
}
