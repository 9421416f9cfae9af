//! The cluster of the log on loopback: 24 replicas, two retrieval services, a judge, HLE then FRAMES.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::Scene;
use super::scene::until;

pub(crate) const HLE: &str = "client/outputs_oss_hle_full_new";
pub(crate) const FRAMES: &str = "client/outputs_oss_frames_full_new";
pub(crate) const YAML: &str = "hle-local.yaml";

/// The simulator as the judge, which nobody but the client knows; ended with the test.
pub(crate) struct Judge(Child);

impl Drop for Judge {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `tests/fixtures/hle-local.yaml` and all that it names; `vllm` and `python` are on PATH.
pub(crate) fn scene(hle: usize, frames: usize) -> (Scene, Judge) {
    let scene = Scene::new();
    let checkpoint = "ckpt/nvidia/Nemotron-Orchestrator-8B/config.json";
    let config = json!({"model_type": "qwen3", "max_position_embeddings": 40960});
    scene.write(checkpoint, &config.to_string());
    scene.copy("tests/fixtures/toolorch_client", "client");
    scene.write("client/hle.jsonl", &questions("hle", hle));
    scene.write("client/frames.jsonl", &questions("frames", frames));
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hle-local.yaml");
    let yaml = scene.here(&fs::read_to_string(fixture).unwrap());
    let ckpt = scene.path("ckpt").to_string_lossy().into_owned();
    let hf = scene.path("hf").to_string_lossy().into_owned();
    let yaml = yaml.replace("home: /hf", &format!("home: {hf}"));
    scene.write(YAML, &yaml.replace("/ckpt", &ckpt));
    for model in [
        "Qwen/Qwen2.5-Coder-14B-Instruct",
        "Qwen/Qwen3-32B-FP8",
        "openai/gpt-oss-20b",
    ] {
        put_weights(&scene, model);
    }
    symlink(env!("CARGO_BIN_EXE_toolorch"), scene.path("bin/vllm")).unwrap();
    let which = Command::new("sh")
        .args(["-c", "command -v python3"])
        .output()
        .unwrap();
    let python = String::from_utf8(which.stdout).unwrap();
    symlink(python.trim(), scene.path("bin/python")).unwrap();
    let judge = judge(&scene);
    (scene, judge)
}

/// A model in the cache, as far as anybody looks: `up` asks no hub for it.
fn put_weights(scene: &Scene, model: &str) {
    let repo = format!("hf/hub/models--{}", model.replace('/', "--"));
    let commit = "0123456789abcdef0123456789abcdef01234567";
    scene.write(&format!("{repo}/refs/main"), commit);
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        scene.write(&format!("{repo}/snapshots/{commit}/{file}"), "{}");
    }
}

/// The same with one replica of each model and only `concurrency` questions at once.
pub(crate) fn small_scene(hle: usize, frames: usize, concurrency: usize) -> (Scene, Judge) {
    let (scene, judge) = scene(hle, frames);
    let yaml = scene.read(YAML);
    let yaml = yaml
        .replace("replicas: 8", "replicas: 1")
        .replace("replicas: 4", "replicas: 1")
        .replace("requests: 100", "requests: 1")
        .replace("concurrency: 64", &format!("concurrency: {concurrency}"));
    scene.write(YAML, &yaml);
    (scene, judge)
}

fn questions(name: &str, count: usize) -> String {
    let question = |n: usize| json!({"id": format!("{name}-{n}"), "question": format!("What is {n} + 7?"), "answer": (n + 7).to_string()});
    let lines: Vec<String> = (0..count).map(|n| question(n).to_string()).collect();
    lines.join("\n")
}

fn judge(scene: &Scene) -> Judge {
    let mut command =
        scene.toolorch(&["sim", "vllm", "serve", "gpt-5", "--port", "9000", "--host"]);
    let child = command
        .arg(format!("{}99.1", scene.network()))
        .env("TOOLORCH_SIM_STARTUP_MS", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let judge = Judge(child);
    until("the judge", || {
        (!scene.listeners().is_empty()).then_some(())
    });
    judge
}

/// What the evaluation's environment passes on.
pub(crate) fn call(scene: &Scene, args: &[&str]) -> Command {
    let mut command = scene.toolorch(args);
    command.env("OPENAI_API_KEY", "sk-nobody-may-write-this-down");
    command
}

/// Inode and time of each result that is complete now.
pub(crate) fn finished(scene: &Scene, folder: &str) -> BTreeMap<String, (u64, i64)> {
    let names = scene.result_names(folder);
    names
        .iter()
        .filter(|name| {
            let text = scene.read(&format!("{folder}/{name}"));
            serde_json::from_str::<Value>(&text).is_ok()
        })
        .map(|name| {
            let found = fs::metadata(scene.path(folder).join(name)).unwrap();
            (name.clone(), (found.ino(), found.mtime_nsec()))
        })
        .collect()
}

/// How often each id was finished, not skipped, over all logs of the run's client.
pub(crate) fn marked(scene: &Scene, eval: &str, marker: &str) -> BTreeMap<String, usize> {
    let logs = "home/runs/hle-local/latest/logs";
    let mut counts = BTreeMap::new();
    for name in scene.names(logs) {
        if !name.starts_with(eval) {
            continue;
        }
        for line in scene.read(&format!("{logs}/{name}")).lines() {
            let Some((_, words)) = line.split_once(&format!("[{marker}] id=")) else {
                continue;
            };
            let (id, status) = words.split_once(" status=").unwrap();
            if !status.starts_with("skipped") {
                *counts.entry(id.to_owned()).or_default() += 1;
            }
        }
    }
    counts
}

/// Records of a kind.
pub(crate) fn events<'a>(journal: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let events = journal.iter().map(|record| &record["event"]);
    events.filter(|event| event["kind"] == kind).collect()
}

