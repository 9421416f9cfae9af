//! Nodes that lose power, cables and keys, as seen through ssh.

use super::{Lab, Link, Shape, Sshd};
use crate::up::scene::{Said, until};

const NODE: &str = "research-secure-05";
const INNER: &str = "inner01";

fn ssh(lab: &Lab, command: &str) -> Said {
    lab.run(["ssh", "-oBatchMode=yes", NODE, command])
}

#[track_caller]
fn answers(lab: &Lab, node: &str) {
    let said = lab.run(["ssh", "-oBatchMode=yes", node, "hostname"]);
    assert_eq!(said.out, format!("{node}\n"), "{}", said.err);
}

/// Nobody answers, and nobody says so.
#[track_caller]
fn silent(lab: &Lab, node: &str) {
    let said = lab.run(["ssh", "-oBatchMode=yes", "-oConnectTimeout=1", node, "true"]);
    assert_eq!(said.code, 255);
    assert!(said.err.contains("timed out"), "{}", said.err);
}

#[test]
fn a_power_cut_is_silent_and_a_reboot_is_seen() {
    let lab = Lab::shaped(&Shape::plain(&[NODE, "research-secure-11"]));
    let boot_id = |node| lab.on(node, ["cat", "/proc/sys/kernel/random/boot_id"]);
    let before = boot_id(NODE);
    let machine = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let other = boot_id("research-secure-11");
    let login = lab.exec(["cat", "/proc/sys/kernel/random/boot_id"]);
    let all = [before.as_str(), &other, &login, machine.trim()];
    let different: std::collections::BTreeSet<&str> = all.into_iter().collect();
    assert_eq!(different.len(), 4, "{all:?}");

    ssh(
        &lab,
        "touch /tmp/local shared; setsid sleep 1000 >/dev/null 2>&1 &",
    );
    assert_ne!(
        lab.run(["ls", "/tmp/local"]).code,
        0,
        "/tmp is the node's own"
    );
    let going = lab.go([
        "ssh",
        "-oServerAliveInterval=1",
        "-oServerAliveCountMax=2",
        NODE,
        "echo there; exec sleep 1000",
    ]);
    until("the connection", || {
        (going.out() == "there\n").then_some(())
    });
    lab.crash(NODE);
    let said = going.end();
    // Not `closed by remote host`: nobody was left to close it.
    assert_eq!(said.code, 255);
    assert!(said.err.contains("not responding"), "{}", said.err);
    silent(&lab, NODE);

    lab.boot(NODE);
    answers(&lab, NODE);
    assert_eq!(lab.exec(["ls", "shared"]), "shared");
    assert_eq!(lab.on(NODE, ["ls", "/tmp"]), "");
    assert_eq!(ssh(&lab, "pgrep -x sleep").code, 1, "nothing survives");
    assert_ne!(boot_id(NODE), before);
    assert_eq!(boot_id("research-secure-11"), other);
}

#[test]
fn a_link_is_cut_loses_and_heals() {
    let lab = Lab::shaped(&Shape::plain(&[NODE]));
    answers(&lab, NODE);
    lab.link(NODE, Link::Down);
    silent(&lab, NODE);
    lab.link(NODE, Link::Up);
    answers(&lab, NODE);
    lab.link(NODE, Link::Drop);
    silent(&lab, NODE);
    lab.link(NODE, Link::Carry);
    answers(&lab, NODE);
    lab.link(NODE, Link::Loss(1.0));
    silent(&lab, NODE);
    lab.link(NODE, Link::Carry);
    answers(&lab, NODE);
}

#[test]
fn a_link_behind_the_bastion_is_cut_there() {
    let lab = Lab::shaped(&Shape {
        inner: vec![INNER.to_owned()],
        ..Shape::plain(&[])
    });
    answers(&lab, INNER);
    lab.link(INNER, Link::Down);
    silent(&lab, INNER);
    lab.link(INNER, Link::Up);
    answers(&lab, INNER);
    lab.crash(INNER);
    lab.boot(INNER);
    answers(&lab, INNER);
    lab.crash("bastion");
    silent(&lab, INNER);
    lab.boot("bastion");
    answers(&lab, INNER);
}

#[test]
fn sshd_goes_comes_cuts_and_changes_its_key() {
    let lab = Lab::shaped(&Shape::plain(&[NODE]));
    let going = lab.go(["ssh", NODE, "echo there; exec sleep 1000"]);
    until("the connection", || {
        (going.out() == "there\n").then_some(())
    });
    lab.sshd(NODE, Sshd::Kill);
    let said = ssh(&lab, "true");
    assert!(said.err.contains("Connection refused"), "{}", said.err);
    assert_eq!(lab.on(NODE, ["pgrep", "-xc", "sleep"]), "1");
    lab.sshd(NODE, Sshd::Start);
    answers(&lab, NODE);

    lab.sshd(NODE, Sshd::Cut);
    let said = going.end();
    assert_eq!(said.code, 255);
    assert!(said.err.contains("closed by remote host"), "{}", said.err);
    assert_eq!(lab.on(NODE, ["pgrep", "-xc", "sleep"]), "1");
    answers(&lab, NODE);

    lab.sshd(NODE, Sshd::NewKey);
    let said = ssh(&lab, "true");
    assert_eq!(said.code, 255);
    assert!(
        said.err.contains("Host key verification failed"),
        "{}",
        said.err
    );
}

#[test]
fn sshd_has_the_limits_that_were_asked_for() {
    let lab = Lab::shaped(&Shape {
        max_startups: "1".to_owned(),
        max_sessions: 1,
        ..Shape::plain(&[NODE])
    });
    // One connection that says nothing is all that this sshd bears.
    let silent = lab.go([
        "bash",
        "-c",
        "exec 3<>/dev/tcp/$1/22; read -r -u 3 && echo there; sleep 1000",
        "-",
        NODE,
    ]);
    until("the connection", || {
        (silent.out() == "there\n").then_some(())
    });
    let said = ssh(&lab, "true");
    assert_eq!(said.code, 255);
    assert!(
        said.err.contains("kex_exchange_identification"),
        "{}",
        said.err
    );
    Lab::signal(&silent, rustix::process::Signal::KILL);
    silent.end();
    until("room", || (ssh(&lab, "true").code == 0).then_some(()));

    lab.exec([
        "ssh",
        "-oControlMaster=yes",
        "-oControlPath=/tmp/master",
        "-oControlPersist=yes",
        "-N",
        "-f",
        NODE,
    ]);
    let through = [
        "ssh",
        "-oControlPath=/tmp/master",
        NODE,
        "echo there; exec sleep 1000",
    ];
    let first = lab.go(through);
    until("the session", || (first.out() == "there\n").then_some(()));
    lab.run(["ssh", "-oControlPath=/tmp/master", NODE, "true"]);
    let log = std::fs::read_to_string(lab.path(&format!("log/sshd.{NODE}.log"))).unwrap();
    assert!(log.contains("no more sessions"), "{log}");
}
