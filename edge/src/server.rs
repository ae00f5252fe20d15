//! The running edge: two public ports, one router, and an orderly end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use gosight_config::EdgeSettings;
use gosight_eventlog::EventLog;
use gosight_lifecycle::{Latch, Readiness, Shutdown};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::admission::{KeyDirectory, Limiter};
use crate::ingest::{Ingest, bytes};
use crate::socket::{Socket, UnreadBody};
use crate::transport::{self, Context, Peer};

/// An HTTP/2 client that is silent for so long is asked whether it is still there, and has so long to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls at once on one HTTP/2 connection.
const CONCURRENT_STREAMS: u32 = 256;
/// The least that hyper can read HTTP/1 with.
const MIN_HTTP1_BUFFER: usize = 8 * 1024;
/// After a failure to accept, mostly for want of file descriptors, so long is waited for some to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often the log is asked for its health, and how long it may take to answer.
const LOG_PROBE: Duration = Duration::from_secs(1);
const LOG_PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the edge is made of.
pub struct EdgeParts {
    /// Who may send.
    pub keys: KeyDirectory,
    /// How much.
    pub limiter: Arc<dyn Limiter>,
    /// Where batches go.
    pub log: Arc<dyn EventLog>,
    /// What the log is called in readiness: `kafka` or `log`.
    pub log_name: &'static str,
    /// Where the edge says whether it works.
    pub readiness: Readiness,
    /// Its settings.
    pub settings: EdgeSettings,
}

/// Bound sockets. Both serve everything; they are two because clients expect two ports.
pub struct Listeners {
    /// HTTP and gRPC-Web.
    pub http: TcpListener,
    /// gRPC and gRPC-Web.
    pub grpc: TcpListener,
}

/// Why the edge ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// A port's task panicked.
    #[error("the {port} port crashed: {error}")]
    Crashed {
        /// `http` or `grpc`
        port: &'static str,
        /// What tokio said.
        error: tokio::task::JoinError,
    },
}

/// Serves until the shutdown begins and requests in flight have their answers, within `server.shutdown_timeout`.
///
/// # Errors
/// A port's task crashed.
pub async fn serve(parts: EdgeParts, listeners: Listeners, shutdown: Shutdown) -> Result<(), EdgeError> {
    let settings = &parts.settings;
    let latch = parts.readiness.latch(parts.log_name);
    let probe = tokio::spawn(watch_log(Arc::clone(&parts.log), latch));
    let ingest = Arc::new(Ingest::new(parts.keys, parts.limiter, parts.log, settings));
    let budget = tokio::spawn(measure_budget(Arc::clone(&ingest)));
    let context = Context::new(ingest, parts.readiness, shutdown.clone(), settings);
    let acceptor = Arc::new(Acceptor::new(
        transport::router(&context, settings),
        settings,
        shutdown.clone(),
    ));

    let http = tokio::spawn(Arc::clone(&acceptor).accept(listeners.http));
    let grpc = tokio::spawn(Arc::clone(&acceptor).accept(listeners.grpc));
    let (http, grpc) = tokio::join!(ended("http", http, &shutdown), ended("grpc", grpc, &shutdown));
    acceptor.drain(settings.server.shutdown_timeout).await;
    probe.abort();
    budget.abort();
    http.and(grpc)
}

/// A port that crashes takes the process down in order: half an edge is found by nobody.
async fn ended(port: &'static str, task: tokio::task::JoinHandle<()>, shutdown: &Shutdown) -> Result<(), EdgeError> {
    let result = task.await;
    shutdown.begin();
    result.map_err(|error| EdgeError::Crashed { port, error })
}

/// Accepts connections and serves the router on each.
struct Acceptor {
    router: Router,
    protocols: auto::Builder<TokioExecutor>,
    permits: Arc<Semaphore>,
    header_timeout: Duration,
    shutdown: Shutdown,
    connections: TaskTracker,
    /// Ends connections that did not end in time.
    cut: CancellationToken,
}

