//! What the configuration of ssh says, and ways through other hosts.

use std::fs;

use toolorch::plan::SshTarget;
use toolorch::world::TransportError;

use super::sshd::Sshd;
use super::{Kind, Node, on_both};

on_both! {
    hosts_matches_and_includes_are_followed
    the_yaml_comes_before_the_configuration
    a_way_through_two_hosts
    a_host_on_the_way_is_named
}

fn hosts_matches_and_includes_are_followed(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let more = sshd.path("more");
    fs::write(
        &more,
        format!(
            "Match host gpu31\n  HostName 127.0.0.1\nHost gpu*\n  Port {}\n",
            sshd.port
        ),
    )
    .unwrap();
    let base = fs::read_to_string(sshd.config()).unwrap();
    fs::write(sshd.config(), format!("Include {}\n{base}", more.display())).unwrap();
    let node = Node::at(&sshd, kind, SshTarget::host("gpu31"));
    assert_eq!(node.says(&["echo", "in"]), "in\n");
}

fn the_yaml_comes_before_the_configuration(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let text = fs::read_to_string(sshd.config()).unwrap();
    let port = sshd.port.to_string();
    fs::write(
        sshd.config(),
        text.replace(&port, "1")
            .replace("Host node", "Host node\n  User nobody-here"),
    )
    .unwrap();
    let user = String::from_utf8(
        std::process::Command::new("id")
            .arg("-un")
            .output()
            .unwrap()
            .stdout,
    )
    .unwrap();
    let target = SshTarget {
        port: Some(sshd.port),
        user: Some(user.trim().to_owned()),
        ..SshTarget::host("node")
    };
    assert_eq!(Node::at(&sshd, kind, target).says(&["echo", "in"]), "in\n");
}

/// Two hosts before the node: the configuration of one client knows all three.
struct Way {
    first: Sshd,
    second: Sshd,
    node: Sshd,
}

impl Way {
    fn new() -> Self {
        let [first, second, node] = [(); 3].map(|()| Sshd::start(&[]));
        // One key for all.
        let key = fs::read(node.path("id.pub")).unwrap();
        for sshd in [&first, &second] {
            fs::write(sshd.path("authorized_keys"), &key).unwrap();
        }
        let way = Self {
            first,
            second,
            node,
        };
        way.know([true; 3]);
        let base = fs::read_to_string(way.node.config()).unwrap();
        let host = |name: &str, sshd: &Sshd| {
            format!("Host {name}\n  HostName 127.0.0.1\n  Port {}\n", sshd.port)
        };
        let text = format!(
            "{}{}{base}",
            host("first", &way.first),
            host("second", &way.second)
        );
        fs::write(way.node.config(), text).unwrap();
        way
    }

    /// Which of the three the client knows.
    fn know(&self, which: [bool; 3]) {
        let all = [&self.first, &self.second, &self.node];
        let known = all.iter().zip(which).filter(|(_, is_known)| *is_known);
        let text: String = known.map(|(sshd, _)| sshd.known_line()).collect();
        self.node.know(&text);
    }

    fn target(kind: Kind, way: &Self, jump: &str) -> Node {
        let target = SshTarget {
            jump: Some(jump.to_owned()),
            ..SshTarget::host("node")
        };
        Node::at(&way.node, kind, target)
    }
}

fn a_way_through_two_hosts(kind: Kind) {
    let way = Way::new();
    let node = Way::target(kind, &way, "first,second");
    assert_eq!(node.says(&["echo", "in"]), "in\n");
    let big = "x".repeat(2_000_000);
    let command = toolorch::world::Command::new(["cat"]).with_stdin(big.clone());
    let done = node
        .block_on(node.transport().exec(&command, super::LONG))
        .unwrap();
    assert_eq!(done.stdout.len(), big.len());
    assert_eq!(
        [way.first.logins(), way.second.logins(), way.node.logins()],
        [1; 3]
    );
    // The same by the configuration, and with all said in the YAML.
    let text = fs::read_to_string(way.node.config()).unwrap();
    let named = text.replace("Host second\n", "Host second\n  ProxyJump first\n");
    fs::write(
        way.node.config(),
        named.replace("Host node\n", "Host node\n  ProxyJump second\n"),
    )
    .unwrap();
    assert_eq!(Node::of(&way.node, kind).says(&["echo", "in"]), "in\n");
    assert_eq!(way.second.logins(), 2);
    let said = format!("127.0.0.1:{}", way.first.port);
    assert_eq!(Way::target(kind, &way, &said).says(&["echo", "in"]), "in\n");
    assert_eq!([way.first.logins(), way.second.logins()], [3, 2]);
}

