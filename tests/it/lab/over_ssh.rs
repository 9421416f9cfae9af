//! `up` and `down` with servers on nodes that are reached over ssh: in tmux and as processes, with and without the
//! controller's home.

use std::fs;

use rustix::process::Signal;

use super::{Lab, Link, Shape};
use crate::up::scene::{Going, Said, until};

/// The home is shared with this one, and not with the other.
const SHARED: &str = "research-secure-05";
const APART: &str = "research-secure-11";

const YAML: &str = "version: 1
name: far
launcher: tmux
nodes:
  research-secure-05: { gpus: 8 }
  research-secure-11: { gpus: 8, launcher: process }
models:
  m: { model: Qwen/Qwen3-8B, engine: sim, node: research-secure-05, replicas: 2, port: 1800 }
  n: { model: Qwen/Qwen3-14B, engine: sim, node: research-secure-11, replicas: 2, port: 1810, restart: { backoff: 1s } }
evals:
  wait: { command: [sleep, '600'], results: out, finished: { count: 1 }, requires: [m, n] }
";

fn lab() -> Lab {
    let lab = Lab::shaped(&Shape {
        private_home: vec![APART.to_owned()],
        ..Shape::plain(&[SHARED, APART])
    });
    lab.exec(["mkdir", "c"]);
    fs::write(lab.home().join("c/far.yaml"), YAML).unwrap();
    lab
}

fn words(args: &str) -> [String; 3] {
    let line = format!("cd c && exec toolorch {args} far.yaml");
    ["bash".to_owned(), "-c".to_owned(), line]
}

#[track_caller]
fn toolorch(lab: &Lab, code: i32, args: &str) -> Said {
    let said = lab.run(words(args));
    assert_eq!(said.code, code, "{}{}", said.out, said.err);
    said
}

/// Its servers on a node, by process id.
fn servers(lab: &Lab, node: &str) -> Vec<u32> {
    let found = lab.on(
        node,
        ["bash", "-c", "pgrep -f '^[^ ]*toolorch sim' || true"],
    );
    let mut pids: Vec<u32> = found.lines().map(|pid| pid.parse().unwrap()).collect();
    pids.sort_unstable();
    pids
}

/// Whatever of the user is there besides the connections of ssh.
fn left(lab: &Lab, node: &str) -> String {
    let look = "ps -u tester -o args= | grep -v '^sshd' || true; ls -A /tmp/toolorch-4242 2>/dev/null || true";
    lab.on(node, ["bash", "-c", look])
}

#[track_caller]
fn says(going: &Going, what: &str) {
    until(what, || going.err().contains(what).then_some(()));
}

#[test]
fn servers_come_up_are_adopted_started_again_and_go_down() {
    let lab = lab();
    let first = lab.go(words("up --events plain"));
    until("the client", || {
        let client = lab.run(["pgrep", "-f", "^sleep 600"]);
        (client.code == 0).then_some(())
    });
    let (shared, apart) = (servers(&lab, SHARED), servers(&lab, APART));
    assert_eq!((shared.len(), apart.len()), (2, 2));
    let window = "tmux -L $(ls /tmp/tmux-4242) list-windows -a -F '#{session_name} #{window_name}'";
    let windows = lab.exec(["ssh", "-oBatchMode=yes", SHARED, window]);
    let mut windows: Vec<&str> = windows.lines().collect();
    windows.sort_unstable();
    assert_eq!(
        windows,
        ["research-secure-05 m-0", "research-secure-05 m-1"]
    );

    // A server dies on its node.
    lab.on(APART, ["kill", "-KILL", &apart[0].to_string()]);
    says(&first, "ended with code 137");
    until("its next start", || {
        let now = servers(&lab, APART);
        (now.len() == 2 && now[0] != apart[0] && now[1] != apart[0]).then_some(())
    });
    until("both ready", || {
        let out = first.err();
        let again = out
            .lines()
            .filter(|line| line.contains("n-") && line.contains(" ready after"));
        (again.count() == 3).then_some(())
    });

    let logs = toolorch(&lab, 0, "logs n-1 -n 2");
    assert!(logs.out.contains("INFO"), "{}", logs.out);

    // The controller dies; the next one finds all that runs.
    let apart = servers(&lab, APART);
    Lab::signal(&first, Signal::KILL);
    first.end();
    let second = lab.go(words("up --events plain"));
    says(&second, "eval-wait found running");
    until("four found", || {
        let found = second.err().matches("found running").count();
        (found == 5).then_some(())
    });
    assert_eq!(
        (servers(&lab, SHARED), servers(&lab, APART)),
        (shared, apart)
    );
    Lab::signal(&second, Signal::INT);
    assert_eq!(second.end().code, 130);

    let down = toolorch(&lab, 0, "down");
    assert!(
        down.err.contains("is down: no process with its mark"),
        "{}",
        down.err
    );
    assert_eq!(
        (left(&lab, SHARED), left(&lab, APART)),
        (String::new(), String::new())
    );
}

#[test]
fn what_lives_on_a_node_keeps_its_place() {
    let lab = lab();
    toolorch(&lab, 0, "up --no-eval --events plain");
    let runs = servers(&lab, APART);
    let file = lab.home().join("c/far.yaml");
    let elsewhere = YAML.replace("node: research-secure-11", "node: research-secure-05");
    fs::write(&file, elsewhere).unwrap();
    for command in ["plan", "up --no-eval"] {
        let said = lab.run(words(command));
        let all = format!("{}{}", said.out, said.err);
        let words = "`n-0` on node `research-secure-11`, `n-1` on node `research-secure-11`";
        assert!(all.contains(words), "{command}: {all}");
        assert_eq!(said.code == 0, command == "plan", "{all}");
    }
    assert_eq!(servers(&lab, APART), runs);
    fs::write(&file, YAML).unwrap();
    let again = toolorch(&lab, 0, "up --no-eval --events plain");
    assert_eq!(
        again.err.matches("found running").count(),
        4,
        "{}",
        again.err
    );
    toolorch(&lab, 0, "down");
    let down = toolorch(&lab, 0, "down");
    assert!(!down.err.contains("still lives"), "{}", down.err);
    assert_eq!(
        (left(&lab, SHARED), left(&lab, APART)),
        (String::new(), String::new())
    );
}

#[test]
fn a_node_that_does_not_answer_is_not_said_to_be_down() {
    let lab = lab();
    toolorch(&lab, 0, "up --no-eval --events plain");
    lab.link(APART, Link::Drop);
    let down = toolorch(&lab, 3, "down");
    assert!(down.took.as_secs() < 60, "{:?}", down.took);
    assert!(
        down.err.contains(&format!("node `{APART}`")) && down.err.contains("is not known"),
        "{}",
        down.err
    );
    assert_eq!(
        servers(&lab, SHARED),
        [] as [u32; 0],
        "the rest is finished"
    );
    assert_eq!(servers(&lab, APART).len(), 2);
    let status = toolorch(&lab, 0, "status");
    assert!(
        !status.out.contains("n  0/2 ready, 2 stopped"),
        "{}",
        status.out
    );
    lab.link(APART, Link::Carry);
    toolorch(&lab, 0, "down");
    assert_eq!(left(&lab, APART), "");
}