impl Acceptor {
    fn new(router: Router, settings: &EdgeSettings, shutdown: Shutdown) -> Self {
        Self {
            router,
            protocols: protocols(settings),
            permits: Arc::new(Semaphore::new(settings.limits.connections as usize)),
            header_timeout: settings.limits.header_timeout,
            shutdown,
            connections: TaskTracker::new(),
            cut: CancellationToken::new(),
        }
    }

    /// Accepts until the shutdown begins. At the limit of connections new ones wait in the system's queue.
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let next = async {
                let permit = Arc::clone(&self.permits).acquire_owned().await;
                (permit, listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                () = self.shutdown.begun() => return,
                next = next => next,
            };
            match (permit, accepted) {
                (Ok(permit), Ok((stream, peer))) => {
                    let connection = Arc::clone(&self).serve(stream, peer, permit);
                    self.connections.spawn(connection);
                }
                (Ok(_), Err(error)) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                (Err(_closed), _) => return,
            }
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
        // Answers are small, and each ends a request that somebody waits for.
        let _ = stream.set_nodelay(true);
        if !self.begins_to_speak(&stream).await {
            return;
        }
        let unread = UnreadBody::default();
        let socket = Socket::new(stream, unread.clone());
        let service = service_fn(|mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            request.extensions_mut().insert(unread.clone());
            let answer = self.router.clone().oneshot(request.map(axum::body::Body::new));
            async move { answer.await.or_else(|never: Infallible| match never {}) as Result<_, Infallible> }
        });
        let mut connection = pin!(self.protocols.serve_connection(TokioIo::new(socket), service));
        let ended = tokio::select! {
            result = connection.as_mut() => Some(result),
            () = self.shutdown.begun() => None,
        };
        let ended = match ended {
            Some(result) => result,
            None => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    result = connection.as_mut() => result,
                    () = self.cut.cancelled() => Ok(()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended with an error");
        }
        drop(permit);
    }

    /// Waits for the first byte: until then hyper's own time limits have not begun.
    async fn begins_to_speak(&self, stream: &TcpStream) -> bool {
        let mut first = [0; 1];
        tokio::select! {
            peeked = tokio::time::timeout(self.header_timeout, stream.peek(&mut first)) => {
                matches!(peeked, Ok(Ok(1..)))
            }
            () = self.shutdown.begun() => false,
        }
    }

    /// Waits until every connection has ended, and cuts those that have not by then.
    async fn drain(&self, timeout: Duration) {
        self.connections.close();
        if tokio::time::timeout(timeout, self.connections.wait()).await.is_err() {
            let left = self.connections.len();
            tracing::warn!(left, ?timeout, "connections did not end in time and are cut");
            self.cut.cancel();
            self.connections.wait().await;
        }
    }
}

fn protocols(settings: &EdgeSettings) -> auto::Builder<TokioExecutor> {
    let limits = &settings.limits;
    let header = bytes(limits.header.as_u64());
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(header.max(MIN_HTTP1_BUFFER));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(header).unwrap_or(u32::MAX))
        .max_concurrent_streams(CONCURRENT_STREAMS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Says whether the log works. Without it every batch is refused, and the balancer should know.
async fn watch_log(log: Arc<dyn EventLog>, latch: Latch) {
    let mut ticks = tokio::time::interval(LOG_PROBE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match log.health(LOG_PROBE_TIMEOUT).await {
            Ok(()) => latch.ready(),
            Err(error) => latch.unready(error.to_string()),
        }
    }
}

async fn measure_budget(ingest: Arc<Ingest>) {
    let in_flight = metrics::gauge!("edge_bytes_in_flight");
    let capacity = metrics::gauge!("edge_bytes_in_flight_limit");
    let mut ticks = tokio::time::interval(LOG_PROBE);
    loop {
        ticks.tick().await;
        in_flight.set(ingest.budget.in_flight() as f64);
        capacity.set(ingest.budget.capacity() as f64);
    }
}
