//! An HTTP/1.1 connection that costs next to nothing, so that the load takes less of the machine than what is loaded.

use std::fmt::Write;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection that is kept.
#[derive(Debug)]
pub struct KeepAlive {
    stream: TcpStream,
    answer: Vec<u8>,
}

/// A `POST /v1/events` as it goes over the wire, with the headers that a browser sends.
pub fn request(body: &str) -> Vec<u8> {
    let mut request = String::with_capacity(body.len() + 512);
    write!(
        request,
        "POST /v1/events HTTP/1.1\r\nhost: ingest.shop.example\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         user-agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n\
         accept: */*\r\naccept-language: en-GB,en;q=0.9\r\norigin: https://shop.example\r\nreferer: https://shop.example/\r\n\r\n{body}",
        body.len()
    )
    .expect("a string grows");
    request.into_bytes()
}

impl KeepAlive {
    /// Connects to `address:port` (`http://` before it is passed over).
    pub async fn open(address: &str) -> Self {
        let address = address.trim_start_matches("http://");
        let stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        Self {
            stream,
            answer: Vec::with_capacity(4096),
        }
    }

    /// Sends a request and waits for the whole answer; gives its status.
    pub async fn exchange(&mut self, request: &[u8]) -> u16 {
        self.stream.write_all(request).await.expect("the server reads");
        self.answer.clear();
        loop {
            let read = self
                .stream
                .read_buf(&mut self.answer)
                .await
                .expect("the server answers");
            assert!(read > 0, "the server hung up");
            if let Some(status) = status(&self.answer) {
                return status;
            }
        }
    }
}

/// The status of an answer; `None` while it is not whole.
fn status(answer: &[u8]) -> Option<u16> {
    let head_length = memchr::memmem::find(answer, b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..head_length]).expect("headers are text");
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .expect("answers have a length")
        .parse()
        .expect("a number");
    let is_whole = answer.len() >= head_length + length;
    is_whole.then(|| head[9..12].parse().expect("HTTP/1.1 STATUS"))
}
