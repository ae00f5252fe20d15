//! Compiles the .proto files with protox (pure Rust), so that no `protoc` has to be installed.

use std::error::Error;

use prost::Message;

const PUBLISHED: &[&str] = &[
    "proto/gosight/common.proto",
    "proto/gosight/events.proto",
    "proto/gosight/ingest.proto",
];
const INTERNAL: &[&str] = &["internal/gosight/envelope/envelope.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=internal");

    // `bytes` fields become reference-counted slices of the request: an event or a replay chunk is never copied.
    let published = protox::compile(PUBLISHED, ["proto"])?;
    let descriptors = std::path::PathBuf::from(std::env::var("OUT_DIR")?).join("published.binpb");
    std::fs::write(descriptors, published.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".")
        .build_server(false)
        .compile_fds(published)?;

    let internal = protox::compile(INTERNAL, ["internal"])?;
    tonic_prost_build::configure()
        .bytes(".")
        .build_client(false)
        .build_server(false)
        .compile_fds(internal)?;

    // The server side takes a batch as the bytes that arrived: they go to the log unchanged.
    tonic_prost_build::manual::Builder::new()
        .build_client(false)
        .compile(&[raw_ingest_service()]);
    Ok(())
}

/// On the wire a single message is a stream of one. As streams on this side, every method's framing errors reach our code (which
/// names their reason) instead of being answered by tonic, and every reply can end with trailing metadata.
fn raw_ingest_service() -> tonic_prost_build::manual::Service {
    use tonic_prost_build::manual::{Method, Service};
    let method = |name: &str, route: &str, input: &str, output: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type(input)
            .output_type(output)
            .codec_path("crate::raw::RawCodec")
    };
    Service::builder()
        .package("gosight")
        .name("IngestService")
        .method(
            method("send_events", "SendEvents", "bytes::Bytes", "crate::EventAck")
                .client_streaming()
                .server_streaming()
                .build(),
        )
        .method(
            method("send_replay", "SendReplay", "bytes::Bytes", "crate::ReplayAck")
                .client_streaming()
                .server_streaming()
                .build(),
        )
        .method(
            method("send_batch", "SendBatch", "bytes::Bytes", "crate::EventAck")
                .client_streaming()
                .server_streaming()
                .build(),
        )
        .build()
}
