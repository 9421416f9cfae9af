//! Whether the host that answers is the one that is meant.

use std::fs;

use toolorch::plan::SshTarget;
use toolorch::world::TransportError;

use super::sshd::{Sshd, keygen, public_key};
use super::{Kind, Node, on_both};

on_both! {
    a_changed_key_stops_the_node_and_writes_nothing
    an_unknown_key_stops_the_node_and_writes_nothing
    a_revoked_key_is_refused
    hashed_names_and_lines_that_are_none
}

/// Without what differs from run to run.
fn told(sshd: &Sshd, error: &TransportError) -> String {
    let text = error.to_string();
    let text = text.replace(&sshd.port.to_string(), "PORT");
    let text = text.replace(sshd.path("").to_str().unwrap(), "/DIR/");
    let print = regex_lite::Regex::new("SHA256:[A-Za-z0-9+/]{43}").unwrap();
    print.replace_all(&text, "SHA256:…").into_owned()
}

#[track_caller]
fn refused(sshd: &Sshd, node: &Node) -> String {
    let known = sshd.known_hosts();
    let error = node.refuses();
    assert!(matches!(error, TransportError::Refused { .. }), "{error}");
    assert_eq!(sshd.known_hosts(), known);
    assert_eq!(sshd.logins(), 0);
    told(sshd, &error)
}

fn line_of_another_key(sshd: &Sshd, args: &[&str]) -> String {
    let path = sshd.path("other");
    keygen(&path, args);
    format!("[127.0.0.1]:{} {}\n", sshd.port, public_key(&path))
}

fn a_changed_key_stops_the_node_and_writes_nothing(kind: Kind) {
    let sshd = Sshd::start(&[]);
    sshd.know(&line_of_another_key(&sshd, &[]));
    let text = refused(&sshd, &Node::of(&sshd, kind));
    match kind {
        Kind::Ssh2 => {
            insta::assert_snapshot!(text, @"cannot use `node` (127.0.0.1 port PORT): its host key has changed: it has the ssh-ed25519 key SHA256:…, which is not the ssh-ed25519 key in /DIR/known_hosts line 1; somebody else may answer in its place, so nothing was sent; if it was installed anew, remove the old key with `ssh-keygen -R '[127.0.0.1]:PORT'` and run `ssh -p PORT node` once");
        }
        Kind::SystemSsh => {
            insta::assert_snapshot!(text, @"cannot use `node` (by the system's ssh): WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!; somebody else may answer in its place; if it was installed anew, remove the old key with `ssh-keygen -R` and run ssh once by hand");
        }
    }
}

fn an_unknown_key_stops_the_node_and_writes_nothing(kind: Kind) {
    let sshd = Sshd::start(&[]);
    // Neither a garbage line nor a key of another host or port makes it known.
    sshd.know(&format!(
        "garbage\nother {0}\n[127.0.0.1]:1 {0}\n*,!*127.0.0.1* {0}\n",
        sshd.host_key()
    ));
    let text = refused(&sshd, &Node::of(&sshd, kind));
    match kind {
        Kind::Ssh2 => {
            insta::assert_snapshot!(text, @"cannot use `node` (127.0.0.1 port PORT): its host key is not known: ssh-ed25519 SHA256:…; run `ssh -p PORT node` once, or pin `host_key_sha256: SHA256:…` in the YAML after comparing it with the host's own (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub there)");
        }
        Kind::SystemSsh => {
            insta::assert_snapshot!(text, @"cannot use `node` (by the system's ssh): No ED25519 host key is known for [127.0.0.1]:PORT and you have requested strict checking; run ssh to it once by hand, and compare the fingerprint");
        }
    }
}

fn a_revoked_key_is_refused(kind: Kind) {
    let sshd = Sshd::start(&[]);
    sshd.know(&format!(
        "{}@revoked * {}\n",
        sshd.known_line(),
        sshd.host_key()
    ));
    let text = refused(&sshd, &Node::of(&sshd, kind));
    if kind == Kind::Ssh2 {
        insta::assert_snapshot!(text, @"cannot use `node` (127.0.0.1 port PORT): its ssh-ed25519 key SHA256:… is revoked in /DIR/known_hosts line 2; somebody else may answer in its place, so nothing was sent; ask whoever runs the host");
    }
}

