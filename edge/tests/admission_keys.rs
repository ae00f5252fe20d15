//! Keys on real PostgreSQL and Redis; their addresses come from POSTGRES_DSN and REDIS_ADDR.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod admission;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use admission::counting::CountingStore;
use admission::keys_table::KeysTable;
use admission::{dead_postgres, eventually, postgres, redis};
use gosight_config::edge::KeySettings;
use gosight_edge::Reason;
use gosight_edge::admission::{KeyDirectory, KeyStore, PostgresKeys, RedisKeyCache, SqliteKeys, key_hash};
use uuid::Uuid;

/// Short enough to watch an answer grow old.
fn quick() -> KeySettings {
    KeySettings {
        fresh_for: Duration::from_millis(300),
        ..KeySettings::default()
    }
}

fn over(settings: &KeySettings, store: impl KeyStore) -> KeyDirectory {
    KeyDirectory::new(settings, Arc::new(store), None)
}

fn with_redis(settings: &KeySettings, store: impl KeyStore) -> KeyDirectory {
    let cache = RedisKeyCache::connect(&redis(), settings).unwrap();
    KeyDirectory::new(settings, Arc::new(store), Some(cache))
}

async fn reason(keys: &KeyDirectory, key: &str) -> Option<Reason> {
    keys.look_up(key).await.err().map(|refusal| refusal.reason())
}

