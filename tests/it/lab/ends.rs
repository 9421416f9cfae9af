//! Ends that nobody watches: `drain` and `down` of what runs on other machines, from other machines, and of nodes that never
//! come back.

use rustix::process::Signal;

use super::site::Site;
use super::{Lab, Link, Shape};
use crate::up::scene::until;

const FIRST: &str = "research-secure-05";
const SECOND: &str = "research-secure-11";
const JOBS: &str = "gpu-31-10";

const YAML: &str = "version: 1
name: far
launcher: tmux
nodes:
  research-secure-05: { gpus: 8 }
  research-secure-11: { gpus: 8 }
models:
  m: { model: Qwen/Qwen3-8B, engine: sim, node: research-secure-05, port: 1800 }
  n: { model: Qwen/Qwen3-14B, engine: sim, node: research-secure-11, replicas: 2, port: 1810 }
when_done: keep
";

const CLIENT: &str = "evals:
  wait: { command: [sleep, '600'], results: out, finished: { count: 1 }, requires: [m, n] }
";

fn site(yaml: &str) -> Site {
    Site::new(&Shape::plain(&[FIRST, SECOND]), yaml)
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for words in words {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn a_drain_that_nobody_watches_ends_what_runs_elsewhere_and_down_asks_where_it_was() {
    let site = site(YAML);
    site.toolorch(0, "up --no-eval --events plain");
    site.assert_units(SECOND, 2);
    let run = site.exec(["bash", "-c", "ls /tmp/toolorch-4242 | head -n 1"]);
    let drained = site.toolorch(0, "drain n");
    says(&drained.err, &["drained: `n-0`, `n-1`"]);
    site.assert_units(SECOND, 0);
    let again = site.toolorch(0, "drain n");
    says(&again.err, &["`n` is drained already"]);

    // What cannot be seen is not said to be stopped.
    site.link(FIRST, Link::Drop);
    let unseen = site.toolorch(3, "drain m");
    says(
        &unseen.err,
        &[
            "node `research-secure-05`",
            "what of `m-0` lives there is not known",
        ],
    );
    assert!(!unseen.err.contains("drained: "), "{}", unseen.err);
    site.link(FIRST, Link::Carry);
    site.assert_units(FIRST, 1);
    site.toolorch(0, "drain m");
    site.assert_units(FIRST, 0);

    // They move, and whoever starts one at its old place is found by `down`.
    let moved = YAML.replace(
        "node: research-secure-11, replicas: 2, port: 1810",
        "node: research-secure-05, replicas: 2, port: 1841",
    );
    site.write("cluster.yaml", &moved);
    site.toolorch(0, "drain --undo n");
    site.toolorch(0, "drain --undo m");
    site.toolorch(0, "up --no-eval --events plain");
    site.assert_units(FIRST, 3);
    let old = format!(
        "setsid bash /tmp/toolorch-4242/{run}/.scripts/units/n-0.sh run --run {run} --generation 9 --launch by-hand \
         --log /tmp/by-hand.log >/dev/null 2>&1 </dev/null &"
    );
    site.exec(["ssh", "-oBatchMode=yes", SECOND, &old]);
    until("the stray", || {
        (site.servers(SECOND).len() == 1).then_some(())
    });
    site.goes_down();
}

#[test]
fn a_drain_that_nobody_watches_ends_what_waits_and_what_runs_in_jobs() {
    let shape = Shape {
        slurm: vec![JOBS.to_owned()],
        ..Shape::slurm()
    };
    let yaml = "version: 1
name: s
launcher: slurm
slurm: { partition: main, time: '01:00:00' }
nodes: { gpu-31-10: { gpus: 8 } }
models:
  m: { model: Qwen/Qwen3-8B, engine: sim, node: gpu-31-10, gpus: [[0], [1]], replicas: 2, port: 1800 }
when_done: keep
";
    let site = Site::new(&shape, yaml);
    let jobs = || site.exec(["squeue", "-h", "-o", "%i"]);
    let first = ["--gres=gpu:8", "--wrap", "exec sleep 1000"];
    let other = site.exec(["sbatch", "--parsable"].into_iter().chain(first));
    until("the other job", || {
        let states = site.exec(["squeue", "-h", "-o", "%T"]);
        (states == "RUNNING").then_some(())
    });
    let waits = || {
        until("the queue", || {
            let status = site.toolorch(0, "status").out;
            status.contains("the nodes are busy").then_some(())
        });
    };
    let going = site.up();
    Site::says(&going, 1, "watched by");
    waits();
    Lab::signal(&going, Signal::INT);
    assert_eq!(going.end().code, 130);
    site.toolorch(0, "drain m");
    until("the queue", || (jobs() == other).then_some(()));

    site.toolorch(0, "drain --undo m");
    let going = site.up();
    waits();
    site.exec(["scancel", &other]);
    let said = going.end();
    assert_eq!(said.code, 0, "{}", said.err);
    site.assert_units(JOBS, 2);
    site.toolorch(0, "drain m-1");
    site.assert_units(JOBS, 1);
    site.toolorch(0, "drain m");
    site.assert_units(JOBS, 0);
    site.goes_down();
}

#[test]
fn another_machine_ends_what_can_be_reached_and_forgets_what_was_on_the_first() {
    let servers = YAML
        .replace("  research-secure-05: { gpus: 8 }\n", "")
        .replace("node: research-secure-05", "node: research-secure-11");
    let site = site(&servers);
    let there = |line: &str| {
        let line = format!("cd c && {line}");
        site.run(["ssh", "-oBatchMode=yes", FIRST, &line])
    };
    let up = there("toolorch up --events plain cluster.yaml");
    assert_eq!(up.code, 0, "{}{}", up.out, up.err);
    site.assert_units(SECOND, 3);
    let status = site.toolorch(0, "status").out;
    assert!(!status.contains("live on `research-secure-05`"), "{status}");
    let down = site.toolorch(0, "down");
    says(&down.err, &["is down: no process with its mark"]);
    assert_eq!(site.left(SECOND), "");

    site.write("cluster.yaml", &format!("{servers}{CLIENT}"));
    let line = "{ toolorch up --events plain cluster.yaml & p=$!; } 2>/dev/null; \
        until pgrep -f '^sleep 600' >/dev/null; do sleep 0.1; done; kill -TERM $p; wait $p";
    let up = there(line);
    assert_eq!(up.code, 143, "{}{}", up.out, up.err);
    let status = site.toolorch(0, "status").out;
    says(&status, &["units of it live on `research-secure-05`"]);
    let refused = site.toolorch(3, "down");
    says(
        &refused.err,
        &["was started on `research-secure-05`, and a unit of it may live there: eval-wait"],
    );
    site.assert_units(SECOND, 3);
    let gone = site.toolorch(0, "down --gone research-secure-05");
    says(
        &gone.err,
        &[
            "stopped: `m-0`, `n-0`, `n-1`",
            "what ran on `research-secure-05` is said to be gone: `eval-wait`",
        ],
    );
    assert_eq!(site.left(SECOND), "");
}

#[test]
fn a_node_that_was_never_reached_keeps_nobody_and_one_that_is_gone_is_given_up() {
    let nowhere = YAML.replace(
        "research-secure-11: { gpus: 8 }",
        "research-secure-11: { gpus: 8, ssh: { host: 172.27.31.99 } }",
    );
    let site = site(&nowhere);
    let going = site.up();
    Site::says(&going, 1, "m-0 ready after");
    Site::says(
        &going,
        1,
        "nothing was asked of it; its units are waited for",
    );
    Lab::signal(&going, Signal::INT);
    assert_eq!(going.end().code, 130);
    let down = site.toolorch(0, "down");
    says(
        &down.err,
        &[
            "node `research-secure-11`",
            "nothing of the run was started there",
            "is down: ",
        ],
    );
    assert_eq!(site.left(FIRST), "");

    site.write("cluster.yaml", YAML);
    site.toolorch(0, "up --no-eval --events plain");
    site.crash(SECOND);
    let down = site.toolorch(3, "down");
    says(
        &down.err,
        &[
            "stopped: `m-0`\n",
            "what of `n-0`, `n-1` lives there is not known",
            "if `research-secure-11` never comes back: toolorch down --gone research-secure-11 far-2-",
        ],
    );
    let status = site.toolorch(0, "status").out;
    assert!(!status.contains("once more ends the run"), "{status}");
    let other = site.toolorch(2, "down --gone research-secure-12");
    says(&other.err, &["is known to live on `research-secure-12`"]);
    let gone = site.toolorch(0, "down --gone research-secure-11");
    says(
        &gone.err,
        &["what ran on `research-secure-11` is said to be gone: `n-0`, `n-1`"],
    );
}

#[test]
fn what_a_full_disk_left_of_the_scripts_goes() {
    let site = site(YAML);
    let small = "mount -t tmpfs -o size=48k,mode=1777 none /tmp";
    site.on(SECOND, small.split(' '));
    let going = site.up();
    Site::says(&going, 1, "No space left on device");
    Lab::signal(&going, Signal::INT);
    assert_eq!(going.end().code, 130);
    let there = site.on(SECOND, ["ls", "-A", "/tmp/toolorch-4242"]);
    assert_ne!(there, "", "the run has a folder there");
    site.goes_down();
}
