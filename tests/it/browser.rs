//! A real browser without a window, told what to do over a pipe (the Chrome `DevTools` Protocol).

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Chromium with one page.
pub(crate) struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    session: Value,
    number: u64,
    /// What went wrong on the page: errors of scripts, of the console, of what was to be loaded.
    pub(crate) complaints: Vec<String>,
    /// All that it asked for, by address.
    pub(crate) requests: Vec<String>,
}

impl Browser {
    /// Starts it with its files in this folder.
    pub(crate) fn start(folder: &Path) -> Self {
        // It takes commands from descriptor 3 and answers to 4.
        let mut child = Command::new("bash")
            .arg("-c")
            .arg("exec chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
                  --disable-background-networking --disable-component-update --disable-extensions --hide-scrollbars \
                  --remote-debugging-pipe --user-data-dir=\"$0\" about:blank 3<&0 4>&1 </dev/null >/dev/null 2>\"$0.log\"")
            .arg(folder)
            // Killed at the end, it would leave its socket's folder in /tmp.
            .env("TMPDIR", folder.parent().unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, messages) = channel();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while output.read_until(0, &mut bytes).is_ok_and(|n| n > 0) {
                bytes.pop();
                let message = serde_json::from_slice(&bytes).unwrap();
                bytes.clear();
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take().unwrap();
        let mut browser = Self {
            child,
            input,
            messages,
            session: Value::Null,
            number: 0,
            complaints: Vec::new(),
            requests: Vec::new(),
        };
        browser.attach();
        browser
    }

    fn attach(&mut self) {
        let target = self.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        self.session = self.call("Target.attachToTarget", &attach)["sessionId"].clone();
        for domain in ["Runtime", "Log", "Page", "Network"] {
            self.call(&format!("{domain}.enable"), &json!({}));
        }
    }

    /// Calls a method and waits for its answer.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": params});
        if self.session.is_string() {
            message["sessionId"] = self.session.clone();
        }
        write!(self.input, "{message}\0").unwrap();
        self.input.flush().unwrap();
        loop {
            let limit = Duration::from_secs(30);
            let message = self.messages.recv_timeout(limit).expect(method);
            self.listen(&message);
            if message["id"] == self.number {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    fn listen(&mut self, message: &Value) {
        let said = &message["params"];
        if message["method"] == "Network.requestWillBeSent" {
            let url = said["request"]["url"].as_str().unwrap_or_default();
            self.requests.push(url.to_owned());
        }
        let wrong = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => said["type"] == "error",
            Some("Log.entryAdded") => said["entry"]["level"] == "error",
            _ => false,
        };
        if wrong {
            self.complaints.push(said.to_string());
        }
    }

    pub(crate) fn open(&mut self, url: &str) {
        let answer = self.call("Page.navigate", &json!({"url": url}));
        assert!(answer["errorText"].is_null(), "{answer}");
        self.until(&format!(
            "location.href === '{url}' && document.readyState === 'complete'"
        ));
    }

    /// What an expression of JavaScript comes to.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", &params);
        assert!(answer["exceptionDetails"].is_null(), "{answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub(crate) fn until(&mut self, expression: &str) {
        let began = Instant::now();
        while self.value(&format!("Boolean({expression})")) != true {
            let page = "document.body.innerText";
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "waited for {expression}\n{}",
                self.value(page)
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// As seen on a screen of this width, in CSS pixels, in light or dark.
    pub(crate) fn screen(&mut self, width: u32, scheme: &str) {
        let metrics =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
        let feature = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", &feature);
    }

    /// The whole page as a PNG, in base 64.
    pub(crate) fn picture(&mut self) -> String {
        let params = json!({"format": "png", "captureBeyondViewport": true});
        let answer = self.call("Page.captureScreenshot", &params);
        answer["data"].as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its own processes end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
