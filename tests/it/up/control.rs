//! People come and go: Ctrl-C, a second `up`, the commands beside it, `--detach`, `down`.

use rustix::process::Signal;
use serde_json::Value;

use super::Scene;
use super::scene::{Going, until};
use super::small::{self, YAML, server};

/// `up`, until the client has finished something more.
fn up(scene: &Scene) -> Going {
    let going = scene.go(scene.toolorch(&["up", YAML]));
    more_results(scene);
    going
}

fn more_results(scene: &Scene) {
    let done = scene.results("out");
    until("a result", || (scene.results("out") > done).then_some(()));
}

/// Every command that may run beside a controller, or without one.
fn look_beside(scene: &Scene, watched: &str) {
    let said = |args: &[&str]| scene.expect(0, args).out;
    let status = said(&["status", YAML]);
    assert!(status.contains(watched), "{status}");
    assert!(status.contains("sums"), "{status}");
    let only_live: Value = serde_json::from_str(&said(&["status", "--json"])).unwrap();
    assert!(
        only_live["run"].as_str().unwrap().starts_with("small-1-"),
        "{only_live}"
    );
    assert!(said(&["logs", "chat-0", YAML]).contains("Application startup complete"));
    assert!(said(&["logs", "eval-sums", YAML, "-n", "1"]).starts_with("SUM_DONE id=q-"));
    assert!(said(&["events", YAML]).contains("chat-0 ready"));
    let events = said(&["events", YAML, "--json"]);
    assert!(
        events
            .lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
    assert!(said(&["runs"]).starts_with("small-1-"));
    let probe = said(&["probe", YAML]);
    assert!(probe.contains("ready: health"), "{probe}");
    let config: Value = serde_json::from_str(&said(&["config", YAML, "--stdout"])).unwrap();
    assert_eq!(config["Qwen/Qwen3-8B"][0]["port"], 8000);
}

#[test]
fn who_is_interrupted_leaves_everything_running_and_says_how_to_stop_it() {
    let scene = small::scene("slow", 30);
    let first = up(&scene);
    let pid = first.child.id();
    look_beside(&scene, &format!("pid {pid}"));

    let second = scene.expect(75, &["up", YAML]);
    assert!(
        second.err.contains(&format!(
            "another toolorch owns this run: process {pid} on `"
        )) && second.err.contains("`, since "),
        "{}",
        second.err
    );

    // As a terminal does it: every process of the foreground gets it.
    first.signal_group(Signal::INT);
    let said = first.end();
    assert_eq!(said.code, 130, "{}", said.err);
    assert!(
        said.err.contains("to stop: toolorch down small.yaml"),
        "{}",
        said.err
    );
    more_results(&scene);
    look_beside(&scene, "nobody watches");
    let served_by = server(&scene);

    let third = up(&scene);
    third.signal(Signal::TERM);
    assert_eq!(third.end().code, 143);
    more_results(&scene);

    let last = scene.expect(0, &["up", YAML]);
    assert_eq!(scene.results("out"), 30, "{}", last.err);
    assert_eq!(server(&scene), served_by, "the server was started again");
    let log = scene.read("home/runs/small/latest/logs/eval-sums.log");
    assert_eq!(log.matches("SUM_DONE").count(), 30, "one client did it all");
    scene.assert_nothing_left();
}

#[test]
fn a_detached_controller_goes_on_until_down() {
    let scene = small::scene("slow", 30);
    let said = scene.expect(0, &["up", YAML, "--detach"]);
    let (_, rest) = said.err.split_once("the controller runs as pid ").unwrap();
    let pid = rest.split(';').next().unwrap().to_owned();
    more_results(&scene);
    look_beside(&scene, &format!("pid {pid}"));
    let down = scene.expect(0, &["down", YAML]);
    assert!(
        down.err.contains("is down: no process with its mark"),
        "{}",
        down.err
    );
    scene.assert_nothing_left();
    let again = scene.expect(0, &["down", YAML]);
    assert!(
        again.err.contains("is down since it ended"),
        "{}",
        again.err
    );

    // What was finished stays; the next `up` is a new run.
    let done = scene.results("out");
    assert!((1..30).contains(&done), "{done}");
    let said = scene.expect(0, &["up", YAML, "--detach"]);
    let hint = "look: toolorch status small.yaml    stop: toolorch down small.yaml";
    assert!(said.err.contains(hint), "{}", said.err);
    // A run that comes to its end leaves nothing behind, not even its controller's state.
    until("its end", || scene.names("state").is_empty().then_some(()));
    let said = scene.read("home/runs/small/2/logs/toolorch-controller.log");
    assert!(said.contains("run small-2-"), "{said}");
    assert_eq!(scene.results("out"), 30);
    let log = scene.read("home/runs/small/2/logs/eval-sums.log");
    assert_eq!(log.matches("SUM_DONE").count(), 30 - done);
    scene.assert_nothing_left();
}

#[test]
fn servers_alone_then_an_evaluation_then_down() {
    let scene = small::scene("plain", 3);
    scene.write("config.json", "{\"mine\": true}");
    let up = scene.expect(0, &["up", YAML, "--no-eval"]);
    assert!(
        up.err.contains("to stop: toolorch down small.yaml"),
        "{}",
        up.err
    );
    assert!(up.err.contains("config.json.before-toolorch"), "{}", up.err);
    assert_eq!(
        scene.read("config.json.before-toolorch"),
        "{\"mine\": true}"
    );
    assert!(scene.read("config.json").contains("Qwen/Qwen3-8B"));
    assert_eq!(scene.results("out"), 0);
    let served_by = server(&scene);

    let unknown = scene.expect(3, &["what-if", YAML, "--move", "1 answer:orchestrator"]);
    let words = unknown.err.replace(&scene.runs()[0], "RUN");
    insta::assert_snapshot!(words, @r"
    error: nothing is known of run `RUN` from which to predict: no client of its evaluations has started
    help: predict from a run that has finished questions, or from a rehearsal: toolorch rehearse CLUSTER.yaml
    ");

    let none = scene.expect(2, &["eval", YAML, "products"]);
    assert_eq!(
        none.err,
        "error: there is no evaluation `products`; there are: sums\n"
    );
    scene.expect(0, &["eval", YAML, "sums"]);
    assert_eq!(scene.results("out"), 3);
    assert_eq!(server(&scene), served_by);
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

#[test]
fn two_downs_at_once_take_turns() {
    let scene = small::scene("slow", 30);
    let up = up(&scene);
    let both = [(); 2].map(|()| scene.go(scene.toolorch(&["down", YAML])));
    for said in both.map(Going::end) {
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(said.err.contains("is down: no process"), "{}", said.err);
    }
    up.end();
    scene.assert_nothing_left();
}

#[test]
fn a_run_whose_client_finished_unwatched_is_brought_to_its_end() {
    let scene = small::scene("slow", 8);
    let up = up(&scene);
    up.signal(Signal::KILL);
    up.end();
    until("all results", || (scene.results("out") == 8).then_some(()));
    assert!(!scene.processes().is_empty(), "its server is still there");
    let said = scene.expect(0, &["up", YAML]);
    assert!(said.err.contains("nothing was started"), "{}", said.err);
    scene.assert_nothing_left();
}

#[test]
fn no_client_config_without_an_endpoint_replaces_a_good_one() {
    let scene = small::scene("plain", 1);
    // With the model alone no evaluation requires it: none of its endpoints is needed, and yet one must be there.
    scene.expect(0, &["up", YAML, "--only", "chat"]);
    scene.expect(0, &["down", YAML]);
    let good = scene.read("config.json");
    let said = scene.expect(4, &["config", YAML]);
    assert!(
        said.err.contains("no endpoint is ready: `") && said.err.contains("is not written"),
        "{}",
        said.err
    );
    assert_eq!(scene.read("config.json"), good);
}
