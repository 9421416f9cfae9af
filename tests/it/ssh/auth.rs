//! Logging in.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use toolorch::plan::SshTarget;
use toolorch::world::{Question, Responder, SshSettings, TransportError};

use super::sshd::{Sshd, keygen, public_key};
use super::{Kind, Node, on_both};

on_both! {
    keys_of_the_agent_are_used
    a_wrong_key_is_refused_with_advice
    a_key_with_a_passphrase_is_refused_with_advice
    the_one_key_of_the_yaml_is_used
    the_key_of_the_yaml_may_be_in_the_agent
    many_keys_of_the_agent_and_the_named_one_comes_first
    too_many_keys_are_told
    who_asks_for_a_code_is_refused_with_advice
}

/// An agent of the test's own.
struct Agent {
    child: Child,
    socket: std::path::PathBuf,
}

impl Agent {
    fn start(sshd: &Sshd, keys: &[&str]) -> Self {
        let socket = sshd.path("agent");
        let child = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It is there before anybody listens.
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let agent = Self { child, socket };
        for key in keys {
            agent.add(sshd, key);
        }
        agent
    }

    fn add(&self, sshd: &Sshd, key: &str) {
        let added = Command::new("ssh-add")
            .arg("-q")
            .arg(sshd.path(key))
            .env("SSH_AUTH_SOCK", &self.socket)
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(added.success());
    }