/// The log's §6 with the addresses that its nodes have here.
fn section_six(scene: &Scene) -> Value {
    let places = |part: &str, first: u16, count: u16| -> Value {
        let host = format!("{}{part}", scene.network());
        let ports = first..first + count;
        ports
            .map(|port| json!({"ip_addr": host, "port": port}))
            .collect()
    };
    let checkpoint = scene.path("ckpt/nvidia/Nemotron-Orchestrator-8B/");
    json!({
        checkpoint.to_str().unwrap(): places("5.1", 1800, 4),
        "openai/gpt-oss-20b": places("31.10", 1840, 4),
        "Qwen/Qwen2.5-Coder-14B-Instruct": places("11.1", 1810, 8),
        "Qwen/Qwen3-32B-FP8": places("12.1", 1820, 8),
        "retrieval": places("13.1", 8765, 1),
        "wiki_retrieval": places("13.1", 8766, 1),
        "vllm_model_config_path": scene.path("client/model_config_oss_new.json"),
    })
}

fn the_night(launcher: &str) {
    let (scene, judge) = scene(300, 40);
    let up = call(
        &scene,
        &["up", YAML, "--set", &format!("launcher={launcher}")],
    );
    let said = scene.go(up).end();
    assert_eq!(said.code, 0, "{}", said.err);
    for (folder, count) in [(HLE, 300), (FRAMES, 40)] {
        let names = finished(&scene, folder);
        assert_eq!(names.len(), count, "{folder}");
        for name in names.keys() {
            let result: Value =
                serde_json::from_str(&scene.read(&format!("{folder}/{name}"))).unwrap();
            assert_eq!(result["status"], "done", "{name}");
        }
    }
    let mut config: Value =
        serde_json::from_str(&scene.read("client/model_config_oss_new.json")).unwrap();
    let comment = config.as_object_mut().unwrap().shift_remove("_comment");
    assert_eq!(comment, Some(json!("Configuration for OSS evaluation")));
    assert_eq!(config, section_six(&scene));

    let journal = scene.journal("hle-local");
    let launched = events(&journal, "launched");
    assert_eq!(
        launched.len(),
        28,
        "each unit once, FRAMES on the servers of HLE"
    );
    let of_servers = launched
        .iter()
        .filter(|event| event["handle"]["launcher"] == launcher);
    assert!(of_servers.count() >= 26);
    assert_eq!(events(&journal, "exited").len(), 2, "the two clients");
    let key = "sk-nobody-may-write-this-down";
    let grep = Command::new("grep")
        .args(["-rl", key])
        .arg(scene.path("home"))
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(grep.stdout).unwrap(),
        "",
        "the key is written down"
    );

    assert!(!scene.processes().is_empty(), "`when_done: keep`");
    drop(judge);
    let down = scene.expect(0, &["down", YAML]);
    assert!(
        down.err
            .contains("is down: no process with its mark, no port and no session is left"),
        "{}",
        down.err
    );
    scene.assert_nothing_left();
}

#[test]
fn the_night_of_the_log_over_processes() {
    the_night("process");
}

#[test]
fn the_night_of_the_log_over_tmux() {
    the_night("tmux");
}

#[test]
fn hle_does_not_wait_for_what_only_frames_needs() {
    let (scene, judge) = small_scene(4, 4, 4);
    let (yaml, slow) = (
        scene.read(YAML),
        "env: { set: { RETRIEVAL_COLD_START_S: '2.5', RETRIEVAL_HOST:",
    );
    let (first, wiki) = yaml.split_once("wiki_retrieval:").unwrap();
    let wiki = wiki.replace("env: { set: { RETRIEVAL_HOST:", slow);
    scene.write(YAML, &format!("{first}wiki_retrieval:{wiki}"));
    let said = scene.go(call(&scene, &["up", YAML])).end();
    assert_eq!(said.code, 0, "{}", said.err);
    let journal = scene.journal("hle-local");
    let moment = |kind: &str, unit: &str| {
        let found = journal
            .iter()
            .position(|record| record["event"]["kind"] == kind && record["event"]["unit"] == unit);
        found.unwrap_or_else(|| panic!("{kind} {unit}"))
    };
    assert!(moment("started", "eval-hle") < moment("ready", "wiki_retrieval"));
    assert!(moment("ready", "wiki_retrieval") < moment("started", "eval-frames"));
    let config: Value =
        serde_json::from_str(&scene.read("client/model_config_oss_new.json")).unwrap();
    assert_eq!(config["wiki_retrieval"][0]["port"], 8766);
    drop(judge);
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}
