//! How a batch is encoded.

use gosight_schemas::BodyFormat;

use super::arguments::BodyChoice;

/// What a decompressed body is taken for. A protobuf batch has tags and lengths, which are control characters that no JSON text has.
pub(super) fn format_of(choice: BodyChoice, plain: &[u8]) -> BodyFormat {
    match choice {
        BodyChoice::Json => BodyFormat::Json,
        BodyChoice::Protobuf => BodyFormat::Protobuf,
        BodyChoice::Auto => {
            let is_text = plain
                .iter()
                .all(|byte| *byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r'));
            if is_text {
                BodyFormat::Json
            } else {
                BodyFormat::Protobuf
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use gosight_schemas::BodyFormat;

    use super::format_of;
    use crate::validate::arguments::BodyChoice;

    #[test]
    fn json_and_protobuf_are_told_apart() {
        for json in ["{\"events\":[\r\n\t]}", "hello", "", "\u{fc}"] {
            assert_eq!(
                format_of(BodyChoice::Auto, json.as_bytes()),
                BodyFormat::Json,
                "{json:?}"
            );
        }
        let batch = b"\x0a\x0bgs_test_key\x12\x08\x0a\x06sess-1\x1a\x02\x10\x01";
        assert_eq!(format_of(BodyChoice::Auto, batch), BodyFormat::Protobuf);
        assert_eq!(format_of(BodyChoice::Json, batch), BodyFormat::Json);
    }
}
