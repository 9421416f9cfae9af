//! `toolorch fetch`, and `up` before it starts anything: the built program against a hub on the loopback.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod access;
mod before_up;
mod downloads;
mod hub;
mod shared;

use std::path::PathBuf;
use std::process::Command;

use crate::up::Scene;
use crate::up::scene::Said;
use hub::Hub;

/// One model of vLLM's on this machine.
const YAML: &str = "w.yaml";
const CLUSTER: &str = r#"version: 1
name: w
vllm: { version: "0.32.0" }
nodes: { box: { gpus: 1, transport: local, address: 127.0.1.1 } }
models:
  chat: { model: org/tiny, node: box, port: 8000 }
"#;

/// A scene with this cluster.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.write(YAML, &scene.here(CLUSTER));
    scene
}

/// The program, with this hub and a cache of the scene's own.
fn command(scene: &Scene, hub: &Hub, args: &[&str]) -> Command {
    let mut command = scene.toolorch(args);
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "HF_TOKEN",
        "HF_HUB_CACHE",
    ] {
        command.env_remove(name);
    }
    command
        .env("HF_ENDPOINT", hub.endpoint())
        .env("HF_HOME", scene.path("hf"));
    command
}

fn fetch(scene: &Scene, hub: &Hub) -> Said {
    scene.go(command(scene, hub, &["fetch", YAML])).end()
}

/// What was said, without what differs from run to run.
fn shown(scene: &Scene, hub: &Hub, said: &Said) -> String {
    let place = scene
        .path("")
        .to_string_lossy()
        .trim_end_matches('/')
        .to_owned();
    let text = said.err.replace(&place, "[scene]");
    let text = text.replace(&hub.endpoint(), "[hub]");
    let lines = text.lines().map(|line| match line.split_once(" in ") {
        Some((before, after)) if before.contains("kB") || before.contains("MB") => {
            let rest = after.split_once(',').map_or("", |(_, rest)| rest);
            format!("{before} in [time],{rest}\n")
        }
        _ => format!("{line}\n"),
    });
    format!(
        "{}{}",
        said.code,
        lines.fold(String::from("\n"), |all, line| all + &line)
    )
}

/// The repository's folder in the cache.
fn cache(scene: &Scene) -> PathBuf {
    scene.path("hf/hub/models--org--tiny")
}
