//! What is refused before anything starts, and what is noticed at once when it goes wrong.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use serde_json::Value;

use super::Scene;
use super::log_cluster::events;
use super::scene::Said;
use super::small::{self, YAML, change};

/// Runs `up` with nothing but these programs on PATH.
fn up_with(scene: &Scene, programs: &[&str]) -> Said {
    fs::create_dir_all(scene.path("bare")).unwrap();
    for program in programs {
        let from = ["/usr/bin", "/bin"]
            .iter()
            .map(|folder| format!("{folder}/{program}"))
            .find(|path| fs::metadata(path).is_ok());
        let to = scene.path("bare").join(program);
        if let (Some(from), false) = (from, to.exists()) {
            symlink(from, to).unwrap();
        }
    }
    let mut command = scene.toolorch(&["up", YAML]);
    command.env("PATH", scene.path("bare"));
    scene.go(command).end()
}

/// Nothing was started and nothing was written.
fn assert_untouched(scene: &Scene) {
    assert_eq!(scene.names("home"), [] as [String; 0]);
    assert_eq!(scene.names("state"), [] as [String; 0]);
    scene.assert_nothing_left();
}

#[test]
fn what_is_missing_or_taken_is_said_before_anything_starts() {
    let scene = small::scene("plain", 1);
    let address = format!("{}1.1:8000", scene.network());
    let taken = TcpListener::bind(&address).unwrap();
    let said = scene.expect(3, &["up", YAML]);
    let owner = format!(
        "port 8000 for `chat-0` is in use by pid {} of ",
        std::process::id()
    );
    assert!(said.err.contains(&owner), "{}", said.err);
    assert!(said.err.ends_with("nothing was started\n"), "{}", said.err);
    let foreseen = scene.expect(0, &["plan", YAML]).err;
    assert!(
        foreseen.contains("`toolorch up` would refuse") && foreseen.contains(&owner),
        "{foreseen}"
    );
    drop(taken);
    let foreseen = scene.expect(0, &["plan", YAML]).err;
    assert!(!foreseen.contains("would refuse"), "{foreseen}");

    change(
        &scene,
        "engine: sim",
        "engine: vllm, env: {set: {TOOLORCH_SIM_RELEASE: '0.12.0'}}",
    );
    change(&scene, "gpus: 0", "gpus: 1");
    let said = up_with(&scene, &["bash", "setsid", "flock", "git"]);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("`vllm` is not on PATH"), "{}", said.err);

    change(&scene, "version: 1\n", "version: 1\nlauncher: tmux\n");
    symlink(env!("CARGO_BIN_EXE_toolorch"), scene.path("bare/vllm")).unwrap();
    let said = up_with(&scene, &[]);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("`tmux` is not on PATH"), "{}", said.err);

    assert_untouched(&scene);
}

#[test]
fn a_wrong_yaml_is_refused_and_makes_nothing() {
    let scene = small::scene("plain", 1);
    let good = scene.read(YAML);
    for (from, to, word) in [
        ("engine: sim", "engin: sim", "did you mean `engine`"),
        (
            "port: 8000",
            "port: 8000, args: {no-such-flag: 1}",
            "no-such-flag",
        ),
        (
            "Qwen/Qwen3-8B, node: box, port: 8000",
            "openai/gpt-oss-20b, node: box, port: 8000, tools: true, tool_parser: hermes",
            "does not understand",
        ),
        ("data.jsonl", "nowhere.jsonl", "nowhere.jsonl"),
    ] {
        scene.write(YAML, &good.replace(from, to));
        let said = scene.expect(2, &["up", YAML]);
        assert!(said.err.contains(word), "{}", said.err);
        assert_untouched(&scene);
    }
}

