//! Reading an HTTP body within its limits.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue};
use http_body::Body;
use http_body_util::BodyExt;

use crate::budget::{Budget, Held};
use crate::gunzip::{gunzip, is_gzip};
use crate::outcome::{Reason, Refusal};

/// What one body may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    /// Bytes as it arrives.
    pub(crate) arriving: usize,
    /// Bytes after decompression.
    pub(crate) decompressed: usize,
    /// From the end of the headers to the end of the body.
    pub(crate) timeout: Duration,
}

/// A body as the client wrote it, decompressed, with the part of the budget that it takes.
#[derive(Debug)]
pub(crate) struct PlainBody {
    pub(crate) bytes: Bytes,
    pub(crate) held: Held,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Unnamed,
    Gzip,
}

/// Reads and decompresses a whole body.
pub(crate) async fn read<B>(
    headers: &HeaderMap,
    body: B,
    limits: BodyLimits,
    budget: &Budget,
) -> Result<PlainBody, Refusal>
where
    B: Body<Data = Bytes>,
{
    let encoding = encoding(headers)?;
    let declared = declared_length(headers);
    if declared > limits.arriving {
        return Err(Refusal::body_too_large(limits.arriving));
    }
    let mut held = budget.hold();
    let arrived = tokio::time::timeout(limits.timeout, gather(body, limits.arriving, &mut held))
        .await
        .map_err(|_| {
            Refusal::new(
                Reason::BodyTimeout,
                format!("The body did not arrive within {:?}", limits.timeout),
            )
        })??;
    if encoding == Encoding::Gzip || is_gzip(&arrived) {
        let mut held_plain = budget.hold();
        let bytes = gunzip(&arrived, limits.decompressed, &mut held_plain)?;
        return Ok(PlainBody {
            bytes,
            held: held_plain,
        });
    }
    if arrived.len() > limits.decompressed {
        return Err(Refusal::body_too_large(limits.decompressed));
    }
    Ok(PlainBody { bytes: arrived, held })
}

async fn gather<B>(body: B, limit: usize, held: &mut Held) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
{
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let broken = |_| Refusal::new(Reason::BrokenRequest, "The body broke off before its end");
        let Ok(data) = frame.map_err(broken)?.into_data() else {
            continue;
        };
        if first.len() + rest.len() + data.len() > limit {
            return Err(Refusal::body_too_large(limit));
        }
        held.take(data.len())?;
        if first.is_empty() {
            // Most bodies are one frame, which then is never copied.
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let Some(value) = headers.get(CONTENT_ENCODING) else {
        return Ok(Encoding::Unnamed);
    };
    let name = String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase();
    match name.as_str() {
        "" | "identity" => Ok(Encoding::Unnamed),
        "gzip" | "x-gzip" => Ok(Encoding::Gzip),
        _ => Err(Refusal::new(
            Reason::UnsupportedEncoding,
            "This Content-Encoding is not supported; send gzip, or the body as it is",
        )),
    }
}

fn declared_length(headers: &HeaderMap) -> usize {
    let parse = |value: &HeaderValue| value.to_str().ok()?.parse().ok();
    headers.get(CONTENT_LENGTH).and_then(parse).unwrap_or(0)
}
