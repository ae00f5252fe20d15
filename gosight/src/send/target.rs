//! Where the edge is.

use std::sync::Arc;

use http::Uri;
use http::uri::Scheme;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A connection, encrypted or not.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// An edge's address. Clones share it.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) host: String,
    port: u16,
    /// What an HTTP request calls it.
    pub(super) authority: String,
    tls: Option<TlsConnector>,
}

impl Target {
    /// Reads `http://host:port` or `https://host`. `protocol` is what TLS is to agree on: `http/1.1` or `h2`.
    ///
    /// # Errors
    /// For a person.
    pub(super) fn parse(text: &str, protocol: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("--to {text:?} {why}; write for example http://127.0.0.1:8080");
        let uri: Uri = text.parse().map_err(|_| wrong("is no URL"))?;
        let is_tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(wrong("begins with neither http:// nor https://")),
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong("has a path; give only scheme, host and port"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            authority: authority.to_string(),
            tls: is_tls.then(|| tls(protocol)).transpose()?,
        })
    }

    /// Connects, with a handshake where the scheme is https.
    pub(super) async fn connect(&self) -> std::io::Result<Box<dyn Connection>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(self.host.clone()).map_err(std::io::Error::other)?;
        Ok(Box::new(tls.connect(name, stream).await?))
    }
}

fn tls(protocol: &str) -> Result<TlsConnector, String> {
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Ok(Arc::new(config).into())
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn an_address_is_a_scheme_a_host_and_a_port() {
        let target = |text| Target::parse(text, "h2");
        let plain = target("http://127.0.0.1:8080/").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            (plain.host.as_str(), plain.port, plain.tls.is_some()),
            ("127.0.0.1", 8080, false)
        );
        let secret = target("https://ingest.shop.example").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((secret.port, secret.tls.is_some()), (443, true));
        for wrong in [
            "127.0.0.1:8080",
            "ftp://x",
            "http://x/v1/events",
            "http://",
            "http://x?y",
        ] {
            assert!(target(wrong).is_err(), "{wrong}");
        }
    }
}
