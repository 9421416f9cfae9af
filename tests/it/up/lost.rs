//! What the controller rests on is gone: the run's folder, its disk. Whoever loses it must know what goes on.

use rustix::process::Signal;
use serde_json::Value;

use super::Scene;
use super::scene::{Going, until};
use super::small::{self, YAML, server};

fn up(scene: &Scene) -> Going {
    let going = scene.go(scene.toolorch(&["up", YAML]));
    until("a result", || (scene.results("out") > 0).then_some(()));
    going
}

#[test]
fn a_removed_run_folder_is_said_and_down_still_ends_all() {
    let scene = small::scene("slow", 60);
    let first = up(&scene);
    std::fs::remove_dir_all(scene.path("home/runs")).unwrap();
    let said = first.end();
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.err.contains("error: the run's directory `")
            && said.err.contains("` go on, and nobody watches them")
            && said.err.contains("or stop them: toolorch down small.yaml"),
        "{}",
        said.err
    );
    assert!(!scene.listeners().is_empty(), "its server goes on");

    let refused = scene.expect(3, &["up", YAML]);
    assert!(
        refused
            .err
            .contains("first end them: toolorch down small.yaml"),
        "{}",
        refused.err
    );
    let down = scene.expect(0, &["down", YAML]);
    assert!(
        down.err.contains("the folder of run `small-1-")
            && down.err.contains("is down: no process of it is left"),
        "{}",
        down.err
    );
    scene.assert_nothing_left();
    assert_eq!(scene.names("state"), [] as [String; 0], "secrets go, too");
}

/// A file that cannot be written stands for a full disk: the same error on the same way.
#[test]
fn what_cannot_be_recorded_is_stopped_all_the_same() {
    let scene = small::scene("slow", 60);
    let first = up(&scene);
    first.signal(Signal::KILL);
    first.end();
    std::fs::remove_file(scene.path("home/runs/small/1/owner.json")).unwrap();
    std::fs::create_dir(scene.path("home/runs/small/1/owner.json")).unwrap();
    let down = scene.expect(0, &["down", YAML]);
    assert!(
        down.err.contains("is down: no process with its mark")
            && down.err.contains("warning: this could not be recorded"),
        "{}",
        down.err
    );
    scene.assert_nothing_left();
    std::fs::remove_dir(scene.path("home/runs/small/1/owner.json")).unwrap();
    let status = scene.expect(0, &["status", YAML]).out;
    assert!(
        status.contains(": nothing of it runs, begun at ")
            && !status.contains("what was started goes on"),
        "{status}"
    );
}

