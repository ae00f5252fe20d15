//! The standard health service (grpc.health.v1), as gRPC balancers and probes ask it: it says what `/ready` says.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures::stream::{self, Stream};
use gosight_lifecycle::{Readiness, Shutdown};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::Context;

/// The whole server, and our service by its name.
const KNOWN: [&str; 2] = ["", "gosight.IngestService"];
/// A request is the name of a service.
const LARGEST_REQUEST: usize = 4 * 1024;
/// A watcher hears of a change within so long.
const WATCH_PAUSE: Duration = Duration::from_millis(250);

/// `POST /grpc.health.v1.Health/{Check, Watch}`
pub(super) fn routes(context: &Arc<Context>) -> Router {
    let checks = Checks {
        readiness: context.readiness.clone(),
        stopping: context.shutdown.clone(),
    };
    let server = HealthServer::new(checks).max_decoding_message_size(LARGEST_REQUEST);
    Router::new().route_service("/grpc.health.v1.Health/{method}", server)
}

#[derive(Clone)]
struct Checks {
    readiness: Readiness,
    stopping: Shutdown,
}

impl Checks {
    fn status_of(&self, service: &str) -> Option<ServingStatus> {
        if !KNOWN.contains(&service) {
            return None;
        }
        Some(match self.readiness.report().ready {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        })
    }
}

#[tonic::async_trait]
impl Health for Checks {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        match self.status_of(&service) {
            Some(status) => Ok(Response::new(answer(status))),
            None => Err(Status::not_found(
                "There is no such service; ask for \"\" or gosight.IngestService",
            )),
        }
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let watch = Watch {
            checks: self.clone(),
            service: request.into_inner().service,
            told: None,
        };
        let changes = stream::unfold(Some(watch), |watch| async { watch?.next().await });
        Ok(Response::new(Box::pin(changes)))
    }
}

struct Watch {
    checks: Checks,
    service: String,
    told: Option<ServingStatus>,
}

impl Watch {
    /// The next change. It ends when the process stops, so that no watcher holds that up.
    async fn next(mut self) -> Option<(Result<HealthCheckResponse, Status>, Option<Self>)> {
        loop {
            // The protocol has it that a service which is not known may become so, thus the stream goes on.
            let status = self
                .checks
                .status_of(&self.service)
                .unwrap_or(ServingStatus::ServiceUnknown);
            if self.told != Some(status) {
                self.told = Some(status);
                return Some((Ok(answer(status)), Some(self)));
            }
            tokio::select! {
                () = self.checks.stopping.begun() => {
                    return Some((Err(Status::unavailable("The server is stopping; watch another one")), None));
                }
                () = tokio::time::sleep(WATCH_PAUSE) => {}
            }
        }
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status as i32 }
}
