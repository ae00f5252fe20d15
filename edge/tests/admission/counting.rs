//! A store in front of a real one: counts what is asked, and fails or stalls when told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use gosight_edge::admission::{KeyStore, KeyStoreError, KeyUsage, PostgresKeys, StoredKey};

pub struct CountingStore {
    inner: PostgresKeys,
    counts: Arc<Counts>,
}

#[derive(Default)]
pub struct Counts {
    queries: AtomicU64,
    usage_writes: AtomicU64,
    fails: AtomicBool,
    stall_ms: AtomicU64,
}

impl CountingStore {
    pub fn new(inner: PostgresKeys) -> Self {
        Self {
            inner,
            counts: Arc::default(),
        }
    }

    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    async fn pass(&self) -> Result<(), KeyStoreError> {
        tokio::time::sleep(Duration::from_millis(self.counts.stall_ms.load(Ordering::SeqCst))).await;
        if self.counts.fails.load(Ordering::SeqCst) {
            return Err(KeyStoreError("told to fail".to_owned()));
        }
        Ok(())
    }
}

impl Counts {
    pub fn queries(&self) -> u64 {
        self.queries.load(Ordering::SeqCst)
    }

    pub fn usage_writes(&self) -> u64 {
        self.usage_writes.load(Ordering::SeqCst)
    }

    pub fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    pub fn stall(&self, time: Duration) {
        self.stall_ms.store(time.as_millis() as u64, Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl KeyStore for CountingStore {
    async fn find(&self, key_hash: &str) -> Result<Option<StoredKey>, KeyStoreError> {
        self.counts.queries.fetch_add(1, Ordering::SeqCst);
        self.pass().await?;
        self.inner.find(key_hash).await
    }

    async fn find_all(&self, key_hashes: &[String]) -> Result<Vec<Option<StoredKey>>, KeyStoreError> {
        self.counts.queries.fetch_add(1, Ordering::SeqCst);
        self.pass().await?;
        self.inner.find_all(key_hashes).await
    }

    async fn record_usage(&self, usage: &[KeyUsage]) -> Result<(), KeyStoreError> {
        self.counts.usage_writes.fetch_add(1, Ordering::SeqCst);
        self.pass().await?;
        self.inner.record_usage(usage).await
    }
}
