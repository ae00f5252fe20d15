//! Brotli (RFC 7932).

use std::io::{self, ErrorKind, Read};

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::{Member, too_early};

/// A brotli body.
pub(super) struct Brotli<'a> {
    rest: &'a [u8],
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    total: usize,
    ended: bool,
}

impl<'a> Member<'a> for Brotli<'a> {
    const NAME: &'static str = "br";
    const MOST: usize = 1;

    fn begin(bytes: &'a [u8]) -> io::Result<Self> {
        let alloc = StandardAlloc::default;
        Ok(Self {
            rest: bytes,
            // Strict: without the extension by which a body asks for a window of up to 1 GiB. What is left is 16 MiB.
            state: Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())),
            total: 0,
            ended: false,
        })
    }

    fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl Read for Brotli<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.ended || buf.is_empty() {
            return Ok(0);
        }
        let (mut available, mut taken) = (self.rest.len(), 0);
        let (mut room, mut given) = (buf.len(), 0);
        let result = BrotliDecompressStream(
            &mut available,
            &mut taken,
            self.rest,
            &mut room,
            &mut given,
            buf,
            &mut self.total,
            &mut self.state,
        );
        self.rest = &self.rest[taken..];
        match result {
            BrotliResult::ResultSuccess => {
                self.ended = true;
                Ok(given)
            }
            BrotliResult::NeedsMoreOutput | BrotliResult::NeedsMoreInput if given > 0 => Ok(given),
            BrotliResult::NeedsMoreOutput | BrotliResult::NeedsMoreInput => Err(too_early()),
            BrotliResult::ResultFailure => Err(io::Error::new(ErrorKind::InvalidData, "it is damaged")),
        }
    }
}
