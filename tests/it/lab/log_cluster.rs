//! The cluster of the log: four nodes over ssh with tmux, one that SLURM gives out, 300 questions of HLE.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::site::Site;
use super::{Lab, Shape};
use crate::up::scene::until;

const QUESTIONS: usize = 300;

/// `tests/fixtures/hle-local.yaml` with the nodes of the lab.
fn yaml() -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let text = fs::read_to_string(fixtures.join("hle-local.yaml")).unwrap();
    let (text, _) = text.split_once("  frames:\n").unwrap();
    let here = regex_lite::Regex::new(r"transport: local, address: 127\.0\.\d+\.1 ").unwrap();
    here.replace_all(text, "")
        .replace(
            "transport: local, address: 127.0.31.10",
            "launcher: slurm, slurm_name: gpu-31-10",
        )
        .replace(
            "launcher: process",
            "launcher: tmux\nslurm: { partition: main, time: '01:00:00' }",
        )
        .replace("{ model:", "{ engine: sim, model:")
        .replace("    model:", "    engine: sim\n    model:")
        .replace("127.0.13.1", "research-secure-13")
        .replace("127.0.99.1", "login01")
}

/// The client and what it reads; `python` is everywhere.
fn furnish(site: &Site) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/toolorch_client");
    site.exec([
        "mkdir",
        "-p",
        "c/client",
        "c/ckpt/nvidia/Nemotron-Orchestrator-8B",
    ]);
    for entry in fs::read_dir(fixtures).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let name = path.file_name().unwrap().to_str().unwrap();
            site.write(
                &format!("client/{name}"),
                &fs::read_to_string(&path).unwrap(),
            );
        }
    }
    let config = json!({"model_type": "qwen3", "max_position_embeddings": 40960});
    site.write(
        "ckpt/nvidia/Nemotron-Orchestrator-8B/config.json",
        &config.to_string(),
    );
    let question = |n: usize| {
        let line = json!({"id": format!("hle-{n}"), "question": format!("What is {n} + 7?"), "answer": (n + 7).to_string()});
        format!("{line}\n")
    };
    let questions: String = (0..QUESTIONS).map(question).collect();
    site.write("client/hle.jsonl", &questions);
    let ckpt = site.home().join("c/ckpt");
    site.write(
        "cluster.yaml",
        &yaml().replace("/ckpt", ckpt.to_str().unwrap()),
    );
    let python = site.exec(["sh", "-c", "command -v python3"]);
    symlink(python, site.path("bin/python")).unwrap();
}

#[test]
fn the_night_of_the_log_over_ssh_and_slurm() {
    let shape = Shape {
        inner: Vec::new(),
        ..Shape::default()
    };
    let site = Site::new(&shape, "");
    furnish(&site);
    let judge = site.go([
        "env",
        "TOOLORCH_SIM_STARTUP_MS=0",
        "toolorch",
        "sim",
        "vllm",
        "serve",
        "gpt-5",
        "--host",
        "172.27.31.1",
        "--port",
        "9000",
    ]);
    until("the judge", || {
        let said = site.run(["bash", "-c", ": </dev/tcp/login01/9000"]);
        (said.code == 0).then_some(())
    });
    let [bash, c, line] = Site::words("up --events plain");
    let up = site.go([
        "env",
        "OPENAI_API_KEY=sk-nobody-may-write-this-down",
        &bash,
        &c,
        &line,
    ]);
    let said = up.end();
    assert_eq!(said.code, 0, "{}", said.err);
    let results = site.home().join("c/client/outputs_oss_hle_full_new");
    for n in 0..QUESTIONS {
        let text = fs::read_to_string(results.join(format!("hle-{n}.json"))).unwrap();
        let result: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(result["status"], "done", "hle-{n}");
    }
    let once = said.err.matches(" ready after ").count();
    assert_eq!(once, 26, "each server once\n{}", said.err);
    for (node, count) in [
        ("research-secure-05", 4),
        ("research-secure-11", 8),
        ("research-secure-12", 8),
        // A job that waits for the next evaluation would cost somebody else's turn.
        ("gpu-31-10", 0),
    ] {
        site.assert_units(node, count);
    }
    assert!(site.left("research-secure-13").contains("retrieval_hle.py"));
    Lab::signal(&judge, Signal::KILL);
    judge.end();
    site.goes_down();
}
