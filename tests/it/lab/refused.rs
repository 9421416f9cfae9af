//! Starts in SLURM jobs that are refused: by a unit's own script, by sbatch, by a node that sees nothing of the run.

use rustix::process::Signal;

use super::site::Site;
use super::{Lab, Shape};
use crate::up::scene::{Going, until};

const NODE: &str = "gpu-31-10";

const YAML: &str = "version: 1
name: s
launcher: slurm
slurm: { partition: main, time: '01:00:00' }
nodes: { gpu-31-10: { gpus: 8 } }
models:
  m: { model: Qwen/Qwen3-8B, engine: sim, node: gpu-31-10, gpus: [0], port: 1800, restart: { backoff: 1s } }
when_done: keep
";

fn site(yaml: &str, private_home: bool) -> Site {
    let node = vec![NODE.to_owned()];
    let private_home = node.iter().filter(|_| private_home).cloned().collect();
    let shape = Shape {
        slurm: node,
        private_home,
        ..Shape::slurm()
    };
    Site::new(&shape, yaml)
}

/// Somebody else has this port of the node until [`vacate`]; whether he listens already.
fn occupy(site: &Site, port: u16, listens: bool) {
    let listen = if listens { "s.listen()" } else { "0" };
    let take = format!(
        "import pathlib, socket, time; s = socket.socket(); s.bind(('0.0.0.0', {port})); {listen}; \
         pathlib.Path('/tmp/occupied').touch(); time.sleep(600)"
    );
    let line = format!("setsid python3 -c \"{take}\" >/dev/null 2>&1 & echo $! >/tmp/occupier");
    site.on(NODE, ["bash", "-c", &line]);
    until("the occupier", || {
        let line = "[[ -e /tmp/occupied ]] && echo yes || true";
        (site.on(NODE, ["bash", "-c", line]) == "yes").then_some(())
    });
}

fn vacate(site: &Site) {
    site.on(
        NODE,
        [
            "bash",
            "-c",
            "kill $(cat /tmp/occupier); rm /tmp/occupier /tmp/occupied",
        ],
    );
}

#[test]
fn a_taken_port_is_told_and_the_server_comes_up_when_it_is_free_and_elsewhere_where_it_may() {
    let site = site(YAML, false);
    occupy(&site, 1800, true);
    let going = site.up();
    Site::says(&going, 1, "m-0 ended with code 69: port 1800 is in use");
    let logs = site.toolorch(0, "logs m-0");
    assert!(
        logs.out.contains("port 1800 is in use"),
        "{}{}",
        logs.out,
        logs.err
    );
    vacate(&site);
    let said = going.end();
    assert_eq!(said.code, 0, "{}", said.err);
    // Each refused start has its reason, also where its node shows it late.
    assert!(!said.err.contains("before it began"), "{}", said.err);
    site.goes_down();

    // With `port: auto` it takes another one: both looked at the same moment, and the other was first.
    site.write("cluster.yaml", &YAML.replace("port: 1800", "port: auto"));
    let going = site.up();
    Site::says(&going, 1, "m-0 ready after");
    going.end();
    let [pid] = site.servers(NODE)["m-0"][..] else {
        panic!()
    };
    let port = site.on(
        NODE,
        [
            "bash",
            "-c",
            &format!("ss -Hltnp | grep pid={pid}, | awk '{{print $4}}'"),
        ],
    );
    let port: u16 = port.rsplit(':').next().unwrap().parse().unwrap();
    // It dies, and somebody takes its port before it is there again.
    site.on(NODE, ["bash", "-c", &format!("kill -STOP {pid}")]);
    site.on(NODE, ["kill", "-KILL", &pid.to_string()]);
    occupy(&site, port, false);
    let said = site.toolorch(0, "up --events plain");
    assert!(said.err.contains("m-0 ready after"), "{}", said.err);
    vacate(&site);
    site.goes_down();
}

/// Another job has the node, and the controller was interrupted while its own waited.
fn queued(site: &Site) -> (String, Going) {
    let words = [
        "--parsable",
        "-p",
        "main",
        "-w",
        NODE,
        "--gres=gpu:8",
        "--wrap",
        "exec sleep 1000",
    ];
    let other = site.exec(["sbatch"].into_iter().chain(words));
    let first = site.up();
    Site::says(&first, 1, "the nodes are busy");
    Lab::signal(&first, Signal::INT);
    (other, first)
}

#[test]
fn the_next_owner_has_a_queued_start_begin() {
    let site = site(YAML, false);
    let (other, first) = queued(&site);
    assert_eq!(first.end().code, 130);
    let ours = || site.exec(["squeue", "-h", "-t", "PD", "-o", "%i %l"]);
    let before = ours();
    assert!(before.ends_with(" 1:00:00"), "{before}");
    // With what the YAML asks for by now, and no more often than that changes.
    site.write("cluster.yaml", &YAML.replace("01:00:00", "00:30:00"));
    let second = site.up();
    Site::says(&second, 1, "waits anew: m-0");
    let changed = until("another job", || {
        Some(ours()).filter(|job| job.ends_with(" 30:00"))
    });
    Lab::signal(&second, Signal::INT);
    second.end();
    let third = site.up();
    Site::says(&third, 1, "the nodes are busy");
    assert_eq!(ours(), changed);
    site.exec(["scancel", &other]);
    let said = third.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!said.err.contains("ended"), "{}", said.err);
    // One that runs keeps it.
    site.write("cluster.yaml", YAML);
    let said = site.toolorch(0, "plan");
    let words = "(time 00:30:00, not 01:00:00)";
    assert!(
        said.out.contains(words) || said.err.contains(words),
        "{}{}",
        said.out,
        said.err
    );
    site.goes_down();
}

