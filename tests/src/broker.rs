//! A Kafka of a test's own, of one node or three, which may be paused, killed and started again with its data.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The broker, or three of them; they and their data go with the value.
#[derive(Debug)]
pub struct Broker {
    directory: PathBuf,
    nodes: u32,
    /// `address:port` of each, with commas between them; the same after a restart.
    pub address: String,
}

impl Broker {
    /// Starts one, with its state in `directory`; what an interrupted run has left there is removed first.
    pub async fn start(directory: &Path) -> Self {
        Self::start_nodes(directory, 1).await
    }

    /// Starts one or three of them, with three copies of everything then.
    pub async fn start_nodes(directory: &Path, nodes: u32) -> Self {
        // Made first, so that it is removed also where the start fails.
        let mut broker = Self {
            directory: directory.to_owned(),
            nodes,
            address: String::new(),
        };
        broker.run("stop").await;
        broker.run("start").await;
        let addresses: Vec<String> = (1..=nodes)
            .map(|node| format!("127.0.0.1:{}", broker.file(node, "port")))
            .collect();
        broker.address = addresses.join(",");
        broker
    }

    /// How many nodes there are, numbered from 1 as Kafka knows them.
    pub fn nodes(&self) -> u32 {
        self.nodes
    }

    /// Starts after a kill whatever does not run, on the same address, and waits until it answers.
    pub async fn start_again(&self) {
        self.run("start").await;
    }

    /// Sends its process a signal by name: STOP, CONT or KILL.
    pub fn signal(&self, signal: &str) {
        self.signal_node(1, signal);
    }

    /// The same for one of three.
    pub fn signal_node(&self, node: u32, signal: &str) {
        let id = self.file(node, "pid");
        let status = Command::new("kill")
            .args([&format!("-{signal}"), &id])
            .status()
            .expect("kill exists");
        assert!(status.success(), "kill -{signal} {id}: {status}");
    }

    /// How often a consumer group has shared its partitions anew, as far as the logs of these runs of the nodes tell.
    pub fn rebalances(&self, group: &str) -> u64 {
        let beginning = format!("Stabilized group {group} generation ");
        let generation = |line: &str| {
            let rest = &line[line.find(&beginning)? + beginning.len()..];
            rest.split(' ').next()?.parse::<u64>().ok()
        };
        (1..=self.nodes)
            .filter_map(|node| {
                let text = std::fs::read_to_string(self.node_directory(node).join("log")).ok()?;
                text.lines().filter_map(generation).max()
            })
            .max()
            .unwrap_or_default()
    }

    fn node_directory(&self, node: u32) -> PathBuf {
        let name = if node == 1 {
            "kafka".to_owned()
        } else {
            format!("kafka-{node}")
        };
        self.directory.join(name)
    }

    fn file(&self, node: u32, name: &str) -> String {
        let text = std::fs::read_to_string(self.node_directory(node).join(name)).expect("the script writes it");
        text.trim().to_owned()
    }

    async fn run(&self, verb: &'static str) {
        let mut command = self.services(verb);
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
    fn services(&self, verb: &str) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/services/services.sh");
        let mut command = Command::new("bash");
        command
            .arg(script)
            .arg(verb)
            .env_remove("KAFKA_BROKERS")
            .env("KAFKA_NODES", self.nodes.to_string())
            .env("SERVICES_DIR", &self.directory)
            .env("SERVICES_PORTS", "any")
            .env("SERVICES_BY", "packages")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Also while a failed test unwinds: a second panic would hide the first.
        let _ = self.services("stop").status();
    }
}
