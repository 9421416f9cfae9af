//! Links that break, hang and come back.

use std::time::{Duration, Instant};

use toolorch::plan::SshTarget;
use toolorch::world::TransportError;

use super::relay::Relay;
use super::sshd::Sshd;
use super::{Kind, LONG, Node, on_both};

on_both! {
    a_command_that_outlasts_its_limit_is_unknown_and_goes_on
    a_black_hole_is_unknown_in_time_and_the_next_calls_work_after_it
    an_sshd_that_is_killed_in_the_middle_is_unknown_and_the_next_call_connects_again
    nobody_listens
}

/// How much later than its limit an answer may come.
const GRACE: Duration = Duration::from_secs(1);

fn through(sshd: &Sshd, kind: Kind, port: u16) -> Node {
    // The relay has a port of its own, under which the host is not known.
    sshd.know(&format!(
        "127.0.0.1 {}\n[127.0.0.1]:{port} {0}\n",
        sshd.host_key()
    ));
    let target = SshTarget {
        port: Some(port),
        ..SshTarget::host("node")
    };
    Node::at(sshd, kind, target)
}

fn without_port(text: &str, port: u16) -> String {
    text.replace(&port.to_string(), "PORT")
}

fn a_command_that_outlasts_its_limit_is_unknown_and_goes_on(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let node = Node::of(&sshd, kind);
    node.says(&["true"]);
    let (go, done) = (sshd.path("go"), sshd.path("done"));
    let script = "while [ ! -e \"$0\" ]; do sleep 0.02; done; echo >\"$1\"";
    let argv = [
        "sh",
        "-c",
        script,
        go.to_str().unwrap(),
        done.to_str().unwrap(),
    ];
    let limit = Duration::from_secs(1);
    let began = Instant::now();
    let error = node.exec_within(&argv, limit).unwrap_err();
    assert!(
        (limit..limit + GRACE).contains(&began.elapsed()),
        "{:?}",
        began.elapsed()
    );
    assert!(matches!(error, TransportError::Unknown { .. }), "{error}");
    insta::allow_duplicates! {
        insta::assert_snapshot!(error, @"what became of `sh` on `node` is unknown: it did not answer within 1.0s; it may still be at work there");
    }
    // The connection is as good as before.
    assert_eq!(node.says(&["echo", "on"]), "on\n");
    if kind == Kind::Ssh2 {
        assert_eq!(sshd.logins(), 1);
    }
    assert!(!done.exists());
    std::fs::write(go, "").unwrap();
    while !done.exists() {
        assert!(began.elapsed() < LONG);
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a command that never ends, and does something once it has begun.
fn in_the_middle(sshd: &Sshd, node: &Node, limit: Duration, then: impl FnOnce()) -> TransportError {
    let started = sshd.path("started");
    let script = "echo >\"$0\"; exec sleep 600";
    let argv = ["sh", "-c", script, started.to_str().unwrap()].map(str::to_owned);
    let command = toolorch::world::Command::new(argv);
    node.block_on(async {
        let asked = node.transport().exec(&command, limit);
        let then = async {
            while !started.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            then();
        };
        tokio::join!(asked, then).0.unwrap_err()
    })
}

fn a_black_hole_is_unknown_in_time_and_the_next_calls_work_after_it(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let relay = Relay::to(sshd.port);
    let node = through(&sshd, kind, relay.port);
    node.says(&["true"]);
    let limit = Duration::from_secs(3);
    let began = Instant::now();
    let error = in_the_middle(&sshd, &node, limit, || relay.cut());
    assert!(
        (limit..limit + GRACE).contains(&began.elapsed()),
        "{:?}",
        began.elapsed()
    );
    assert!(matches!(error, TransportError::Unknown { .. }), "{error}");
    let limit = Duration::from_secs(1);
    let began = Instant::now();
    let error = node.exec_within(&["true"], limit).unwrap_err();
    assert!(
        (limit..limit + GRACE).contains(&began.elapsed()),
        "{:?}",
        began.elapsed()
    );
    if kind == Kind::Ssh2 {
        // Nothing more is asked on a link that says nothing.
        assert!(
            matches!(error, TransportError::Unreachable { .. }),
            "{error}"
        );
        insta::assert_snapshot!(without_port(&error.to_string(), relay.port), @"cannot reach `node` (127.0.0.1 port PORT): it did not answer within 1.0s: still waiting for a sign of life from it; nothing was asked of it");
    }
    relay.heal();
    assert_eq!(node.says(&["echo", "on"]), "on\n");
    if kind == Kind::Ssh2 {
        assert_eq!(sshd.logins(), 1);
    }
    // Dropping what hangs on a dead link takes no time.
    relay.cut();
    node.exec_within(&["true"], limit).unwrap_err();
    let began = Instant::now();
    drop(node);
    assert!(began.elapsed() < GRACE);
}

#[test]
fn a_link_that_gives_no_sign_of_life_is_given_up() {
    let sshd = Sshd::start(&[]);
    let relay = Relay::to(sshd.port);
    let node = through(&sshd, Kind::Ssh2, relay.port);
    node.says(&["true"]);
    // Five seconds of silence, and five without an answer.
    let error = in_the_middle(&sshd, &node, LONG, || relay.cut());
    assert!(matches!(error, TransportError::Unknown { .. }), "{error}");
    insta::assert_snapshot!(without_port(&error.to_string(), relay.port), @"what became of `sh` on `node` is unknown: the link to 127.0.0.1 port PORT broke: it gives no sign of life");
    relay.heal();
    assert_eq!(node.says(&["echo", "on"]), "on\n");
    assert_eq!(sshd.logins(), 2);
}

fn an_sshd_that_is_killed_in_the_middle_is_unknown_and_the_next_call_connects_again(kind: Kind) {
    let mut sshd = Sshd::start(&[]);
    let node = Node::of(&sshd, kind);
    node.says(&["true"]);
    let pids = sshd.pids();
    let error = in_the_middle(&sshd, &node, LONG, || {
        pids().into_iter().for_each(super::sshd::end);
    });
    sshd.kill();
    assert!(matches!(error, TransportError::Unknown { .. }), "{error}");
    if kind == Kind::Ssh2 {
        insta::assert_snapshot!(without_port(&error.to_string(), sshd.port), @"what became of `sh` on `node` is unknown: the link to 127.0.0.1 port PORT broke: transport read");
    }
    let error = node.refuses();
    assert!(
        matches!(error, TransportError::Unreachable { .. }),
        "{error}"
    );
    sshd.restart();
    let began = Instant::now();
    while let Err(error) = node.exec(&["true"]) {
        assert!(began.elapsed() < LONG, "{error}");
    }
}

fn nobody_listens(kind: Kind) {
    let mut sshd = Sshd::start(&[]);
    sshd.kill();
    let node = Node::of(&sshd, kind);
    let error = node.refuses();
    assert!(
        matches!(error, TransportError::Unreachable { .. }),
        "{error}"
    );
    let text = without_port(&error.to_string(), sshd.port);
    match kind {
        Kind::Ssh2 => {
            insta::assert_snapshot!(text, @"cannot reach `node` (127.0.0.1 port PORT): connection refused: no sshd listens there, or a firewall says so; nothing was asked of it");
        }
        Kind::SystemSsh => {
            insta::assert_snapshot!(text, @"cannot reach `node` (by the system's ssh): ssh: connect to host 127.0.0.1 port PORT: Connection refused; nothing was asked of it");
        }
    }
    sshd.restart();
    // Who waits longer than the pause between two attempts gets another one.
    assert_eq!(node.says(&["echo", "in"]), "in\n");
}

#[test]
fn names_without_an_address_and_ports_without_ssh_are_told() {
    let sshd = Sshd::start(&[]);
    let node = Node::at(&sshd, Kind::Ssh2, SshTarget::host("no-such-host.invalid"));
    let error = node.refuses();
    assert!(
        matches!(error, TransportError::Unreachable { .. }),
        "{error}"
    );
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = SshTarget {
        port: Some(silent.local_addr().unwrap().port()),
        ..SshTarget::host("node")
    };
    let port = target.port.unwrap();
    let node = Node::at(&sshd, Kind::Ssh2, target);
    let limit = Duration::from_secs(1);
    let began = Instant::now();
    let error = node.exec_within(&["true"], limit).unwrap_err();
    assert!(
        (limit..limit + GRACE).contains(&began.elapsed()),
        "{:?}",
        began.elapsed()
    );
    assert!(
        matches!(error, TransportError::Unreachable { .. }),
        "{error}"
    );
    insta::assert_snapshot!(without_port(&error.to_string(), port), @"cannot reach `node` (127.0.0.1 port PORT): it did not answer within 1.0s: still exchanging keys; nothing was asked of it");
}

/// What is given up before it was asked is never asked.
#[test]
fn a_dropped_answer_takes_its_question_back() {
    let sshd = Sshd::start(&[]);
    let relay = Relay::to(sshd.port);
    let node = through(&sshd, Kind::Ssh2, relay.port);
    relay.cut();
    let mark = sshd.path("mark");
    let command = toolorch::world::Command::new(["touch", mark.to_str().unwrap()]);
    node.block_on(async {
        let asked = node.transport().exec(&command, LONG);
        let _ = tokio::time::timeout(Duration::from_millis(50), asked).await;
    });
    relay.heal();
    node.says(&["true"]);
    assert!(!mark.exists());
}
