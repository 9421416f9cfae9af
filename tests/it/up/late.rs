//! A start that hangs, state that is gone, a port that a stranger took: what a slow node and a tidied /tmp do to a run.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use rustix::process::Signal;

use super::Scene;
use super::scene::{Going, kill, until};
use super::small::{self, YAML, change, server};

/// A shell that holds back the starts of one unit until there is a file `go`.
fn hold_back(scene: &Scene, unit: &str) {
    let shell = format!(
        "#!/bin/sh\ncase \"$*\" in *units/{unit}.sh*\" run \"*) : >>held; while [ ! -e {} ]; do sleep 0.05; done ;; esac\nexec /bin/bash \"$@\"\n",
        scene.path("go").display()
    );
    scene.write("bin/bash", &shell);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(scene.path("bin/bash"), mode).unwrap();
}

fn held(scene: &Scene) {
    let path = scene.path("held");
    until("a start that hangs", || path.exists().then_some(()));
}

fn event(scene: &Scene, kind: &str, unit: &str) {
    until(&format!("{kind} of {unit}"), || {
        let all = scene.journal("small");
        let found = |record: &serde_json::Value| {
            record["event"]["kind"] == kind && record["event"]["unit"] == unit
        };
        all.iter().any(found).then_some(())
    });
}

/// What a script of the run says to a start of its first owner.
fn late_start(scene: &Scene, unit: &str) -> (Option<i32>, String) {
    let run = scene.runs().remove(0);
    let script = format!("home/runs/small/1/scripts/units/{unit}.sh");
    let said = Command::new("timeout")
        .args(["10", "/bin/bash"])
        .arg(scene.path(&script))
        .args(["run", "--run", &run, "--generation", "9", "--epoch", "1"])
        .env("TOOLORCH_STATE", scene.path("state"))
        .output()
        .unwrap();
    let text = String::from_utf8(said.stderr).unwrap();
    (said.status.code(), text)
}

/// Whether the run is over for every start of it that comes now.
#[track_caller]
fn assert_closed(scene: &Scene) {
    for unit in ["chat-0", "eval-sums"] {
        let (code, text) = late_start(scene, unit);
        assert_eq!(code, Some(73), "{unit}: {text}");
    }
    assert_eq!(scene.names("state"), [] as [String; 0], "a trace of it");
    scene.assert_nothing_left();
}

#[test]
fn a_start_that_hangs_does_not_outlive_down() {
    for (unit, killed, launcher) in [
        ("chat-0", false, "process"),
        ("chat-0", true, "process"),
        ("chat-0", true, "tmux"),
        ("eval-sums", false, "process"),
    ] {
        let scene = small::scene("plain", 4);
        hold_back(&scene, unit);
        let launcher = format!("launcher={launcher}");
        let up = scene.go(scene.toolorch(&["up", YAML, "--set", &launcher]));
        held(&scene);
        event(&scene, "launched", unit);
        if killed {
            up.signal(Signal::KILL);
        }
        let down = scene.expect(0, &["down", YAML]);
        assert!(down.took.as_secs() < 10, "{:?}", down.took);
        up.end();
        scene.write("go", "");
        assert_closed(&scene);
        assert_eq!(scene.results("out"), 0);
    }
}

#[test]
fn a_start_of_an_earlier_owner_does_not_outlive_the_run() {
    let scene = small::scene("plain", 2);
    hold_back(&scene, "chat-0");
    let first = scene.go(scene.toolorch(&["up", YAML]));
    held(&scene);
    event(&scene, "launched", "chat-0");
    first.signal(Signal::KILL);
    first.end();
    // The next one has a shell that is quick.
    std::fs::remove_file(scene.path("bin/bash")).unwrap();
    scene.expect(0, &["up", YAML]);
    assert_eq!(scene.results("out"), 2);
    scene.write("go", "");
    assert_closed(&scene);
}

#[test]
fn a_run_that_ended_by_itself_starts_nothing_any_more() {
    let scene = small::scene("plain", 1);
    scene.expect(0, &["up", YAML]);
    assert_closed(&scene);
}

