//! The published protobuf contract (`proto/gosight/*.proto`) and its generated types: messages and the client as any SDK
//! would have them, and a server whose requests are the bytes that arrived (see [`raw`]). Depends on no other crate of
//! this workspace; everything that speaks or stores protobuf may depend on it.

#![allow(missing_docs, reason = "generated types are documented in the .proto files")]

pub mod raw;
pub mod wire;

tonic::include_proto!("gosight");

/// The published files as an encoded `FileDescriptorSet`, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/published.binpb"));

/// A batch as the edge reads it: events stay encoded.
pub mod envelope {
    tonic::include_proto!("gosight.envelope");
}

/// The service skeleton over raw request bytes.
pub mod server {
    include!(concat!(env!("OUT_DIR"), "/gosight.IngestService.rs"));
}