#[test]
fn a_folder_that_the_node_does_not_see_is_named() {
    let site = site(YAML, true);
    let said = site.toolorch(4, "up --events plain");
    let words = "nothing of it was seen on its node: does it see ";
    assert!(said.err.contains(words), "{}", said.err);
    assert!(said.took.as_secs() < 60, "{:?}", said.took);
}

#[test]
fn what_sbatch_refuses_for_good_is_refused_once() {
    let bad = [
        ("partition: main", "partition: nowhere", "slurm.partition"),
        (
            "partition: main",
            "partition: main, constraint: h900",
            "slurm.constraint",
        ),
        ("time:", "extra: { mem: lots }, time:", "slurm.extra"),
    ];
    let site = site(YAML, false);
    for (from, to, key) in bad {
        let yaml = YAML.replace(from, to);
        site.write("cluster.yaml", &yaml);
        let said = site.toolorch(4, "up --events plain");
        assert!(said.err.contains(key), "{}", said.err);
        assert_eq!(
            said.err.matches("could not be started").count(),
            1,
            "{}",
            said.err
        );
        assert!(said.took.as_secs() < 20, "{:?}", said.took);
        assert!(!said.err.contains("keep running"), "{}", said.err);
        site.toolorch(0, "down");
    }
    // Jobs cannot be submitted from there, ever: no run begins.
    let nowhere = YAML.replace("time:", "login: nowhere.invalid, time:");
    site.write("cluster.yaml", &nowhere.replace("name: s", "name: t"));
    let said = site.toolorch(3, "up --events plain");
    assert!(
        said.err
            .contains("no address is known for `nowhere.invalid`"),
        "{}",
        said.err
    );
    assert!(said.err.contains("nothing was started"), "{}", said.err);
}

#[test]
fn a_unit_that_is_new_to_a_job_gets_it_anew_or_is_refused() {
    let more = YAML.replace("gpus: [0],", "gpus: [0, 1], replicas: 2,");
    let site = site(YAML, false);
    site.toolorch(0, "up --events plain");
    site.write("cluster.yaml", &more);
    let said = site.toolorch(3, "up --events plain");
    assert!(said.err.contains("`m-1`"), "{}", said.err);
    site.write("cluster.yaml", YAML);
    site.goes_down();

    // Of a job that waits nothing has begun: another takes its place.
    let (other, first) = queued(&site);
    first.end();
    site.write("cluster.yaml", &more);
    let second = site.up();
    Site::says(&second, 1, "m-1 waits");
    site.exec(["scancel", &other]);
    let said = second.end();
    assert_eq!(said.code, 0, "{}", said.err);
    let words = "waits anew: m-0; its job is submitted again, and its place in the queue is lost";
    assert!(said.err.contains(words), "{}", said.err);
    site.assert_units(NODE, 2);
    site.goes_down();
}

#[test]
fn down_does_not_say_of_a_run_without_a_folder_that_its_jobs_are_gone() {
    let eval = "evals:\n  wait: { launcher: process, command: [sleep, '600'], results: out, finished: { count: 1 }, requires: [m] }\n";
    let site = site(&format!("{YAML}{eval}"), false);
    let going = site.up();
    until("the client", || {
        (site.run(["pgrep", "-f", "^sleep 600"]).code == 0).then_some(())
    });
    Lab::signal(&going, Signal::KILL);
    going.end();
    std::fs::remove_dir_all(site.home().join("c/.toolorch/runs/s")).unwrap();
    let said = site.toolorch(3, "down");
    let words = "what the run has on SLURM is not known, since its folder is gone";
    assert!(
        said.err.contains(words) && said.err.contains("squeue --me"),
        "{}",
        said.err
    );
    site.assert_units(NODE, 1);
}

#[test]
fn a_job_of_a_run_whose_folder_is_away_is_named_and_nothing_is_taken_for_it() {
    let site = site(YAML, false);
    site.toolorch(0, "up --events plain");
    let runs = site.home().join("c/.toolorch/runs/s");
    std::fs::rename(runs.join("1"), site.home().join("c/hidden")).unwrap();
    let said = site.toolorch(4, "up --events plain");
    let words = "lives and was not submitted from `";
    assert!(
        said.err.contains("job 1 of a run") && said.err.contains(words),
        "{}",
        said.err
    );
    std::fs::remove_dir_all(runs.join("1")).unwrap();
    std::fs::rename(site.home().join("c/hidden"), runs.join("1")).unwrap();
    site.assert_units(NODE, 1);
    site.goes_down();
}