fn a_host_on_the_way_is_named(kind: Kind) {
    let mut way = Way::new();
    let told = |way: &Way, error: &TransportError| {
        let print = regex_lite::Regex::new("SHA256:[A-Za-z0-9+/]{43}").unwrap();
        let text = print
            .replace_all(&error.to_string(), "SHA256:…")
            .into_owned();
        text.replace(&way.first.port.to_string(), "FIRST")
            .replace(&way.second.port.to_string(), "SECOND")
            .replace(&way.node.port.to_string(), "NODE")
    };
    way.know([true, false, true]);
    let error = Way::target(kind, &way, "first,second").refuses();
    if kind == Kind::Ssh2 {
        assert!(matches!(error, TransportError::Refused { .. }), "{error}");
        insta::assert_snapshot!(told(&way, &error), @"cannot use `node` (jump host `second`, 127.0.0.1 port SECOND): its host key is not known: ssh-ed25519 SHA256:…; run `ssh -p SECOND second` once, or pin `host_key_sha256: SHA256:…` in the YAML after comparing it with the host's own (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub there)");
    }
    way.know([true; 3]);
    way.second.kill();
    let error = Way::target(kind, &way, "first,second").refuses();
    assert!(
        matches!(error, TransportError::Unreachable { .. }),
        "{error}"
    );
    match kind {
        Kind::Ssh2 => {
            insta::assert_snapshot!(told(&way, &error), @"cannot reach `node` (jump host `first`, 127.0.0.1 port FIRST): it cannot connect to 127.0.0.1 port SECOND: Channel open failure (connect failed); nothing was asked of it");
        }
        Kind::SystemSsh => {
            insta::assert_snapshot!(told(&way, &error), @"cannot reach `node` (by the system's ssh): Connection closed by UNKNOWN port 65535; what a host on the way said is seen with `ssh` by hand; nothing was asked of it");
        }
    }
    way.second.restart();
}

#[test]
fn what_ssh2_cannot_do_is_refused_with_advice() {
    let sshd = Sshd::start(&[]);
    let mut said = Vec::new();
    for more in [
        "  ProxyCommand nc %h %p\n",
        "  RevokedHostKeys /etc/ssh/revoked\n",
        "  ProxyJump node\n",
        "  NoSuchKeyword yes\n",
    ] {
        sshd.configure(more);
        let error = Node::of(&sshd, Kind::Ssh2).refuses();
        assert!(matches!(error, TransportError::Refused { .. }), "{error}");
        said.push(
            error
                .to_string()
                .replace(sshd.path("").to_str().unwrap(), "/DIR/"),
        );
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    cannot use `node` (`node`, as ssh is configured): ~/.ssh/config reaches it by a command, `nc %h %p`; say `transport: system-ssh` for this node, or use `jump` in place of the command
    cannot use `node` (`node`, as ssh is configured): ~/.ssh/config names revoked host keys, `/etc/ssh/revoked`, which ssh2 cannot look at; say `transport: system-ssh` for this node
    cannot use `node` (`node`, as ssh is configured): its jump hosts lead in a circle; correct `ProxyJump` in ~/.ssh/config, or say `jump` in the YAML
    cannot use `node` (`node`, as ssh is configured): ssh cannot read its configuration for it: /DIR/config: line 4: Bad configuration option: nosuchkeyword; correct ~/.ssh/config
    "#);
}

#[test]
fn a_command_as_the_way_is_for_the_systems_ssh() {
    let sshd = Sshd::start(&[]);
    sshd.configure(&format!(
        "  ProxyCommand bash -c 'exec 3<>/dev/tcp/127.0.0.1/{}; cat <&3 & cat >&3'\n",
        sshd.port
    ));
    assert_eq!(
        Node::of(&sshd, Kind::SystemSsh).says(&["echo", "in"]),
        "in\n"
    );
}

/// Only a person can make some connections, as with a code from a telephone.
#[test]
fn a_connection_that_a_person_made_is_used() {
    let sshd = Sshd::start(&[]);
    let socket = sshd.path("m");
    sshd.configure(&format!("  ControlPath {}\n", socket.display()));
    let master = |args: &[&str]| {
        let run = std::process::Command::new("ssh")
            .args(["-F"])
            .arg(sshd.config())
            .args(args)
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status();
        assert!(run.unwrap().success());
    };
    master(&["-MNf", "node"]);
    fs::write(sshd.path("authorized_keys"), "").unwrap();
    assert_eq!(
        Node::of(&sshd, Kind::SystemSsh).says(&["echo", "in"]),
        "in\n"
    );
    assert_eq!(sshd.logins(), 1);
    master(&["-O", "exit", "node"]);
    let error = Node::of(&sshd, Kind::SystemSsh).refuses();
    assert!(matches!(error, TransportError::Refused { .. }), "{error}");
}
