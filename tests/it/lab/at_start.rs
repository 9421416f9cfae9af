//! Nodes that stand in the way of `up` over ssh: silent, with another key, behind a bastion, with an sshd of few words.

use std::time::Duration;

use super::site::{ASKING, Site};
use super::{Link, Shape, Sshd};

const WELL: &str = "research-secure-05";
const CHANGED: &str = "research-secure-11";
const SILENT: &str = "research-secure-12";
const INNER: &str = "inner01";

const YAML: &str = "version: 1
name: start
launcher: process
nodes:
  research-secure-05: { gpus: 4 }
  research-secure-11: { gpus: 2 }
  research-secure-12: { gpus: 2 }
  inner01: { gpus: 4, address: 172.27.32.10, launcher: tmux }
models:
  m: { model: Qwen/Qwen3-8B, engine: sim, node: [research-secure-05, inner01], replicas: 8, port: 1800 }
  n:
    model: Qwen/Qwen3-14B
    engine: sim
    node: [research-secure-05, research-secure-11, research-secure-12]
    gpus: [[0], [0], [0]]
    replicas: 3
    port: 1820
    min_ready: 1
    ready: { timeout: 12s }
";

/// Servers behind the bastion can be reached from login01, and sshd there cannot.
fn open_the_bastion(site: &Site) {
    site.on("bastion", ["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
    let refuse = "iptables -A FORWARD -p tcp --dport 22 -j REJECT";
    site.on("bastion", refuse.split(' '));
    let back = "ip route add 172.27.31.0/24 via 172.27.32.1";
    site.on(INNER, back.split(' '));
    site.root("ip route add 172.27.32.0/24 via 172.27.31.2".split(' '));
}

#[test]
fn some_nodes_cannot_be_used_and_the_others_work() {
    let shape = Shape {
        inner: vec![INNER.to_owned()],
        private_home: vec![CHANGED.to_owned()],
        max_startups: "2".to_owned(),
        max_sessions: 2,
        ..Shape::plain(&[WELL, CHANGED, SILENT])
    };
    let site = Site::new(&shape, &format!("{YAML}{ASKING}")).with_questions(20);
    open_the_bastion(&site);
    site.sshd(CHANGED, Sshd::NewKey);
    site.link(SILENT, Link::Drop);

    let said = site.toolorch(0, "up --events plain");
    assert!(said.took < Duration::from_secs(45), "{:?}", said.took);
    for words in [
        "node `research-secure-11`: cannot use `research-secure-11` (research-secure-11 port 22): its host key has changed",
        "node `research-secure-12`: cannot reach `research-secure-12` (research-secure-12 port 22): no answer within",
        "alarm n-1 unseen",
        "alarm n-2 unseen",
    ] {
        assert!(said.err.contains(words), "{words}\n{}", said.err);
    }
    site.assert_answered(20);
    site.assert_units(WELL, 5);
    site.assert_units(INNER, 4);
    assert_eq!(site.left(CHANGED), "", "nothing is written there");
    let home = site.on(CHANGED, ["ls", "-A", site.home().to_str().unwrap()]);
    assert!(!home.contains('c'), "{home}");

    site.link(SILENT, Link::Carry);
    site.exec(["ssh-keygen", "-R", CHANGED]);
    site.exec([
        "ssh",
        "-oBatchMode=yes",
        "-oStrictHostKeyChecking=accept-new",
        CHANGED,
        "true",
    ]);
    site.goes_down();
}
