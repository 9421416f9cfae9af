//! One owner, and books that can be trusted: a stopped owner is replaced, a damaged journal rebuilt, a full disk sat out.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::Scene;
use super::scene::{Going, kill, until};
use super::small::{self, YAML, server};

const SEGMENT: &str = "home/runs/small/1/journal.1.jsonl";

/// `up` whose time to live passes in three seconds.
fn up_fast(scene: &Scene) -> Going {
    let mut command = scene.toolorch(&["up", YAML]);
    command.env("TOOLORCH_TIME_SCALE", "20");
    scene.go(command)
}

fn some_results(scene: &Scene) {
    let before = scene.results("out");
    until("a result", || (scene.results("out") > before).then_some(()));
}

/// What a unit's script says to an owner of this epoch.
fn script(scene: &Scene, unit: &str, words: &str) -> (Option<i32>, String) {
    let run = scene.runs().pop().unwrap();
    let path = format!("home/runs/small/1/scripts/units/{unit}.sh");
    let said = Command::new("bash")
        .arg(scene.path(&path))
        .args(words.split(' '))
        .args(["--run", &run])
        .env("TOOLORCH_STATE", scene.path("state"))
        .output()
        .unwrap();
    let text = String::from_utf8(said.stderr).unwrap();
    (said.status.code(), text)
}

fn processes_of(scene: &Scene, what: &str) -> usize {
    let all = scene.processes();
    all.iter().filter(|(_, line)| line.contains(what)).count()
}

