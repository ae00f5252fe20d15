//! One connection to Redis for requests that must not wait for it: a command that fails or takes too long takes the link down,
//! every later request then goes on without Redis at once, and a task of its own brings the link up again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use gosight_config::edge::RedisSettings;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisResult};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::KeyStoreError;

/// Connecting has so long; no request waits for it, except the first ones after the start, up to their own limit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Rest after a failure, and between attempts while Redis does not answer.
const REST: Duration = Duration::from_millis(250);
/// After a failure the link counts as unwell so long, so that a Redis that answers by turns is seen too.
const UNWELL: Duration = Duration::from_secs(2);

/// Redis did not answer; the reason has been counted and logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RedisDown;

/// The connection of one user of Redis.
pub(super) struct RedisLink {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    timeout: Duration,
    /// Label of the metric and the log lines.
    user: &'static str,
    state: watch::Sender<LinkState>,
    /// Whether a task is bringing the link up.
    connecting: AtomicBool,
    failed_at: Mutex<Option<Instant>>,
}

enum LinkState {
    Starting,
    Up {
        connection: MultiplexedConnection,
        generation: u64,
    },
    Down,
}

impl RedisLink {
    /// A link that connects when it is first used. `user` names it in metrics and logs.
    pub(super) fn new(settings: &RedisSettings, user: &'static str) -> Result<Self, KeyStoreError> {
        let client = open_client(settings)?;
        Ok(Self {
            shared: Arc::new(Shared {
                client,
                timeout: settings.timeout,
                user,
                state: watch::Sender::new(LinkState::Starting),
                connecting: AtomicBool::new(false),
                failed_at: Mutex::new(None),
            }),
        })
    }

    /// When a request that turns to Redis now has to have its answer.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.shared.timeout
    }

    /// Whether Redis answers and has done so for a while. True until the first use.
    pub(super) fn is_well(&self) -> bool {
        let failed_at = *self.shared.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        let failed_lately = failed_at.is_some_and(|at| at.elapsed() < UNWELL);
        !failed_lately && !self.is_down()
    }

    /// Whether a command would be refused at once.
    pub(super) fn is_down(&self) -> bool {
        matches!(*self.shared.state.borrow(), LinkState::Down)
    }

    /// Runs a command, or gives up at the deadline; at once while Redis is known not to answer.
    pub(super) async fn run<T, F>(
        &self,
        deadline: Instant,
        command: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, RedisDown>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let (connection, generation) = self.connection(deadline).await?;
        let begun = Instant::now();
        match timeout_at(deadline, command(connection)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                self.shared.fail(generation, &error);
                Err(RedisDown)
            }
            Err(_) => {
                // Who came to its turn late has not given Redis its time, and can't tell.
                if begun.elapsed() >= self.shared.timeout / 2 {
                    self.shared.fail(generation, &"no answer in time");
                } else {
                    self.shared.count_failure();
                }
                Err(RedisDown)
            }
        }
    }

    async fn connection(&self, deadline: Instant) -> Result<(MultiplexedConnection, u64), RedisDown> {
        if matches!(*self.shared.state.borrow(), LinkState::Starting) {
            Shared::connect_in_background(&self.shared, Duration::ZERO);
        }
        let mut changes = self.shared.state.subscribe();
        let started = changes.wait_for(|state| !matches!(state, LinkState::Starting));
        let state = timeout_at(deadline, started).await.map_err(|_| RedisDown)?;
        match *state.map_err(|_| RedisDown)? {
            LinkState::Up {
                ref connection,
                generation,
            } => Ok((connection.clone(), generation)),
            LinkState::Starting | LinkState::Down => Err(RedisDown),
        }
    }
}

impl Shared {
    fn count_failure(&self) {
        metrics::counter!("edge_redis_failures_total", "user" => self.user).increment(1);
    }

    /// Takes the link down, unless it has been renewed since the failed command began.
    fn fail(self: &Arc<Self>, generation: u64, reason: &dyn std::fmt::Display) {
        self.count_failure();
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let taken_down = self.state.send_if_modified(|state| match state {
            LinkState::Up {
                generation: current, ..
            } if *current == generation => {
                *state = LinkState::Down;
                true
            }
            _ => false,
        });
        if taken_down {
            tracing::warn!(user = self.user, %reason, "redis failed; going on without it");
            Self::connect_in_background(self, REST);
        }
    }

