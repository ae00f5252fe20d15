//! Waiting for a condition, never for a time.

use std::future::Future;
use std::time::{Duration, Instant};

/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks again and again until `look` gives something; panics with `what` after `deadline`.
pub async fn until<T, F, L>(what: &str, deadline: Duration, mut look: L) -> T
where
    L: FnMut() -> F,
    F: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < deadline, "not within {deadline:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