#[test]
fn a_stopped_owner_is_replaced_and_does_nothing_when_it_wakes_up() {
    let scene = small::scene("slow", 60);
    small::change(&scene, "first_result: 2s", "first_result: 10m");
    small::change(
        &scene,
        "node: box, port: 8000 }",
        "node: box, port: 8000, restart: { backoff: 1s } }",
    );
    let first = up_fast(&scene);
    some_results(&scene);
    first.signal(Signal::STOP);
    until("a stopped owner", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", first.child.id())).ok()?;
        stat.rsplit_once(") ")?.1.starts_with('T').then_some(())
    });
    let written = scene.read(SEGMENT);
    let mut look = scene.toolorch(&["status", YAML]);
    look.env("TOOLORCH_TIME_SCALE", "20");
    let status = scene.go(look).end().out;
    assert!(status.contains(" is stopped since about "), "{status}");
    let remedy = format!(
        "(kill -CONT {}), or `toolorch up` takes over",
        first.child.id()
    );
    assert!(status.contains(&remedy), "{status}");

    let refused = scene.expect(75, &["up", YAML]);
    assert!(
        refused
            .err
            .contains("and is stopped: let it go on (kill -CONT"),
        "{}",
        refused.err
    );
    let old = server(&scene);
    kill(u32::try_from(old.as_u64().unwrap()).unwrap(), Signal::KILL);
    let second = until("the take-over", || {
        let mut second = up_fast(&scene);
        let taken = || {
            scene
                .names("home/runs/small/1")
                .contains(&"journal.2.jsonl".to_owned())
        };
        loop {
            if taken() {
                return Some(second);
            }
            if second.child.try_wait().unwrap().is_some() {
                assert_eq!(second.end().code, 75);
                return None;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    });
    until("another server", || (server(&scene) != old).then_some(()));

    // It finds its server dead, and would start it again.
    first.signal(Signal::CONT);
    let said = first.end();
    assert_eq!(said.code, 75, "{}", said.err);
    assert!(
        said.err.contains(
            "this toolorch no longer owns the run: epoch 1 was superseded by 2: process "
        ),
        "{}",
        said.err
    );
    assert_eq!(scene.read(SEGMENT), written, "a line of the old epoch");
    for (unit, words) in [
        ("chat-0", "run --generation 9 --epoch 1"),
        ("chat-0", "stop --epoch 1"),
        ("eval-sums", "stop --epoch 1"),
    ] {
        let (code, text) = script(&scene, unit, words);
        assert!(
            // A start meets the lock of the one that runs before it meets the fence.
            matches!(code, Some(73 | 75)),
            "{words}: {code:?} {text}"
        );
    }
    // It may be held just now: it had no server.
    assert!(processes_of(&scene, "client.sh") <= 1);
    let said = second.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(scene.results("out"), 60);
    let logs = scene.names("home/runs/small/1/logs").into_iter();
    let logs = logs.filter(|name| name.starts_with("eval-sums"));
    let logs: String = logs
        .map(|name| scene.read(&format!("home/runs/small/1/logs/{name}")))
        .collect();
    assert_eq!(logs.matches("SUM_DONE").count(), 60, "each once");
    scene.assert_nothing_left();
}

#[test]
fn a_damaged_journal_is_rebuilt_from_what_runs() {
    let scene = small::scene("slow", 40);
    let first = scene.go(scene.toolorch(&["up", YAML]));
    some_results(&scene);
    let before = server(&scene);
    first.signal(Signal::KILL);
    first.end();
    let text = scene.read(SEGMENT);
    scene.write(SEGMENT, &text.replacen("run-started", "run-stopped", 1));

    for args in [&["status", YAML][..], &["up", YAML]] {
        let refused = scene.expect(65, args);
        assert!(
            refused.err.contains("line 1: the checksum does not fit")
                && refused
                    .err
                    .contains("help: `toolorch up --rebuild` with the YAML goes on"),
            "{}",
            refused.err
        );
    }
    let said = scene.expect(0, &["up", "--rebuild", YAML]);
    assert!(
        said.err
            .contains("the journal was damaged and is begun anew"),
        "{}",
        said.err
    );
    assert_eq!(server(&scene), before, "the server was started again");
    let log = scene.read("home/runs/small/1/logs/eval-sums.log");
    assert_eq!(log.matches("SUM_DONE").count(), 40, "one client did it all");
    assert!(scene.read(SEGMENT).contains("run-stopped"), "kept");
    assert!(scene.expect(0, &["status", YAML]).out.contains("40/40"));
    scene.assert_nothing_left();
}

/// A server that was started three times is not refused as an old start when its journal is gone.
#[test]
fn a_rebuilt_run_goes_on_counting_starts() {
    let scene = small::scene("slow", 60);
    small::change(
        &scene,
        "node: box, port: 8000 }",
        "node: box, port: 8000, restart: { backoff: 50ms } }",
    );
    let first = scene.go(scene.toolorch(&["up", YAML]));
    some_results(&scene);
    for _ in 0..2 {
        let old = server(&scene);
        kill(u32::try_from(old.as_u64().unwrap()).unwrap(), Signal::KILL);
        until("another server", || (server(&scene) != old).then_some(()));
    }
    first.signal(Signal::KILL);
    first.end();
    // It dies while nobody watches, and so does what is known of it.
    let old = server(&scene);
    kill(u32::try_from(old.as_u64().unwrap()).unwrap(), Signal::KILL);
    scene.write(SEGMENT, "garbage\nand more\n");
    let said = scene.expect(0, &["up", "--rebuild", YAML]);
    let journal = scene.journal("small");
    let of_server = |kind: &str| -> Vec<Value> {
        let events = journal.iter().map(|record| record["event"].clone());
        let wanted = events.filter(|event| event["kind"] == kind && event["unit"] == "chat-0");
        wanted.map(|event| event["generation"].clone()).collect()
    };
    assert_eq!(of_server("launch-failed"), [] as [Value; 0], "{}", said.err);
    assert_eq!(
        of_server("started").last(),
        Some(&Value::from(4)),
        "{}",
        said.err
    );
    scene.assert_nothing_left();
}

/// The limit on a file's size stands for a disk without room.
#[test]
fn a_run_that_cannot_be_written_is_refused_with_what_to_do() {
    let scene = small::scene("plain", 1);
    let mut command = Command::new("bash");
    let as_scene = scene.toolorch(&[]);
    let environment = as_scene.get_envs();
    command
        .args(["-c", "(trap '' XFSZ; ulimit -f 0; exec \"$0\" up small.yaml) 2>&1 | cat >&2; exit ${PIPESTATUS[0]}"])
        .arg(&scene.program)
        .current_dir(scene.path(""))
        .envs(environment.filter_map(|(name, value)| Some((name, value?))));
    let said = scene.go(command).end();
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(
        said.err
            .contains("help: let files grow: `ulimit -f unlimited`")
            && !said.err.contains(".toolorch-"),
        "{}",
        said.err
    );
    assert_eq!(scene.processes(), []);
}

/// The limit on a file's size stands for a full disk, and can be lifted by anybody.
#[test]
fn while_the_journal_cannot_be_written_nothing_starts_and_all_is_watched() {
    let scene = small::scene("slow", 60);
    small::change(
        &scene,
        "node: box, port: 8000 }",
        "node: box, port: 8000, restart: { backoff: 50ms } }",
    );
    scene.write("tell.sh", "#!/bin/bash\ncat >>told\n");
    std::fs::set_permissions(scene.path("tell.sh"), Permissions::from_mode(0o755)).unwrap();
    let yaml = scene.read(YAML) + "notify: { command: [./tell.sh] }\n";
    scene.write(YAML, &yaml);
    let program = scene.toolorch(&["up", YAML]);
    let mut shell = scene.toolorch(&[]);
    let mut command = Command::new("bash");
    command
        .args(["-c", "trap '' XFSZ; exec \"$0\" up small.yaml"])
        .arg(program.get_program())
        .current_dir(scene.path(""))
        .envs(
            shell
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    shell.arg("--version");
    let up = scene.go(command);
    some_results(&scene);
    let old = server(&scene);
    let limit = |size: &str| {
        let pid = up.child.id().to_string();
        let done = Command::new("prlimit")
            .args(["--pid", &pid, &format!("--fsize={size}:")])
            .status();
        assert!(done.unwrap().success());
    };
    let size = scene.read(SEGMENT).len();
    limit(&size.to_string());
    kill(u32::try_from(old.as_u64().unwrap()).unwrap(), Signal::KILL);
    until("the refusal", || {
        up.err()
            .contains("until it can be written nothing is started or stopped")
            .then_some(())
    });
    // Twenty times the pause before a restart.
    for _ in 0..4 {
        some_results(&scene);
    }
    assert_eq!(server(&scene), old, "a start without its record");
    let before = scene.results("out");
    assert_eq!(scene.listeners(), [] as [String; 0]);
    // What happens is heard and seen although nothing of it is recorded.
    assert!(
        up.err().contains("chat-0 ended with code 137"),
        "{}",
        up.err()
    );
    let told = until("the notice", || {
        std::fs::read_to_string(scene.path("told")).ok()
    });
    assert!(told.contains(r#""alarm":"journal-failed""#), "{told}");
    let status = scene.expect(0, &["status", YAML]).out;
    assert!(
        status.contains("which cannot write its journal since "),
        "{status}"
    );
    assert!(status.contains("ended with code 137"), "{status}");
    let shown = status.split("  sums  ").nth(1).unwrap().split('/').next();
    let shown: usize = shown.unwrap().parse().unwrap();
    assert!(shown + 1 >= before, "{shown} of {before}: {status}");
    limit("unlimited");
    until("another server", || (server(&scene) != old).then_some(()));
    let said = up.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err.contains("the journal is written again, after "),
        "{}",
        said.err
    );
    scene.assert_nothing_left();
}
