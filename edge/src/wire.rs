//! The last layer under hyper: it notes what arrives, and gives the answers that hyper writes by itself, or not at all, the form of all
//! others.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use gosight_schemas::Transport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::accounts::Accounts;
use crate::activity::{Activity, Overdue};
use crate::outcome::{Reason, Refusal};
use crate::socket::UnreadBody;
use crate::transport::whole_answer;

/// What the wires of all connections share.
#[derive(Clone)]
pub(crate) struct WireRules {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) header_limit: usize,
    pub(crate) header_timeout: Duration,
}

/// A connection as hyper reads and writes it.
pub(crate) struct Wire<S> {
    stream: S,
    activity: Activity,
    unread: UnreadBody,
    rules: WireRules,
    /// An answer of ours that is being written.
    answer: Bytes,
    is_refused: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S, activity: Activity, unread: UnreadBody, rules: WireRules) -> Self {
        Self {
            stream,
            activity,
            unread,
            rules,
            answer: Bytes::new(),
            is_refused: false,
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        // What follows stays unread, and the client must read the answer nevertheless.
        self.unread.note();
        self.is_refused = true;
        self.answer = whole_answer(&self.rules.accounts.open(Transport::Http).refuse(refusal));
    }

    /// Takes an answer that hyper wrote by itself, and says how long it was.
    fn take_bare(&mut self, bytes: &[u8]) -> Option<usize> {
        let refusal = match bare_status(bytes)? {
            b"431" | b"414" => Refusal::header_too_large(self.rules.header_limit),
            _ => Refusal::new(Reason::BrokenRequest, "This is no HTTP request that can be read"),
        };
        self.refuse(refusal);
        Some(bytes.len())
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.answer.has_remaining() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.answer))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.answer.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// The end of a connection that was too slow: with an answer, where headers had begun.
    fn poll_overdue(&mut self, overdue: Overdue, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if overdue == Overdue::Header && !self.is_refused {
            self.refuse(Refusal::new(
                Reason::HeaderTimeout,
                format!("The headers did not arrive within {:?}", self.rules.header_timeout),
            ));
        }
        ready!(self.poll_answer(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

/// The status of an answer that hyper made: every one of ours has a request id.
fn bare_status(bytes: &[u8]) -> Option<&[u8]> {
    let is_refusal = bytes.starts_with(b"HTTP/1.1 4") || bytes.starts_with(b"HTTP/1.0 4");
    if !is_refusal || memchr::memmem::find(bytes, b"\r\nx-request-id: ").is_some() {
        return None;
    }
    bytes.get(9..12)
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(overdue) = this.activity.was_overdue()
            && !this.activity.is_http2()
        {
            // Then nothing more is read: the connection ends.
            return this.poll_overdue(overdue, cx);
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        this.activity.arrived(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_answer(cx))?;
        if let Some(length) = this.take_bare(buf) {
            return Poll::Ready(Ok(length));
        }
        Pin::new(&mut this.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_answer(cx))?;
        if let Some(length) = bufs.first().and_then(|head| this.take_bare(head)) {
            return Poll::Ready(Ok(length));
        }
        Pin::new(&mut this.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::bare_status;

    #[test]
    fn only_what_hyper_wrote_by_itself_is_bare() {
        let head = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(bare_status(head), Some(&b"431"[..]));
        let ours = b"HTTP/1.1 413 Payload Too Large\r\nx-request-id: 7\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(bare_status(ours), None);
        assert_eq!(bare_status(b"HTTP/1.1 200 OK\r\n\r\n"), None);
        assert_eq!(bare_status(b"{\"success\":false}"), None);
    }
}
