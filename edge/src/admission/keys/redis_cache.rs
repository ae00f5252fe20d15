//! Redis in front of the database, shared by all edges. Only keys that exist stand there: unknown ones are as many as strangers like.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gosight_config::edge::{KeySettings, RedisSettings};
use gosight_schemas::PrivacyRules;
use redis::{FromRedisValue, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::hash::KeyHash;
use super::memory::Reading;
use super::store::{KeyStoreError, StoredKey};
use crate::admission::Grant;
use crate::admission::redis_link::RedisLink;
use crate::new_id::unix_ms;

/// Redis in front of the database.
pub struct RedisKeyCache {
    link: RedisLink,
    ttl: Duration,
}

/// The value under `gosight:key:v2:<hash>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct CachedKey {
    /// When the database was asked (Unix ms, by the clock of the edge that asked).
    read_at_ms: i64,
    /// How long the value lives from its writing (ms): with what is left of it, a second clock that all edges share.
    ttl_ms: i64,
    project_id: Uuid,
    key_id: Uuid,
    anonymize_ip: bool,
    is_active: bool,
    permits_ingest: bool,
    expires_at_ms: Option<i64>,
    requests_per_minute: Option<u32>,
}

impl RedisKeyCache {
    /// Connects when the first key is looked up.
    ///
    /// # Errors
    /// `redis.addr` is no address.
    pub fn connect(settings: &RedisSettings, keys: &KeySettings) -> Result<Self, KeyStoreError> {
        Ok(Self {
            link: RedisLink::new(settings, "keys")?,
            ttl: keys.redis_ttl,
        })
    }

    pub(super) fn is_well(&self) -> bool {
        self.link.is_well()
    }

    /// What stands there, in the order of the hashes; nothing where Redis does not answer or a value does not read.
    pub(super) async fn read(&self, hashes: &[KeyHash]) -> Vec<Option<Reading>> {
        let names: Vec<String> = hashes.iter().map(name).collect();
        let mut pipe = redis::pipe();
        pipe.cmd("MGET").arg(&names);
        for name in &names {
            pipe.cmd("PTTL").arg(name);
        }
        let answer: Result<Vec<Value>, _> = self
            .link
            .run(self.link.deadline(), async |mut connection| {
                pipe.query_async(&mut connection).await
            })
            .await;
        let mut readings = answer.map(readings).unwrap_or_default();
        readings.resize(hashes.len(), None);
        readings
    }

    /// Keeps what the database said (`None`: there is no such key, any more).
    pub(super) async fn write(&self, keys: &[(KeyHash, Option<Arc<StoredKey>>)], read_at_ms: i64) {
        let ttl_ms = i64::try_from(self.ttl.as_millis()).unwrap_or(i64::MAX);
        if keys.is_empty() || ttl_ms == 0 {
            return;
        }
        let mut pipe = redis::pipe();
        for (hash, key) in keys {
            let value = key.as_deref().and_then(|key| encode(key, read_at_ms, ttl_ms));
            match value {
                Some(value) => pipe
                    .cmd("SET")
                    .arg(name(hash))
                    .arg(value)
                    .arg("PX")
                    .arg(ttl_ms)
                    .ignore(),
                None => pipe.cmd("DEL").arg(name(hash)).ignore(),
            };
        }
        // A failure is counted by the link; the next look-up asks the database.
        let _ = self
            .link
            .run(self.link.deadline(), async |mut connection| {
                pipe.query_async::<()>(&mut connection).await
            })
            .await;
    }
}

fn name(hash: &KeyHash) -> String {
    format!("gosight:key:v2:{hash}")
}

/// The answers to one MGET and a PTTL per key.
fn readings(answers: Vec<Value>) -> Vec<Option<Reading>> {
    let mut answers = answers.into_iter();
    let values = answers
        .next()
        .and_then(|value| Vec::<Option<Vec<u8>>>::from_redis_value(value).ok());
    let (now, now_ms) = (Instant::now(), unix_ms());
    values
        .unwrap_or_default()
        .into_iter()
        .zip(answers)
        .map(|(value, left)| {
            let cached: CachedKey = serde_json::from_slice(&value?).ok()?;
            let left_ms = i64::from_redis_value(left).ok()?;
            let read_at = now.checked_sub(cached.age(now_ms, left_ms))?;
            Some(Reading {
                key: Arc::new(cached.into_key()),
                read_at,
            })
        })
        .collect()
}

