//! A test's child process: the same binary, running the same test, which finds by the environment that it is the child.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::bench::{Bench, PATIENCE};

/// Where the child's embedded log stands; says by itself that this process is a child.
pub(crate) const DIRECTORY: &str = "GOSIGHT_TEST_CHILD_DIRECTORY";
/// What the parent has told its child: `name=value` lines.
const TOLD: &str = "GOSIGHT_TEST_CHILD_TOLD";
/// Begins each line from a child to its parent; libtest writes lines of its own.
const MARK: char = '\u{1}';

/// What the parent told this process, if this is a child.
pub(crate) fn told() -> Option<HashMap<String, String>> {
    let told = std::env::var(TOLD).ok()?;
    let pairs = told.lines().filter_map(|line| line.split_once('='));
    Some(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Tells the parent a line.
pub(crate) fn tell(line: &str) {
    // One write, so that a kill can't leave half a line that reads like a whole one.
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{MARK}{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// A child that is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Process {
    pub(crate) fn start(bench: &Bench, tell: &[(&str, &str)]) -> Self {
        let told: Vec<String> = tell.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", bench.test, "--nocapture"])
            .env(DIRECTORY, bench.directory())
            .env(TOLD, told.join("\n"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in out.lines() {
                let Ok(line) = line else { return };
                if let Some((_, told)) = line.split_once(MARK)
                    && sender.send(told.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line that the child tells.
    pub(crate) async fn line(&self) -> String {
        tokio::task::block_in_place(|| self.lines.recv_timeout(PATIENCE))
            .unwrap_or_else(|error| panic!("the child process told nothing: {error}"))
    }

    /// Ends it by SIGKILL; gives the lines that it had told before.
    pub(crate) fn kill_9(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        // The pipe is at its end now, so the thread ends too.
        let mut lines = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(10)) {
            lines.push(line);
        }
        lines
    }

    /// Sends a signal: `STOP` or `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success(), "SIG{name} was not sent");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
