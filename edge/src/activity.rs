//! What a connection is doing — sending the headers of a request, being answered, or nothing — and how long it may.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

/// A connection that was told that it is over has so long to go, or as long as a request takes that came at that moment.
const LAST_WORD: Duration = Duration::from_secs(5);

/// How long a connection may be without a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    /// From the first byte of a request to the end of its headers.
    pub(crate) header: Duration,
    /// From the end of an answer to the first byte of the next request.
    pub(crate) idle: Duration,
}

/// What kept a connection waiting for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// Headers that began and did not end: HTTP/1 only, since HTTP/2 has other frames too.
    Header,
    /// Nothing.
    Idle,
}

/// A connection's account of itself. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Activity {
    waits: Waits,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    under_way: usize,
    waiting_for: Overdue,
    since: Instant,
    is_http2: bool,
    overdue: Option<Overdue>,
}

/// A request that is not yet answered to its end.
#[derive(Debug)]
pub(crate) struct UnderWay(Activity);

impl State {
    fn new(now: Instant) -> Self {
        Self {
            under_way: 0,
            waiting_for: Overdue::Header,
            since: now,
            is_http2: false,
            overdue: None,
        }
    }

    fn arrived(&mut self, bytes: &[u8], now: Instant) {
        if bytes.starts_with(b"PRI * HTTP/2") {
            self.is_http2 = true;
            self.waiting_for = Overdue::Idle;
        }
        if !self.is_http2 && self.under_way == 0 && self.waiting_for == Overdue::Idle && !bytes.is_empty() {
            self.waiting_for = Overdue::Header;
            self.since = now;
        }
    }

    fn begin_request(&mut self) {
        self.under_way += 1;
        self.waiting_for = Overdue::Idle;
    }

    fn end_request(&mut self, now: Instant) {
        self.under_way -= 1;
        self.since = now;
    }

    /// What is overdue, or when to look again.
    fn due(&mut self, waits: Waits, now: Instant) -> Result<Overdue, Instant> {
        // Whatever begins from now on can't be late before the shorter wait has passed.
        let look_again = now + waits.header.min(waits.idle);
        if self.under_way > 0 {
            return Err(look_again);
        }
        let wait = match self.waiting_for {
            Overdue::Header => waits.header,
            Overdue::Idle => waits.idle,
        };
        let deadline = self.since + wait;
        if now < deadline {
            return Err(deadline.min(look_again));
        }
        self.overdue = Some(self.waiting_for);
        Ok(self.waiting_for)
    }
}

impl Activity {
    /// Of a connection that has just begun to speak.
    pub(crate) fn new(waits: Waits) -> Self {
        Self {
            waits,
            state: Arc::new(Mutex::new(State::new(Instant::now()))),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes have come.
    pub(crate) fn arrived(&self, bytes: &[u8]) {
        self.state().arrived(bytes, Instant::now());
    }

    /// A request is under way from now until its answer has been sent or given up.
    pub(crate) fn request(&self) -> UnderWay {
        self.state().begin_request();
        UnderWay(self.clone())
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.state().is_http2
    }

    /// What was too late, once [`Self::overdue`] has resolved.
    pub(crate) fn was_overdue(&self) -> Option<Overdue> {
        self.state().overdue
    }

    /// Resolves when the connection has waited for too long.
    pub(crate) async fn overdue(&self) {
        loop {
            let due = self.state().due(self.waits, Instant::now());
            match due {
                Ok(_) => return,
                Err(look_again) => tokio::time::sleep_until(look_again).await,
            }
        }
    }

    /// Resolves when a connection that was overdue has not ended by itself. Never for others.
    pub(crate) async fn said_last_word(&self) {
        if self.was_overdue().is_none() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(LAST_WORD).await;
            if self.state().under_way == 0 {
                return;
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.state().end_request(Instant::now());
    }
}

/// The body of an answer: the request is under way until it is gone.
pub(crate) struct AnswerBody {
    pub(crate) body: Body,
    pub(crate) _under_way: UnderWay,
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Overdue, State, Waits};

    const WAITS: Waits = Waits {
        header: Duration::from_secs(10),
        idle: Duration::from_secs(60),
    };

    /// A connection and a clock that the test moves.
    struct Connection {
        state: State,
        now: Instant,
    }

    impl Connection {
        fn new() -> Self {
            let now = Instant::now();
            Self {
                state: State::new(now),
                now,
            }
        }

        /// Waits as `Activity::overdue` does: it looks only when it was told to look again.
        fn overdue_within(&mut self, seconds: u64) -> Option<Overdue> {
            let end = self.now + Duration::from_secs(seconds);
            loop {
                match self.state.due(WAITS, self.now) {
                    Ok(overdue) => return Some(overdue),
                    Err(again) if again > end => {
                        self.now = end;
                        return None;
                    }
                    Err(again) => self.now = again,
                }
            }
        }

        fn arrives(&mut self, bytes: &[u8]) {
            self.state.arrived(bytes, self.now);
        }
    }

    #[test]
    fn headers_are_awaited_for_a_while_however_they_drip() {
        let mut connection = Connection::new();
        connection.arrives(b"POST /");
        assert_eq!(connection.overdue_within(9), None);
        connection.arrives(b"v1/events");
        assert_eq!(connection.overdue_within(2), Some(Overdue::Header));
        assert_eq!(connection.state.overdue, Some(Overdue::Header));
    }

    #[test]
    fn a_request_takes_as_long_as_it_takes_and_idling_begins_behind_it() {
        let mut connection = Connection::new();
        connection.arrives(b"POST /");
        connection.state.begin_request();
        assert_eq!(connection.overdue_within(500), None);
        connection.state.end_request(connection.now);
        assert_eq!(connection.overdue_within(59), None);
        connection.arrives(b"P");
        assert_eq!(connection.overdue_within(9), None);
        connection.state.begin_request();
        connection.state.end_request(connection.now);
        assert_eq!(connection.overdue_within(59), None);
        assert_eq!(connection.overdue_within(2), Some(Overdue::Idle));
    }

    #[test]
    fn http2_is_idle_whatever_its_other_frames_say() {
        let mut connection = Connection::new();
        connection.arrives(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        assert_eq!(connection.overdue_within(55), None);
        connection.arrives(b"ping");
        assert_eq!(connection.overdue_within(6), Some(Overdue::Idle));
        assert!(connection.state.is_http2);
    }
}
