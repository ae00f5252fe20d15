//! TLS on both public ports, and what is said of certificates that do not serve.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gosight_config::EdgeSettings;
use gosight_proto::ingest_service_client::IngestServiceClient;
use hyper_util::rt::TokioIo;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use support::{DEADLINE, Edge, KEY, batch, json_batch};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::transport::Endpoint;

/// Well below every time limit that could end a connection for another reason.
const SOON: Duration = Duration::from_secs(5);

/// A self-signed certificate for `localhost`, in files.
struct Identity {
    directory: TempDir,
    certificate: CertificateDer<'static>,
}

impl Identity {
    fn new() -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join("edge.crt"), cert.pem()).unwrap();
        std::fs::write(directory.path().join("edge.key"), signing_key.serialize_pem()).unwrap();
        Self {
            directory,
            certificate: cert.der().clone(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn settings(&self) -> EdgeSettings {
        let mut settings = EdgeSettings::default();
        settings.server.tls.certificate_file = Some(self.file("edge.crt"));
        settings.server.tls.key_file = Some(self.file("edge.key"));
        settings
    }

    /// Connects as a client that offers these protocols.
    async fn connect(&self, url: &str, protocols: &[&str]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connect(url).await;
        connector
            .connect("localhost".try_into().unwrap(), stream)
            .await
            .unwrap()
    }
}

async fn connect(url: &str) -> TcpStream {
    TcpStream::connect(url.trim_start_matches("http://")).await.unwrap()
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("in time")
}

/// Whether and what a client reads until the server ends the connection.
async fn rest_of(stream: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset is an end too.
    let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut rest))
        .await
        .expect("the server ends the connection");
    rest
}

fn post(body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

#[tokio::test]
async fn http_1_is_served_over_tls_on_both_ports_with_and_without_alpn() {
    let identity = Identity::new();
    let edge = Edge::start_with(identity.settings()).await;
    for (url, protocols) in [
        (&edge.http, &["http/1.1"][..]),
        (&edge.grpc, &["http/1.1"]),
        (&edge.http, &[]),
    ] {
        let mut stream = identity.connect(url, protocols).await;
        let chosen = stream.get_ref().1.alpn_protocol();
        assert_eq!(chosen, protocols.first().map(|name| name.as_bytes()));
        stream.write_all(&post(&json_batch(KEY, "s"))).await.unwrap();
        let answer = String::from_utf8(rest_of(&mut stream).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("\"accepted_count\":1"), "{answer}");
    }
    assert_eq!(edge.log.staged().len(), 3);
}

#[tokio::test]
async fn http_2_is_chosen_by_alpn_and_served_on_both_ports() {
    let identity = Identity::new();
    let edge = Edge::start_with(identity.settings()).await;
    for url in [&edge.http, &edge.grpc] {
        let stream = identity.connect(url, &["h2", "http/1.1"]).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        let request = http::Request::post("https://localhost/v1/events").body(()).unwrap();
        let (response, mut body) = client.send_request(request, false).unwrap();
        body.send_data(Bytes::from(json_batch(KEY, "s")), true).unwrap();
        assert_eq!(within(response).await.unwrap().status(), 200);
    }
    assert_eq!(edge.log.staged().len(), 2);
}

#[tokio::test]
async fn grpc_is_served_over_tls_on_both_ports() {
    let identity = Arc::new(Identity::new());
    let edge = Edge::start_with(identity.settings()).await;
    for url in [&edge.http, &edge.grpc] {
        let (identity, url) = (Arc::clone(&identity), url.clone());
        let connector = tower::service_fn(move |_| {
            let (identity, url) = (Arc::clone(&identity), url.clone());
            async move { Ok::<_, std::io::Error>(TokioIo::new(identity.connect(&url, &["h2"]).await)) }
        });
        let channel = Endpoint::from_static("http://localhost")
            .connect_with_connector(connector)
            .await
            .unwrap();
        let ack = within(IngestServiceClient::new(channel).send_batch(batch(KEY, "s", 2))).await;
        assert_eq!(ack.unwrap().into_inner().accepted_count, 2);
    }
}

#[tokio::test]
async fn plain_http_is_told_and_what_is_neither_is_dropped() {
    let identity = Identity::new();
    let edge = Edge::start_with(identity.settings()).await;
    for url in [&edge.http, &edge.grpc] {
        let mut stream = connect(url).await;
        stream.write_all(&post(&json_batch(KEY, "s"))).await.unwrap();
        // A client that waits for an answer before it closes.
        let answer = String::from_utf8(rest_of(&mut stream).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer:?}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["success"], false);
        assert_eq!(body["errors"][0], "This port speaks TLS only; send to https:// instead");

        let grpc = within(IngestServiceClient::connect(url.clone())).await;
        let refused = match grpc {
            Ok(mut client) => within(client.send_batch(batch(KEY, "s", 1))).await.is_err(),
            Err(_) => true,
        };
        assert!(refused);

        // A record of the handshake that is none.
        let mut stream = connect(url).await;
        stream.write_all(&[0x16, 3, 1, 0, 4, 9, 9, 9, 9]).await.unwrap();
        rest_of(&mut stream).await;
    }
    assert!(edge.log.staged().is_empty());
}