    /// As lines of the client's configuration.
    fn line(&self) -> String {
        format!("  IdentityAgent {}\n", self.socket.display())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn told(sshd: &Sshd, error: &TransportError) -> String {
    assert!(matches!(error, TransportError::Refused { .. }), "{error}");
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let text = error.to_string().replace(&sshd.port.to_string(), "PORT");
    let text = text.replace(sshd.path("").to_str().unwrap(), "/DIR/");
    text.replace(&format!("`{}`", user.trim()), "`USER`")
        .replace(&format!("{}@", user.trim()), "USER@")
}

fn keys_of_the_agent_are_used(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let agent = Agent::start(&sshd, &["id"]);
    fs::remove_file(sshd.path("id")).unwrap();
    sshd.configure(&agent.line());
    assert_eq!(Node::of(&sshd, kind).says(&["echo", "in"]), "in\n");
}

fn a_wrong_key_is_refused_with_advice(kind: Kind) {
    let sshd = Sshd::start(&[]);
    fs::remove_file(sshd.path("id")).unwrap();
    fs::remove_file(sshd.path("id.pub")).unwrap();
    keygen(&sshd.path("id"), &[]);
    let text = told(&sshd, &Node::of(&sshd, kind).refuses());
    match kind {
        Kind::Ssh2 => {
            insta::assert_snapshot!(text, @"cannot use `node` (127.0.0.1 port PORT): it does not let user `USER` in; it takes publickey; tried: no agent (SSH_AUTH_SOCK is not set); /DIR/id; name the right key (`identity` in the YAML, IdentityFile in ~/.ssh/config), or bring one there with `ssh-copy-id node`; for Kerberos and certificates say `transport: system-ssh`");
        }
        Kind::SystemSsh => {
            insta::assert_snapshot!(text, @"cannot use `node` (by the system's ssh): USER@127.0.0.1: Permission denied (publickey); `ssh -o BatchMode=yes` must let you in without a question: add your key to an agent, or make a shared connection by hand (ControlMaster, ControlPath in ~/.ssh/config)");
        }
    }
    // Told again, and not tried again: sshd and its watchdogs count.
    let node = Node::of(&sshd, Kind::Ssh2);
    let first = node.refuses().to_string();
    let tries = sshd.log().matches("Connection from").count();
    assert_eq!(node.refuses().to_string(), first);
    assert_eq!(sshd.log().matches("Connection from").count(), tries);
}

fn a_key_with_a_passphrase_is_refused_with_advice(kind: Kind) {
    let sshd = Sshd::start(&[]);
    for args in [
        &["-N", "secret"][..],
        &["-N", "secret", "-m", "PEM", "-t", "ecdsa"][..],
    ] {
        fs::remove_file(sshd.path("id")).unwrap();
        fs::remove_file(sshd.path("id.pub")).unwrap();
        keygen(&sshd.path("id"), args);
        fs::copy(sshd.path("id.pub"), sshd.path("authorized_keys")).unwrap();
        let text = told(&sshd, &Node::of(&sshd, kind).refuses());
        if kind == Kind::Ssh2 {
            insta::allow_duplicates! {
                insta::assert_snapshot!(text, @"cannot use `node` (127.0.0.1 port PORT): it does not let user `USER` in; it takes publickey; tried: no agent (SSH_AUTH_SOCK is not set); /DIR/id has a passphrase, and the agent does not hold it; add the key to an agent with ssh-add, or say `transport: system-ssh` for this node");
            }
        }
    }
}

fn the_one_key_of_the_yaml_is_used(kind: Kind) {
    let sshd = Sshd::start(&[]);
    for args in [
        &["-t", "rsa", "-b", "2048"][..],
        &["-t", "ecdsa"],
        &["-t", "rsa", "-b", "2048", "-m", "PEM"],
    ] {
        let _ = fs::remove_file(sshd.path("mine"));
        let _ = fs::remove_file(sshd.path("mine.pub"));
        keygen(&sshd.path("mine"), args);
        fs::copy(sshd.path("mine.pub"), sshd.path("authorized_keys")).unwrap();
        let target = SshTarget {
            identity: Some(sshd.path("mine").to_str().unwrap().to_owned()),
            ..SshTarget::host("node")
        };
        assert_eq!(
            Node::at(&sshd, kind, target).says(&["echo", "in"]),
            "in\n",
            "{args:?}"
        );
    }
}

#[test]
fn a_key_of_the_yaml_that_is_not_there_is_named() {
    let sshd = Sshd::start(&[]);
    let target = SshTarget {
        identity: Some(sshd.path("gone").to_str().unwrap().to_owned()),
        ..SshTarget::host("node")
    };
    let text = told(&sshd, &Node::at(&sshd, Kind::Ssh2, target).refuses());
    let tried =
        "tried: /DIR/gone is not there; no agent (SSH_AUTH_SOCK is not set); name the right key";
    assert!(text.contains(tried), "{text}");
}

fn the_key_of_the_yaml_may_be_in_the_agent(kind: Kind) {
    let sshd = Sshd::start(&[]);
    let agent = Agent::start(&sshd, &["id"]);
    sshd.configure(&agent.line());
    fs::rename(sshd.path("id.pub"), sshd.path("mine.pub")).unwrap();
    fs::remove_file(sshd.path("id")).unwrap();
    let target = SshTarget {
        identity: Some(sshd.path("mine.pub").to_str().unwrap().to_owned()),
        ..SshTarget::host("node")
    };
    assert_eq!(Node::at(&sshd, kind, target).says(&["echo", "in"]), "in\n");
}

/// Makes keys that no host knows.
fn strangers(sshd: &Sshd, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|n| format!("stranger-{n}")).collect();
    for name in &names {
        keygen(&sshd.path(name), &[]);
    }
    names
}

fn many_keys_of_the_agent_and_the_named_one_comes_first(kind: Kind) {
    let sshd = Sshd::start(&["MaxAuthTries 3"]);
    let mut keys = strangers(&sshd, 8);
    keys.push("id".to_owned());
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let agent = Agent::start(&sshd, &keys);
    sshd.configure(&agent.line());
    assert_eq!(Node::of(&sshd, kind).says(&["echo", "in"]), "in\n");
}

fn too_many_keys_are_told(kind: Kind) {
    let sshd = Sshd::start(&["MaxAuthTries 3"]);
    let keys = strangers(&sshd, 8);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let agent = Agent::start(&sshd, &keys);
    sshd.configure(&agent.line());
    let text = told(&sshd, &Node::of(&sshd, kind).refuses());
    match kind {
        Kind::Ssh2 => {
            insta::assert_snapshot!(text, @"cannot use `node` (127.0.0.1 port PORT): it hung up during the login of user `USER`, as after too many keys; tried: 8 keys of the agent; name the one key: `identity` in the YAML, or IdentityFile and IdentitiesOnly in ~/.ssh/config");
        }
        Kind::SystemSsh => {
            insta::assert_snapshot!(text, @"cannot use `node` (by the system's ssh): Received disconnect from 127.0.0.1 port PORT:2: Too many authentication failures; name the one key: `identity` in the YAML");
        }
    }
}

/// An agent that takes a connection and says nothing, as one whose forwarding is gone.
#[test]
fn an_agent_that_hangs_does_not_keep_us() {
    let sshd = Sshd::start(&[]);
    let socket = sshd.path("hangs");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    sshd.configure(&format!("  IdentityAgent {}\n", socket.display()));
    assert_eq!(Node::of(&sshd, Kind::Ssh2).says(&["echo", "in"]), "in\n");
}

/// The lines by which sshd asks for a second factor; without PAM it asks nothing, and fails what is answered.
const SECOND_FACTOR: [&str; 2] = [
    "KbdInteractiveAuthentication yes",
    "AuthenticationMethods publickey,keyboard-interactive",
];

fn who_asks_for_a_code_is_refused_with_advice(kind: Kind) {
    let sshd = Sshd::start(&SECOND_FACTOR);
    let text = told(&sshd, &Node::of(&sshd, kind).refuses());
    match kind {
        Kind::Ssh2 => {
            insta::assert_snapshot!(text, @"cannot use `node` (127.0.0.1 port PORT): it asks user `USER` for a password or a code, and nobody is there to answer; tried: no agent (SSH_AUTH_SOCK is not set); /DIR/id; log in once by hand and say `transport: system-ssh` with `ControlMaster` in ~/.ssh/config, which shares that login; or use a key that needs no second factor");
        }
        Kind::SystemSsh => {
            insta::assert_snapshot!(text, @"cannot use `node` (by the system's ssh): USER@127.0.0.1: Permission denied (keyboard-interactive); `ssh -o BatchMode=yes` must let you in without a question: add your key to an agent, or make a shared connection by hand (ControlMaster, ControlPath in ~/.ssh/config)");
        }
    }
    assert!(public_key(&sshd.path("host")).starts_with("ssh-ed25519 "));
}

struct Nobody;

impl Responder for Nobody {
    fn respond(&self, _: &Question) -> Option<Vec<String>> {
        None
    }
}

#[test]
fn answers_that_are_not_accepted_are_told() {
    let sshd = Sshd::start(&SECOND_FACTOR);
    let settings = SshSettings {
        config: Some(sshd.config()),
        responder: Some(Arc::new(Nobody)),
    };
    let node = Node::with(Kind::Ssh2, SshTarget::host("node"), &settings);
    let text = told(&sshd, &node.refuses());
    insta::assert_snapshot!(text, @"cannot use `node` (127.0.0.1 port PORT): the answers for user `USER` were not accepted; start again with the right ones");
}
