//! Nobody watches: alarms that outlive the controller, and units that go by themselves.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use super::Scene;
use super::scene::until;
use super::small::{self, YAML, change};

/// Time passes so many times as fast.
const SCALE: &str = "50";

/// The small cluster, in a hurry; `more` are further keys of its YAML.
fn scene(mode: &str, questions: usize, more: &str) -> Scene {
    let scene = small::scene(mode, questions);
    change(&scene, "first_result: 2s", "first_result: 24h, stall: 24h");
    change(
        &scene,
        "when_done: down\n",
        &format!("when_done: down\n{more}"),
    );
    scene
}

fn toolorch(scene: &Scene, args: &[&str]) -> Command {
    let mut command = scene.toolorch(args);
    command.env("TOOLORCH_TIME_SCALE", SCALE);
    command.env("OPENAI_API_KEY", "canary'`\"$x");
    command
}

/// A command that keeps what it is told in `told`, and its environment in `environ`.
fn listener(scene: &Scene) {
    let script = "#!/bin/bash\nset -e\nread -r line\nenv -0 >environ\nprintf '%s\\n' \"$line\" >>told\necho \"heard $1\"\n";
    scene.write("tell.sh", script);
    std::fs::set_permissions(scene.path("tell.sh"), PermissionsExt::from_mode(0o755)).unwrap();
}

fn told(scene: &Scene) -> Vec<Value> {
    let text = std::fs::read_to_string(scene.path("told")).unwrap_or_default();
    let whole = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    whole.collect()
}

/// The state directory of the scene's run.
fn state(scene: &Scene) -> String {
    format!("state/{}", scene.names("state")[0])
}

/// A value of a unit's state file.
fn of_unit(scene: &Scene, unit: &str, key: &str) -> String {
    let text = scene.read(&format!("{}/{unit}/state", state(scene)));
    let prefix = format!("{key}=");
    let value = text.lines().find_map(|line| line.strip_prefix(&prefix));
    value.unwrap().to_owned()
}

/// The owner's last sign of life, in its own milliseconds.
fn beat(scene: &Scene) -> u64 {
    let text = scene.read(&format!("{}/.heartbeat", state(scene)));
    let at = text
        .split("at=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    at.and_then(|at| at.parse().ok()).unwrap_or_default()
}

fn signal_unit(scene: &Scene, unit: &str, signal: Signal) {
    let leader = of_unit(scene, unit, "pid").parse().unwrap();
    kill_process_group(Pid::from_raw(leader).unwrap(), signal).unwrap();
}

const NOTIFY: &str = "notify: { command: [./tell.sh, \"it's me\"], every: 30m }\n";

/// A11: the client hangs and the controller is dead. The client's own script tells it.
#[test]
fn an_evaluation_that_nobody_watches_raises_its_own_alarm() {
    let scene = scene("slow", 30, NOTIFY);
    listener(&scene);
    let up = scene.go(toolorch(&scene, &["up", YAML]));
    until("a result", || (scene.results("out") > 0).then_some(()));
    let controller = up.child.id();
    signal_unit(&scene, "eval-sums", Signal::STOP);
    up.signal(Signal::KILL);
    assert_eq!(up.end().code, 137);
    assert_eq!(
        told(&scene),
        [] as [Value; 0],
        "a controller that lives is enough"
    );
    let said = until("the alarm", || told(&scene).pop());
    assert_eq!(
        [
            &said["event"],
            &said["alarm"],
            &said["level"],
            &said["unit"],
            &said["eval"]
        ],
        ["alarm", "unwatched", "warning", "eval-sums", "sums"]
    );
    assert!(said.get("code").is_some_and(Value::is_null), "{said}");
    let text = said["text"].as_str().unwrap();
    assert!(
        text.contains(&format!("the controller, pid {controller}, is gone for")),
        "{text}"
    );
    assert_eq!(scene.runs(), [said["run"].as_str().unwrap()]);
    let environ = scene.read("environ");
    assert!(
        environ.contains("HOME=") && !environ.contains("canary"),
        "{environ}"
    );
    let mark = format!("TOOLORCH_NOTIFY={}/", said["run"].as_str().unwrap());
    assert!(environ.contains(&mark), "{environ}");
    assert_eq!(environ.matches("TOOLORCH_").count(), 1, "{environ}");
    let log = "home/runs/small/latest/logs/notify.log";
    until("its words", || {
        scene.read(log).contains("heard it's me").then_some(())
    });
    let status = scene.go(toolorch(&scene, &["status", YAML])).end().out;
    assert!(status.contains("nobody watches since "), "{status}");
    assert!(status.contains("`chat-0` stops itself in "), "{status}");

    signal_unit(&scene, "eval-sums", Signal::CONT);
    let last = scene.go(toolorch(&scene, &["up", YAML])).end();
    assert_eq!(last.code, 0, "{}", last.err);
    let end = told(&scene).pop().unwrap();
    assert_eq!([&end["event"], &end["level"]], ["ended", "info"], "{end}");
    assert_eq!(end["code"], 0);
    scene.assert_nothing_left();
}

/// `when_done: down` holds without a controller: what nobody asks any more goes.
#[test]
fn servers_go_where_nobody_is_left_to_take_them_down() {
    let scene = scene("slow", 4, "");
    // Somebody talks to the same port of another node, which may well be on this machine.
    let neighbour = format!("{}9.9:8000", scene.network());
    let listener = std::net::TcpListener::bind(&neighbour).unwrap();
    let talk = std::net::TcpStream::connect(&neighbour).unwrap();
    let up = scene.go(toolorch(&scene, &["up", YAML]));
    until("a result", || (scene.results("out") > 0).then_some(()));
    up.signal(Signal::KILL);
    up.end();
    until("all results", || (scene.results("out") == 4).then_some(()));
    until("the end of all", || {
        scene.processes().is_empty().then_some(())
    });
    let reason = of_unit(&scene, "chat-0", "reason");
    assert_eq!(
        reason,
        "idle for 600 s without a controller that would take it down"
    );
    assert_eq!(of_unit(&scene, "chat-0", "requested"), "1");
    let said = scene.go(toolorch(&scene, &["up", YAML])).end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("nothing was started"), "{}", said.err);
    drop((talk, listener));
    scene.assert_nothing_left();
}

