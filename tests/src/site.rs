//! A running pipeline on either engine, with what an operator needs to look at it: for tests of `gosight`'s commands that hold on both.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gosight_eventlog::EventLog;
use gosight_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
use gosight_schemas::topics;
use serde_json::Value;
use tempfile::TempDir;

use crate::dev::Dev;
use crate::process::{Process, binary};
use crate::stack::{Edge, Stack};
use crate::wait;

const STOP: Duration = Duration::from_secs(30);
const COMMAND: Duration = Duration::from_secs(60);

/// The key and the project of every `gosight dev`.
const DEV_KEY: &str = "gs_test_key";
const DEV_PROJECT: &str = "b0000000-0000-0000-0000-000000000001";

/// Edge and enricher on one engine.
#[derive(Debug)]
pub struct Site {
    /// `http://address:port` of the edge.
    pub http: String,
    /// A key of `project`.
    pub key: String,
    /// The project.
    pub project: String,
    /// The enricher's consumer group.
    pub group: String,
    /// Names of the topics.
    pub staging: String,
    /// Enriched events.
    pub raw: String,
    /// Rejects.
    pub errors: String,
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    Embedded {
        data: TempDir,
        dev: Option<Box<Dev>>,
    },
    Kafka {
        stack: Box<Stack>,
        edge: Option<Box<Edge>>,
        enricher: Option<Box<Process>>,
    },
}

/// What a command answered.
#[derive(Debug)]
pub struct Answer {
    /// Its exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Site {
    /// `gosight dev`.
    pub async fn embedded(more: &[&str]) -> Self {
        let data = TempDir::new().expect("a temporary directory");
        let dev = Dev::start_with(data.path(), more).await;
        Self {
            http: dev.http.clone(),
            key: DEV_KEY.to_owned(),
            project: DEV_PROJECT.to_owned(),
            group: "gosight-enricher".to_owned(),
            staging: topics::STAGING.to_owned(),
            raw: topics::RAW.to_owned(),
            errors: topics::ERRORS.to_owned(),
            engine: Engine::Embedded {
                data,
                dev: Some(Box::new(dev)),
            },
        }
    }

    /// An edge and an enricher on Kafka, with that GeoIP file or none.
    pub async fn kafka(geoip: &str) -> Self {
        let stack = Stack::new().await;
        let variables = [("INSTANCE_ID", "only"), ("GEOIP_DATABASE", geoip)];
        let (edge, (enricher, _)) = tokio::join!(stack.edge(), stack.enricher_with(&variables));
        Self {
            http: edge.http.clone(),
            key: stack.key.clone(),
            project: stack.project.clone(),
            group: stack.group(),
            staging: stack.topic("staging"),
            raw: stack.topic("raw"),
            errors: stack.topic("errors"),
            engine: Engine::Kafka {
                stack: Box::new(stack),
                edge: Some(Box::new(edge)),
                enricher: Some(Box::new(enricher)),
            },
        }
    }

    /// Sends a batch and waits for its ack; gives its receipt.
    pub async fn send(&self, body: &Value) -> String {
        let url = format!("{}/v1/events", self.http);
        let response = reqwest::Client::new().post(url).json(body).send().await;
        let response = response.expect("the edge answers");
        assert_eq!(response.status(), 200, "{body}");
        let receipt = response.headers().get("x-gosight-receipt").expect("a receipt");
        receipt.to_str().expect("text").to_owned()
    }

    /// Waits until the enricher has consumed everything that is staged now.
    pub async fn consumed(&self) {
        let log = self.log().await;
        let ends = log.bounds(&self.staging).await.expect("bounds");
        wait::until("everything staged is consumed", STOP, || async {
            let committed = log.committed(&self.group, &self.staging).await.ok()?;
            let is_consumed = ends
                .iter()
                .all(|bound| bound.end == bound.earliest || committed.contains(&(bound.partition, bound.end)));
            is_consumed.then_some(())
        })
        .await;
    }

    /// Ends edge and enricher in order.
    pub async fn stop(&mut self) {
        let mut processes: Vec<Process> = match &mut self.engine {
            Engine::Embedded { dev, .. } => dev.take().map(|dev| dev.process).into_iter().collect(),
            Engine::Kafka { edge, enricher, .. } => {
                let edge = edge.take().map(|edge| edge.process);
                edge.into_iter()
                    .chain(enricher.take().map(|process| *process))
                    .collect()
            }
        };
        for process in &mut processes {
            process.signal("TERM");
        }
        for process in &mut processes {
            let status = process.ended(STOP).await;
            assert!(status.success(), "{status}: {}", process.output());
        }
    }

    /// The log; write to it only after [`Site::stop`].
    pub async fn log(&self) -> Arc<dyn EventLog> {
        match &self.engine {
            Engine::Kafka { stack, .. } => stack.log(),
            Engine::Embedded { data, .. } => EmbeddedLog::open(data.path(), EmbeddedOptions::default())
                .await
                .expect("the log opens"),
        }
    }

    /// Runs `gosight COMMAND… OPTIONS…` on this site's log to its end.
    pub async fn gosight(&self, arguments: &[&str]) -> Answer {
        let mut command = tokio::process::Command::new(binary("gosight"));
        command
            .args(self.arguments(arguments))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.environment())
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        let ended = tokio::time::timeout(COMMAND, command.output()).await;
        let output = ended
            .unwrap_or_else(|_| panic!("gosight {arguments:?} did not end within {COMMAND:?}"))
            .expect("gosight starts");
        Answer {
            code: output.status.code().expect("it ended by itself"),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Starts the same and waits for nothing.
    pub fn start_gosight(&self, arguments: &[&str]) -> Process {
        Process::start("gosight", &self.arguments(arguments), &self.environment())
    }

    fn arguments<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let mut all = arguments.to_vec();
        if let Engine::Embedded { data, .. } = &self.engine {
            all.extend(["--data", data.path().to_str().expect("UTF-8")]);
        }
        all
    }

    fn environment(&self) -> BTreeMap<String, String> {
        match &self.engine {
            Engine::Embedded { .. } => BTreeMap::new(),
            Engine::Kafka { stack, .. } => stack.environment("edge", &[]),
        }
    }

    /// `--enricher-config FILE` where the enricher has settings of its own.
    pub fn enricher_config(&self) -> Vec<String> {
        match &self.engine {
            Engine::Embedded { .. } => Vec::new(),
            Engine::Kafka { stack, .. } => {
                let file = stack.configuration("enricher");
                vec!["--enricher-config".to_owned(), file.to_str().expect("UTF-8").to_owned()]
            }
        }
    }
}

impl Answer {
    /// The one JSON object that it printed.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
