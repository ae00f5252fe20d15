//! The configuration changes while the edge runs: by file, by link, by signal.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use gosight_config::{EdgeSettings, Source};
use gosight_edge::reload::Reload;
use support::{DEADLINE, Edge, KEY, json_batch};

/// In the library, so that no services are needed: an edge whose file is watched.
async fn watched(path: &Path) -> Edge {
    let source = Source::File(path.to_owned());
    let loaded = EdgeSettings::load(&source, &BTreeMap::new()).unwrap();
    let edge = Edge::start_with(loaded.settings.clone()).await;
    let reload = Reload {
        source,
        environment: BTreeMap::new(),
        live: edge.live.clone(),
        set_log_level: Box::new(|_| Ok(())),
    };
    let latch = edge.readiness.latch("configuration");
    tokio::spawn(reload.run(loaded, latch, edge.shutdown.clone()).unwrap());
    edge
}

async fn status(edge: &Edge) -> u16 {
    edge.post("/v1/events", json_batch(KEY, "s")).await.status
}

/// Asks until the answer is yes; gives the time that it took.
async fn eventually(what: &str, mut question: impl AsyncFnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !question().await {
        assert!(begun.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    begun.elapsed()
}

fn detail(edge: &Edge, name: &str) -> Option<String> {
    let report = edge.readiness.report();
    assert!(
        report
            .components
            .iter()
            .find(|one| one.name == "configuration")
            .unwrap()
            .ready
    );
    report.components.into_iter().find(|one| one.name == name)?.detail
}

#[tokio::test]
async fn a_limit_that_is_lowered_in_the_file_applies_within_seconds_and_a_bad_file_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("edge.yaml");
    std::fs::write(&path, "rate_limit: { requests_per_second: 1000, burst: 1000 }\n").unwrap();
    let edge = watched(&path).await;
    for _ in 0..20 {
        assert_eq!(status(&edge).await, 200);
    }
    std::fs::write(&path, "rate_limit: { requests_per_second: 1, burst: 2 }\n").unwrap();
    let took = eventually("the limit is lower", async || status(&edge).await == 429).await;
    assert!(took < Duration::from_secs(5), "{took:?}");

    std::fs::write(&path, "rate_limit: { requests_per_second: many }\n").unwrap();
    eventually("the bad file is shown", async || {
        detail(&edge, "configuration").is_some_and(|detail| detail.contains("edge.yaml:1"))
    })
    .await;
    for _ in 0..5 {
        status(&edge).await;
    }
    assert_eq!(status(&edge).await, 429, "what was in force stays");

    std::fs::remove_file(&path).unwrap();
    eventually("the missing file is shown", async || {
        detail(&edge, "configuration").is_some_and(|detail| detail.contains("no such file"))
    })
    .await;
    std::fs::write(&path, "rate_limit: { requests_per_second: 1000, burst: 1000 }\n").unwrap();
    eventually("a good file is taken again", async || {
        detail(&edge, "configuration").is_none()
    })
    .await;
    eventually("the limit is higher", async || {
        tokio::time::sleep(Duration::from_millis(20)).await;
        status(&edge).await == 200
    })
    .await;
    edge.stop().await;
}

/// As Kubernetes changes a config map: `edge.yaml` → `..data/edge.yaml`, `..data` → a directory that is replaced.
#[tokio::test]
async fn a_link_that_is_swapped_is_a_change() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for (version, burst) in [("..1", 1_000), ("..2", 2)] {
        std::fs::create_dir(at(version)).unwrap();
        let text = format!("rate_limit: {{ requests_per_second: 1, burst: {burst} }}\n");
        std::fs::write(at(version).join("edge.yaml"), text).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/edge.yaml", at("edge.yaml")).unwrap();
    let edge = watched(&at("edge.yaml")).await;
    for _ in 0..10 {
        assert_eq!(status(&edge).await, 200);
    }
    symlink("..2", at("..data_tmp")).unwrap();
    std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    eventually("the limit is lower", async || status(&edge).await == 429).await;
    edge.stop().await;
}

/// The real binary. It needs no service to start.
struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    fn start(config: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gosight-edge"))
            .arg("--config")
            .arg(config)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    /// The next line that contains all of these.
    fn says(&self, parts: &[&str]) -> String {
        let begun = Instant::now();
        loop {
            let left = DEADLINE.saturating_sub(begun.elapsed());
            let line = self
                .lines
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("never said {parts:?}"));
            if parts.iter().all(|part| line.contains(part)) {
                return line;
            }
        }
    }

    fn hang_up(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn on_sighup_the_binary_reads_its_file_again_names_what_waits_and_refuses_what_is_wrong() {
    const START: &str = "
server: { host: 127.0.0.1, http_port: 0, grpc_port: 0, admin_port: 0 }
kafka: { brokers: 127.0.0.1:1 }
redis: { addr: 127.0.0.1:1 }
postgres: { dsn: postgres://nobody@127.0.0.1:1/none }
log: { format: json, level: info }
";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("edge.yaml");
    std::fs::write(&path, START).unwrap();
    let mut process = Process::start(&path);
    let listening = process.says(&["listening"]);
    let admin = listening
        .split("\"admin\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();

    process.hang_up();
    process.says(&["read again", "\"cause\":\"SIGHUP\"", "\"changed\":\"[]\""]);

    std::fs::write(&path, START.replace("level: info", "level: gosight_edge=loud")).unwrap();
    process.hang_up();
    process.says(&["is refused", "SIGHUP", "log.level"]);

    let changed = START
        .replace("level: info", "level: warn")
        .replace("127.0.0.1:1 }\nredis", "127.0.0.1:2 }\nredis");
    std::fs::write(&path, changed).unwrap();
    process.hang_up();
    let waiting = process.says(&["need a restart"]);
    assert!(
        waiting.contains("kafka.brokers") && !waiting.contains("log.level"),
        "{waiting}"
    );
    assert!(process.child.try_wait().unwrap().is_none(), "it runs");

    let metrics = metrics(&admin);
    for (series, least) in [
        (r#"edge_config_reloads_total{cause="SIGHUP",result="taken"}"#, 2.0),
        (r#"edge_config_reloads_total{cause="SIGHUP",result="refused"}"#, 1.0),
    ] {
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok());
        assert!(
            value.is_some_and(|value| value >= least),
            "{series}: {value:?}\n{metrics}"
        );
    }
    assert!(metrics.contains("edge_config_refused 0"), "{metrics}");
}

fn metrics(admin: &str) -> String {
    let mut stream = std::net::TcpStream::connect(admin).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}