fn encode(key: &StoredKey, read_at_ms: i64, ttl_ms: i64) -> Option<Vec<u8>> {
    let cached = CachedKey {
        read_at_ms,
        ttl_ms,
        project_id: key.grant.project_id.parse().ok()?,
        key_id: key.grant.key_id.parse().ok()?,
        anonymize_ip: key.grant.privacy.anonymize_ip,
        is_active: key.is_active,
        permits_ingest: key.permits_ingest,
        expires_at_ms: key.expires_at_ms,
        requests_per_minute: key.grant.requests_per_minute,
    };
    serde_json::to_vec(&cached).ok()
}

impl CachedKey {
    /// How long ago the database was asked. Two clocks say so, and the older answer counts: the wall clocks of two edges may
    /// differ, and what is left of the value's life in Redis (ms) does not know how long the value was on its way there.
    fn age(&self, now_ms: i64, left_ms: i64) -> Duration {
        let by_wall_clock = now_ms.saturating_sub(self.read_at_ms);
        let by_redis = self.ttl_ms.saturating_sub(left_ms.max(0));
        let age_ms = by_wall_clock.max(by_redis).max(0);
        Duration::from_millis(age_ms.unsigned_abs())
    }

    fn into_key(self) -> StoredKey {
        StoredKey {
            grant: Grant {
                project_id: self.project_id.to_string().into(),
                key_id: self.key_id.to_string().into(),
                privacy: PrivacyRules {
                    anonymize_ip: self.anonymize_ip,
                },
                requests_per_minute: self.requests_per_minute,
            },
            is_active: self.is_active,
            permits_ingest: self.permits_ingest,
            expires_at_ms: self.expires_at_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use redis::Value;

    use super::super::store::tests::valid_key;
    use super::{CachedKey, encode, readings};
    use crate::new_id::unix_ms;

    const TTL: i64 = 300_000;

    #[test]
    fn a_key_comes_back_as_it_was_written_with_its_age() {
        let value = encode(&valid_key(), unix_ms() - 10_000, TTL).unwrap();
        let answers = vec![Value::Array(vec![Value::BulkString(value)]), Value::Int(TTL - 9_900)];
        let found = readings(answers);
        let reading = found[0].as_ref().unwrap();
        assert_eq!(*reading.key, valid_key());
        let age = Instant::now() - reading.read_at;
        assert!((10_000..11_000).contains(&age.as_millis()), "{age:?}");
    }

    #[test]
    fn a_clock_ahead_does_not_make_an_answer_younger_than_redis_knows() {
        let value = encode(&valid_key(), 900_000, TTL).unwrap();
        let cached: CachedKey = serde_json::from_slice(&value).unwrap();
        let age = |now_ms, left_ms| cached.age(now_ms, left_ms).as_secs();
        assert_eq!(age(900_000, TTL), 0);
        assert_eq!(age(910_000, TTL - 9_000), 10);
        assert_eq!(age(700_000, TTL - 40_000), 40, "read by a clock 200 s ahead");
        assert_eq!(age(900_000, -1), 300, "no expiry: as old as can be");
    }

    #[test]
    fn damaged_values_are_ignored_one_by_one() {
        let good = encode(&valid_key(), unix_ms(), TTL).unwrap();
        let mut cut = good.clone();
        cut.truncate(20);
        let no_uuid = String::from_utf8(good.clone()).unwrap().replace("b0000000", "x");
        let values = [
            Value::BulkString(cut),
            Value::Nil,
            Value::BulkString(no_uuid.into()),
            Value::BulkString(vec![0xff; 100]),
            Value::BulkString(good),
        ];
        let mut answers = vec![Value::Array(values.to_vec())];
        answers.extend(vec![Value::Int(TTL); values.len()]);
        let found: Vec<bool> = readings(answers).iter().map(Option::is_some).collect();
        assert_eq!(found, [false, false, false, false, true]);
        assert!(readings(vec![Value::Int(1)]).is_empty());
    }
}