#[test]
fn an_authority_is_not_enough_for_ssh2() {
    let sshd = Sshd::start(&[]);
    sshd.know(&format!("@cert-authority * {}\n", sshd.host_key()));
    let text = refused(&sshd, &Node::of(&sshd, Kind::Ssh2));
    insta::assert_snapshot!(text, @"cannot use `node` (127.0.0.1 port PORT): its key is known only by a certificate authority (/DIR/known_hosts line 1), which ssh2 cannot check; say `transport: system-ssh` for this node, or pin `host_key_sha256: SHA256:…` in the YAML after comparing it with the host's own");
}

fn hashed_names_and_lines_that_are_none(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let hash = std::process::Command::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(sshd.path("known_hosts"))
        .output()
        .unwrap();
    assert!(hash.status.success());
    let hashed = sshd.known_hosts();
    assert!(hashed.starts_with("|1|"), "{hashed}");
    sshd.know(&format!("garbage\n|1|garbage\n# comment\n\n{hashed}"));
    assert_eq!(Node::of(&sshd, kind).says(&["echo", "in"]), "in\n");
    // The name without a port is taken, and so is a pattern.
    for line in [
        format!("127.0.0.1 {}\n", sshd.host_key()),
        format!("[127.*]:* {}\n", sshd.host_key()),
    ] {
        sshd.know(&line);
        assert_eq!(
            Node::of(&sshd, kind).says(&["echo", "in"]),
            "in\n",
            "{line}"
        );
    }
}

/// A host has keys of several types; the one that is known is asked for, not the best one.
#[test]
fn the_type_that_is_known_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ecdsa");
    keygen(&path, &["-t", "ecdsa"]);
    let sshd = Sshd::start(&[&format!("HostKey {}", path.display())]);
    sshd.know(&format!(
        "[127.0.0.1]:{} {}\n",
        sshd.port,
        public_key(&path)
    ));
    for kind in [Kind::Ssh2, Kind::SystemSsh] {
        assert_eq!(Node::of(&sshd, kind).says(&["echo", "in"]), "in\n");
    }
}

#[test]
fn a_pin_decides_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rsa");
    keygen(&path, &["-t", "rsa", "-b", "2048"]);
    let sshd = Sshd::start(&[&format!("HostKey {}", path.display())]);
    let print = |path: &std::path::Path| {
        let out = std::process::Command::new("ssh-keygen")
            .args(["-lf"])
            .arg(path)
            .output()
            .unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        text.split_whitespace().nth(1).unwrap().to_owned()
    };
    let pinned = |pin: &str| {
        let target = SshTarget {
            host_key_sha256: Some(pin.to_owned()),
            ..SshTarget::host("node")
        };
        Node::at(&sshd, Kind::Ssh2, target)
    };
    let other = line_of_another_key(&sshd, &[]);
    for known in ["", &other] {
        sshd.know(known);
        for right in [print(&sshd.path("host")), print(&path)] {
            assert_eq!(pinned(&right).says(&["echo", "in"]), "in\n");
            assert_eq!(
                pinned(right.trim_start_matches("SHA256:")).says(&["echo", "in"]),
                "in\n"
            );
        }
    }
    let before = sshd.logins();
    // A known key does not help against the pin.
    sshd.know(&sshd.known_line());
    let wrong = pinned("SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").refuses();
    assert!(matches!(wrong, TransportError::Refused { .. }), "{wrong}");
    assert_eq!(sshd.logins(), before);
    insta::assert_snapshot!(told(&sshd, &wrong), @"cannot use `node` (127.0.0.1 port PORT): none of its host keys has the fingerprint `SHA256:…` that the YAML pins; its ssh-rsa key has SHA256:…; somebody else may answer in its place, so nothing was sent; if its keys were replaced, correct host_key_sha256");
    let target = SshTarget {
        host_key_sha256: Some(print(&path)),
        ..SshTarget::host("node")
    };
    let error = Node::at(&sshd, Kind::SystemSsh, target).refuses();
    insta::assert_snapshot!(error, @"cannot use `node` (by the system's ssh): `host_key_sha256` is set, and ssh itself compares host keys only with its known_hosts; leave it out, or say `transport: ssh2`");
    let _ = fs::remove_file(path);
}