#[tokio::test]
async fn a_key_gives_its_project_and_its_privacy() {
    let table = KeysTable::connect().await;
    let keys = over(&quick(), PostgresKeys::connect(&postgres()).unwrap());
    let key = table.add_key().await;
    let grant = keys.look_up(&key.text).await.unwrap();
    assert_eq!(*grant.project_id, key.project.to_string());
    assert_eq!(*grant.key_id, key.id.to_string());
    assert!(!grant.privacy.anonymize_ip);

    for (settings, anonymize_ip) in [
        (r#"{"privacy": {"anonymizeIp": true}}"#, true),
        (r#"{"privacy": {"anonymizeIp": false}}"#, false),
        (r#"{"privacy": {"anonymizeIp": "yes"}}"#, false),
        (r#"{"privacy": {"anonymizeIp": 1e400}}"#, false),
        (r#"{"privacy": [1]}"#, false),
        ("null", false),
        ("7", false),
    ] {
        let other = table.add_key().await;
        table.set_project(&other, "settings = $2::text::jsonb", settings).await;
        let grant = keys.look_up(&other.text).await.unwrap();
        assert_eq!(grant.privacy.anonymize_ip, anonymize_ip, "{settings}");
    }
}

#[tokio::test]
async fn only_the_whole_key_counts() {
    let table = KeysTable::connect().await;
    let keys = over(&quick(), PostgresKeys::connect(&postgres()).unwrap());
    let key = table.add_key().await;
    assert_eq!(reason(&keys, &key.text).await, None);
    let shared_start = format!("{}{}", &key.text[..12], Uuid::new_v4());
    let longer = format!("{}x", key.text);
    for other in [
        shared_start.as_str(),
        &longer,
        &key.text[..12],
        "0",
        "abc",
        "\0",
        &"k".repeat(4_096),
    ] {
        assert_eq!(reason(&keys, other).await, Some(Reason::InvalidKey), "{other:?}");
    }
    assert_eq!(reason(&keys, &"k".repeat(10_000)).await, Some(Reason::InvalidKey));
    assert_eq!(reason(&keys, "").await, Some(Reason::MissingKey));
}

#[tokio::test]
async fn a_key_has_to_be_active_unexpired_of_an_active_project_and_permitted_to_ingest() {
    let table = KeysTable::connect().await;
    let keys = with_redis(&quick(), PostgresKeys::connect(&postgres()).unwrap());
    for (change, value, expected) in [
        (
            "expires_at = $2::text::timestamptz",
            "2020-01-01",
            Some(Reason::InvalidKey),
        ),
        (
            "expires_at = $2::text::timestamptz",
            "-infinity",
            Some(Reason::InvalidKey),
        ),
        ("expires_at = $2::text::timestamptz", "infinity", None),
        ("expires_at = $2::text::timestamptz", "2999-01-01", None),
        ("is_active = $2::text::boolean", "false", Some(Reason::InvalidKey)),
        (
            "permissions = $2::text::jsonb",
            r#"["read"]"#,
            Some(Reason::KeyNotPermitted),
        ),
        ("permissions = $2::text::jsonb", "[]", Some(Reason::KeyNotPermitted)),
        (
            "permissions = $2::text::jsonb",
            r#"{"ingest": true}"#,
            Some(Reason::KeyNotPermitted),
        ),
        ("permissions = $2::text::jsonb", "null", Some(Reason::KeyNotPermitted)),
        ("permissions = $2::text::jsonb", r#"["read", "ingest"]"#, None),
    ] {
        let key = table.add_key().await;
        table.set_key(&key, change, value).await;
        assert_eq!(reason(&keys, &key.text).await, expected, "{change} {value}");
        assert_eq!(
            reason(&keys, &key.text).await,
            expected,
            "from the cache: {change} {value}"
        );
    }
    let key = table.add_key().await;
    table.set_project(&key, "is_active = $2::text::boolean", "false").await;
    assert_eq!(reason(&keys, &key.text).await, Some(Reason::InvalidKey));
}

#[tokio::test]
async fn a_key_that_expires_while_it_is_cached_stops_at_once() {
    let table = KeysTable::connect().await;
    let keys = over(&KeySettings::default(), PostgresKeys::connect(&postgres()).unwrap());
    let key = table.add_key().await;
    table
        .set_key(&key, "expires_at = now() + $2::text::interval", "700 milliseconds")
        .await;
    assert_eq!(reason(&keys, &key.text).await, None);
    let stopped = eventually(Duration::from_secs(2), async || {
        reason(&keys, &key.text).await == Some(Reason::InvalidKey)
    });
    stopped.await;
}

#[tokio::test]
async fn ten_thousand_unknown_keys_at_once_cost_a_handful_of_queries() {
    let store = CountingStore::new(PostgresKeys::connect(&postgres()).unwrap());
    let counts = store.counts();
    let keys = with_redis(&KeySettings::default(), store);

    let one = format!("gs_{}", Uuid::new_v4());
    stampede(&keys, |_| one.clone()).await;
    assert_eq!(counts.queries(), 1, "one key is asked for once");

    let run = Uuid::new_v4();
    stampede(&keys, |index| format!("gs_{run}_{index}")).await;
    let queries = counts.queries() - 1;
    assert!(queries <= 40, "{queries} queries for 10,000 different keys");

    stampede(&keys, |index| format!("gs_{run}_{index}")).await;
    assert_eq!(counts.queries() - 1, queries, "that they are unknown is remembered");
}

async fn stampede(keys: &KeyDirectory, name: impl Fn(u32) -> String) {
    let look_ups: Vec<_> = (0..10_000)
        .map(|index| {
            let (keys, key) = (keys.clone(), name(index));
            tokio::spawn(async move { reason(&keys, &key).await })
        })
        .collect();
    for look_up in look_ups {
        assert_eq!(look_up.await.unwrap(), Some(Reason::InvalidKey));
    }
}

#[tokio::test]
async fn a_revoked_key_stops_within_the_fresh_time_on_every_edge() {
    let table = KeysTable::connect().await;
    let settings = quick();
    let edges: Vec<KeyDirectory> = (0..2)
        .map(|_| with_redis(&settings, PostgresKeys::connect(&postgres()).unwrap()))
        .collect();
    let key = table.add_key().await;
    // The second edge takes it from Redis, later: that must not make it younger.
    assert_eq!(reason(&edges[0], &key.text).await, None);
    eventually(settings.fresh_for, async || {
        KeysTable::redis_value(&key_hash(&key.text)).await.is_some()
    })
    .await;
    assert_eq!(reason(&edges[1], &key.text).await, None);

    table.set_key(&key, "is_active = $2::text::boolean", "false").await;
    let revoked = Instant::now();
    // A margin for one query on a busy machine, less than a second life in the other edge's memory would take.
    let limit = settings.fresh_for + Duration::from_millis(200);
    for edge in &edges {
        eventually(limit.saturating_sub(revoked.elapsed()), async || {
            reason(edge, &key.text).await == Some(Reason::InvalidKey)
        })
        .await;
    }
}

#[tokio::test]
async fn a_deleted_key_leaves_redis_too_and_a_new_one_works_soon() {
    let table = KeysTable::connect().await;
    let keys = with_redis(&quick(), PostgresKeys::connect(&postgres()).unwrap());
    let key = table.add_key().await;
    assert_eq!(reason(&keys, &key.text).await, None);
    table.delete_key(&key).await;
    eventually(Duration::from_secs(2), async || {
        reason(&keys, &key.text).await == Some(Reason::InvalidKey)
            && KeysTable::redis_value(&key_hash(&key.text)).await.is_none()
    })
    .await;
    table.insert_key(&key).await;
    eventually(Duration::from_secs(2), async || {
        reason(&keys, &key.text).await.is_none()
    })
    .await;
}

#[tokio::test]
async fn a_key_comes_from_redis_and_a_damaged_value_there_is_ignored() {
    let table = KeysTable::connect().await;
    let key = table.add_key().await;
    let hash = key_hash(&key.text);
    KeysTable::damage_redis_value(&hash).await;
    let first = with_redis(&KeySettings::default(), PostgresKeys::connect(&postgres()).unwrap());
    let grant = first.look_up(&key.text).await.unwrap();
    eventually(Duration::from_secs(2), async || {
        KeysTable::redis_value(&hash)
            .await
            .is_some_and(|value| value.starts_with(b"{"))
    })
    .await;

    let store = CountingStore::new(PostgresKeys::connect(&postgres()).unwrap());
    let counts = store.counts();
    let second = with_redis(&KeySettings::default(), store);
    assert_eq!(second.look_up(&key.text).await.unwrap(), grant);
    assert_eq!(counts.queries(), 0, "Redis knew it");
}

#[tokio::test]
async fn while_postgres_is_down_known_keys_go_on_for_the_grace_time_and_others_are_told_to_retry() {
    let table = KeysTable::connect().await;
    let settings = KeySettings {
        grace: Duration::from_secs(3),
        ..quick()
    };
    let store = CountingStore::new(PostgresKeys::connect(&postgres()).unwrap());
    let switch = store.counts();
    let keys = over(&settings, store);
    let key = table.add_key().await;
    assert_eq!(reason(&keys, &key.text).await, None);
    let read = Instant::now();

    switch.fail(true);
    assert_eq!(reason(&keys, "gs_never_seen").await, Some(Reason::KeysUnavailable));
    let refusal = keys.look_up("gs_never_seen").await.unwrap_err();
    assert_eq!(refusal.retry_after_seconds(), Some(1));
    while read.elapsed() < settings.fresh_for * 3 {
        assert_eq!(reason(&keys, &key.text).await, None, "{:?}", read.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        keys.degradation().unwrap().contains("database"),
        "{:?}",
        keys.degradation()
    );
    eventually(settings.grace, async || {
        reason(&keys, &key.text).await == Some(Reason::KeysUnavailable)
    })
    .await;
    assert!(read.elapsed() >= settings.grace, "{:?}", read.elapsed());

    switch.fail(false);
    eventually(Duration::from_secs(3), async || {
        reason(&keys, &key.text).await.is_none()
    })
    .await;
    assert_eq!(reason(&keys, "gs_never_seen").await, Some(Reason::InvalidKey));
    assert_eq!(keys.degradation(), None);
}

#[tokio::test]
async fn a_postgres_that_accepts_and_never_answers_holds_nobody_for_long_and_redis_serves_meanwhile() {
    let table = KeysTable::connect().await;
    let settings = quick();
    let key = table.add_key().await;
    let working = with_redis(&settings, PostgresKeys::connect(&postgres()).unwrap());
    assert_eq!(reason(&working, &key.text).await, None);
    eventually(Duration::from_secs(2), async || {
        KeysTable::redis_value(&key_hash(&key.text)).await.is_some()
    })
    .await;
    // Older than fresh: only the grace time allows it.
    tokio::time::sleep(settings.fresh_for * 2).await;

    let (_silent, dead) = dead_postgres().await;
    let keys = with_redis(&settings, PostgresKeys::connect(&dead).unwrap());
    let begun = Instant::now();
    assert_eq!(reason(&keys, "gs_never_seen").await, Some(Reason::KeysUnavailable));
    assert!(begun.elapsed() < dead.timeout * 3, "{:?}", begun.elapsed());
    let begun = Instant::now();
    for _ in 0..50 {
        assert_eq!(reason(&keys, &key.text).await, None);
        assert_eq!(reason(&keys, "gs_never_seen").await, Some(Reason::KeysUnavailable));
    }
    assert!(
        begun.elapsed() < dead.timeout,
        "nobody waits twice: {:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_stale_key_is_served_soon_when_postgres_stalls() {
    let table = KeysTable::connect().await;
    let settings = quick();
    let store = CountingStore::new(PostgresKeys::connect(&postgres()).unwrap());
    let switch = store.counts();
    let keys = over(&settings, store);
    let key = table.add_key().await;
    assert_eq!(reason(&keys, &key.text).await, None);
    tokio::time::sleep(settings.fresh_for * 2).await;
    switch.stall(Duration::from_secs(2));
    let begun = Instant::now();
    assert_eq!(reason(&keys, &key.text).await, None);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn without_redis_keys_come_from_the_database_and_one_request_waits() {
    let table = KeysTable::connect().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = redis();
    settings.addr = silent.local_addr().unwrap().to_string();
    let cache = RedisKeyCache::connect(&settings, &quick()).unwrap();
    let store = PostgresKeys::connect(&postgres()).unwrap();
    let keys = KeyDirectory::new(&quick(), Arc::new(store), Some(cache));
    for _ in 0..20 {
        let key = table.add_key().await;
        let begun = Instant::now();
        assert_eq!(reason(&keys, &key.text).await, None);
        assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    }
    eventually(Duration::from_secs(3), async || {
        keys.degradation().is_some_and(|detail| detail.contains("redis"))
    })
    .await;
}

#[tokio::test]
async fn uses_are_counted_in_groups() {
    let table = KeysTable::connect().await;
    let store = CountingStore::new(PostgresKeys::connect(&postgres()).unwrap());
    let counts = store.counts();
    let keys = over(&KeySettings::default(), store);
    let used = [table.add_key().await, table.add_key().await];
    let mut expected = BTreeMap::new();
    for index in 0..1_000 {
        let key = &used[usize::from(index % 10 == 0)];
        assert_eq!(reason(&keys, &key.text).await, None);
        *expected.entry(key.id).or_insert(0) += 1;
    }
    counts.fail(true);
    keys.flush_usage().await;
    assert_eq!(table.request_count(&used[0]).await, (0, false));
    counts.fail(false);
    keys.flush_usage().await;
    for key in &used {
        assert_eq!(table.request_count(key).await, (expected[&key.id], true));
    }
    keys.flush_usage().await;
    assert_eq!(counts.usage_writes(), 2, "one that failed and one for both keys");
    assert_eq!(table.request_count(&used[0]).await, (expected[&used[0].id], true));
}

#[tokio::test]
async fn uses_are_written_every_second_until_the_shutdown() {
    let table = KeysTable::connect().await;
    let keys = over(&KeySettings::default(), PostgresKeys::connect(&postgres()).unwrap());
    let key = table.add_key().await;
    assert_eq!(reason(&keys, &key.text).await, None);
    let shutdown = gosight_lifecycle::Shutdown::new();
    let writer = tokio::spawn({
        let (keys, shutdown) = (keys.clone(), shutdown.clone());
        async move { keys.write_usage(shutdown).await }
    });
    eventually(Duration::from_secs(5), async || table.request_count(&key).await.0 == 1).await;
    shutdown.begin();
    tokio::time::timeout(Duration::from_secs(5), writer)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn sqlite_keeps_the_quick_keys() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("keys-{}.db", Uuid::new_v4()));
    let project = Uuid::new_v4().to_string();
    let store = SqliteKeys::open(&path).await.unwrap();
    store.ensure_key(&project, "gs_test_key", "development").await.unwrap();
    store.ensure_key(&project, "gs_test_key", "development").await.unwrap();
    let first = store.find(&key_hash("gs_test_key")).await.unwrap().unwrap();
    drop(store);

    let again = SqliteKeys::open(&path).await.unwrap();
    again.ensure_key(&project, "gs_test_key", "development").await.unwrap();
    assert_eq!(again.find(&key_hash("gs_test_key")).await.unwrap().unwrap(), first);
    let other = Uuid::new_v4().to_string();
    let error = again
        .ensure_key(&other, "gs_test_key", "development")
        .await
        .unwrap_err();
    assert!(error.to_string().contains(&project), "{error}");

    let keys = over(&quick(), again);
    assert_eq!(*keys.look_up("gs_test_key").await.unwrap().project_id, project);
    assert_eq!(reason(&keys, "gs_test_ke").await, Some(Reason::InvalidKey));
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
}

#[tokio::test]
async fn wrong_settings_are_named() {
    let mut settings = postgres();
    settings.dsn = gosight_config::kafka::Secret::new("not a dsn");
    let error = PostgresKeys::connect(&settings).err().unwrap().to_string();
    assert!(error.contains("postgres.dsn"), "{error}");
    let mut settings = redis();
    settings.addr = "nowhere".to_owned();
    let error = RedisKeyCache::connect(&settings, &quick()).err().unwrap().to_string();
    assert!(error.contains("redis.addr \"nowhere\""), "{error}");
}
