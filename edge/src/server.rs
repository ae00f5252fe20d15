//! The running edge: two public ports, one router, and an orderly end.

use std::borrow::Cow;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::TryFutureExt;
use gosight_config::EdgeSettings;
use gosight_eventlog::EventLog;
use gosight_lifecycle::telemetry::begin_at_zero;
use gosight_lifecycle::{Latch, Readiness, Shutdown};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::Accounts;
use crate::activity::{Activity, AnswerBody, Waits};
use crate::admission::{KeyDirectory, Limiter};
use crate::closing;
use crate::ingest::{Ingest, bytes};
use crate::live::Live;
use crate::protocol::{self, Protocol};
use crate::socket::{Socket, UnreadBody};
use crate::tls::{Stream, Tls};
use crate::transport::{Connection, Context, Entrance, LAST_REQUEST};
use crate::wire::{Wire, WireRules};

/// What of an HTTP/1 connection is read at once, at the most; or as much as headers may have. A buffer grows to it only where bodies
/// fill it, and a larger body costs a call of the system and a copy for each part.
const HTTP1_BUFFER: usize = 64 * 1024;
/// After a failure to accept, mostly for want of file descriptors, so long is waited for some to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often each component is asked for its health.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// How long the log may take to answer.
const LOG_PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the edge is made of.
pub struct EdgeParts {
    /// Who may send.
    pub keys: KeyDirectory,
    /// How much.
    pub limiter: Arc<dyn Limiter>,
    /// The settings that change while the edge runs; the limiter reads the same.
    pub live: Live,
    /// Where batches go.
    pub log: Arc<dyn EventLog>,
    /// What the log is called in readiness: `kafka` or `log`.
    pub log_name: &'static str,
    /// Where the edge says whether it works.
    pub readiness: Readiness,
    /// What the public ports are encrypted with.
    pub tls: Option<Tls>,
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

/// Serves until the shutdown begins, goes on for `server.drain_delay` while readiness says no, and then until requests in flight
/// have their answers, within `server.shutdown_timeout` and a second for the last request of each kept-alive connection.
///
/// # Errors
/// A port's task crashed.
pub async fn serve(parts: EdgeParts, listeners: Listeners, shutdown: Shutdown) -> Result<(), EdgeError> {
    begin_at_zero("edge_");
    let settings = &parts.settings;
    let keys = parts.keys.clone();
    let mut background = JoinSet::new();
    background.spawn(watch_log(Arc::clone(&parts.log), parts.readiness.latch(parts.log_name)));
    background.spawn(watch_keys(keys.clone(), parts.readiness.latch("keys")));
    background.spawn(watch_limiter(
        Arc::clone(&parts.limiter),
        parts.readiness.latch("limiter"),
    ));
    background.spawn(watch_restrictions(
        parts.live.clone(),
        parts.readiness.latch("restrictions"),
    ));
    let usage = tokio::spawn({
        let (keys, shutdown) = (keys.clone(), shutdown.clone());
        async move { keys.write_usage(shutdown).await }
    });
    let ingest = Arc::new(Ingest::new(parts.keys, parts.limiter, parts.live, parts.log, settings));
    background.spawn(measure_budget(Arc::clone(&ingest)));
    let accounts = Arc::clone(&ingest.accounts);
    let stopping = Shutdown::new();
    background.spawn(leave_balancer(
        parts.readiness.latch("edge"),
        shutdown,
        settings.server.drain_delay,
        stopping.clone(),
    ));
    let context = Context::new(ingest, parts.readiness, stopping.clone(), settings);
    let acceptor = Arc::new(Acceptor::new(
        Entrance::new(&context, settings),
        parts.tls,
        accounts,
        settings,
        stopping.clone(),
    ));

    let http = tokio::spawn(Arc::clone(&acceptor).accept(listeners.http));
    let grpc = tokio::spawn(Arc::clone(&acceptor).accept(listeners.grpc));
    let (http, grpc) = tokio::join!(ended("http", http, &stopping), ended("grpc", grpc, &stopping));
    acceptor.drain(settings.server.shutdown_timeout + LAST_REQUEST).await;
    background.shutdown().await;
    usage.abort();
    keys.flush_usage().await;
    http.and(grpc)
}

/// A port that crashes takes the process down in order: half an edge is found by nobody.
async fn ended(port: &'static str, task: JoinHandle<()>, shutdown: &Shutdown) -> Result<(), EdgeError> {
    let result = task.await;
    shutdown.begin();
    result.map_err(|error| EdgeError::Crashed { port, error })
}

/// Tells whoever watches readiness to send elsewhere, and begins to stop when they have had the time to notice.
async fn leave_balancer(latch: Latch, shutdown: Shutdown, delay: Duration, stopping: Shutdown) {
    latch.ready();
    shutdown.begun().await;
    latch.unready("the process is stopping");
    tokio::time::sleep(delay).await;
    stopping.begin();
}

/// Accepts connections and serves each.
struct Acceptor {
    entrance: Entrance,
    tls: Option<Tls>,
    protocols: auto::Builder<TokioExecutor>,
    permits: Arc<Semaphore>,
    header_timeout: Duration,
    waits: Waits,
    wire: WireRules,
    shutdown: Shutdown,
    connections: TaskTracker,
    /// Ends connections that did not end in time.
    cut: CancellationToken,
}

impl Acceptor {
    fn new(
        entrance: Entrance,
        tls: Option<Tls>,
        accounts: Arc<Accounts>,
        settings: &EdgeSettings,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            entrance,
            tls,
            protocols: protocols(settings),
            permits: Arc::new(Semaphore::new(settings.limits.connections as usize)),
            header_timeout: settings.limits.header_timeout,
            waits: Waits {
                header: settings.limits.header_timeout,
                idle: settings.limits.idle_timeout,
            },
            wire: WireRules {
                accounts,
                header_limit: bytes(settings.limits.header.as_u64()),
                header_timeout: settings.limits.header_timeout,
            },
            shutdown,
            connections: TaskTracker::new(),
            cut: CancellationToken::new(),
        }
    }