#[tokio::test]
async fn who_stalls_before_in_or_after_the_handshake_is_dropped() {
    let identity = Identity::new();
    let mut settings = identity.settings();
    settings.server.tls.handshake_timeout = Duration::from_millis(200);
    settings.limits.header_timeout = Duration::from_millis(200);
    let edge = Edge::start_with(settings).await;
    for said in [&b""[..], &[0x16], &[0x16, 3, 1, 2, 0, 1]] {
        let mut stream = connect(&edge.http).await;
        stream.write_all(said).await.unwrap();
        rest_of(&mut stream).await;
    }
    for (protocol, said) in [
        ("http/1.1", ""),
        ("http/1.1", "POST /v1/ev"),
        ("h2", ""),
        ("h2", "PRI * HT"),
    ] {
        let mut stream = identity.connect(&edge.http, &[protocol]).await;
        stream.write_all(said.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        rest_of(&mut stream).await;
    }
}

/// What `gosight-edge --check` says of a configuration, and its exit code.
fn check(directory: &Path, tls: &str) -> (Option<i32>, String) {
    let file = directory.join("my.yaml");
    std::fs::write(&file, format!("server:\n  tls:\n{tls}")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_gosight-edge"))
        .args(["--check", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (
        output.status.code(),
        said.replace(&format!("{}/", directory.display()), ""),
    )
}

#[test]
fn a_bad_certificate_or_key_is_refused_at_start_with_key_file_and_line() {
    let identity = Identity::new();
    let directory = identity.directory.path();
    let other = KeyPair::generate().unwrap();
    for (name, content) in [
        ("other.key", other.serialize_pem()),
        ("empty.pem", String::new()),
        (
            "broken.crt",
            "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n".to_owned(),
        ),
        (
            "noise.crt",
            "-----BEGIN CERTIFICATE-----\nMAUCAwECAw==\n-----END CERTIFICATE-----\n".to_owned(),
        ),
    ] {
        std::fs::write(directory.join(name), content).unwrap();
    }
    let pair = |certificate: &str, key: &str| {
        let path = |name: &str| directory.join(name).display().to_string();
        format!(
            "    certificate_file: {}\n    key_file: {}\n",
            path(certificate),
            path(key)
        )
    };
    assert_eq!(
        check(directory, &pair("edge.crt", "edge.key")),
        (Some(0), "gosight-edge: the configuration is good\n".to_owned())
    );
    for (tls, line, key, what) in [
        (
            pair("none.crt", "edge.key"),
            3,
            "certificate_file = `none.crt`",
            "can't be read: No such file",
        ),
        (
            pair("edge.crt", "none.key"),
            4,
            "key_file = `none.key`",
            "can't be read: No such file",
        ),
        (
            pair("", "edge.key"),
            3,
            "certificate_file",
            "can't be read: Is a directory",
        ),
        (
            pair("empty.pem", "edge.key"),
            3,
            "certificate_file",
            "has no certificate",
        ),
        (
            pair("edge.key", "edge.key"),
            3,
            "certificate_file",
            "has no certificate",
        ),
        (pair("broken.crt", "edge.key"), 3, "certificate_file", "is no PEM file"),
        (pair("noise.crt", "edge.key"), 3, "certificate_file", "does not read"),
        (pair("edge.crt", "empty.pem"), 4, "key_file", "has no private key"),
        (pair("edge.crt", "edge.crt"), 4, "key_file", "has no private key"),
        (
            pair("edge.crt", "other.key"),
            4,
            "key_file = `other.key`",
            "is not the key of the certificate",
        ),
        (
            "    certificate_file: a\n".to_owned(),
            3,
            "certificate_file = `a`",
            "set server.tls.key_file too",
        ),
        (
            "    key_file: a\n".to_owned(),
            3,
            "key_file = `a`",
            "set server.tls.certificate_file too",
        ),
        (
            "    handshake_timeout: 0s\n".to_owned(),
            3,
            "handshake_timeout = `0s`",
            "is out of bounds",
        ),
    ] {
        let (code, said) = check(directory, &tls);
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains(&format!("my.yaml:{line}:")), "{said}");
        assert!(
            said.contains(&format!("server.tls.{key}")) && said.contains(what),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
