//! A real Chromium that a test drives by the DevTools protocol, over a pipe: a page is opened, scripts run in it as a person would
//! type them into its console, keys are pressed.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::browser::ARGUMENTS;
use crate::clients;

/// How long any one command may take, a script that waits for something included.
const DEADLINE: Duration = Duration::from_secs(60);

/// A tab; the browser ends with this value.
#[derive(Debug)]
pub struct Tab {
    _child: Child,
    _profile: TempDir,
    commands: ChildStdin,
    messages: BufReader<ChildStdout>,
    session: Option<String>,
    last_id: u64,
    complaints: Vec<String>,
}

impl Tab {
    /// Starts a browser with an empty tab.
    ///
    /// # Panics
    /// Chromium does not start, or does not speak the protocol.
    pub async fn new() -> Self {
        let profile = TempDir::new().expect("a temporary directory");
        // Chromium reads commands from descriptor 3 and writes messages to 4.
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#)
            .arg(clients::chromium())
            .args(ARGUMENTS)
            .arg("--remote-debugging-pipe")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .envs(BTreeMap::from([("LANG", "C.UTF-8")]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("sh starts");
        let commands = child.stdin.take().expect("piped");
        let messages = BufReader::new(child.stdout.take().expect("piped"));
        let mut tab = Self {
            _child: child,
            _profile: profile,
            commands,
            messages,
            session: None,
            last_id: 0,
            complaints: Vec::new(),
        };
        let target = tab.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = tab.call("Target.attachToTarget", attach).await;
        tab.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            tab.call(&format!("{domain}.enable"), json!({})).await;
        }
        tab
    }

    /// Opens an address.
    pub async fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", json!({ "url": url })).await;
        assert_eq!(opened["errorText"], Value::Null, "{url}: {opened}");
    }

    /// Makes the window so large, in CSS pixels.
    pub async fn resize(&mut self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Presses a key by its name, such as `Tab` or `Enter`.
    pub async fn press(&mut self, key: &str) {
        let text = if key == "Enter" { "\r" } else { "" };
        let code = if key == "Enter" { 13 } else { 9 };
        for (kind, text) in [("keyDown", text), ("keyUp", "")] {
            let event = json!({ "type": kind, "key": key, "code": key, "text": text, "windowsVirtualKeyCode": code });
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Runs the body of an async function in the page and gives what it returns. `until(look)` waits in it for a value that is true, and
    /// `$` is `document.querySelector`.
    ///
    /// # Panics
    /// It throws, or what it waits for does not come.
    pub async fn run(&mut self, body: &str) -> Value {
        let expression = format!(
            "(async () => {{
               const $ = (selector) => document.querySelector(selector)
               const until = async (look) => {{
                 for (const end = Date.now() + 30000; ;) {{
                   const found = look()
                   if (found) return found
                   if (Date.now() > end) throw new Error(`it never came: ${{look}}; ${{document.body.innerText}}`)
                   await new Promise((resolve) => {{ setTimeout(resolve, 20) }})
                 }}
               }}
               {body}
             }})()"
        );
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", asked).await;
        let exception = &answer["exceptionDetails"];
        assert!(
            exception.is_null(),
            "{}\nin {body}",
            exception["exception"]["description"]
        );
        answer["result"]["value"].clone()
    }

    /// What the browser has complained of so far: exceptions, and what a policy forbade.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut command = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).await.expect("Chromium runs");
        let answer = async {
            loop {
                let message = self.message().await;
                if message["id"] == id {
                    assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                    return message["result"].clone();
                }
                self.note(&message);
            }
        };
        tokio::time::timeout(DEADLINE, answer)
            .await
            .unwrap_or_else(|_| panic!("{method} was not answered within {DEADLINE:?}"))
    }

    async fn message(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.messages.read_until(0, &mut bytes).await.expect("Chromium runs");
        bytes.pop();
        serde_json::from_slice(&bytes).expect("Chromium has ended, or speaks no JSON")
    }

    fn note(&mut self, message: &Value) {
        let parameters = &message["params"];
        match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.complaints.push(parameters["exceptionDetails"].to_string()),
            Some("Log.entryAdded") if parameters["entry"]["level"] == "error" => {
                self.complaints.push(parameters["entry"].to_string());
            }
            _ => {}
        }
    }
}
