//! A running `gosight dev`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::process::Process;

const START: Duration = Duration::from_secs(30);

/// `gosight dev` on free ports.
#[derive(Debug)]
pub struct Dev {
    /// The process.
    pub process: Process,
    /// `http://address:port`
    pub http: String,
    /// `address:port`
    pub grpc: String,
    /// `http://address:port`
    pub admin: String,
    /// `http://address:port`
    pub console: String,
}

/// The token of its console.
pub const CONSOLE_TOKEN: &str = "a-token-for-tests";

impl Dev {
    /// Starts it on a data directory and waits until it says that it runs.
    pub async fn start(data: &Path) -> Self {
        Self::start_with(data, &[]).await
    }

    /// The same with more arguments.
    pub async fn start_with(data: &Path, more: &[&str]) -> Self {
        let data = data.to_str().expect("a UTF-8 path");
        let mut arguments = vec![
            "dev",
            "--data",
            data,
            "--http-port",
            "0",
            "--grpc-port",
            "0",
            "--admin-port",
            "0",
            "--console-port",
            "0",
            "--console-token",
            CONSOLE_TOKEN,
        ];
        arguments.extend_from_slice(more);
        let mut process = Process::start("gosight", &arguments, &BTreeMap::new());
        let http = process.printed("HTTP, gRPC-Web", START).await;
        let grpc = process.printed("gRPC ", START).await;
        let console = process.printed("console", START).await;
        let console = console.split(' ').next().expect("an address").to_owned();
        let admin = process.printed("admin", START).await;
        let admin = admin.split("/ready").next().expect("an address").to_owned();
        let dev = Self {
            process,
            http,
            grpc,
            admin,
            console,
        };
        dev.ready().await;
        dev
    }

    async fn ready(&self) {
        let url = format!("{}/ready", self.http);
        crate::wait::until("gosight dev is ready", START, || async {
            let response = reqwest::get(&url).await.ok()?;
            response.status().is_success().then_some(())
        })
        .await;
    }
}
