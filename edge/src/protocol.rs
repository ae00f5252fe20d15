//! Which version of HTTP a client speaks, by the first that it says.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

/// What an HTTP/2 client says first (RFC 9113 §3.4), and how long to wait for the rest of it.
pub(crate) const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PREFACE_PAUSE: Duration = Duration::from_millis(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    /// HTTP/2 by its whole preface; `None` while it may still become that.
    pub(crate) fn told_by(first: &[u8]) -> Option<Self> {
        if first.starts_with(HTTP2_PREFACE) {
            Some(Self::Http2)
        } else if HTTP2_PREFACE.starts_with(first) {
            None
        } else {
            Some(Self::Http1)
        }
    }
}

/// Waits until a client has said enough; `None` where it hangs up before.
pub(crate) async fn tells_protocol(stream: &TcpStream) -> io::Result<Option<Protocol>> {
    let mut first = [0; HTTP2_PREFACE.len()];
    loop {
        let length = stream.peek(&mut first).await?;
        if length == 0 {
            return Ok(None);
        }
        if let Some(protocol) = Protocol::told_by(&first[..length]) {
            return Ok(Some(protocol));
        }
        // What was peeked at stays readable, so there is nothing to wait for but time.
        tokio::time::sleep(PREFACE_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{HTTP2_PREFACE, Protocol};

    #[test]
    fn only_the_whole_preface_is_http_2() {
        assert_eq!(Protocol::told_by(b"PRI * HTTP/2.0\r\n"), None);
        assert_eq!(Protocol::told_by(HTTP2_PREFACE), Some(Protocol::Http2));
        assert_eq!(Protocol::told_by(b"POST / HTTP/1.1\r\n"), Some(Protocol::Http1));
        assert_eq!(Protocol::told_by(b"PRI * HTTP/2.1\r\n"), Some(Protocol::Http1));
    }
}