/// A run whose owner was killed, with a server and a client that answer.
fn orphaned() -> (Scene, Vec<(u32, String)>) {
    let scene = small::scene("slow", 24);
    change(
        &scene,
        "node: box, port: 8000 }",
        "node: box, port: 8000, ready: { timeout: 5s } }",
    );
    let first = scene.go(scene.toolorch(&["up", YAML]));
    until("a result", || (scene.results("out") > 0).then_some(()));
    first.signal(Signal::KILL);
    first.end();
    let there = scene.processes();
    (scene, there)
}

fn up_again(scene: &Scene) -> Going {
    scene.go(scene.toolorch(&["up", YAML]))
}

#[test]
fn what_lives_is_taken_over_without_its_state() {
    let (scene, _) = orphaned();
    let served_by = server(&scene);
    let run = scene.runs().pop().unwrap();
    std::fs::remove_dir_all(scene.path(&format!("state/{run}"))).unwrap();
    let said = up_again(&scene).end();
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!((scene.results("out"), server(&scene)), (24, served_by));
    let all = said.out + &said.err;
    assert!(
        !all.contains("given up") && all.contains("eval-sums ended with code 0"),
        "{all}"
    );
    scene.assert_nothing_left();
}

#[test]
fn a_server_without_state_that_dies_is_noticed_at_once() {
    let (scene, _) = orphaned();
    let run = scene.runs().pop().unwrap();
    std::fs::remove_dir_all(scene.path(&format!("state/{run}"))).unwrap();
    let second = up_again(&scene);
    let ready = || second.out().contains("chat-0 ready") || second.err().contains("chat-0 ready");
    until("the server to be ready again", || ready().then_some(()));
    let died = std::time::Instant::now();
    let pid = server(&scene).as_u64().unwrap();
    kill(u32::try_from(pid).unwrap(), Signal::KILL);
    until("its end", || {
        let said = second.out() + &second.err();
        said.contains("chat-0 ended with code 137").then_some(())
    });
    assert!(died.elapsed().as_secs() < 5, "{:?}", died.elapsed());
    let said = second.end();
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(scene.results("out"), 24);
    scene.assert_nothing_left();
}

#[test]
fn another_place_for_state_is_refused_while_something_lives() {
    let (scene, there) = orphaned();
    std::fs::create_dir(scene.path("elsewhere")).unwrap();
    let elsewhere = |words: &[&str]| {
        let mut command = scene.toolorch(words);
        command.env("TOOLORCH_STATE", scene.path("elsewhere"));
        scene.go(command).end()
    };
    let refused = elsewhere(&["up", YAML]);
    assert_eq!(refused.code, 3, "{}", refused.err);
    let (state, other) = (scene.path("state"), scene.path("elsewhere"));
    let words = format!(
        "keeps the state of its units in `{}`, and TOOLORCH_STATE says `{}`",
        state.display(),
        other.display()
    );
    assert!(refused.err.contains(&words), "{}", refused.err);
    let server = there
        .iter()
        .find(|(_, line)| line.contains(" serve "))
        .unwrap();
    assert!(scene.processes().contains(server), "it goes on");
    // What ends things needs no right word.
    let down = elsewhere(&["down", YAML]);
    assert_eq!(down.code, 0, "{}", down.err);
    assert_eq!(scene.names("state"), [] as [String; 0], "secrets go, too");
    scene.assert_nothing_left();
}

#[test]
fn a_stranger_on_the_port_of_a_dead_server_keeps_nothing_unwatched() {
    let (scene, _) = orphaned();
    let address = format!("{}1.1:8000", scene.network());
    let pid = u32::try_from(server(&scene).as_u64().unwrap()).unwrap();
    kill(pid, Signal::KILL);
    let stranger = until("its port", || TcpListener::bind(&address).ok());
    let second = up_again(&scene);
    until("the refusal of its start", || {
        let said = second.out() + &second.err();
        said.contains("chat-0 ended with code 69").then_some(())
    });
    assert!(
        second
            .err()
            .contains("warning: port 8000 for `chat-0` is in use by"),
        "{}",
        second.err()
    );
    // `down` ends all that is the run's, and says what is not.
    let down = scene.expect(0, &["down", YAML]);
    assert!(
        down.err
            .contains("warning: port 8000 of `chat-0` is in use by")
            && down
                .err
                .contains("is down: no process with its mark and no session is left"),
        "{}",
        down.err
    );
    second.end();
    let status = scene.expect(0, &["status", YAML]).out;
    assert!(status.contains("taken down"), "{status}");
    drop(stranger);
    scene.assert_nothing_left();
}
