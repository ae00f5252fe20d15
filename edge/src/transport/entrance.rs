//! What stands around the routes: a size limit on headers, CORS, a request id, and the word that a connection ends. One service of one
//! type and not layers of the router: each of those would box the request, the answer and what is between them.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::sync::Arc;
use std::task::{Context as Waker, Poll};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use futures::future::Either;
use gosight_config::EdgeSettings;
use gosight_lifecycle::Shutdown;
use tower::{Layer, Service};
use tower_http::cors::Cors;

use super::{Context, cors, header_limit, last_request, request_id, router};

/// Answers the requests of a connection; each connection has its own.
#[derive(Clone)]
pub(crate) struct Entrance {
    routes: Cors<Limited>,
    stopping: Shutdown,
}

/// The routes behind the limit on headers. Refusals carry what CORS adds, else a page could not read them.
#[derive(Clone)]
struct Limited {
    context: Arc<Context>,
    routes: Router,
}

impl Entrance {
    pub(crate) fn new(context: &Arc<Context>, settings: &EdgeSettings) -> Self {
        let limited = Limited {
            context: Arc::clone(context),
            routes: router(context),
        };
        Self {
            routes: cors::layer(&settings.cors).layer(limited),
            stopping: context.shutdown.clone(),
        }
    }

    /// Answers a request.
    pub(crate) fn answer(&mut self, request: Request) -> impl Future<Output = Result<Response, Infallible>> + use<> {
        let id = request_id::of(request.headers());
        let version = request.version();
        let stopping = self.stopping.clone();
        let routed = self.routes.call(request);
        async move {
            let mut response = routed.await?;
            request_id::name(&mut response, id);
            last_request::tell(&mut response, version, &stopping);
            Ok(response)
        }
    }
}

impl Service<Request> for Limited {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, RouteFuture<Infallible>>;

    fn poll_ready(&mut self, _: &mut Waker<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if header_limit::is_over(&self.context, &request) {
            return Either::Left(ready(Ok(header_limit::refused(&self.context, request))));
        }
        Either::Right(self.routes.call(request))
    }
}
