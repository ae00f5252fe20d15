//! Batches over gRPC, one call each.

use async_trait::async_trait;
use gosight_proto::EventBatch;
use gosight_proto::ingest_service_client::IngestServiceClient;
use hyper_util::rt::TokioIo;
use prost::Message;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};

use super::Door;
use super::batch::{Batch, NoAck, Retry};
use super::target::Target;

/// `gosight.IngestService/SendBatch`
pub(super) struct GrpcDoor {
    client: IngestServiceClient<Channel>,
}

impl GrpcDoor {
    /// Connects with the first batch.
    pub(super) fn new(target: Target) -> Result<Self, String> {
        // The connector encrypts where that is asked for; to tonic every connection is a plain one.
        let endpoint =
            Endpoint::from_shared(format!("http://{}", target.authority)).map_err(|error| error.to_string())?;
        let channel = endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
            let target = target.clone();
            async move { target.connect().await.map(TokioIo::new) }
        }));
        Ok(Self {
            client: IngestServiceClient::new(channel),
        })
    }
}

#[async_trait]
impl Door for GrpcDoor {
    async fn send(&mut self, batch: &Batch) -> Result<(), NoAck> {
        let message = EventBatch::decode(batch.body.clone()).map_err(|error| NoAck {
            reason: "not_protobuf".to_owned(),
            message: error.to_string(),
            retry: Retry::Never,
        })?;
        let ack = self
            .client
            .send_batch(message)
            .await
            .map_err(|status| refused(&status))?
            .into_inner();
        if !ack.success {
            return Err(NoAck {
                reason: "refused".to_owned(),
                message: ack.errors.join("; "),
                retry: Retry::Later,
            });
        }
        NoAck::unless_whole(u64::try_from(ack.accepted_count).unwrap_or_default(), batch.events)
    }
}

fn refused(status: &Status) -> NoAck {
    let retry = match status.code() {
        Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Internal | Code::Unknown => {
            Retry::Later
        }
        _ => Retry::Never,
    };
    NoAck {
        reason: format!("grpc_{:?}", status.code()),
        message: format!("{}: {}", status.code(), status.message()),
        retry,
    }
}
