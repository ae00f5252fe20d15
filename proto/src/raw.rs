//! A tonic codec whose requests are the message's own bytes and whose replies are ordinary messages.

use std::marker::PhantomData;

use bytes::{Buf, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Hands a request over undecoded; encodes replies with prost.
#[derive(Debug)]
pub struct RawCodec<Reply, Request>(PhantomData<(Reply, Request)>);

impl<Reply, Request> Default for RawCodec<Reply, Request> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<Reply> Codec for RawCodec<Reply, Bytes>
where
    Reply: Message + Send + 'static,
{
    type Encode = Reply;
    type Decode = Bytes;
    type Encoder = ReplyEncoder<Reply>;
    type Decoder = BytesDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        ReplyEncoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        BytesDecoder
    }
}

/// Encodes one reply.
#[derive(Debug)]
pub struct ReplyEncoder<Reply>(PhantomData<Reply>);

impl<Reply: Message> Encoder for ReplyEncoder<Reply> {
    type Item = Reply;
    type Error = Status;

    fn encode(&mut self, item: Reply, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buf)
            .map_err(|error| Status::internal(format!("the reply could not be encoded: {error}")))
    }
}

/// Takes one whole message from the frame.
#[derive(Debug)]
pub struct BytesDecoder;

impl Decoder for BytesDecoder {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = buf.remaining();
        Ok(Some(buf.copy_to_bytes(length)))
    }
}
