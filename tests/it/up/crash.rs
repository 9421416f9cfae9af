//! Something is killed at a bad moment: nothing finished is lost or run twice, nothing starts twice.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::Value;

use super::Scene;
use super::log_cluster::{FRAMES, HLE, YAML, call, events, finished, marked, small_scene};
use super::scene::{Going, kill, until};
use super::small;

const COUNT: usize = 90;

/// `up`, until a third of HLE is done, and what is done then.
fn up_to_a_third(scene: &Scene) -> (Going, u32) {
    let up = scene.go(call(scene, &["up", YAML]));
    until("a third of HLE", || {
        (scene.results(HLE) >= COUNT / 3).then_some(())
    });
    let leader = pids(scene)["eval-hle"];
    (up, leader)
}

/// The leader of each unit's last start.
fn pids(scene: &Scene) -> BTreeMap<String, u32> {
    let journal = scene.journal("hle-local");
    let started = events(&journal, "started").into_iter().map(|event| {
        let pid = u32::try_from(event["pid"].as_u64().unwrap()).unwrap();
        (event["unit"].as_str().unwrap().to_owned(), pid)
    });
    started.collect()
}

/// Every id is complete, and none that was finished then was touched or finished again.
fn assert_complete(scene: &Scene, then: &BTreeMap<String, (u64, i64)>) {
    let now = finished(scene, HLE);
    assert_eq!(now.len(), COUNT);
    assert!(then.len() < COUNT, "too late to prove anything");
    for (name, file) in then {
        assert_eq!(now.get(name), Some(file), "{name} was written again");
    }
    let marked = marked(scene, "eval-hle", "HLE_TASK_COMPLETE");
    let twice: Vec<_> = marked.iter().filter(|(_, count)| **count > 1).collect();
    assert_eq!(twice, [], "finished twice");
    assert_eq!(finished(scene, FRAMES).len(), 5, "FRAMES follows");
}

fn down(scene: &Scene, judge: super::log_cluster::Judge) {
    drop(judge);
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

#[test]
fn a_killed_client_goes_on_by_itself() {
    let (scene, judge) = small_scene(COUNT, 5, 6);
    let (up, leader) = up_to_a_third(&scene);
    kill(leader, Signal::KILL);
    let then = finished(&scene, HLE);
    let said = up.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err
            .contains("eval-hle ended with code 137 (SIGKILL inferred)"),
        "{}",
        said.err
    );
    assert_complete(&scene, &then);
    let journal = scene.journal("hle-local");
    let starts = events(&journal, "launched");
    assert_eq!(
        starts
            .iter()
            .filter(|event| event["unit"] == "eval-hle")
            .count(),
        2
    );
    down(&scene, judge);
}

#[test]
fn a_killed_controller_is_followed_by_the_next() {
    let (scene, judge) = small_scene(COUNT, 5, 6);
    let (up, leader) = up_to_a_third(&scene);
    up.signal(Signal::KILL);
    kill(leader, Signal::KILL);
    assert_eq!(up.end().code, 137);
    let then = finished(&scene, HLE);
    let before = pids(&scene);
    let said = scene.go(call(&scene, &["up", YAML])).end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert_complete(&scene, &then);
    let after = pids(&scene);
    for (unit, pid) in before.iter().filter(|(unit, _)| !unit.starts_with("eval-")) {
        assert_eq!(after.get(unit), Some(pid), "{unit} was not taken over");
    }
    let journal = scene.journal("hle-local");
    let adopted = events(&journal, "started");
    assert_eq!(
        adopted
            .iter()
            .filter(|event| event["adopted"] == true)
            .count(),
        6
    );
    down(&scene, judge);
}

/// A controller that is killed alone: its client goes on, and the next one watches it.
#[test]
fn a_client_outlives_its_controller() {
    let (scene, judge) = small_scene(COUNT, 5, 6);
    let (up, leader) = up_to_a_third(&scene);
    up.signal(Signal::KILL);
    assert_eq!(up.end().code, 137);
    let then = finished(&scene, HLE);
    let said = scene.go(call(&scene, &["up", YAML])).end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert_complete(&scene, &then);
    assert_eq!(
        pids(&scene)["eval-hle"],
        leader,
        "the client was started again"
    );
    down(&scene, judge);
}

/// How often the server of each unit really started: the simulator's first line in all its logs.
fn server_starts(scene: &Scene) -> BTreeMap<String, usize> {
    let logs = "home/runs/hle-local/latest/logs";
    let mut starts = BTreeMap::new();
    for name in scene.names(logs) {
        let text = scene.read(&format!("{logs}/{name}"));
        assert!(!text.contains("Address already in use"), "{name}: {text}");
        let unit = name.split('.').next().unwrap().to_owned();
        *starts.entry(unit).or_default() += text.matches("vLLM API server version").count();
    }
    starts
}

