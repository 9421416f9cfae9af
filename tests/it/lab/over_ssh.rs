//! `up` and `down` with servers on nodes that are reached over ssh: in tmux and as processes, with and without the
//! controller's home.

use std::fs;

use rustix::process::Signal;

use super::site::Site;
use super::{Lab, Link, Shape};
use crate::up::scene::until;

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

fn site() -> Site {
    let shape = Shape {
        private_home: vec![APART.to_owned()],
        ..Shape::plain(&[SHARED, APART])
    };
    Site::new(&shape, YAML)
}

/// Its servers on a node, by process id.
fn servers(site: &Site, node: &str) -> Vec<u32> {
    let mut pids: Vec<u32> = site.servers(node).into_values().flatten().collect();
    pids.sort_unstable();
    pids
}

#[test]
fn servers_come_up_are_adopted_started_again_and_go_down() {
    let site = site();
    let first = site.up();
    until("the client", || {
        let client = site.run(["pgrep", "-f", "^sleep 600"]);
        (client.code == 0).then_some(())
    });
    let (shared, apart) = (servers(&site, SHARED), servers(&site, APART));
    assert_eq!((shared.len(), apart.len()), (2, 2));
    let window = "tmux -L $(ls /tmp/tmux-4242) list-windows -a -F '#{session_name} #{window_name}'";
    let windows = site.exec(["ssh", "-oBatchMode=yes", SHARED, window]);
    let mut windows: Vec<&str> = windows.lines().collect();
    windows.sort_unstable();
    assert_eq!(
        windows,
        ["research-secure-05 m-0", "research-secure-05 m-1"]
    );

    // A server dies on its node.
    site.on(APART, ["kill", "-KILL", &apart[0].to_string()]);
    Site::says(&first, 1, "ended with code 137");
    until("its next start", || {
        let now = servers(&site, APART);
        (now.len() == 2 && now[0] != apart[0] && now[1] != apart[0]).then_some(())
    });
    until("both ready", || {
        let out = first.err();
        let again = out
            .lines()
            .filter(|line| line.contains("n-") && line.contains(" ready after"));
        (again.count() == 3).then_some(())
    });

    let logs = site.toolorch(0, "logs n-1 -n 2");
    assert!(logs.out.contains("INFO"), "{}", logs.out);

    // The controller dies; the next one finds all that runs.
    let apart = servers(&site, APART);
    Lab::signal(&first, Signal::KILL);
    first.end();
    let second = site.up();
    Site::says(&second, 1, "eval-wait found running");
    until("four found", || {
        let found = second.err().matches("found running").count();
        (found == 5).then_some(())
    });
    assert_eq!(
        (servers(&site, SHARED), servers(&site, APART)),
        (shared, apart)
    );
    Lab::signal(&second, Signal::INT);
    assert_eq!(second.end().code, 130);

    let down = site.toolorch(0, "down");
    assert!(
        down.err.contains("is down: no process with its mark"),
        "{}",
        down.err
    );
    assert_eq!(
        (site.left(SHARED), site.left(APART)),
        (String::new(), String::new())
    );
}

#[test]
fn what_lives_on_a_node_keeps_its_place() {
    let site = site();
    site.toolorch(0, "up --no-eval --events plain");
    let runs = servers(&site, APART);
    let file = site.home().join("c/cluster.yaml");
    let elsewhere = YAML.replace("node: research-secure-11", "node: research-secure-05");
    fs::write(&file, elsewhere).unwrap();
    for command in ["plan", "up --no-eval"] {
        let said = site.run(Site::words(command));
        let all = format!("{}{}", said.out, said.err);
        let words = "`n-0` on node `research-secure-11`, `n-1` on node `research-secure-11`";
        assert!(all.contains(words), "{command}: {all}");
        assert_eq!(said.code == 0, command == "plan", "{all}");
    }
    assert_eq!(servers(&site, APART), runs);
    fs::write(&file, YAML).unwrap();
    let again = site.toolorch(0, "up --no-eval --events plain");
    assert_eq!(
        again.err.matches("found running").count(),
        4,
        "{}",
        again.err
    );
    site.toolorch(0, "down");
    let down = site.toolorch(0, "down");
    assert!(!down.err.contains("still lives"), "{}", down.err);
    assert_eq!(
        (site.left(SHARED), site.left(APART)),
        (String::new(), String::new())
    );
}

#[test]
fn a_node_that_does_not_answer_is_not_said_to_be_down() {
    let site = site();
    site.toolorch(0, "up --no-eval --events plain");
    site.link(APART, Link::Drop);
    let down = site.toolorch(3, "down");
    assert!(down.took.as_secs() < 60, "{:?}", down.took);
    assert!(
        down.err.contains(&format!("node `{APART}`")) && down.err.contains("is not known"),
        "{}",
        down.err
    );
    assert_eq!(
        servers(&site, SHARED),
        [] as [u32; 0],
        "the rest is finished"
    );
    assert_eq!(servers(&site, APART).len(), 2);
    let status = site.toolorch(0, "status");
    assert!(
        !status.out.contains("n  0/2 ready, 2 stopped"),
        "{}",
        status.out
    );
    site.link(APART, Link::Carry);
    site.toolorch(0, "down");
    assert_eq!(site.left(APART), "");
}
