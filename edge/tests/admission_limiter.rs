//! Rate limits on a real Redis; its address comes from REDIS_ADDR.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod admission;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use admission::keys_table::redis_connection;
use admission::{eventually, redis};
use gosight_config::edge::RateLimitSettings;
use gosight_edge::Reason;
use gosight_edge::admission::{Limiter, LocalLimiter, RedisLimiter};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

const RUN: Duration = Duration::from_secs(3);
/// What is promised for two edges is promised for so long.
const LONG_RUN: Duration = Duration::from_secs(30);

/// Counts what was admitted.
#[derive(Default)]
struct Admitted {
    requests: AtomicU64,
    events: AtomicU64,
}

/// Offers a request of `events` events at every interval, for the time of a run.
async fn offer(limiter: &dyn Limiter, project: &str, events: u32, every: Duration, run: Duration, admitted: &Admitted) {
    let begun = Instant::now();
    let mut sent: u32 = 0;
    // A limiter that stalls must fail the test, not hold it.
    let give_up = run * 3;
    while begun.elapsed() < run {
        // Catching up where the machine was busy: the offer stays what it should be.
        while every * sent <= begun.elapsed().min(run) {
            assert!(begun.elapsed() < give_up, "{sent} requests took {:?}", begun.elapsed());
            sent += 1;
            if limiter.admit(project, events).await.is_ok() {
                admitted.requests.fetch_add(1, Ordering::Relaxed);
                admitted.events.fetch_add(u64::from(events), Ordering::Relaxed);
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Two edges, each offered the whole rate; what they admitted together, and the time that it took.
async fn two_edges(settings: &RateLimitSettings, events: u32, every: Duration) -> (Admitted, f64) {
    let edges = [
        RedisLimiter::connect(&redis(), settings).unwrap(),
        RedisLimiter::connect(&redis(), settings).unwrap(),
    ];
    let project = Uuid::new_v4().to_string();
    let admitted = Admitted::default();
    let begun = Instant::now();
    tokio::join!(
        offer(&edges[0], &project, events, every, LONG_RUN, &admitted),
        offer(&edges[1], &project, events, every, LONG_RUN, &admitted),
    );
    let seconds = begun.elapsed().as_secs_f64();
    assert!(edges.iter().all(|edge| edge.degradation().is_none()));
    (admitted, seconds)
}

fn assert_within(admitted: u64, rate: u32, burst: u32, seconds: f64, run: Duration) {
    let (admitted, rate, burst) = (admitted as f64, f64::from(rate), f64::from(burst));
    let most = rate * seconds + burst + 2.0 * 0.1 * rate;
    let least = 0.95 * (rate * run.as_secs_f64() + burst);
    assert!(admitted <= most, "{admitted} of at most {most}");
    assert!(admitted >= least, "{admitted} of at least {least}");
}

#[tokio::test]
async fn two_edges_share_the_requests_of_a_project() {
    let settings = RateLimitSettings {
        requests_per_second: 1_000,
        burst: 500,
        ..RateLimitSettings::default()
    };
    let (admitted, seconds) = two_edges(&settings, 1, Duration::from_millis(1)).await;
    assert_within(admitted.requests.load(Ordering::Relaxed), 1_000, 500, seconds, LONG_RUN);
}

#[tokio::test]
async fn two_edges_share_the_events_of_a_project() {
    let settings = RateLimitSettings {
        events_per_second: 5_000,
        events_burst: 2_000,
        ..RateLimitSettings::default()
    };
    let (admitted, seconds) = two_edges(&settings, 10, Duration::from_millis(2)).await;
    assert_within(admitted.events.load(Ordering::Relaxed), 5_000, 2_000, seconds, LONG_RUN);
}

#[tokio::test]
async fn a_batch_as_large_as_the_burst_is_admitted_and_the_refusal_after_it_says_when() {
    let settings = RateLimitSettings {
        requests_per_second: 100,
        burst: 100,
        events_per_second: 1_000,
        events_burst: 1_000,
        ..RateLimitSettings::default()
    };
    let limiter = RedisLimiter::connect(&redis(), &settings).unwrap();
    let project = Uuid::new_v4().to_string();
    assert_eq!(limiter.admit(&project, 1_000).await, Ok(()));
    let refusal = limiter.admit(&project, 300).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::RateLimited);
    let wait = refusal.retry_after().unwrap();
    assert!((200..=400).contains(&wait.as_millis()), "{wait:?}");
    tokio::time::sleep(wait).await;
    assert_eq!(limiter.admit(&project, 300).await, Ok(()));
    assert_eq!(
        limiter.admit(&Uuid::new_v4().to_string(), 1_000).await,
        Ok(()),
        "another project"
    );
}

#[tokio::test]
async fn the_state_in_redis_ends_by_itself_and_damage_begins_anew() {
    let settings = RateLimitSettings::default();
    let mut redis_side = redis_connection().await;
    for damage in [
        &["SET", "", "no hash"][..],
        &["HSET", "", "requests", "many", "at", "nan", "events", "-5"][..],
    ] {
        let project = Uuid::new_v4().to_string();
        let name = format!("gosight:limit:v2:{project}");
        let mut command = redis::cmd(damage[0]);
        command.arg(&name).arg(&damage[2..]);
        command.query_async::<redis::Value>(&mut redis_side).await.unwrap();
        let limiter = RedisLimiter::connect(&redis(), &settings).unwrap();
        assert_eq!(limiter.admit(&project, 0).await, Ok(()), "{damage:?}");
        assert_eq!(limiter.degradation(), None, "{damage:?}");
        let left: i64 = redis::cmd("PTTL")
            .arg(&name)
            .query_async(&mut redis_side)
            .await
            .unwrap();
        assert!((1..=3_000).contains(&left), "{left} ms");
    }
}

#[tokio::test]
async fn the_bucket_is_on_redis_and_outlives_an_edge() {
    let settings = RateLimitSettings {
        events_per_second: 1,
        events_burst: 1_000,
        ..RateLimitSettings::default()
    };
    let project = Uuid::new_v4().to_string();
    let first = RedisLimiter::connect(&redis(), &settings).unwrap();
    assert_eq!(first.admit(&project, 900).await, Ok(()));
    let second = RedisLimiter::connect(&redis(), &settings).unwrap();
    let refusal = second.admit(&project, 200).await.unwrap_err();
    assert!(refusal.retry_after().unwrap() > Duration::from_secs(90), "{refusal:?}");
}

#[tokio::test]
async fn a_redis_that_never_answers_stalls_nobody_and_the_limit_holds_in_process() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut address = redis();
    address.addr = silent.local_addr().unwrap().to_string();
    address.timeout = Duration::from_millis(50);
    let settings = RateLimitSettings {
        requests_per_second: 1_000,
        burst: 100,
        ..RateLimitSettings::default()
    };
    let limiter = RedisLimiter::connect(&address, &settings).unwrap();
    let project = Uuid::new_v4().to_string();
    let admitted = Admitted::default();
    let begun = Instant::now();
    offer(&limiter, &project, 1, Duration::from_micros(500), RUN, &admitted).await;
    assert_within(
        admitted.requests.load(Ordering::Relaxed),
        1_000,
        100,
        begun.elapsed().as_secs_f64(),
        RUN,
    );
    assert!(limiter.degradation().unwrap().contains("redis"));

    let begun = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(limiter.admit(&Uuid::new_v4().to_string(), 1).await, Ok(()));
    }
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_redis_that_goes_and_comes_back_is_used_again() {
    let proxy = Proxy::start().await;
    let mut address = redis();
    address.addr = proxy.address.clone();
    let settings = RateLimitSettings::default();
    let limiter = RedisLimiter::connect(&address, &settings).unwrap();
    let admit_new = async || limiter.admit(&Uuid::new_v4().to_string(), 1).await;
    assert_eq!(admit_new().await, Ok(()));
    assert_eq!(limiter.degradation(), None);

    proxy.cut();
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(admit_new().await, Ok(()));
    }
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    assert!(limiter.degradation().is_some());

    proxy.mend();
    eventually(Duration::from_secs(5), async || limiter.degradation().is_none()).await;
    let project = Uuid::new_v4().to_string();
    assert_eq!(limiter.admit(&project, 1).await, Ok(()));
    let known: bool = redis::cmd("EXISTS")
        .arg(format!("gosight:limit:v2:{project}"))
        .query_async(&mut redis_connection().await)
        .await
        .unwrap();
    assert!(known, "the bucket is in Redis again");
}

#[tokio::test]
async fn in_process_the_bound_is_the_rate_and_one_burst() {
    let settings = RateLimitSettings {
        requests_per_second: 1_000,
        burst: 100,
        ..RateLimitSettings::default()
    };
    let limiter = LocalLimiter::new(&settings);
    let admitted = Admitted::default();
    let begun = Instant::now();
    offer(&limiter, "project", 1, Duration::from_micros(500), RUN, &admitted).await;
    assert_within(
        admitted.requests.load(Ordering::Relaxed),
        1_000,
        100,
        begun.elapsed().as_secs_f64(),
        RUN,
    );
}

/// Stands between an edge and Redis, and can be cut like a network.
struct Proxy {
    address: String,
    is_open: Arc<tokio::sync::watch::Sender<bool>>,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let is_open = Arc::new(tokio::sync::watch::Sender::new(true));
        let open = Arc::clone(&is_open);
        tokio::spawn(async move {
            while let Ok((mut inside, _)) = listener.accept().await {
                let mut changes = open.subscribe();
                if !*changes.borrow() {
                    continue;
                }
                tokio::spawn(async move {
                    let mut outside = TcpStream::connect(redis().addr).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut inside, &mut outside) => {}
                        _ = changes.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Self { address, is_open }
    }

    fn cut(&self) {
        self.is_open.send_replace(false);
    }

    fn mend(&self) {
        self.is_open.send_replace(true);
    }
}

#[tokio::test]
async fn two_edges_share_the_bucket_of_a_key_and_what_its_project_refuses_comes_back() {
    let settings = RateLimitSettings::default();
    let edges = [
        RedisLimiter::connect(&redis(), &settings).unwrap(),
        RedisLimiter::connect(&redis(), &settings).unwrap(),
    ];
    let key = Uuid::new_v4().to_string();
    let begun = Instant::now();
    let mut admitted = 0_u64;
    for turn in 0..200 {
        if edges[turn % 2].admit_key(&key, 60).await.is_ok() {
            admitted += 1;
        }
    }
    let most = 60 + begun.elapsed().as_secs() + 1;
    assert!((60..=most).contains(&admitted), "{admitted} of {most}");
    let refusal = edges[0].admit_key(&key, 60).await.unwrap_err();
    assert!(refusal.retry_after().unwrap() <= Duration::from_secs(2), "{refusal:?}");
    edges[0].give_back(&key, 60);
    assert_eq!(edges[0].admit_key(&key, 60).await, Ok(()));
}
