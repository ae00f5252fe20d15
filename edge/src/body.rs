//! Reading an HTTP body within its limits.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue};
use http_body::Body;
use http_body_util::BodyExt;

use crate::budget::{Budget, Held};
use crate::decompress::{Encoding, decompress, is_gzip};
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

/// Reads and decompresses a whole body. The compressed bytes and their part of the budget are gone when it returns.
///
/// # Errors
/// The body is too large, too slow, broken off, wrongly compressed, or there is no room for it now.
pub(crate) async fn read<B>(
    headers: &HeaderMap,
    body: B,
    limits: BodyLimits,
    budget: &Budget,
) -> Result<PlainBody, Refusal>
where
    B: Body<Data = Bytes>,
{
    let named = Encoding::named(headers)?;
    let declared = declared_length(headers);
    if declared > limits.arriving {
        return Err(Refusal::body_too_large(limits.arriving));
    }
    let mut held = budget.hold();
    let arrived = within(limits.timeout, gather(body, limits.arriving, &mut held)).await??;
    if let Some(encoding) = named.or_else(|| is_gzip(&arrived).then_some(Encoding::Gzip)) {
        let mut held_plain = budget.hold();
        let bytes = decompress(encoding, &arrived, limits.decompressed, &mut held_plain)?;
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

/// Waits for a body that is not there yet. Most are, and need no timer.
async fn within<T>(timeout: Duration, body: impl Future<Output = T>) -> Result<T, Refusal> {
    let mut body = pin!(body);
    if let Poll::Ready(arrived) = futures::poll!(body.as_mut()) {
        return Ok(arrived);
    }
    tokio::time::timeout(timeout, body).await.map_err(|_| {
        Refusal::new(
            Reason::BodyTimeout,
            format!("The body did not arrive within {timeout:?}"),
        )
    })
}

async fn gather<B>(body: B, limit: usize, held: &mut Held) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
{
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let broken = |_| Refusal::new(Reason::BrokenRequest, "The body broke off before its end");
        let Ok(data) = frame.map_err(broken)?.into_data() else {
            continue;
        };
        if first.len() + whole.len() + data.len() > limit {
            return Err(Refusal::body_too_large(limit));
        }
        held.take(data.len())?;
        if whole.is_empty() && first.is_empty() {
            // Most bodies are one frame, which then is never copied.
            first = data;
            continue;
        }
        whole.extend_from_slice(&std::mem::take(&mut first));
        whole.extend_from_slice(&data);
    }
    if whole.is_empty() {
        return Ok(first);
    }
    Ok(whole.freeze())
}

fn declared_length(headers: &HeaderMap) -> usize {
    let parse = |value: &HeaderValue| value.to_str().ok()?.parse().ok();
    headers.get(CONTENT_LENGTH).and_then(parse).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Write;
    use std::time::Duration;

    use bytes::Bytes;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use futures::{Stream, StreamExt, stream};
    use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
    use http::{HeaderMap, HeaderValue};
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::{BodyLimits, PlainBody, read};
    use crate::budget::Budget;
    use crate::outcome::{Reason, Refusal};

    const LIMITS: BodyLimits = BodyLimits {
        arriving: 10_000,
        decompressed: 20_000,
        timeout: Duration::from_secs(5),
    };

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn encoded(encoding: Option<&'static str>) -> HeaderMap {
        let value = encoding.map(|name| (CONTENT_ENCODING, HeaderValue::from_static(name)));
        value.into_iter().collect()
    }

    fn frames(whole: &[u8], size: usize) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + use<> {
        let pieces: Vec<_> = whole
            .chunks(size)
            .map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece))))
            .collect();
        stream::iter(pieces)
    }

    async fn read_pieces(
        headers: &HeaderMap,
        whole: &[u8],
        size: usize,
        budget: &Budget,
    ) -> Result<PlainBody, Refusal> {
        read(headers, StreamBody::new(frames(whole, size)), LIMITS, budget).await
    }

    #[tokio::test]
    async fn a_body_reads_the_same_in_any_pieces_and_holds_its_plain_size_only() {
        let plain: Vec<u8> = (0..9_000_u32).map(|n| b'a' + (n % 7) as u8).collect();
        let budget = Budget::new(40_000);
        let packed = gzip(&plain);
        for (arriving, encoding) in [
            (&plain, None),
            (&plain, Some("")),
            (&plain, Some("identity")),
            (&packed, Some("gzip")),
            (&packed, Some(" X-GZip ")),
            (&packed, None),
            (&packed, Some("identity")),
        ] {
            for size in [1, 7, 1_000, 10_000] {
                let body = read_pieces(&encoded(encoding), arriving, size, &budget).await.unwrap();
                assert_eq!(body.bytes, plain, "{encoding:?} in pieces of {size}");
                assert_eq!(budget.in_flight(), plain.len(), "{encoding:?} in pieces of {size}");
                drop(body.held);
                assert_eq!(budget.in_flight(), 0);
            }
        }
    }

    #[tokio::test]
    async fn an_empty_body_is_read_as_empty() {
        let budget = Budget::new(0);
        let body = read_pieces(&encoded(None), b"", 1, &budget).await.unwrap();
        assert!(body.bytes.is_empty());
    }

    #[tokio::test]
    async fn each_bad_body_has_its_reason_and_gives_its_budget_back() {
        let packed = gzip(&vec![b'x'; 20_001]);
        let truncated = &gzip(b"{}")[..15];
        let budget = Budget::new(50_000);
        for (arriving, encoding, reason) in [
            (vec![b'x'; 10_001], None, Reason::BodyTooLarge),
            (packed.clone(), Some("gzip"), Reason::BodyTooLarge),
            (packed, None, Reason::BodyTooLarge),
            (truncated.to_vec(), Some("gzip"), Reason::InvalidCompression),
            (truncated.to_vec(), None, Reason::InvalidCompression),
            (b"{\"events\":[]}".to_vec(), Some("gzip"), Reason::InvalidCompression),
            (Vec::new(), Some("gzip"), Reason::InvalidCompression),
            (b"{}".to_vec(), Some("br"), Reason::InvalidCompression),
            (b"{}".to_vec(), Some("deflate"), Reason::InvalidCompression),
            (b"{}".to_vec(), Some("zstd"), Reason::InvalidCompression),
            (b"{}".to_vec(), Some("compress"), Reason::UnsupportedEncoding),
            (b"{}".to_vec(), Some("gzip, gzip"), Reason::UnsupportedEncoding),
        ] {
            let refusal = read_pieces(&encoded(encoding), &arriving, 3_000, &budget)
                .await
                .unwrap_err();
            assert_eq!(refusal.reason(), reason, "{} bytes, {encoding:?}", arriving.len());
            assert_eq!(budget.in_flight(), 0);
        }
    }

    #[tokio::test]
    async fn too_much_is_refused_before_it_arrives() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("10001"));
        let never = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let refusal = read(&headers, never, LIMITS, &Budget::new(0)).await.unwrap_err();
        assert_eq!(refusal.reason(), Reason::BodyTooLarge);
    }

    #[tokio::test]
    async fn an_endless_body_stops_at_the_limit_and_a_full_budget_refuses() {
        let endless = || stream::repeat_with(|| Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'x'; 1_000]))));
        let budget = Budget::new(50_000);
        let refusal = read(&HeaderMap::new(), StreamBody::new(endless()), LIMITS, &budget)
            .await
            .unwrap_err();
        assert_eq!(refusal.reason(), Reason::BodyTooLarge);

        let refusal = read(
            &HeaderMap::new(),
            StreamBody::new(endless()),
            LIMITS,
            &Budget::new(5_500),
        )
        .await
        .unwrap_err();
        assert_eq!(refusal.reason(), Reason::Overloaded);
    }

    #[tokio::test]
    async fn a_stalled_and_a_broken_body_end() {
        let stalled = frames(b"{\"events\"", 100).chain(stream::pending());
        let hurried = BodyLimits {
            timeout: Duration::from_millis(20),
            ..LIMITS
        };
        let budget = Budget::new(50_000);
        let refusal = read(&HeaderMap::new(), StreamBody::new(stalled), hurried, &budget)
            .await
            .unwrap_err();
        assert_eq!(refusal.reason(), Reason::BodyTimeout);

        let broken = stream::iter([Ok(Frame::data(Bytes::from_static(b"{"))), Err("connection reset")]);
        let refusal = read(&HeaderMap::new(), StreamBody::new(broken), LIMITS, &budget)
            .await
            .unwrap_err();
        assert_eq!(refusal.reason(), Reason::BrokenRequest);
        assert_eq!(budget.in_flight(), 0);
    }
}