#[test]
fn a_run_whose_plan_is_gone_or_damaged_is_told_and_goes_on() {
    let scene = small::scene("plain", 2);
    scene.expect(0, &["up", "--no-eval", YAML]);
    let plan = scene.path("home/runs/small/1/plan.json");
    for damage in [None, Some("nonsense")] {
        std::fs::remove_file(&plan).unwrap();
        if let Some(text) = damage {
            std::fs::write(&plan, text).unwrap();
        }
        let said = scene.expect(65, &["status", "small"]);
        let what = if damage.is_some() {
            "run's plan is damaged"
        } else {
            "is gone: `"
        };
        assert!(
            said.err.contains(what) && said.err.contains("help: "),
            "{}",
            said.err
        );
        scene.expect(0, &["up", "--no-eval", YAML]);
        let status = scene.expect(0, &["status", "small"]).out;
        assert!(status.contains("ready after"), "{status}");
    }
    let journal = scene.journal("small");
    let starts = journal
        .iter()
        .filter(|record| record["event"]["kind"] == "launched");
    assert_eq!(starts.count(), 1);
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

#[test]
fn a_stopped_controller_goes_when_down_asks() {
    let scene = small::scene("slow", 60);
    let first = up(&scene);
    first.signal(Signal::STOP);
    let down = scene.expect(0, &["down", YAML]);
    assert!(down.took.as_secs() < 15, "{:?}", down.took);
    assert_eq!(first.end().code, 143);
    scene.assert_nothing_left();
}

#[test]
fn down_leaves_the_history_of_a_run_that_ended() {
    let scene = small::scene("errors", 2);
    scene.expect(5, &["up", YAML]);
    let look = |args: &[&str]| scene.expect(0, args).out;
    let before = (look(&["runs"]), look(&["status", YAML]));
    assert!(before.0.contains("ended with exit code 5"), "{}", before.0);
    let down = scene.expect(0, &["down", YAML]);
    assert!(down.err.contains("is down since it ended"), "{}", down.err);
    std::fs::remove_dir_all(scene.path("out")).unwrap();
    assert_eq!((look(&["runs"]), look(&["status", YAML])), before);
}

#[test]
fn down_keeps_how_evaluations_ended() {
    let scene = small::scene("plain", 2);
    small::change(&scene, "when_done: down", "when_done: keep");
    scene.expect(0, &["up", YAML]);
    scene.expect(0, &["down", YAML]);
    let status = scene.expect(0, &["status", YAML]).out;
    assert!(status.contains("complete · 2/2"), "{status}");
    scene.assert_nothing_left();
}

const TWO: &str = "  chat: { engine: sim, model: Qwen/Qwen3-8B, node: box, port: 8000 }\n  \
                   other: { engine: sim, model: Qwen/Qwen3-4B, node: box, port: 8001 }\n";

#[test]
fn only_adds_to_what_runs() {
    let scene = small::scene("plain", 1);
    let one = "  chat: { engine: sim, model: Qwen/Qwen3-8B, node: box, port: 8000 }\n";
    small::change(&scene, one, TWO);
    scene.expect(0, &["up", YAML, "--only", "chat"]);
    let first = server(&scene);
    let said = scene.expect(0, &["up", YAML, "--only", "other"]);
    assert!(
        said.err
            .contains("--only: 1 more of this cluster run already and go on"),
        "{}",
        said.err
    );
    let config: Value = serde_json::from_str(&scene.read("config.json")).unwrap();
    for model in ["Qwen/Qwen3-8B", "Qwen/Qwen3-4B"] {
        assert!(config[model].is_array(), "{config}");
    }
    assert_eq!(server(&scene), first);
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

/// Another name, another folder: what they share is the results.
#[test]
fn results_have_one_run_at_a_time() {
    let scene = small::scene("slow", 12);
    let yaml = scene.read(YAML).replace("name: small", "name: other");
    let yaml = yaml.replace("port: 8000", "port: 8100");
    scene.write("other.yaml", &yaml);
    let first = up(&scene);
    let refused = scene.expect(3, &["up", "other.yaml"]);
    assert!(
        refused.err.contains("`eval-sums` of the run `small-1-")
            && refused.err.contains("writes there, and is watched"),
        "{}",
        refused.err
    );
    // Its client alone keeps them, too.
    first.signal(Signal::KILL);
    first.end();
    let refused = scene.expect(3, &["up", "other.yaml"]);
    assert!(
        refused.err.contains("writes there, and runs as pid "),
        "{}",
        refused.err
    );
    scene.expect(0, &["up", YAML]);
    let log = scene.read("home/runs/small/latest/logs/eval-sums.log");
    assert_eq!(log.matches("SUM_DONE").count(), 12);
    scene.assert_nothing_left();
}

#[test]
fn results_of_another_dataset_are_no_place_for_this_one() {
    let scene = small::scene("plain", 2);
    scene.expect(0, &["up", YAML]);
    scene.write("data.jsonl", "{\"id\":\"r-0\"}\n");
    let refused = scene.expect(3, &["up", YAML]);
    let why = refused
        .err
        .lines()
        .find(|line| line.contains("belong to another evaluation"));
    let why = why.unwrap_or_else(|| panic!("{}", refused.err));
    // `plan` says the same, in the same words.
    let foreseen = scene.expect(0, &["plan", YAML]).err;
    let same = why.replace("error:", "`toolorch up` would refuse:");
    assert!(foreseen.lines().any(|line| line == same), "{foreseen}");
    assert_eq!(scene.result_names("out"), ["q-0.json", "q-1.json"]);
}

#[test]
fn an_evaluation_alone_brings_its_servers() {
    let scene = small::scene("plain", 2);
    scene.expect(0, &["up", YAML, "--only", "sums"]);
    assert_eq!(scene.results("out"), 2);
    scene.assert_nothing_left();
}

/// A run whose controller was killed, its server and client at work.
fn orphaned() -> Scene {
    let scene = small::scene("slow", 60);
    let first = up(&scene);
    first.signal(Signal::KILL);
    first.end();
    scene
}

#[test]
fn damage_keeps_nothing_alive() {
    // A damaged owner's file: all goes down, the code says that the books are not in order.
    let scene = orphaned();
    scene.write("home/runs/small/1/owner.json", "{\"v\":1}");
    let down = scene.expect(65, &["down", YAML]);
    assert!(
        down.err.contains("is down: no process with its mark")
            && down.err.contains("help: to begin anew rename `"),
        "{}",
        down.err
    );
    scene.assert_nothing_left();

    // A damaged state of a unit, a removed script of another.
    let scene = orphaned();
    let run = scene.names("state").pop().unwrap();
    scene.write(&format!("state/{run}/chat-0/state"), "garbage\n");
    std::fs::remove_file(scene.path("home/runs/small/1/scripts/units/eval-sums.sh")).unwrap();
    let down = scene.expect(0, &["down", YAML]);
    assert!(down.took.as_secs() < 20, "{:?}", down.took);
    scene.assert_nothing_left();

    // What all scripts share is gone.
    let scene = orphaned();
    std::fs::remove_dir_all(scene.path("home/runs/small/1/scripts/lib")).unwrap();
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

#[test]
fn a_tmux_server_is_found_from_another_shell() {
    let scene = small::scene("slow", 3);
    scene.expect(0, &["up", YAML, "--no-eval", "--set", "launcher=tmux"]);
    let mut down = scene.toolorch(&["down", YAML]);
    down.env_remove("TMUX_TMPDIR");
    let said = scene.go(down).end();
    assert_eq!(said.code, 0, "{}", said.err);
    scene.assert_nothing_left();
}

#[test]
fn removed_scripts_are_put_back() {
    let scene = small::scene("slow", 16);
    let first = up(&scene);
    let served_by = server(&scene);
    first.signal(Signal::KILL);
    first.end();
    std::fs::remove_dir_all(scene.path("home/runs/small/1/scripts/units")).unwrap();
    scene.expect(0, &["up", YAML]);
    assert_eq!((scene.results("out"), server(&scene)), (16, served_by));
    scene.assert_nothing_left();
}

#[test]
fn of_two_detached_controllers_the_second_is_told() {
    let scene = small::scene("slow", 30);
    let both = [(); 2].map(|()| scene.go(scene.toolorch(&["up", YAML, "--detach"])));
    let mut codes = both.map(|going| {
        let said = going.end();
        assert!(said.took.as_secs() < 10, "{:?} {}", said.took, said.err);
        said.code
    });
    codes.sort_unstable();
    assert_eq!(codes, [0, 75]);
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}
