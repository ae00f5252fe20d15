//! The real binaries, and clients of theirs, as child processes that never outlive their test.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command as AsyncCommand};
use tokio::task::JoinSet;

use crate::wait;

/// What an ended process has printed is read by then, unless a child of its own still holds the streams.
const LAST_OUTPUT: Duration = Duration::from_secs(5);

/// Where cargo put a binary of the workspace, beside the running test.
///
/// # Panics
/// It was not built; `make test` builds it first.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("target/PROFILE/deps/TEST");
    let path = profile.join(name);
    assert!(
        path.exists(),
        "{} is missing: build it with `cargo build --workspace --bins`, in the same profile",
        path.display()
    );
    path
}

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Mutex<String>>,
    readers: JoinSet<()>,
}

impl Process {
    /// Starts a binary of ours with exactly these variables beside the few that every program needs.
    pub fn start(name: &str, arguments: &[&str], environment: &BTreeMap<String, String>) -> Self {
        Self::run(&binary(name), arguments, environment)
    }

    /// The same for any program.
    pub fn run<A: AsRef<OsStr>>(program: &Path, arguments: &[A], environment: &BTreeMap<String, String>) -> Self {
        let name = program.display().to_string();
        let mut command = AsyncCommand::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(
                std::env::vars()
                    .filter(|(name, _)| matches!(name.as_str(), "PATH" | "HOME" | "TMPDIR" | "RUST_BACKTRACE")),
            )
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let output = Arc::new(Mutex::new(String::new()));
        let mut readers = JoinSet::new();
        readers.spawn(collect(child.stdout.take().expect("piped"), Arc::clone(&output)));
        readers.spawn(collect(child.stderr.take().expect("piped"), Arc::clone(&output)));
        Self {
            name,
            child,
            output,
            readers,
        }
    }

    /// What it has printed so far, both streams.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Waits for a line that begins with `beginning` (after spaces) and gives the rest of it.
    pub async fn printed(&mut self, beginning: &str, deadline: Duration) -> String {
        let what = format!("{} prints {beginning:?}", self.name);
        wait::until(&what, deadline, || {
            let found = self.output().lines().find_map(|line| {
                let rest = line.trim_start().strip_prefix(beginning)?;
                Some(rest.trim().to_owned())
            });
            if found.is_none()
                && let Ok(Some(status)) = self.child.try_wait()
            {
                panic!("{} ended with {status}:\n{}", self.name, self.output());
            }
            std::future::ready(found)
        })
        .await
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// kill -9
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it runs");
    }

    /// The same, and gives all that it has printed.
    pub async fn killed(mut self) -> String {
        // It may just have ended by itself.
        let _ = self.child.start_kill();
        self.ended(LAST_OUTPUT).await;
        self.output()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal by its name, for example `TERM` or `INT`.
    pub fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        let status = Command::new("kill")
            .args([&format!("-{signal}"), &id])
            .status()
            .expect("kill exists");
        assert!(status.success(), "kill -{signal} {id}: {status}");
    }

    /// Waits until it ends by itself; all that it has printed is then in `output`.
    pub async fn ended(&mut self, deadline: Duration) -> ExitStatus {
        let Ok(status) = tokio::time::timeout(deadline, self.child.wait()).await else {
            panic!("{} did not end within {deadline:?}:\n{}", self.name, self.output());
        };
        let _ = tokio::time::timeout(LAST_OUTPUT, async { while self.readers.join_next().await.is_some() {} }).await;
        status.expect("its status can be read")
    }
}

async fn collect(stream: impl tokio::io::AsyncRead + Unpin, output: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut text = output.lock().unwrap();
        text.push_str(&line);
        text.push('\n');
    }
}
