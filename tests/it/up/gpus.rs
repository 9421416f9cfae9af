//! A server that is started again waits for the memory of its GPUs: real processes, and an `nvidia-smi` that is made up.

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::Value;

use super::Scene;
use super::scene::{kill, until};

const YAML: &str = "gpus.yaml";

const ONE: &str = r#"version: 1
name: gpus
vllm: { version: "0.12.0" }
nodes: { box: { gpus: 1, transport: local, address: 127.0.1.1 } }
models:
  chat: { engine: sim, model: Qwen/Qwen3-8B, node: box, gpus: [0], port: 8000, restart: { attempts: 9, backoff: 1s } }
evals:
  wait: { command: [sleep, "600"], dataset: data.jsonl, results: out, limits: { first_result: 10h, stall: 10h } }
when_done: down
"#;

/// The memory is in use for two looks, or for as long as there is a file `stays`; `holder` is said to hold it.
const NVIDIA_SMI: &str = r#"#!/bin/bash
cd "${0%/*}/../gpu" || exit
[[ $2 == --format=csv,noheader,nounits && $# == 2 ]] || exit 2
case $1 in
  --query-gpu=index,uuid,memory.used)
    echo look >>looks
    if [[ -e stays || $(wc -l <looks) -le 2 ]]; then echo "0, GPU-a, 45123"; else echo "0, GPU-a, 0"; fi ;;
  --query-compute-apps=gpu_uuid,pid,used_memory) echo "GPU-a, $(<holder), 45113" ;;
  *) exit 2 ;;
esac
"#;

fn events(scene: &Scene, kind: &str) -> Vec<Value> {
    let records = scene.journal("gpus").into_iter();
    let events = records.map(|record| record["event"].clone());
    events.filter(|event| event["kind"] == kind).collect()
}

fn of_server(scene: &Scene, kind: &str) -> Vec<Value> {
    let mut events = events(scene, kind);
    events.retain(|event| event["unit"] == "chat-0");
    events
}

/// The process of the server's n-th start, once it is ready.
fn ready(scene: &Scene, generation: usize) -> u32 {
    until("the server", || {
        (of_server(scene, "ready").len() == generation).then_some(())
    });
    let pid = of_server(scene, "started")[generation - 1]["pid"].as_u64();
    u32::try_from(pid.unwrap()).unwrap()
}

fn looks(scene: &Scene) -> usize {
    scene.read("gpu/looks").lines().count()
}

#[test]
fn memory_of_the_dead_is_waited_for_and_that_of_the_living_is_not() {
    let scene = Scene::new();
    scene.write(YAML, &scene.here(ONE));
    scene.write("data.jsonl", "{\"id\":\"a\"}\n");
    scene.write("gpu/looks", "");
    scene.write("bin/nvidia-smi", NVIDIA_SMI);
    let executable = PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(scene.path("bin/nvidia-smi"), executable).unwrap();
    let mut up = scene.toolorch(&["up", YAML]);
    up.env("TOOLORCH_TIME_SCALE", "10");
    let up = scene.go(up);

    let first = ready(&scene, 1);
    assert_eq!(looks(&scene), 0, "a first start waits for nothing");
    scene.write("gpu/holder", &first.to_string());
    kill(first, Signal::KILL);
    let second = ready(&scene, 2);
    assert_eq!(looks(&scene), 3);

    scene.write("gpu/stays", "");
    scene.write("gpu/holder", &std::process::id().to_string());
    kill(second, Signal::KILL);
    let third = ready(&scene, 3);
    assert_eq!(looks(&scene), 4);
    let held = |event: &Value| event["alarm"] == "gpu-held";
    assert!(!events(&scene, "alarm").iter().any(held));

    // What nobody holds is waited for no longer when the work is over.
    scene.write("gpu/holder", &first.to_string());
    kill(third, Signal::KILL);
    until("more looks", || (looks(&scene) >= 6).then_some(()));
    scene.expect(0, &["down", YAML]);
    up.end();
    assert_eq!(of_server(&scene, "launch-intended").len(), 3);
    scene.assert_nothing_left();
}
