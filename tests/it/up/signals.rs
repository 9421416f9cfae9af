//! Terminals and pipes come and go, and so does the controller's time: nothing that was started hears of it.

use std::io::{ErrorKind, PipeReader, PipeWriter, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Signal;
use serde_json::Value;

use super::Scene;
use super::scene::{kill, until};
use super::small::{self, YAML, change};

fn all_results(scene: &Scene, count: usize) {
    until("all results", || {
        (scene.results("out") == count).then_some(())
    });
}

/// The last event of this kind.
fn event(scene: &Scene, kind: &str) -> Option<Value> {
    let journal = scene.journal("small");
    let mut events = journal.into_iter().map(|record| record["event"].clone());
    events.rfind(|event| event["kind"] == kind)
}

/// `up` by way of a shell, with the arguments behind it.
fn through_a_shell(scene: &Scene, line: &str) -> Command {
    let program = scene.toolorch(&[]);
    let mut command = Command::new("bash");
    command.args(["-c", line, "bash", env!("CARGO_BIN_EXE_toolorch")]);
    command.current_dir(scene.path(".")).stdin(Stdio::null());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// A4: the terminal is closed, or the ssh connection breaks.
#[test]
fn a_closed_terminal_ends_nothing() {
    let scene = small::scene("slow", 12);
    let line = "exec script -qec \"exec $1 up small.yaml\" /dev/null";
    let going = scene.go(through_a_shell(&scene, line));
    until("a result", || (scene.results("out") > 0).then_some(()));
    let owner = event(&scene, "owner-took").unwrap();
    going.signal(Signal::KILL);
    going.end();
    let end = until("the end of the run", || event(&scene, "run-ended"));
    assert_eq!(end["code"], 0, "{end}");
    assert_eq!(
        event(&scene, "owner-took").unwrap(),
        owner,
        "the same controller"
    );
    all_results(&scene, 12);
    until("the controller's end", || {
        scene.processes().is_empty().then_some(())
    });
    scene.assert_nothing_left();
}

/// A4: whoever reads has seen enough.
#[test]
fn a_reader_that_leaves_ends_nothing() {
    let scene = small::scene("slow", 4);
    let line = "set -o pipefail; $1 up --events json small.yaml 2>&1 | head -n 1";
    let said = scene.go(through_a_shell(&scene, line)).end();
    assert_eq!(said.code, 0, "{}", said.out);
    assert_eq!(said.out.lines().count(), 1);
    assert_eq!(scene.results("out"), 4);
    scene.assert_nothing_left();
}

/// A pipe that is full, and that nobody reads.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    let full = loop {
        if let Err(error) = writer.write(&[b'x'; 512]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

/// A9: a terminal that stopped reading (Ctrl-S), however much there is to say.
#[test]
fn a_terminal_that_does_not_read_holds_up_no_supervision() {
    for format in ["json", "plain"] {
        let scene = small::scene("slow", 4);
        let (_reader, writer) = full_pipe();
        let mut up = scene.toolorch(&["--verbose", "up", "--events", format, YAML]);
        up.stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .process_group(0);
        let mut child = up.spawn().unwrap();
        // The command is gone with its handles of the pipe.
        drop(up);
        let end = until("the end of the run", || event(&scene, "run-ended"));
        assert_eq!(end["code"], 0, "{end}");
        // Its last words have nowhere to go; it can be sent away all the same.
        let ended = until("its end", || {
            kill(child.id(), Signal::TERM);
            child.try_wait().unwrap()
        });
        assert!(matches!(ended.code(), Some(0 | 143)), "{ended}");
        assert_eq!(scene.results("out"), 4);
        scene.assert_nothing_left();
    }
}

/// A5: the controller stands still while the world goes on.
#[test]
fn a_controller_that_stood_still_says_so_and_stops_nothing() {
    let scene = small::scene("slow", 30);
    change(&scene, "first_result: 2s", "first_result: 24h, stall: 24h");
    let mut up = scene.toolorch(&["up", YAML]);
    up.env("TOOLORCH_TIME_SCALE", "50");
    let going = scene.go(up);
    until("a result", || (scene.results("out") > 0).then_some(()));
    going.signal(Signal::STOP);
    let done = scene.results("out");
    until("more results", || {
        (scene.results("out") >= done + 6).then_some(())
    });
    going.signal(Signal::CONT);
    until("its word", || event(&scene, "owner-away"));
    let said = going.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(event(&scene, "stop-intended").unwrap()["why"]["is"], "done");
    let log = scene.read("home/runs/small/latest/logs/eval-sums.log");
    assert_eq!(log.matches("SUM_DONE").count(), 30, "one client did it all");
    scene.assert_nothing_left();
}

/// A7: the shell allows few open files.
#[test]
fn few_open_files_are_raised_or_refused() {
    let scene = small::scene("plain", 1);
    change(&scene, "port: 8000", "port: 8000, replicas: 60");
    let line = "ulimit -n 300; exec $1 up --no-eval small.yaml";
    let refused = scene.go(through_a_shell(&scene, line)).end();
    assert_eq!(refused.code, 3, "{}", refused.err);
    let why = "error[E0607]: watching 60 units takes about 304 open files";
    assert!(refused.err.contains(why), "{}", refused.err);
    assert!(
        refused.err.contains("this shell allows 300"),
        "{}",
        refused.err
    );

    change(&scene, "replicas: 60", "replicas: 12");
    let line = "ulimit -Sn 24; exec $1 up --no-eval small.yaml";
    let said = scene.go(through_a_shell(&scene, line)).end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(said.err.matches(" ready after").count(), 12, "{}", said.err);
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

/// A10: a toolorch that knows less does not guess.
#[test]
fn what_a_newer_toolorch_wrote_is_refused() {
    let scene = small::scene("plain", 1);
    scene.expect(0, &["up", YAML]);
    let plan = "home/runs/small/latest/plan.json";
    let text = scene.read(plan);
    let newer = text.replacen("\"format\": 1", "\"format\": 99", 1);
    assert_ne!(newer, text, "{text}");
    scene.write(plan, &newer);
    let said = scene.expect(65, &["status", YAML]);
    assert!(
        said.err
            .contains("has format 99, this toolorch reads up to 1"),
        "{}",
        said.err
    );
}
