//! The store of keys behind a switch: after a failure nobody waits for it, until a task of its own has seen it answer again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::hash::KeyHash;
use super::store::{KeyStore, KeyStoreError, StoredKey};

/// Longer than any store takes by its own settings: a store that never comes back must not hold requests for ever.
const PATIENCE: Duration = Duration::from_secs(5);
/// Rest between two attempts while the store does not answer.
const REST: Duration = Duration::from_millis(500);

/// The store and whether it answers. Clones share it.
#[derive(Clone)]
pub(super) struct Database {
    store: Arc<dyn KeyStore>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    is_down: AtomicBool,
}

impl Database {
    pub(super) fn new(store: Arc<dyn KeyStore>) -> Self {
        Self {
            store,
            state: Arc::default(),
        }
    }

    pub(super) fn store(&self) -> &dyn KeyStore {
        &*self.store
    }

    /// Whether a look-up would fail at once.
    pub(super) fn is_down(&self) -> bool {
        self.state.is_down.load(Ordering::Relaxed)
    }

    /// Looks all of them up, in their order.
    pub(super) async fn find_all(&self, hashes: &[KeyHash]) -> Result<Vec<Option<StoredKey>>, KeyStoreError> {
        if self.is_down() {
            return Err(KeyStoreError("the store of keys does not answer".to_owned()));
        }
        let found = ask(&*self.store, hashes).await;
        if let Err(error) = &found {
            self.went_down(error);
        }
        found
    }

    fn went_down(&self, error: &KeyStoreError) {
        metrics::counter!("edge_key_store_failures_total").increment(1);
        if self.state.is_down.swap(true, Ordering::Relaxed) {
            return;
        }
        tracing::warn!(%error, "the store of keys does not answer; known keys go on for the grace time");
        tokio::spawn(wait_for_answer(Arc::clone(&self.store), Arc::downgrade(&self.state)));
    }
}

/// Ends when the store answers, or nobody is left to know.
async fn wait_for_answer(store: Arc<dyn KeyStore>, state: std::sync::Weak<State>) {
    // No key has this hash.
    let probe = [KeyHash::of("")];
    loop {
        tokio::time::sleep(REST).await;
        if state.strong_count() == 0 {
            return;
        }
        if ask(&*store, &probe).await.is_err() {
            metrics::counter!("edge_key_store_failures_total").increment(1);
            continue;
        }
        if let Some(state) = state.upgrade() {
            state.is_down.store(false, Ordering::Relaxed);
            tracing::info!("the store of keys answers again");
        }
        return;
    }
}

async fn ask(store: &dyn KeyStore, hashes: &[KeyHash]) -> Result<Vec<Option<StoredKey>>, KeyStoreError> {
    let texts: Vec<String> = hashes.iter().map(KeyHash::to_string).collect();
    let found = tokio::time::timeout(PATIENCE, store.find_all(&texts))
        .await
        .map_err(|_| KeyStoreError(format!("no answer within {PATIENCE:?}")))??;
    if found.len() != hashes.len() {
        return Err(KeyStoreError(format!(
            "asked for {} keys, got {}",
            hashes.len(),
            found.len()
        )));
    }
    Ok(found)
}
