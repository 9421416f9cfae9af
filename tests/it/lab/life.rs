//! A lab comes up, stands beside another one, and leaves nothing, however it ends.

use std::process::Command;

use rustix::process::Signal;

use super::traces::Traces;
use super::{Lab, Shape};
use crate::up::scene::{kill, until};

#[test]
fn the_cluster_of_the_log_comes_up_and_leaves_nothing() {
    let lab = Lab::up();
    let plain = ["05", "11", "12", "13"].map(|end| format!("research-secure-{end}"));
    for node in &plain {
        let said = lab.exec(["ssh", "-oBatchMode=yes", node, "hostname; command -v tmux"]);
        assert_eq!(said, format!("{node}\n/usr/bin/tmux"));
    }
    assert_eq!(
        lab.exec(["sinfo", "-hN", "-pmain", "-o%N %T %G"]),
        "gpu-31-10 idle gpu:h100:8"
    );
    assert_eq!(
        lab.exec(["getent", "hosts", "gpu-31-10"])
            .split_whitespace()
            .next(),
        Some("172.27.31.10")
    );
    // Neither a name nor a way leads to who is behind the bastion, but through it.
    assert_ne!(lab.run(["getent", "hosts", "inner01"]).code, 0);
    assert_ne!(
        lab.run(["bash", "-c", ": </dev/tcp/172.27.32.10/22"]).code,
        0
    );
    assert_eq!(
        lab.exec([
            "ssh",
            "inner01",
            "hostname; echo $SSH_CLIENT | cut -d' ' -f1"
        ]),
        "inner01\n172.27.32.1"
    );

    let traces = Traces::of(&lab);
    assert_eq!(traces.hosts(), 8, "{traces:?}");
    assert_ne!(traces.left(), [] as [String; 0]);
    lab.down();
    // The kernel is still at it for a moment.
    until("its end", || traces.left().is_empty().then_some(()));
}

#[test]
fn the_program_runs_inside_with_nothing_of_the_callers_environment() {
    let lab = Lab::shaped(&Shape::plain(&["one"]));
    let version = format!("toolorch {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        lab.exec([env!("CARGO_BIN_EXE_toolorch"), "--version"]),
        version
    );
    assert_eq!(lab.exec(["ssh", "one", "toolorch --version"]), version);
    let environment = lab.exec(["env"]);
    let mut names: Vec<&str> = environment
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LOGNAME", "PATH", "SHELL", "USER"]);
    let home = lab.home();
    assert_eq!(lab.exec(["pwd"]), home.to_str().unwrap());
    // A signal reaches what was started, and not only who waits for it.
    let going = lab.go([
        "bash",
        "-c",
        "trap 'echo told; exit 3' TERM; echo ready; while :; do sleep 0.05; done",
    ]);
    until("the program", || {
        going.out().contains("ready").then_some(())
    });
    Lab::signal(&going, Signal::TERM);
    let said = going.end();
    assert_eq!((said.code, said.out.as_str()), (3, "ready\ntold\n"));
}

#[test]
fn two_labs_know_nothing_of_each_other() {
    let (one, two) = (
        Lab::shaped(&Shape::plain(&["left"])),
        Lab::shaped(&Shape::plain(&["right"])),
    );
    let address = |lab: &Lab, node| lab.exec(["getent", "hosts", node]);
    assert_eq!(address(&one, "left"), "172.27.31.10    left");
    assert_eq!(address(&two, "right"), "172.27.31.10    right");
    one.exec(["touch", "/tmp/mark", "mark"]);
    assert_ne!(two.run(["ls", "/tmp/mark"]).code, 0);
    assert_ne!(two.run(["ls", "mark"]).code, 0);
    one.crash("left");
    assert_eq!(two.exec(["ssh", "right", "hostname"]), "right");
    let (first, second) = (Traces::of(&one), Traces::of(&two));
    one.down();
    assert_eq!(first.left(), [] as [String; 0]);
    assert_eq!(two.exec(["ssh", "right", "hostname"]), "right");
    two.down();
    assert_eq!(second.left(), [] as [String; 0]);
}

#[test]
fn a_lab_ends_with_its_owner_and_with_its_keeper() {
    let mut owner = Command::new("sleep").arg("1000").spawn().unwrap();
    let shape = Shape {
        owner: owner.id(),
        ..Shape::plain(&["one"])
    };
    let orphan = Lab::shaped(&shape);
    let traces = Traces::of(&orphan);
    owner.kill().unwrap();
    until("the end of the orphan", || {
        traces.left().is_empty().then_some(())
    });
    owner.wait().unwrap();

    let lab = Lab::shaped(&Shape::plain(&["one"]));
    let traces = Traces::of(&lab);
    let keeper = std::fs::read_to_string(lab.path("run/keeper.pid")).unwrap();
    kill(keeper.trim().parse().unwrap(), Signal::KILL);
    until("the end of the lab", || {
        traces.left().is_empty().then_some(())
    });
}
