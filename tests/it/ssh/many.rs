//! Many commands at once, on hosts that allow few.

use std::sync::Arc;

use toolorch::base::NodeName;
use toolorch::plan::{Access, SshTarget};
use toolorch::world::{Command, SshSettings, Transports};

use super::sshd::Sshd;
use super::{Kind, LONG, Node, on_both};

on_both! {
    thirty_two_commands_at_once
    a_connection_for_two_sessions
    logins_that_are_dropped_are_made_again
}

fn all_at_once(node: &Node, count: usize) {
    let commands: Vec<Command> = (0..count)
        .map(|n| {
            Command::new([
                "sh".to_owned(),
                "-c".to_owned(),
                format!("sleep 0.02; echo {n}"),
            ])
        })
        .collect();
    let asked = commands
        .iter()
        .map(|command| node.transport().exec(command, LONG));
    let done = node.block_on(futures_util::future::join_all(asked));
    for (n, done) in done.into_iter().enumerate() {
        assert_eq!(done.unwrap().stdout, format!("{n}\n"));
    }
}

fn thirty_two_commands_at_once(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let node = Node::of(&sshd, kind);
    all_at_once(&node, 32);
    assert_eq!(sshd.logins(), 1);
}

fn a_connection_for_two_sessions(kind: Kind) {
    let sshd = Sshd::start(&["MaxSessions 2"]);
    let node = Node::of(&sshd, kind);
    all_at_once(&node, 16);
    if kind == Kind::Ssh2 {
        assert_eq!(sshd.logins(), 1);
    }
}

/// Sessions of commands that nobody waits for fill the connection; another one is made then.
#[test]
fn a_connection_full_of_abandoned_commands_is_left() {
    let sshd = Sshd::start(&["MaxSessions 2"]);
    let node = Node::of(&sshd, Kind::Ssh2);
    let ends = sshd.path("end");
    let script = "while [ ! -e \"$0\" ]; do sleep 0.05; done";
    for _ in 0..2 {
        let argv = ["sh", "-c", script, ends.to_str().unwrap()];
        node.exec_within(&argv, std::time::Duration::from_millis(300))
            .unwrap_err();
    }
    assert_eq!(node.says(&["echo", "on"]), "on\n");
    std::fs::write(ends, "").unwrap();
}

/// Twelve targets, each with a connection of its own, and an sshd that drops whoever is third.
fn logins_that_are_dropped_are_made_again(kind: Kind) {
    let sshd = Sshd::start(&["MaxStartups 2"]);
    let mut text = std::fs::read_to_string(sshd.config()).unwrap();
    for n in 0..12 {
        text = format!(
            "Host gpu{n}\n  HostName 127.0.0.1\n  Port {}\n{text}",
            sshd.port
        );
    }
    std::fs::write(sshd.config(), text).unwrap();
    let name = |n: usize| NodeName::new(format!("gpu{n}"));
    let nodes = (0..12).map(|n| {
        let target = SshTarget::host(format!("gpu{n}"));
        let access = match kind {
            Kind::Ssh2 => Access::Ssh2(target),
            Kind::SystemSsh => Access::SystemSsh(target),
        };
        (name(n), access)
    });
    let settings = SshSettings {
        config: Some(sshd.config()),
        responder: None,
    };
    let transports = Transports::new(nodes, &settings).unwrap();
    let command = Command::new(["true"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let asked = (0..12).map(|n| transports.of(&name(n)).unwrap().exec(&command, LONG));
    let done = runtime.block_on(futures_util::future::join_all(asked));
    for done in done {
        assert_eq!(done.unwrap().code, Some(0));
    }
    assert_eq!(sshd.logins(), 12);
}

#[test]
fn nodes_of_one_target_share_a_connection() {
    let sshd = Sshd::start(&[]);
    let settings = SshSettings {
        config: Some(sshd.config()),
        responder: None,
    };
    let names = ["a", "b"].map(NodeName::new);
    let nodes = names
        .clone()
        .map(|name| (name, Access::Ssh2(SshTarget::host("node"))));
    let local = (NodeName::new("here"), Access::Local);
    let transports = Transports::new(nodes.into_iter().chain([local]), &settings).unwrap();
    let [a, b] = names.each_ref().map(|name| transports.of(name).unwrap());
    assert!(Arc::ptr_eq(a, b));
    let command = Command::new(["echo", "in"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for name in ["a", "b", "here"] {
        let transport = transports.of(&NodeName::new(name)).unwrap();
        let done = runtime.block_on(transport.exec(&command, LONG)).unwrap();
        assert_eq!(done.stdout, "in\n");
    }
    assert_eq!(sshd.logins(), 1);
    assert!(transports.of(&NodeName::new("c")).is_none());
}
