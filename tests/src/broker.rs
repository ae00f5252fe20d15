//! A Kafka of a test's own, which may be paused, killed and started again with its data.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The broker; it and its data go with the value.
#[derive(Debug)]
pub struct Broker {
    directory: PathBuf,
    /// `address:port`, the same after a restart.
    pub address: String,
}

impl Broker {
    /// Starts it, with its state in `directory`; what an interrupted run has left there is removed first.
    pub async fn start(directory: &Path) -> Self {
        run(directory, "stop").await;
        // Made first, so that it is removed also where the start fails.
        let mut broker = Self {
            directory: directory.to_owned(),
            address: String::new(),
        };
        run(directory, "start").await;
        let port = std::fs::read_to_string(directory.join("kafka/port")).expect("the script writes it");
        broker.address = format!("127.0.0.1:{}", port.trim());
        broker
    }

    /// Starts it after a kill, on the same address, and waits until it answers.
    pub async fn start_again(&self) {
        run(&self.directory, "start").await;
    }

    /// Sends its process a signal by name: STOP, CONT or KILL.
    pub fn signal(&self, signal: &str) {
        let id = std::fs::read_to_string(self.directory.join("kafka/pid")).expect("the script writes it");
        let status = Command::new("kill")
            .args([&format!("-{signal}"), id.trim()])
            .status()
            .expect("kill exists");
        assert!(status.success(), "kill -{signal} {id}: {status}");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Also while a failed test unwinds: a second panic would hide the first.
        let _ = services(&self.directory, "stop").status();
    }
}

async fn run(directory: &Path, verb: &'static str) {
    let mut command = services(directory, verb);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("it does not panic")
        .expect("bash exists");
    assert!(
        output.status.success(),
        "services.sh {verb}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The script starts what the environment does not name: here Kafka alone.
fn services(directory: &Path, verb: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/services/services.sh");
    let mut command = Command::new("bash");
    command
        .arg(script)
        .arg(verb)
        .env_remove("KAFKA_BROKERS")
        .env("SERVICES_DIR", directory)
        .env("SERVICES_PORTS", "any")
        .env("SERVICES_BY", "packages")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}
