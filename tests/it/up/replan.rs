//! A changed YAML beside what runs: what is the same goes on, what differs is stopped and started again, and `plan` says
//! beforehand what `up` is about to do.

use rustix::process::Signal;
use serde_json::Value;

use super::scene::{Said, Scene, kill, until};
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

/// The same of `up`.
fn header(said: &Said) -> String {
    let lines = said.err.lines();
    let lines = lines.filter_map(|line| line.strip_prefix("beside what runs: "));
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
    let scene = interrupted(40);
    assert_eq!(beside(&scene), "nothing would change");
    let before = server(&scene);
    change(&scene, "port: 8000", "port: 8100");
    let foreseen = beside(&scene);
    insta::assert_snapshot!(foreseen, @r"
    restarted: chat-0 (command, port)
    client restarted: eval-sums (chat-0 moves); questions in flight are asked again
    ");
    let said = scene.expect(0, &["up", YAML]);
    assert_eq!(header(&said), foreseen);
    assert_ne!(server(&scene), before);
    assert_eq!(
        (starts(&scene, "chat-0"), starts(&scene, "eval-sums")),
        (2, 2)
    );
    let config: Value = serde_json::from_str(&scene.read("config.json")).unwrap();
    assert_eq!(config["Qwen/Qwen3-8B"][0]["port"], 8100);
    assert_each_asked_once(&scene, 40, &["eval-sums.log", "eval-sums.2.log"]);
}

#[test]
fn an_added_replica_waits_for_a_client_that_knows_it() {
    let scene = interrupted(24);
    let before = server(&scene);
    change(&scene, "port: 8000", "port: 8000, replicas: 2");
    insta::assert_snapshot!(beside(&scene), @r"
    started in addition: chat-1
    unused by the running client of `sums`: chat-1; to make it use them: toolorch up --restart-eval
    ");
    let up = scene.go(scene.toolorch(&["up", YAML]));
    let unused = "ready, and unused by the running client of `sums`: chat-1; to make it use them: toolorch up --restart-eval";
    until("the word of it", || up.err().contains(unused).then_some(()));
    up.signal(Signal::INT);
    assert_eq!(up.end().code, 130);
    assert_eq!(starts(&scene, "eval-sums"), 1);
    let said = scene.expect(0, &["up", YAML, "--restart-eval"]);
    let header = header(&said);
    assert!(
        header.contains("client restarted: eval-sums (chat-1 is new)"),
        "{header}"
    );
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
    let scene = small::scene("slow", 40);
    change(&scene, "port: 8000", "port: 8000, replicas: 2");
    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("results", || (scene.results("out") > 2).then_some(()));
    up.signal(Signal::KILL);
    up.end();
    change(&scene, "replicas: 2", "replicas: 1");
    let foreseen = beside(&scene);
    insta::assert_snapshot!(foreseen, @r"
    stopped: chat-1
    client restarted: eval-sums (chat-1 goes); questions in flight are asked again
    ");
    // An evaluation alone changes no servers.
    let refused = scene.expect(2, &["eval", YAML]);
    assert!(
        refused
            .err
            .contains("help: let it become so: toolorch up small.yaml"),
        "{}",
        refused.err
    );
    assert_eq!(header(&scene.expect(0, &["up", YAML])), foreseen);
    assert_eq!((starts(&scene, "chat-0"), starts(&scene, "chat-1")), (1, 1));
    assert_each_asked_once(&scene, 40, &["eval-sums.log", "eval-sums.2.log"]);
}

#[test]
fn what_an_earlier_plan_had_goes_down_too() {
    let scene = interrupted(40);
    let yaml = scene.read(YAML);
    scene.write(YAML, &yaml.replace("chat", "talk"));
    insta::assert_snapshot!(beside(&scene), @r"
    stopped: chat-0
    started in addition: talk-0
    client restarted: eval-sums (chat-0 goes); questions in flight are asked again
    ");
    let up = scene.go(scene.toolorch(&["up", YAML, "--no-eval"]));
    let said = up.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(starts(&scene, "talk-0"), 1);
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

/// Kills the process of a unit, and waits until its script has written that down.
fn kill_unit(scene: &Scene, unit: &str) {
    let run = scene.runs().pop().unwrap();
    let state = format!("state/{run}/{unit}/state");
    let text = scene.read(&state);
    let pid = text.lines().find_map(|line| line.strip_prefix("pid="));
    kill(pid.unwrap().parse().unwrap(), Signal::KILL);
    until("its end", || {
        scene.read(&state).contains("phase=exited").then_some(())
    });
}

#[test]
fn what_died_unseen_and_what_complete_results_keep_from_happening_is_said_beforehand() {
    let scene = small::scene("slow", 12);
    change(&scene, "when_done: down", "when_done: keep");
    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("results", || (scene.results("out") > 2).then_some(()));
    let watched = scene.expect(0, &["plan", YAML]).err;
    let refusal = "`toolorch up` would refuse: another toolorch owns this run: process ";
    assert!(watched.contains(refusal), "{watched}");
    up.signal(Signal::KILL);
    up.end();
    kill_unit(&scene, "chat-0");
    kill_unit(&scene, "eval-sums");
    let missing = 12 - scene.results("out");
    let foreseen = beside(&scene);
    let words = format!(
        "started again: chat-0 (SIGKILL ended it)\nclient started: eval-sums ({missing} of 12 results missing)"
    );
    assert_eq!(foreseen, words);
    assert_eq!(header(&scene.expect(0, &["up", YAML])), foreseen);

    // Results are complete, and servers are kept.
    change(&scene, "port: 8000", "port: 8100");
    let foreseen = beside(&scene);
    insta::assert_snapshot!(foreseen, @r"
    nothing is started: every question has its result already
    only with `toolorch up small.yaml --no-eval`: restarted: chat-0 (command, port)
    ");
    let json = scene.expect(0, &["plan", YAML, "--format", "json"]).out;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["beside"]["forecast"]["complete"], true, "{json}");
    assert_eq!(
        json["beside"]["forecast"]["without_evals"][0]["unit"], "chat-0",
        "{json}"
    );
    let said = scene.expect(0, &["up", YAML]);
    assert!(
        said.err.contains("result already: nothing was started"),
        "{}",
        said.err
    );
    assert_eq!(header(&said), foreseen.split_once('\n').unwrap().1);
    for (from, to, words) in [
        (
            "port: 8100",
            "port: 8100, replicas: 2",
            "restarted: chat-0 (command, port)\nstarted in addition: chat-1",
        ),
        ("replicas: 2", "replicas: 1", "stopped: chat-1"),
        ("replicas: 1", "replicas: 2", "started in addition: chat-1"),
    ] {
        change(&scene, from, to);
        let said = scene.expect(0, &["up", YAML, "--no-eval"]);
        assert_eq!(header(&said), words, "{}", said.err);
    }

    // What is held against results is no secret of `up`.
    let calls = r#"{"v":1,"calls":[{"run":"small-0-0000","place":"203.0.113.7:443","seen":"connected","times":2}]}"#;
    scene.write("out/.toolorch/outside-calls.json", calls);
    let foreseen = scene.expect(0, &["plan", YAML]).err;
    assert!(
        foreseen.contains("NOT DECLARED: while the results of `sums` were made"),
        "{foreseen}"
    );
    assert!(foreseen.contains("ends with exit code 7"), "{foreseen}");
    scene.expect(7, &["up", YAML]);
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}
