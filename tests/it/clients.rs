//! The evaluation clients that we ship for the quickstart and for the tests, alone against a small
//! fake of vLLM: before a run of ours is judged by them, they must do what they say.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod fake;
mod quickstart;
mod runners;
mod stand_in;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const ORCHESTRATOR: &str = "nvidia/Nemotron-Orchestrator-8B";
const EXPERT: &str = "Qwen/Qwen3-32B-FP8";

/// One of our Python servers on a free port, ended with the test.
struct Service {
    port: u16,
    child: Child,
}

impl Service {
    fn start(folder: &Path, script: &str, more: &[&str]) -> Self {
        let mut child = python(folder, script)
            .args(["--port", "0"])
            .args(more)
            .env("RETRIEVAL_HOST", "127.0.0.1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines
            .find(|line| line.as_ref().unwrap().contains("http://"))
            .unwrap()
            .unwrap();
        let port = line.rsplit(':').next().unwrap().parse().unwrap();
        Self { port, child }
    }

    /// The status of `GET /health`.
    fn health(&self) -> u16 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn python(folder: &Path, script: &str) -> Command {
    let mut command = Command::new("python3");
    command
        .arg(script)
        .current_dir(folder)
        .stderr(Stdio::inherit());
    for name in [
        "PYTHONUNBUFFERED",
        "PYTHONDONTWRITEBYTECODE",
        "OPENAI_BASE_URL",
        "OPENAI_API_KEY",
        "HTTP_PROXY",
    ] {
        command.env_remove(name);
    }
    command
}

/// A temporary folder with a dataset of `count` questions `a-0`, `a-1`, … whose answer is 42.
fn workplace(count: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let line = |n| {
        json!({"id": format!("a-{n}"), "question": "What is 12 + 30?", "answer": "42"}).to_string()
            + "\n"
    };
    fs::write(
        folder.path().join("data.jsonl"),
        (0..count).map(line).collect::<String>(),
    )
    .unwrap();
    folder
}

fn at(ports: &[u16]) -> Value {
    ports
        .iter()
        .map(|port| json!({"ip_addr": "127.0.0.1", "port": port}))
        .collect()
}

/// Writes a model config that names itself, and returns its path.
fn model_config(folder: &Path, mut config: Value) -> PathBuf {
    let path = folder.join("model_config.json");
    config["vllm_model_config_path"] = json!(path);
    fs::write(&path, config.to_string()).unwrap();
    path
}

fn markers(output: &Output, name: &str) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let start = format!("[{name}_TASK_COMPLETE] ");
    let mut found: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix(&start))
        .map(String::from)
        .collect();
    found.sort();
    found
}

fn result(folder: &Path, id: &str) -> Value {
    serde_json::from_slice(&fs::read(folder.join("out").join(format!("{id}.json"))).unwrap())
        .unwrap()
}
