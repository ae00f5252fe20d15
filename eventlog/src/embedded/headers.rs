//! Headers as bytes of one column: for each one the name's length, the name, the value's length, the value; lengths are u32,
//! little-endian.

use std::borrow::Cow;

use bytes::Bytes;
use gosight_schemas::headers;

use crate::Header;

/// Our own names: a record that carries them needs no copy of the name.
const KNOWN: [&str; 7] = [
    headers::ORIGIN,
    headers::BATCH_ID,
    headers::CODE,
    headers::PROJECT_ID,
    headers::ATTEMPT,
    headers::REPLAY_ID,
    headers::REDRIVE_OF,
];

/// Bytes that no encoder of ours wrote.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The headers as bytes; none are no bytes.
pub(super) fn encode(headers: &[Header]) -> Vec<u8> {
    let size = headers
        .iter()
        .map(|header| header.name.len() + header.value.len() + 8)
        .sum();
    let mut bytes = Vec::with_capacity(size);
    for header in headers {
        push(&mut bytes, header.name.as_bytes());
        push(&mut bytes, &header.value);
    }
    bytes
}

fn push(bytes: &mut Vec<u8>, part: &[u8]) {
    // A topic's limit on whole records is itself a u32, so no part is longer.
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(part);
}

/// The headers that [`encode`] wrote.
pub(super) fn decode(mut bytes: &[u8]) -> Result<Vec<Header>, Malformed> {
    let mut headers = Vec::new();
    while !bytes.is_empty() {
        let name = pop(&mut bytes)?;
        let value = pop(&mut bytes)?;
        headers.push(Header {
            name: name_of(std::str::from_utf8(name).map_err(|_| Malformed)?),
            value: Bytes::copy_from_slice(value),
        });
    }
    Ok(headers)
}

fn name_of(name: &str) -> Cow<'static, str> {
    KNOWN
        .iter()
        .find(|known| **known == name)
        .map_or_else(|| Cow::Owned(name.to_owned()), |known| Cow::Borrowed(*known))
}

fn pop<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let (length, rest) = bytes.split_first_chunk().ok_or(Malformed)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Malformed)?;
    let (part, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
    *bytes = rest;
    Ok(part)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{Malformed, decode, encode};
    use crate::Header;

    #[test]
    fn headers_read_back_in_order_with_empty_and_repeated_ones() {
        let headers = vec![
            Header::new("origin", "t:0:1:2"),
            Header {
                name: Cow::Owned("x-own".to_owned()),
                value: vec![0, 255].into(),
            },
            Header::new("origin", ""),
        ];
        let decoded = decode(&encode(&headers)).unwrap();
        assert_eq!(decoded, headers);
        assert!(matches!(decoded[0].name, Cow::Borrowed("origin")));
        assert_eq!(decode(&encode(&[])), Ok(Vec::new()));
    }

    #[test]
    fn cut_bytes_are_refused() {
        let bytes = encode(&[Header::new("origin", "abc")]);
        for end in 1..bytes.len() {
            assert_eq!(decode(&bytes[..end]), Err(Malformed), "cut at {end}");
        }
    }
}