    /// Accepts until the shutdown begins. At the limit of connections one more is accepted on each port, to be served when another
    /// ends; the rest wait in the system's queue. (A permit taken before would be kept from the other port while this one is idle.)
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.shutdown.begun() => break,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let permit = tokio::select! {
                () = self.shutdown.begun() => None,
                permit = Arc::clone(&self.permits).acquire_owned() => permit.ok(),
            };
            self.connections.spawn(Arc::clone(&self).serve(stream, peer, permit));
        }
        // These may be beyond the limit, by no more than the system's queue.
        closing::close(listener, |stream, peer| {
            self.connections.spawn(Arc::clone(&self).serve(stream, peer, None));
        })
        .await;
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, permit: Option<OwnedSemaphorePermit>) {
        // Answers are small, and each ends a request that somebody waits for.
        let _ = stream.set_nodelay(true);
        let Some((stream, protocol)) = self.begin(stream).await else {
            return;
        };
        let unread = UnreadBody::default();
        let activity = Activity::new(self.waits);
        let socket = Socket::new(stream, unread.clone());
        let wire = Wire::new(socket, activity.clone(), unread.clone(), self.wire.clone());
        let (this, requests) = (Connection { peer, unread }, activity.clone());
        let entrance = RefCell::new(self.entrance.clone());
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(this.clone());
            let under_way = requests.request();
            let answered = entrance.borrow_mut().answer(request.map(axum::body::Body::new));
            answered.map_ok(|response| {
                response.map(|body| AnswerBody {
                    body,
                    _under_way: under_way,
                })
            })
        });
        let mut connection = pin!(self.protocols.serve_connection(TokioIo::new(wire), service));
        let ended = tokio::select! {
            result = connection.as_mut() => Some(result),
            () = self.parts_with(protocol) => None,
            () = activity.overdue() => None,
        };
        let ended = match ended {
            Some(result) => result,
            None => {
                // An overdue HTTP/1 connection is ended by its wire, which may still have an answer to give.
                if activity.was_overdue().is_none() || activity.is_http2() {
                    connection.as_mut().graceful_shutdown();
                }
                tokio::select! {
                    result = connection.as_mut() => result,
                    () = self.cut.cancelled() => Ok(()),
                    () = activity.said_last_word() => Ok(()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended with an error");
        }
        drop(permit);
    }

    /// Waits until a client has ended its handshake and has said enough to tell its protocol: until then hyper's own time limits have
    /// not begun. `None` where it does not.
    async fn begin(&self, stream: TcpStream) -> Option<(Stream, Protocol)> {
        tokio::select! {
            begun = self.opened(stream) => begun,
            () = self.parts_with(Protocol::Http1) => None,
        }
    }

    async fn opened(&self, stream: TcpStream) -> Option<(Stream, Protocol)> {
        let Some(tls) = &self.tls else {
            let told = tokio::time::timeout(self.header_timeout, protocol::tells_protocol(&stream)).await;
            let protocol = told.ok()?.ok()??;
            return Some((Stream::Plain(stream), protocol));
        };
        let mut secured = tls.accept(stream).await?;
        let told = tokio::time::timeout(self.header_timeout, secured.tells_protocol()).await;
        let protocol = told.ok()?.ok()??;
        Some((Stream::Tls(secured), protocol))
    }

    /// Resolves when we end an idle connection. HTTP/2 says so in a way that loses no call; over HTTP/1 a request may be on its way, and
    /// would meet a closed door: it is waited for, and its answer says that it was the last.
    async fn parts_with(&self, protocol: Protocol) {
        self.shutdown.begun().await;
        if protocol == Protocol::Http1 {
            tokio::time::sleep(LAST_REQUEST).await;
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
        // Ours tells waiting for a request from waiting for the rest of one.
        .header_read_timeout(None)
        .max_buf_size(header.max(HTTP1_BUFFER));
    builder
        .http2()
        .timer(TokioTimer::new())
        // Up to here a refusal has a body: `header_limit`.
        .max_header_list_size(u32::try_from(header.saturating_mul(2)).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.concurrent_streams)
        .keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_timeout);
    builder
}

/// Says whether the log works. Without it every batch is refused, and the balancer should know.
async fn watch_log(log: Arc<dyn EventLog>, latch: Latch) {
    let mut probes = probes();
    loop {
        probes.tick().await;
        match log.health(LOG_PROBE_TIMEOUT).await {
            Ok(()) => latch.ready(),
            Err(error) => latch.unready(error.to_string()),
        }
    }
}

/// Says whether keys can be checked. Until their database has answered once we may know none; later, known ones are served.
async fn watch_keys(keys: KeyDirectory, latch: Latch) {
    let mut probes = probes();
    loop {
        probes.tick().await;
        match keys.check().await {
            Ok(()) => break,
            Err(error) => latch.unready(error.to_string()),
        }
    }
    loop {
        show(&latch, keys.degradation().map(Cow::Owned));
        probes.tick().await;
    }
}

/// Says whether the rates are counted as they should be.
async fn watch_limiter(limiter: Arc<dyn Limiter>, latch: Latch) {
    let mut probes = probes();
    loop {
        probes.tick().await;
        show(&latch, limiter.degradation());
    }
}

/// Says what an operator has stopped or sampled, and how often.
async fn watch_restrictions(live: Live, latch: Latch) {
    let mut probes = probes();
    loop {
        probes.tick().await;
        let shown = live.load().restrictions.shown();
        show(&latch, shown.map(Cow::Owned));
    }
}

fn show(latch: &Latch, degradation: Option<Cow<'static, str>>) {
    match degradation {
        None => latch.ready(),
        Some(detail) => latch.degraded(detail),
    }
}

fn probes() -> Interval {
    let mut probes = tokio::time::interval(PROBE_INTERVAL);
    probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    probes
}

async fn measure_budget(ingest: Arc<Ingest>) {
    let in_flight = metrics::gauge!("edge_bytes_in_flight");
    let capacity = metrics::gauge!("edge_bytes_in_flight_limit");
    let mut probes = probes();
    loop {
        probes.tick().await;
        in_flight.set(ingest.budget.in_flight() as f64);
        capacity.set(ingest.budget.capacity() as f64);
    }
}
