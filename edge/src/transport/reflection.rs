//! gRPC reflection, v1 and v1alpha: grpcurl and its like learn the published contract from the server.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use futures::StreamExt;
use gosight_lifecycle::Shutdown;
use tonic_reflection::server::{Builder, Error};
use tower::ServiceExt;

/// A request is the name of a file or of a symbol.
const LARGEST_REQUEST: usize = 16 * 1024;

/// `POST /grpc.reflection.{v1, v1alpha}.ServerReflection/ServerReflectionInfo`
pub(super) fn routes(stopping: &Shutdown) -> Router {
    try_routes(stopping).unwrap_or_else(|error| {
        // The descriptors are part of the binary, and a test reads them through here.
        tracing::error!(%error, "gRPC reflection is off: the descriptors do not read; this is a defect of the server");
        Router::new()
    })
}

fn try_routes(stopping: &Shutdown) -> Result<Router, Error> {
    let builder = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(gosight_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let v1 = builder().build_v1()?.max_decoding_message_size(LARGEST_REQUEST);
    let v1alpha = builder().build_v1alpha()?.max_decoding_message_size(LARGEST_REQUEST);
    let (ends_v1, ends_v1alpha) = (stopping.clone(), stopping.clone());
    Ok(Router::new()
        .route_service(
            "/grpc.reflection.v1.ServerReflection/{method}",
            v1.map_request(move |request| until_stop(request, ends_v1.clone())),
        )
        .route_service(
            "/grpc.reflection.v1alpha.ServerReflection/{method}",
            v1alpha.map_request(move |request| until_stop(request, ends_v1alpha.clone())),
        ))
}

/// A client that keeps its stream open must not hold up the stop: its requests end, and so does the answer.
fn until_stop(request: Request, stopping: Shutdown) -> Request {
    request.map(|body| {
        let stop = Box::pin(async move { stopping.begun().await });
        Body::from_stream(body.into_data_stream().take_until(stop))
    })
}