/// `idle` counts from the last sign of life of the owner, or of the unit.
#[test]
fn units_idle_only_where_nobody_watches() {
    let scene = scene("silent", 1, "idle: 40s\n");
    let up = scene.go(toolorch(&scene, &["up", YAML]));
    until("the client", || {
        scene
            .path("home/runs/small/latest/logs/eval-sums.log")
            .exists()
            .then_some(())
    });
    let first = beat(&scene);
    until("five idle times", || {
        (beat(&scene) > first + 200_000).then_some(())
    });
    for unit in ["chat-0", "eval-sums"] {
        assert_eq!(of_unit(&scene, unit, "phase"), "running", "{unit}");
    }
    up.signal(Signal::KILL);
    up.end();
    until("the end of all", || {
        scene.processes().is_empty().then_some(())
    });
    for unit in ["chat-0", "eval-sums"] {
        assert_eq!(of_unit(&scene, unit, "reason"), "idle for 40 s", "{unit}");
    }
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

/// A command that hangs, one that fails, one that is not there: said, and nothing waits for it.
#[test]
fn a_command_that_fails_is_said_once_and_holds_up_nothing() {
    let scene = scene(
        "errors",
        30,
        "notify: { command: [./tell.sh], on: [evaluation, ended] }\n",
    );
    let absent = scene.go(toolorch(&scene, &["up", YAML])).end();
    assert_eq!(absent.code, 3, "{}", absent.err);
    assert!(
        absent.err.contains("error[E0604]: there is no program `"),
        "{}",
        absent.err
    );
    listener(&scene);
    scene.write("tell.sh", "#!/bin/bash\necho \"no network\" >&2\nexit 7\n");
    let said = scene.go(toolorch(&scene, &["up", YAML])).end();
    assert_eq!(said.code, 5, "{}", said.err);
    assert_eq!(
        said.err.matches("nobody hears of alarms").count(),
        1,
        "{}",
        said.err
    );
    assert!(
        said.err.contains("it ended with exit code 7"),
        "{}",
        said.err
    );
    let log = scene.read("home/runs/small/latest/logs/notify.log");
    assert_eq!(log, "no network\nno network\n");
    scene.assert_nothing_left();
}
