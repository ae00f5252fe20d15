//! A real Chromium on a page of ours, whose origin is another than the edge's.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::response::Html;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::clients;
use crate::process::Process;

/// A page reports once or twice.
const REPORTS: usize = 16;

/// Headless, alone, and silent towards anything but the page and what the page speaks to.
pub(crate) const ARGUMENTS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--mute-audio",
];

/// A Chromium that shows a page; it ends with this value.
#[derive(Debug)]
pub struct Browser {
    process: Process,
    reports: mpsc::Receiver<Value>,
    _server: JoinSet<()>,
    _profile: TempDir,
}

impl Browser {
    /// Serves the page at `/` of an origin of its own and opens it with a query string. What the page posts to `/report`, as JSON,
    /// are its reports; `/away` is an empty page to leave for.
    pub async fn open(page: &'static str, query: &str) -> Self {
        let (sender, reports) = mpsc::channel(REPORTS);
        let report = move |Json(value): Json<Value>| {
            let sender = sender.clone();
            async move { sender.send(value).await.expect("the test still runs") }
        };
        let router = Router::new()
            .route("/", get(move || async move { Html(page) }))
            .route("/away", get(|| async { Html("<title>Away</title>") }))
            .route("/report", post(report));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.expect("it serves") });

        let profile = TempDir::new().expect("a temporary directory");
        let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        arguments.push(format!("http://{address}/?{query}"));
        Self {
            process: Process::run(&clients::chromium(), &arguments, &BTreeMap::new()),
            reports,
            _server: server,
            _profile: profile,
        }
    }

    /// Waits for the page's next report.
    ///
    /// # Panics
    /// None comes in time.
    pub async fn report(&mut self, deadline: Duration) -> Value {
        match tokio::time::timeout(deadline, self.reports.recv()).await {
            Ok(report) => report.expect("the server runs"),
            Err(_) => panic!(
                "the page reported nothing within {deadline:?}:\n{}",
                self.process.output()
            ),
        }
    }
}