#[test]
fn a_controller_killed_while_servers_start_starts_none_twice() {
    let (scene, judge) = super::log_cluster::scene(1, 1);
    let yaml = scene.read(YAML);
    scene.write(
        YAML,
        &yaml.replace(
            "TOOLORCH_SIM_STARTUP_MS: 200",
            "TOOLORCH_SIM_STARTUP_MS: 1500",
        ),
    );
    // Each moment is one of the journal: so many lines of this kind.
    for (kind, count) in [
        ("launch-intended", 1),
        ("launched", 9),
        ("started", 17),
        ("climbed", 30),
    ] {
        let up = scene.go(call(&scene, &["up", YAML, "--no-eval"]));
        until(kind, || {
            (events(&scene.journal("hle-local"), kind).len() >= count).then_some(())
        });
        up.signal(Signal::KILL);
        assert_eq!(up.end().code, 137);
    }
    let said = scene.go(call(&scene, &["up", YAML, "--no-eval"])).end();
    assert_eq!(said.code, 0, "{}", said.err);
    let starts = server_starts(&scene);
    let of_models: Vec<_> = starts
        .iter()
        .filter(|(unit, _)| !unit.contains("retrieval"))
        .collect();
    assert_eq!(of_models.len(), 24);
    assert!(
        of_models.iter().all(|(_, count)| **count == 1),
        "{starts:?}"
    );
    let journal = scene.journal("hle-local");
    assert_eq!(events(&journal, "gave-up"), [] as [&Value; 0]);
    let failed = events(&journal, "launch-failed");
    let interrupted = "the controller ended before it was started";
    assert!(
        failed.iter().all(|event| event["why"] == interrupted),
        "{failed:?}"
    );
    // A healthy cluster is left alone.
    let again = scene.go(call(&scene, &["up", YAML, "--no-eval"])).end();
    assert_eq!(again.code, 0, "{}", again.err);
    assert_eq!(server_starts(&scene), starts);
    down(&scene, judge);
}

/// Somebody tidies `/tmp` while nobody watches: what runs is found by its marks and goes on.
#[test]
fn a_removed_state_directory_restarts_nothing() {
    let scene = small::scene("slow", 16);
    let up = scene.go(scene.toolorch(&["up", small::YAML]));
    until("a result", || (scene.results("out") > 0).then_some(()));
    let before = small::server(&scene);
    up.signal(Signal::KILL);
    assert_eq!(up.end().code, 137);
    std::fs::remove_dir_all(scene.path("state")).unwrap();
    std::fs::create_dir(scene.path("state")).unwrap();
    let said = scene.expect(0, &["up", small::YAML]);
    assert_eq!(small::server(&scene), before, "{}", said.err);
    assert_eq!(scene.results("out"), 16);
    let log = scene.read("home/runs/small/1/logs/eval-sums.log");
    assert_eq!(log.matches("SUM_DONE").count(), 16, "the client went on");
    // Its script has no state to say that it goes: it is gone a moment after what it watched.
    until("the scripts' end", || {
        scene.processes().is_empty().then_some(())
    });
    scene.assert_nothing_left();
}

/// A server as vLLM has it: engine and worker are processes of their own, the worker in another session. Whatever kills
/// one of them, the next start finds none of the old ones.
#[test]
fn a_server_of_three_processes_goes_and_comes_as_one() {
    let scene = small::scene("slow", 40);
    let plain = "node: box, port: 8000 }";
    let tree = "node: box, port: 8000, restart: { backoff: 100ms }, env: { set: { TOOLORCH_SIM_TREE: \"1\" } } }";
    small::change(&scene, plain, tree);
    let up = scene.go(scene.toolorch(&["up", small::YAML]));
    let parts = |of: u32| -> Vec<u32> {
        let processes = scene.processes();
        let named = |(pid, line): &(u32, String)| {
            (line.starts_with("VLLM::") || *pid == of).then_some(*pid)
        };
        processes.iter().filter_map(named).collect()
    };
    for title in ["", "VLLM::EngineCore", "VLLM::Worker"] {
        until("a server", || small_is_ready(&scene).then_some(()));
        let leader = small::server(&scene);
        let leader = u32::try_from(leader.as_u64().unwrap()).unwrap();
        let old = until("three processes", || {
            Some(parts(leader)).filter(|parts| parts.len() == 3)
        });
        let victim = match title {
            "" => leader,
            title => {
                let processes = scene.processes();
                let found = processes.iter().find(|(_, line)| line.starts_with(title));
                found.unwrap().0
            }
        };
        kill(victim, Signal::KILL);
        until("the next start", || {
            (small::server(&scene) != leader).then_some(())
        });
        let living = parts(0);
        assert!(
            old.iter().all(|pid| !living.contains(pid)),
            "{title}: {old:?} {living:?}"
        );
    }
    up.signal(Signal::TERM);
    up.end();
    scene.expect(0, &["down", small::YAML]);
    scene.assert_nothing_left();
}

fn small_is_ready(scene: &Scene) -> bool {
    let journal = scene.journal("small");
    let last = |kind: &str| {
        journal.iter().rposition(|record| {
            record["event"]["kind"] == kind && record["event"]["unit"] == "chat-0"
        })
    };
    last("ready") > last("launched")
}
