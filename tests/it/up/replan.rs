//! A changed YAML beside what runs: what is the same goes on, what differs is stopped and started again.

use rustix::process::Signal;
use serde_json::Value;

use super::scene::{Scene, until};
use super::small::{self, YAML, change, server};

/// The cluster with a client at work, and nobody who watches.
fn interrupted(questions: usize) -> Scene {
    let scene = small::scene("slow", questions);
    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("results", || (scene.results("out") > 2).then_some(()));
    up.signal(Signal::INT);
    assert_eq!(up.end().code, 130);
    scene
}

/// What `plan` says of the run.
fn beside(scene: &Scene) -> String {
    let said = scene.expect(0, &["plan", YAML]);
    let lines = said.err.lines().filter(|line| line.starts_with("beside `"));
    let lines = lines.map(|line| line.split_once("`: ").unwrap().1.to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

fn starts(scene: &Scene, unit: &str) -> usize {
    let journal = scene.journal("small");
    let intents = journal.iter().filter(|record| {
        let event = &record["event"];
        event["kind"] == "launch-intended" && event["unit"] == unit
    });
    intents.count()
}

/// Every question was answered, by one client or the other, and none twice.
fn assert_each_asked_once(scene: &Scene, questions: usize, clients: &[&str]) {
    assert_eq!(scene.results("out"), questions);
    let logs: String = clients
        .iter()
        .map(|log| scene.read(&format!("home/runs/small/latest/logs/{log}")))
        .collect();
    assert_eq!(logs.matches("SUM_DONE").count(), questions);
    scene.assert_nothing_left();
}

#[test]
fn a_moved_server_is_started_again_and_its_client_follows() {
    let scene = interrupted(16);
    assert_eq!(beside(&scene), "nothing would change");
    let before = server(&scene);
    change(&scene, "port: 8000", "port: 8100");
    assert_eq!(beside(&scene), "restarted: chat-0 (command, port)");
    let said = scene.expect(0, &["up", YAML]);
    let words = "beside what runs: restarted: chat-0 (command, port)";
    assert!(said.err.contains(words), "{}", said.err);
    assert_ne!(server(&scene), before);
    assert_eq!(
        (starts(&scene, "chat-0"), starts(&scene, "eval-sums")),
        (2, 2)
    );
    let config: Value = serde_json::from_str(&scene.read("config.json")).unwrap();
    assert_eq!(config["Qwen/Qwen3-8B"][0]["port"], 8100);
    assert_each_asked_once(&scene, 16, &["eval-sums.log", "eval-sums.2.log"]);
}

#[test]
fn an_added_replica_waits_for_a_client_that_knows_it() {
    let scene = interrupted(24);
    let before = server(&scene);
    change(&scene, "port: 8000", "port: 8000, replicas: 2");
    assert_eq!(beside(&scene), "started in addition: chat-1");
    let up = scene.go(scene.toolorch(&["up", YAML]));
    let unused = "ready, and unused by the running client of `sums`: chat-1; to make it use them: toolorch up --restart-eval";
    until("the word of it", || up.err().contains(unused).then_some(()));
    up.signal(Signal::INT);
    assert_eq!(up.end().code, 130);
    assert_eq!(starts(&scene, "eval-sums"), 1);
    let said = scene.expect(0, &["up", YAML, "--restart-eval"]);
    assert_eq!(starts(&scene, "eval-sums"), 2, "{}", said.err);
    assert_eq!((starts(&scene, "chat-0"), starts(&scene, "chat-1")), (1, 1));
    let journal = scene.journal("small");
    let started = journal
        .iter()
        .map(|record| &record["event"])
        .find(|event| event["kind"] == "started" && event["unit"] == "chat-0");
    assert_eq!(started.unwrap()["pid"], before);
    assert_each_asked_once(&scene, 24, &["eval-sums.log", "eval-sums.2.log"]);
}

#[test]
fn a_removed_replica_is_stopped_and_nothing_else() {
    let scene = small::scene("slow", 16);
    change(&scene, "port: 8000", "port: 8000, replicas: 2");
    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("results", || (scene.results("out") > 2).then_some(()));
    up.signal(Signal::KILL);
    up.end();
    change(&scene, "replicas: 2", "replicas: 1");
    assert_eq!(beside(&scene), "stopped: chat-1");
    // An evaluation alone changes no servers.
    let refused = scene.expect(2, &["eval", YAML]);
    assert!(
        refused
            .err
            .contains("help: let it become so: toolorch up small.yaml"),
        "{}",
        refused.err
    );
    scene.expect(0, &["up", YAML]);
    assert_eq!((starts(&scene, "chat-0"), starts(&scene, "chat-1")), (1, 1));
    assert_each_asked_once(&scene, 16, &["eval-sums.log", "eval-sums.2.log"]);
}

#[test]
fn what_an_earlier_plan_had_goes_down_too() {
    let scene = interrupted(40);
    let yaml = scene.read(YAML);
    scene.write(YAML, &yaml.replace("chat", "talk"));
    assert_eq!(
        beside(&scene),
        "stopped: chat-0\nstarted in addition: talk-0"
    );
    let up = scene.go(scene.toolorch(&["up", YAML, "--no-eval"]));
    let said = up.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(starts(&scene, "talk-0"), 1);
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}