#[test]
fn a_server_that_dies_at_once_is_told_with_its_last_words() {
    let scene = small::scene("plain", 1);
    change(
        &scene,
        "client_config:",
        "services:\n  loud: { node: box, port: 8001, command: [bash, -c, 'echo out of cheese; exit 7'], \
         restart: { attempts: 0 }, ready: { http: /health } }\nclient_config:",
    );
    let said = scene.expect(4, &["up", YAML]);
    assert!(
        said.err.contains("loud ended with code 7: out of cheese"),
        "{}",
        said.err
    );
    let journal = scene.journal("small");
    let at = |kind: &str| {
        let of_loud =
            |record: &&Value| record["event"]["kind"] == kind && record["event"]["unit"] == "loud";
        journal.iter().find(of_loud).unwrap()["at"]
            .as_u64()
            .unwrap()
    };
    assert!(at("exited") - at("launched") < 1000, "noticed too late");
    assert_eq!(scene.results("out"), 0, "its evaluation needs it");
    scene.assert_nothing_left();
}

/// Nothing proves that this parser reads the model, so only the probe can tell.
#[test]
fn a_parser_that_does_not_fit_is_named_with_its_fix() {
    let scene = small::scene("plain", 1);
    change(
        &scene,
        "port: 8000",
        "port: 8000, tools: true, tool_parser: jamba",
    );
    let said = scene.expect(4, &["up", YAML]);
    assert!(
        said.err
            .contains("tool call: an automatic tool call came back as text"),
        "{}",
        said.err
    );
    assert!(
        said.err
            .contains("leave `tool_parser` out for the family's own"),
        "{}",
        said.err
    );
    scene.assert_nothing_left();
}

#[test]
fn results_of_another_evaluation_are_left_alone() {
    let scene = small::scene("plain", 2);
    scene.expect(0, &["up", YAML]);
    change(&scene, "Qwen/Qwen3-8B", "Qwen/Qwen3-14B");
    scene.write(
        "data.jsonl",
        "{\"id\":\"q-0\"}\n{\"id\":\"q-1\"}\n{\"id\":\"q-2\"}\n",
    );
    let said = scene.expect(3, &["up", YAML]);
    assert!(said.err.contains("Qwen/Qwen3-14B"), "{}", said.err);
    assert_eq!(scene.results("out"), 2);
    assert_eq!(scene.runs().len(), 1, "no run was begun");
    scene.assert_nothing_left();
}

#[test]
fn a_torn_result_is_set_aside_and_made_again() {
    let scene = small::scene("plain", 4);
    scene.expect(0, &["up", YAML]);
    scene.write("out/q-1.json", "{\"id\":\"q-1\",\"sta");
    scene.write("out/q-2.json", "");
    let said = scene.expect(0, &["up", YAML]);
    assert!(
        said.err.contains("set 2 torn results aside"),
        "{}",
        said.err
    );
    assert_eq!(scene.results("out"), 4);
    assert!(scene.read("out/q-2.json").contains("done"));
    let aside = scene.names("out/.toolorch/set-aside");
    assert_eq!(aside.len(), 2, "{aside:?}");
    let log = scene.read("home/runs/small/latest/logs/eval-sums.log");
    assert_eq!(log.matches("SUM_DONE").count(), 2, "only what was torn");
    scene.assert_nothing_left();
}

#[test]
fn an_exit_code_of_0_is_not_believed() {
    let scene = small::scene("early", 5);
    scene.expect(0, &["up", YAML]);
    assert_eq!(scene.results("out"), 5);
    let journal = scene.journal("small");
    let starts = events(&journal, "launched");
    assert_eq!(
        starts
            .iter()
            .filter(|event| event["unit"] == "eval-sums")
            .count(),
        3
    );
    scene.assert_nothing_left();

    let scene = small::scene("nothing", 5);
    let said = scene.expect(5, &["up", YAML]);
    assert!(
        said.err.contains("before it finished a single question"),
        "{}",
        said.err
    );
    let journal = scene.journal("small");
    let starts = events(&journal, "launched");
    assert_eq!(starts.len(), 2, "not started again");
    scene.assert_nothing_left();
}

#[test]
fn a_client_that_shows_nothing_or_only_errors_is_stopped() {
    let scene = small::scene("silent", 5);
    let said = scene.expect(5, &["up", YAML]);
    assert!(
        said.err
            .contains("no result and no marker within 2.0s of its start"),
        "{}",
        said.err
    );
    scene.assert_nothing_left();

    let scene = small::scene("errors", 40);
    let said = scene.expect(5, &["up", YAML]);
    assert!(said.err.contains("results are errors"), "{}", said.err);
    scene.assert_nothing_left();
}