    fn connect_in_background(shared: &Arc<Self>, rest: Duration) {
        if !shared.connecting.swap(true, Ordering::SeqCst) {
            tokio::spawn(bring_up(Arc::downgrade(shared), rest));
        }
    }

    async fn open(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(self.timeout));
        let mut connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        // A port that accepts is not yet a Redis that answers in time.
        redis::cmd("PING").query_async::<()>(&mut connection).await?;
        Ok(connection)
    }

    fn came_up(&self, connection: MultiplexedConnection, generation: u64) {
        // In this order: a failure of the new connection must find that nobody is connecting.
        self.connecting.store(false, Ordering::SeqCst);
        self.state.send_replace(LinkState::Up { connection, generation });
        tracing::info!(user = self.user, "redis answers");
    }

    fn stayed_down(&self, reason: &dyn std::fmt::Display) {
        self.count_failure();
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let was_starting = self.state.send_if_modified(|state| {
            let was_starting = matches!(state, LinkState::Starting);
            *state = LinkState::Down;
            was_starting
        });
        if was_starting {
            tracing::warn!(user = self.user, %reason, "redis does not answer; going on without it");
        }
    }
}

/// Tries until Redis answers, or the link is gone.
async fn bring_up(link: Weak<Shared>, mut rest: Duration) {
    /// Tells connections of all links apart.
    static GENERATION: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    loop {
        tokio::time::sleep(rest).await;
        let Some(shared) = link.upgrade() else { return };
        match tokio::time::timeout(CONNECT_TIMEOUT, shared.open()).await {
            Ok(Ok(connection)) => return shared.came_up(connection, GENERATION.fetch_add(1, Ordering::Relaxed)),
            Ok(Err(error)) => shared.stayed_down(&error),
            Err(_) => shared.stayed_down(&"no answer in time"),
        }
        rest = REST;
    }
}

fn open_client(settings: &RedisSettings) -> Result<Client, KeyStoreError> {
    let addr = &settings.addr;
    let wrong = || KeyStoreError(format!("redis.addr {addr:?} is no address; write host:port"));
    let (host, port) = addr.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port: u16 = port.parse().map_err(|_| wrong())?;
    if host.is_empty() {
        return Err(wrong());
    }
    let mut login = RedisConnectionInfo::default().set_db(settings.db);
    if !settings.password.is_empty() {
        login = login.set_password(settings.password.reveal());
    }
    let info = ConnectionAddr::Tcp(host.to_owned(), port)
        .into_connection_info()
        .map_err(|_| wrong())?
        .set_redis_settings(login);
    Client::open(info).map_err(|error| KeyStoreError(format!("redis.addr {addr:?}: {error}; write host:port")))
}

#[cfg(test)]
mod tests {
    use gosight_config::edge::RedisSettings;

    use super::{RedisLink, open_client};

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for addr in ["localhost:6379", "[::1]:6379", "10.0.0.1:1"] {
            assert!(open_client(&at(addr)).is_ok(), "{addr}");
        }
        for addr in ["", "localhost", ":6379", "localhost:", "localhost:70000"] {
            let message = open_client(&at(addr)).unwrap_err().to_string();
            assert!(message.contains(&format!("{addr:?}")), "{message}");
        }
    }

    #[tokio::test]
    async fn a_redis_that_accepts_and_never_answers_costs_the_limit_once() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = at(&silent.local_addr().unwrap().to_string());
        let link = RedisLink::new(&settings, "test").unwrap();
        let ping = || {
            link.run(link.deadline(), async |mut connection| {
                redis::cmd("PING").query_async::<()>(&mut connection).await
            })
        };

        let begun = std::time::Instant::now();
        assert!(ping().await.is_err());
        assert!(begun.elapsed() < settings.timeout * 4, "{:?}", begun.elapsed());

        while !link.is_down() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let begun = std::time::Instant::now();
        for _ in 0..100 {
            assert!(ping().await.is_err());
        }
        assert!(begun.elapsed() < settings.timeout, "{:?}", begun.elapsed());
        assert!(!link.is_well());
    }

    fn at(addr: &str) -> RedisSettings {
        RedisSettings {
            addr: addr.to_owned(),
            ..RedisSettings::default()
        }
    }
}
