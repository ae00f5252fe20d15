//! What a Content-Type says about an HTTP body.

use gosight_schemas::BodyFormat;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::outcome::{Reason, Refusal};

/// The format of a body. A browser chooses among few types when it must not ask first (sendBeacon, no-cors), so each of them, and
/// none, is JSON. Types that neither JSON nor protobuf could wear are refused: reading them as JSON would only hide the mistake.
pub(super) fn format_of(headers: &HeaderMap) -> Result<BodyFormat, Refusal> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(BodyFormat::Json);
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "" | "text/plain" | "text/json" | "application/x-www-form-urlencoded" => Ok(BodyFormat::Json),
        // A Blob without a type, and compressed bodies of SDKs that name the compression here.
        "application/octet-stream" | "application/gzip" | "application/x-gzip" => Ok(BodyFormat::Json),
        "application/x-protobuf" | "application/protobuf" | "application/vnd.google.protobuf" => {
            Ok(BodyFormat::Protobuf)
        }
        json if json.ends_with("/json") || json.ends_with("+json") => Ok(BodyFormat::Json),
        _ => Err(Refusal::new(
            Reason::UnsupportedType,
            "This Content-Type is not supported; send application/json, text/plain or application/x-protobuf",
        )),
    }
}

#[cfg(test)]
mod tests {
    use gosight_schemas::BodyFormat;
    use http::header::CONTENT_TYPE;
    use http::{HeaderMap, HeaderValue};

    use super::format_of;

    fn format(content_type: &'static str) -> Option<BodyFormat> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        format_of(&headers).ok()
    }

    #[test]
    fn what_browsers_and_sdks_send_is_read() {
        assert_eq!(format_of(&HeaderMap::new()).ok(), Some(BodyFormat::Json));
        for json in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "text/plain;charset=UTF-8",
            "application/x-www-form-urlencoded",
            "application/problem+json",
            "application/octet-stream",
            "",
        ] {
            assert_eq!(format(json), Some(BodyFormat::Json), "{json}");
        }
        for protobuf in [
            "application/x-protobuf",
            "application/protobuf; proto=gosight.EventBatch",
        ] {
            assert_eq!(format(protobuf), Some(BodyFormat::Protobuf), "{protobuf}");
        }
    }

    #[test]
    fn what_can_be_neither_is_refused() {
        for other in [
            "multipart/form-data; boundary=x",
            "image/gif",
            "text/html",
            "application/xml",
            "application/grpc",
        ] {
            assert_eq!(format(other), None, "{other}");
        }
    }
}
