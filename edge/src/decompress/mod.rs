//! Bounded decompression, the same for every transport: one loop that holds what it allocates, and a file for each format.

mod brotli;
mod deflate;
mod gzip;
mod zstd;

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, ErrorKind, Read};

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::budget::Held;
use crate::outcome::{Reason, Refusal};

/// What a body may be compressed with, as Content-Encoding and Accept-Encoding name it.
pub(crate) const SUPPORTED: &str = "gzip, deflate, br, zstd";

/// Bytes of the first buffer, at least: most batches fit four times their compressed size.
const MIN_ROOM: usize = 1024;
/// Bytes of the first buffer, at most.
const MAX_ROOM: usize = 64 * 1024;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Encoding {
    /// What Content-Encoding names; `None` where it names nothing.
    ///
    /// # Errors
    /// `UnsupportedEncoding` for a name that we don't know, and for several: each would multiply what a bomb costs.
    pub(crate) fn named(headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        let lines: Vec<Cow<'_, str>> = headers
            .get_all(CONTENT_ENCODING)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        let mut names = lines
            .iter()
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"));
        let Some(name) = names.next() else { return Ok(None) };
        if names.next().is_some() {
            return Err(unsupported("Several encodings in Content-Encoding are not supported"));
        }
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Ok(Some(Self::Gzip)),
            "deflate" => Ok(Some(Self::Deflate)),
            "br" => Ok(Some(Self::Brotli)),
            "zstd" => Ok(Some(Self::Zstd)),
            other => {
                let shown: String = other.chars().take(32).collect();
                Err(unsupported(format!("The Content-Encoding {shown:?} is not supported")))
            }
        }
    }
}

fn unsupported(what: impl Display) -> Refusal {
    Refusal::new(
        Reason::UnsupportedEncoding,
        format!("{what}; send one of {SUPPORTED}, or the body as it is"),
    )
}

/// Whether bytes begin like gzip: SDKs in the field send it without a header.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// A part of a compressed body that stands for itself: a gzip member, a zstd frame; deflate and brotli have one only. Reading gives its
/// plain bytes, and an error where it ends too early.
trait Member<'a>: Read + Sized {
    /// The encoding's name.
    const NAME: &'static str;
    /// How many may stand in a row.
    const MOST: usize;

    fn begin(bytes: &'a [u8]) -> io::Result<Self>;

    /// What follows it, once it is read to its end.
    fn rest(&self) -> &'a [u8];
}

fn too_early() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "it ends too early")
}

/// Decompresses, and stops at the first byte over `limit`, so that a bomb costs no more than a body that is just allowed. What
/// it holds is what it allocates: a buffer that doubles, cut to the body's size at the end. Windows come on top (up to 8 MiB for
/// zstd and 16 MiB for brotli); since this never waits, there are no more of them than worker threads.
///
/// # Errors
/// `InvalidCompression` where the bytes are something else or end too early; `BodyTooLarge`; `Overloaded` where the budget is used up.
pub(crate) fn decompress(
    encoding: Encoding,
    compressed: &[u8],
    limit: usize,
    held: &mut Held,
) -> Result<Bytes, Refusal> {
    match encoding {
        Encoding::Gzip => read_members::<gzip::Gzip<'_>>(compressed, limit, held),
        Encoding::Deflate => read_members::<deflate::Deflate<'_>>(compressed, limit, held),
        Encoding::Brotli => read_members::<brotli::Brotli<'_>>(compressed, limit, held),
        Encoding::Zstd => read_members::<zstd::Zstd<'_>>(compressed, limit, held),
    }
}

fn read_members<'a, M: Member<'a>>(compressed: &'a [u8], limit: usize, held: &mut Held) -> Result<Bytes, Refusal> {
    if compressed.is_empty() {
        return Err(invalid::<M>(too_early()));
    }
    let first_room = compressed.len().saturating_mul(4).clamp(MIN_ROOM, MAX_ROOM);
    let mut plain = Vec::new();
    let mut room = 0;
    let mut member = M::begin(compressed).map_err(invalid::<M>)?;
    let mut members = 1;
    loop {
        if room == 0 {
            room = plain.len().max(first_room).min(limit.saturating_add(1) - plain.len());
            held.take(room)?;
            plain.reserve_exact(room);
        }
        let read = (&mut member)
            .take(room as u64)
            .read_to_end(&mut plain)
            .map_err(invalid::<M>)?;
        room -= read;
        if plain.len() > limit {
            return Err(Refusal::new(
                Reason::BodyTooLarge,
                format!("The body is larger than the limit of {limit} bytes after decompression; send smaller batches"),
            ));
        }
        if room == 0 {
            continue;
        }
        let rest = member.rest();
        if rest.is_empty() {
            plain.shrink_to_fit();
            drop(held.part(room));
            return Ok(Bytes::from(plain));
        }
        members += 1;
        if members > M::MOST {
            return Err(match M::MOST {
                1 => invalid::<M>("something follows its end"),
                most => invalid::<M>(format!("it has more than {most} members")),
            });
        }
        member = M::begin(rest).map_err(invalid::<M>)?;
    }
}

fn invalid<'a, M: Member<'a>>(what: impl Display) -> Refusal {
    Refusal::new(
        Reason::InvalidCompression,
        format!("The {} data could not be decompressed: {what}", M::NAME),
    )
}

#[cfg(test)]
mod tests;
