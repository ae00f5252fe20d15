//! Where one message of a gRPC body ends and the next begins (gRPC over HTTP/2, "Length-Prefixed-Message").

/// Flag and length in front of each message.
const HEADER: usize = 5;

/// Follows the bytes of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Frames as they are.
    Binary {
        header: [u8; HEADER],
        /// Bytes of the header that have arrived.
        headed: usize,
        /// Bytes of the message that have not.
        left: usize,
    },
    /// Base64 of frames, as gRPC-Web has it for one message: inside of it until the body ends.
    Text,
}

impl Framing {
    /// At the beginning of a body of this Content-Type.
    pub(super) fn of_type(content_type: Option<&str>) -> Self {
        match content_type {
            Some(text) if text.starts_with("application/grpc-web-text") => Self::Text,
            _ => Self::Binary {
                header: [0; HEADER],
                headed: 0,
                left: 0,
            },
        }
    }

    /// Follows some bytes.
    pub(super) fn pass(&mut self, mut data: &[u8]) {
        let Self::Binary { header, headed, left } = self else {
            return;
        };
        while !data.is_empty() {
            if *left > 0 {
                let passed = data.len().min(*left);
                *left -= passed;
                data = &data[passed..];
                continue;
            }
            header[*headed] = data[0];
            *headed += 1;
            data = &data[1..];
            if *headed == HEADER {
                let [_flag, length @ ..] = *header;
                *left = u32::from_be_bytes(length) as usize;
                *headed = 0;
            }
        }
    }

    /// Whether a message has begun and is not whole.
    pub(super) fn is_inside_message(&self) -> bool {
        match self {
            Self::Binary { headed, left, .. } => *headed > 0 || *left > 0,
            Self::Text => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Framing;

    #[test]
    fn it_knows_the_end_of_each_message_in_any_pieces() {
        let messages = [&b""[..], b"a", &[7; 300], b""];
        let mut body = Vec::new();
        let mut ends = vec![0];
        for message in messages {
            body.push(0);
            body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
            body.extend_from_slice(message);
            ends.push(body.len());
        }
        for size in [1, 2, 5, 6, 299, body.len()] {
            let mut framing = Framing::of_type(Some("application/grpc"));
            let mut passed = 0;
            for piece in body.chunks(size) {
                framing.pass(piece);
                passed += piece.len();
                assert_eq!(
                    framing.is_inside_message(),
                    !ends.contains(&passed),
                    "{passed} in {size}s"
                );
            }
        }
    }

    #[test]
    fn base64_is_inside_its_message_until_its_end() {
        let mut framing = Framing::of_type(Some("application/grpc-web-text+proto"));
        framing.pass(b"AAAA");
        assert!(framing.is_inside_message());
    }
}
