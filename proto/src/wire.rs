//! A message's fields as they stand on the wire, also those that the published types don't know and prost drops.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// One field of an encoded message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its number.
    pub number: u32,
    /// All of it: key and value. Such pieces in a row are a message again.
    pub bytes: &'a [u8],
    /// Its value, where that is a text, bytes or a message.
    pub value: Option<&'a [u8]>,
}

/// The fields of a message, in their order.
///
/// # Errors
/// The bytes are no protobuf message; what stands before the fault came first.
pub fn fields(message: &[u8]) -> impl Iterator<Item = Result<Field<'_>, prost::DecodeError>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = next(&mut rest);
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

fn next<'a>(rest: &mut &'a [u8]) -> Result<Field<'a>, prost::DecodeError> {
    let start = *rest;
    let (number, wire_type) = decode_key(rest)?;
    let after_key = *rest;
    skip_field(wire_type, number, rest, DecodeContext::default())?;
    let value = match wire_type {
        WireType::LengthDelimited => {
            let mut value = &after_key[..after_key.len() - rest.len()];
            decode_varint(&mut value)?;
            Some(value)
        }
        _ => None,
    };
    Ok(Field {
        number,
        bytes: &start[..start.len() - rest.len()],
        value,
    })
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::fields;
    use crate::{Event, Page};

    #[test]
    fn the_pieces_are_the_message_and_a_broken_one_ends_with_an_error() {
        let event = Event {
            event_id: "e-1".to_owned(),
            timestamp: i64::MAX,
            page: Some(Page {
                url: "u".to_owned(),
                ..Page::default()
            }),
            ..Event::default()
        };
        let mut bytes = event.encode_to_vec();
        // Field 99, a group that holds a varint, and field 100 of four bytes.
        bytes.extend([0x9b, 0x06, 0x08, 0x01, 0x9c, 0x06, 0xa5, 0x06, 1, 2, 3, 4]);
        let pieces: Result<Vec<_>, _> = fields(&bytes).collect();
        let pieces = pieces.unwrap();
        let numbers: Vec<u32> = pieces.iter().map(|field| field.number).collect();
        assert_eq!(numbers, [1, 3, 4, 99, 100]);
        assert_eq!(pieces[0].value, Some(&b"e-1"[..]));
        assert_eq!(pieces[1].value, None);
        let whole: Vec<u8> = pieces.iter().flat_map(|field| field.bytes).copied().collect();
        assert_eq!(whole, bytes);
        assert_eq!(fields(&[]).count(), 0);
        for length in 1..bytes.len() {
            let read: Vec<_> = fields(&bytes[..length]).collect();
            let known: usize = read.iter().flatten().map(|field| field.bytes.len()).sum();
            assert_eq!(known < length, read.last().unwrap().is_err(), "{length}");
        }
    }
}
