//! TLS of the public ports: the identity that the configuration names, the handshake, and the stream behind it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use gosight_config::Contradiction;
use gosight_config::edge::TlsSettings;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::protocol::{HTTP2_PREFACE, Protocol};
use crate::socket::{Socket, UnreadBody};

const CERTIFICATE: &str = "server.tls.certificate_file";
const KEY: &str = "server.tls.key_file";
/// A chain of certificates is a few kilobytes.
const LARGEST_FILE: u64 = 1 << 20;
/// The first byte of every TLS connection: a record of the handshake (RFC 8446 §5.1).
const HANDSHAKE: u8 = 0x16;
/// To a client that speaks HTTP without TLS: in the form of every other refusal.
const PLAIN_ANSWER: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nx-gosight-reason: broken_request\r\n\
    content-length: 120\r\nconnection: close\r\n\r\n\
    {\"success\":false,\"accepted_count\":0,\"rejected_count\":0,\"errors\":[\"This port speaks TLS only; send to https:// instead\"]}";

/// Who we are, and how long a handshake may take. Clones share it.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    timeout: Duration,
}

/// Why a file of `server.tls` does not serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {what}")]
pub struct TlsError {
    key: &'static str,
    what: String,
}

impl From<TlsError> for Contradiction {
    fn from(error: TlsError) -> Self {
        Self {
            keys: vec![error.key],
            item: None,
            what: error.what,
        }
    }
}

impl Tls {
    /// Reads certificate and key; `None` where the settings do not name both.
    ///
    /// # Errors
    /// A file can't be read or is no PEM, or the key is not that of the certificate.
    pub fn load(settings: &TlsSettings) -> Result<Option<Self>, TlsError> {
        let (Some(certificate_file), Some(key_file)) = (&settings.certificate_file, &settings.key_file) else {
            return Ok(None);
        };
        let chain = certificates(certificate_file)?;
        let key = private_key(key_file)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| of_certificate(format!("TLS can't be set up: {error}")))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| unusable(&error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Some(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            timeout: settings.handshake_timeout,
        }))
    }

    /// The handshake. `None` where there was none: whoever spoke without TLS has been told.
    pub(crate) async fn accept(&self, stream: TcpStream) -> Option<Box<Secured>> {
        let error = match tokio::time::timeout(self.timeout, self.shake_hands(stream)).await {
            Ok(Ok(secured)) => return secured.map(Box::new),
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        metrics::counter!("edge_tls_failures_total").increment(1);
        tracing::debug!(%error, "a TLS handshake failed");
        None
    }

    async fn shake_hands(&self, stream: TcpStream) -> io::Result<Option<Secured>> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Ok(None);
        }
        if first[0] != HANDSHAKE {
            metrics::counter!("edge_tls_failures_total").increment(1);
            answer_plain(stream).await?;
            return Ok(None);
        }
        let stream = self.acceptor.accept(stream).await?;
        Ok(Some(Secured {
            stream,
            first: Vec::new(),
            handed_on: 0,
        }))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

async fn answer_plain(stream: TcpStream) -> io::Result<()> {
    let unread = UnreadBody::default();
    unread.note();
    let mut socket = Socket::new(Stream::Plain(stream), unread);
    socket.write_all(PLAIN_ANSWER.as_bytes()).await?;
    socket.shutdown().await
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(file).map_err(|error| of_certificate(unreadable(&error)))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(of_certificate(
            "has no certificate; it must have one between BEGIN CERTIFICATE and END CERTIFICATE",
        )),
        Err(error) => Err(of_certificate(format!("is no PEM file: {error}"))),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read(file).map_err(|error| of_key(unreadable(&error)))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        // The error is not shown: it may quote the file.
        of_key("has no private key; it must have one between BEGIN PRIVATE KEY and END PRIVATE KEY, without a password")
    })
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(bytes)
}

fn unreadable(error: &io::Error) -> String {
    format!("can't be read: {error}; check the path, and that our user may read it")
}

fn unusable(error: &rustls::Error) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(_) => of_key(format!(
            "is not the key of the certificate in {CERTIFICATE}; name the pair"
        )),
        rustls::Error::InvalidCertificate(_) => {
            of_certificate(format!("has a certificate that does not read: {error}"))
        }
        _ => of_key(format!("has a key that can't be used: {error}")),
    }
}

fn of_certificate(what: impl Into<String>) -> TlsError {
    TlsError {
        key: CERTIFICATE,
        what: what.into(),
    }
}

fn of_key(what: impl Into<String>) -> TlsError {
    TlsError {
        key: KEY,
        what: what.into(),
    }
}

/// What a client's bytes come through.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<Secured>),
}

/// A connection after its handshake. It can be read ahead to tell the protocol: there is nothing to peek at.
pub(crate) struct Secured {
    stream: TlsStream<TcpStream>,
    first: Vec<u8>,
    handed_on: usize,
}

impl Secured {
    /// Reads ahead until the client's protocol is told; `None` where it hangs up before.
    pub(crate) async fn tells_protocol(&mut self) -> io::Result<Option<Protocol>> {
        let mut bytes = [0; HTTP2_PREFACE.len()];
        loop {
            let wanted = HTTP2_PREFACE.len() - self.first.len();
            let length = self.stream.read(&mut bytes[..wanted]).await?;
            if length == 0 {
                return Ok(None);
            }
            self.first.extend_from_slice(&bytes[..length]);
            if let Some(protocol) = Protocol::told_by(&self.first) {
                return Ok(Some(protocol));
            }
        }
    }
}

impl AsyncRead for Secured {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let ahead = &this.first[this.handed_on..];
        if ahead.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let count = ahead.len().min(buf.remaining());
        buf.put_slice(&ahead[..count]);
        this.handed_on += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(secured) => Pin::new(secured).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(secured) => Pin::new(&mut secured.stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(secured) => Pin::new(&mut secured.stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(secured) => secured.stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(secured) => Pin::new(&mut secured.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(secured) => Pin::new(&mut secured.stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PLAIN_ANSWER;

    #[test]
    fn the_answer_to_plain_http_has_the_length_that_it_names() {
        let (head, body) = PLAIN_ANSWER.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{}",
            body.len()
        );
    }
}
