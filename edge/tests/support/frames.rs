//! gRPC frames by hand, for what no client library sends.

/// One frame: flag, length, message.
pub fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![flag];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

/// The frames of a body: `(flag, message)`.
pub fn frames(mut body: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [flag, a, b, c, d, rest @ ..] = body {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (message, next) = rest.split_at(length);
        frames.push((*flag, message.to_vec()));
        body = next;
    }
    assert!(body.is_empty(), "{} bytes follow the last frame", body.len());
    frames
}
