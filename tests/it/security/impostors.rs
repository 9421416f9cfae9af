//! Another server on our port is never taken for ours, whatever model it says it serves.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::up::Scene;
use crate::up::scene::until;
use crate::up::small::{self, YAML, change};

const EXE: &str = env!("CARGO_BIN_EXE_toolorch");

/// A server of somebody else's at the address of `chat-0`; like vLLM it shares its port.
struct Impostor(Child);

impl Impostor {
    fn new(scene: &Scene) -> Self {
        let host = format!("{}1.1", scene.network());
        let child = Command::new(EXE)
            .args([
                "sim",
                "vllm",
                "serve",
                "Qwen/Qwen3-8B",
                "--host",
                &host,
                "--port",
                "8000",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn events(scene: &Scene, kind: &str) -> Vec<Value> {
    let events = scene
        .journal("small")
        .into_iter()
        .map(|record| record["event"].clone());
    events
        .filter(|event| event["kind"] == kind && event["unit"] == "chat-0")
        .collect()
}

fn alarm(scene: &Scene, words: &str) {
    until(words, || {
        let mut alarms = events(scene, "alarm").into_iter();
        alarms
            .any(|alarm| alarm["text"].as_str().unwrap().contains(words))
            .then_some(())
    });
}

fn sockets(scene: &Scene) -> usize {
    let place = format!("{}1.1:8000", scene.network());
    scene
        .listeners()
        .iter()
        .filter(|local| **local == place)
        .count()
}

#[test]
fn one_with_the_right_model_keeps_ours_from_being_ready_and_is_told_when_it_comes_later() {
    let scene = small::scene("slow", 40);
    // Ours waits for a file before it listens.
    let late = "until [[ -e go ]]; do sleep 0.05; done; exec \"$0\" sim vllm serve Qwen/Qwen3-8B --host \"$1\" --port \"$2\"";
    let command = format!(
        "engine: command, command: [bash, -c, '{late}', {EXE}, \"{{host}}\", \"{{port}}\"],"
    );
    change(&scene, "engine: sim,", &command);
    change(&scene, "first_result: 2s", "first_result: 10m");
    let mut up = scene.toolorch(&["up", YAML]);
    up.env("TOOLORCH_TIME_SCALE", "5");
    let up = scene.go(up);
    until("ours", || {
        (!events(&scene, "started").is_empty()).then_some(())
    });

    let impostor = Impostor::new(&scene);
    alarm(&scene, "and keeps it from being ready");
    scene.write("go", "");
    until("both on one port", || (sockets(&scene) == 2).then_some(()));
    assert!(events(&scene, "climbed").is_empty() && events(&scene, "ready").is_empty());
    drop(impostor);
    until("ours to be ready", || {
        (!events(&scene, "ready").is_empty()).then_some(())
    });

    until("a result", || (scene.results("out") > 0).then_some(()));
    let impostor = Impostor::new(&scene);
    alarm(&scene, "too and takes part of its requests");
    drop(impostor);
    let said = up.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err
            .contains("alarm chat-0 shared-port: another process listens on port 8000"),
        "{}",
        said.err
    );
    assert_eq!(
        (
            events(&scene, "started").len(),
            events(&scene, "ready").len()
        ),
        (1, 1)
    );
    scene.assert_nothing_left();
}

#[test]
fn a_server_with_another_model_is_refuted() {
    let scene = small::scene("plain", 1);
    let command = format!(
        "engine: command, command: [{EXE}, sim, vllm, serve, Qwen/Qwen3-14B, --host, \"{{host}}\", --port, \"{{port}}\"], restart: {{ attempts: 0 }},"
    );
    change(&scene, "engine: sim,", &command);
    let said = scene.expect(4, &["up", YAML]);
    assert!(
        said.err
            .contains("models: it serves `Qwen/Qwen3-14B`, not `Qwen/Qwen3-8B`"),
        "{}",
        said.err
    );
    assert!(events(&scene, "ready").is_empty());
    assert_eq!(scene.results("out"), 0);
    scene.assert_nothing_left();
}

#[test]
fn one_that_is_there_first_is_named_and_nothing_is_started() {
    let scene = small::scene("plain", 1);
    let impostor = Impostor::new(&scene);
    until("the impostor", || (sockets(&scene) == 1).then_some(()));
    let said = scene.expect(3, &["up", YAML]);
    let words = format!(
        "port 8000 for `chat-0` is in use by pid {} of ",
        impostor.0.id()
    );
    assert!(said.err.contains(&words), "{}", said.err);
    assert_eq!(scene.runs(), [] as [String; 0]);
    drop(impostor);
    scene.assert_nothing_left();
}
