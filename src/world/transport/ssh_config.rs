//! What `~/.ssh/config` says of a host, asked of `ssh` itself.
//!
//! `ssh -G HOST` prints what `ssh HOST` would do: `Host` and `Match` blocks, `Include`, the site's own file and the
//! defaults of that release, in OpenSSH's own reading and within 10 ms. A parser of our own would be another reading
//! of the same file, wrong where nobody looks; the crate `ssh2-config` 0.9 has neither `Match` nor tokens
//! such as `%h`, and brings six crates along. Where no `ssh` is installed the defaults hold, unless there is a
//! `~/.ssh/config` that would be passed over in silence: that is refused.
//!
//! Keys of the YAML come first: they go in as options of the command line do.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::link_error::{LinkError, Spot};
use crate::plan::SshTarget;

/// As many hosts one after the other are a loop.
const MOST_HOPS: usize = 8;

/// A host to connect to, on the way or at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hop {
    /// What a person would give to `ssh`.
    pub(super) alias: String,
    /// The name or address to connect to.
    pub(super) host: String,
    /// The port of sshd.
    pub(super) port: u16,
    /// The user to log in as.
    pub(super) user: String,
    /// Private keys to try, in order; some of them may not exist.
    pub(super) identities: Vec<PathBuf>,
    /// No key of the agent is tried that is not among these.
    pub(super) identities_only: bool,
    /// The socket of the agent.
    pub(super) agent: Option<PathBuf>,
    /// Files with keys of known hosts; some of them may not exist.
    pub(super) known_hosts: Vec<PathBuf>,
    /// The name under which its key is known, if not its own.
    pub(super) key_alias: Option<String>,
    /// The fingerprint that decides alone, if the YAML pins one.
    pub(super) pin: Option<String>,
    /// It is on the way to another.
    pub(super) is_jump: bool,
}

/// What `ssh -G` says of one host.
#[derive(Debug, Default)]
pub(super) struct Answers(Vec<(String, String)>);

impl Hop {
    /// The name of its key in files of known hosts.
    pub(super) fn key_name(&self) -> String {
        match (&self.key_alias, self.port) {
            (Some(alias), _) => alias.to_lowercase(),
            (None, 22) => self.host.to_lowercase(),
            (None, port) => format!("[{}]:{port}", self.host.to_lowercase()),
        }
    }

    /// Where it is, for messages.
    pub(super) fn spot(&self) -> Spot {
        let jump = if self.is_jump {
            format!("jump host `{}`, ", self.alias)
        } else {
            String::new()
        };
        Spot(format!("{jump}{} port {}", self.host, self.port))
    }
}

/// All hosts on the way to a target, itself the last.
pub(super) fn hops(target: &SshTarget, config: Option<&Path>) -> Result<Vec<Hop>, LinkError> {
    let mut way = Vec::new();
    let jump = target.jump.as_deref();
    add_hops(&mut way, target, jump, config, 0)?;
    for hop in way.iter_mut().rev().skip(1) {
        hop.is_jump = true;
    }
    Ok(way)
}

/// As OpenSSH has it: the last host of a list is reached through those before it, and the first one as its own
/// configuration says.
fn add_hops(
    way: &mut Vec<Hop>,
    target: &SshTarget,
    jump: Option<&str>,
    config: Option<&Path>,
    depth: usize,
) -> Result<(), LinkError> {
    let spot = Spot::configured(target);
    if depth > MOST_HOPS {
        let fix = "correct `ProxyJump` in ~/.ssh/config, or say `jump` in the YAML";
        return Err(LinkError::refused(
            &spot,
            "its jump hosts lead in a circle",
            fix,
        ));
    }
    let answers = Answers::of(target, config)?;
    if let Some(command) = answers.set("proxycommand") {
        let why = format!("~/.ssh/config reaches it by a command, `{command}`");
        let fix =
            "say `transport: system-ssh` for this node, or use `jump` in place of the command";
        return Err(LinkError::refused(&spot, why, fix));
    }
    if let Some(file) = answers.set("revokedhostkeys") {
        let why =
            format!("~/.ssh/config names revoked host keys, `{file}`, which ssh2 cannot look at");
        let fix = "say `transport: system-ssh` for this node";
        return Err(LinkError::refused(&spot, why, fix));
    }
    let jumps = jump.or_else(|| answers.set("proxyjump"));
    if let Some((earlier, last)) = jumps.filter(|jumps| *jumps != "none").map(split_last) {
        let target = jump_target(last).ok_or_else(|| {
            LinkError::refused(
                &spot,
                format!("`{last}` is no jump host"),
                "write `[user@]host[:port]`, with commas between several",
            )
        })?;
        add_hops(way, &target, earlier, config, depth + 1)?;
    }
    way.push(answers.hop(target));
    Ok(())
}

fn split_last(jumps: &str) -> (Option<&str>, &str) {
    match jumps.rsplit_once(',') {
        Some((earlier, last)) => (Some(earlier), last.trim()),
        None => (None, jumps.trim()),
    }
}

/// `[user@]host[:port]`, an address of version 6 in brackets, or all of it as `ssh://…`.
fn jump_target(text: &str) -> Option<SshTarget> {
    let text = text.strip_prefix("ssh://").unwrap_or(text);
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user.to_owned()), rest),
        None => (None, text),
    };
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':')?)),
        None => match rest.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (rest, None),
        },
    };
    if host.is_empty() || host.starts_with('-') {
        return None;
    }
    let port = port.map(str::parse).transpose().ok()?;
    Some(SshTarget {
        user,
        port,
        ..SshTarget::host(host)
    })
}

impl Answers {
    /// Asks `ssh`.
    pub(super) fn of(target: &SshTarget, config: Option<&Path>) -> Result<Self, LinkError> {
        let spot = Spot::configured(target);
        let asked = Command::new("ssh")
            .args(["-G", "-T"])
            .args(options(target, config))
            .args(["--", &target.host])
            .stdin(Stdio::null())
            .output();
        match asked {
            Ok(done) if done.status.success() => {
                Ok(Self::read(&String::from_utf8_lossy(&done.stdout)))
            }
            Ok(done) => {
                let words = super::reply::first_line(&done.stderr);
                let why = format!("ssh cannot read its configuration for it: {words}");
                Err(LinkError::refused(&spot, why, "correct ~/.ssh/config"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Self::without_ssh(config, &spot)
            }
            Err(error) => Err(LinkError::unreachable(
                &spot,
                format!("cannot run `ssh -G`: {error}"),
            )),
        }
    }

    fn without_ssh(config: Option<&Path>, spot: &Spot) -> Result<Self, LinkError> {
        let config = config
            .map(Path::to_owned)
            .or_else(|| Some(home()?.join(".ssh/config")));
        match config.filter(|config| config.exists()) {
            Some(config) => {
                let why = format!(
                    "`{}` cannot be read without the program `ssh`",
                    config.display()
                );
                let fix = "install OpenSSH's client (apt install openssh-client)";
                Err(LinkError::refused(spot, why, fix))
            }
            None => Ok(Self::default()),
        }
    }

    fn read(text: &str) -> Self {
        let pair = |line: &str| {
            let (key, value) = line.trim().split_once(' ')?;
            Some((key.to_owned(), value.to_owned()))
        };
        Self(text.lines().filter_map(pair).collect())
    }

    /// The value of a keyword, unless it is `none`.
    pub(super) fn set(&self, key: &str) -> Option<&str> {
        self.all(key).next().filter(|value| *value != "none")
    }

    fn all<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> {
        let of_key = self.0.iter().filter(move |(name, _)| name == key);
        of_key.map(|(_, value)| value.as_str())
    }

    fn hop(&self, target: &SshTarget) -> Hop {
        let host = self.set("hostname").unwrap_or(&target.host);
        let user = (self.set("user").map(str::to_owned))
            .or_else(|| target.user.clone())
            .unwrap_or_else(own_name);
        let port = self.set("port").and_then(|port| port.parse().ok());
        let port = port.or(target.port).unwrap_or(22);
        let path = |text: &str| expand(text, host, &user, port, &target.host);
        let of_config: Vec<PathBuf> = self.all("identityfile").map(path).collect();
        let identities = match &target.identity {
            Some(only) => vec![path(only)],
            None if self.0.is_empty() => default_identities(),
            None => of_config,
        };
        let only = target.identity.is_some() || self.set("identitiesonly") == Some("yes");
        Hop {
            alias: target.host.clone(),
            host: host.to_owned(),
            port,
            identities,
            identities_only: only,
            agent: self.agent().map(|agent| path(&agent)),
            known_hosts: self.known_hosts().iter().map(|file| path(file)).collect(),
            key_alias: self.set("hostkeyalias").map(str::to_owned),
            pin: target.host_key_sha256.clone(),
            user,
            is_jump: false,
        }
    }

    /// `IdentityAgent`: a path, `$VARIABLE`, `none`, or, as without it, `SSH_AUTH_SOCK`.
    fn agent(&self) -> Option<String> {
        let value = self.all("identityagent").next().unwrap_or("SSH_AUTH_SOCK");
        match value {
            "none" => None,
            "SSH_AUTH_SOCK" => std::env::var("SSH_AUTH_SOCK").ok(),
            value => match value.strip_prefix('$') {
                Some(name) => std::env::var(name.trim_matches(['{', '}'])).ok(),
                None => Some(value.to_owned()),
            },
        }
        .filter(|path| !path.is_empty())
    }

    fn known_hosts(&self) -> Vec<String> {
        let mut files: Vec<String> = ["userknownhostsfile", "globalknownhostsfile"]
            .iter()
            .filter_map(|key| self.set(key))
            .flat_map(paths)
            .collect();
        if self.0.is_empty() {
            files = ["~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"]
                .map(str::to_owned)
                .to_vec();
        }
        files
    }
}

/// The options of `ssh` that stand for keys of the YAML.
pub(super) fn options(target: &SshTarget, config: Option<&Path>) -> Vec<String> {
    let config = config.map(|config| config.to_string_lossy().into_owned());
    let config = config
        .into_iter()
        .flat_map(|config| ["-F".to_owned(), config]);
    config.chain(target.options()).collect()
}

/// Paths that are printed one after the other; each is absolute by then, and may hold spaces.
fn paths(line: &str) -> Vec<String> {
    let starts = line
        .match_indices(" /")
        .map(|(at, _)| at)
        .chain([line.len()]);
    let mut from = 0;
    let cut = starts.map(|at| {
        let path = line[from..at].trim().to_owned();
        from = at;
        path
    });
    cut.filter(|path| !path.is_empty()).collect()
}

/// `~` and the tokens that `ssh -G` leaves in paths.
pub(super) fn expand(text: &str, host: &str, user: &str, port: u16, alias: &str) -> PathBuf {
    let text = match (text.strip_prefix("~/"), home()) {
        (Some(rest), Some(home)) => home.join(rest).to_string_lossy().into_owned(),
        _ => text.to_owned(),
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('%') => out.push('%'),
            Some('h') => out.push_str(host),
            Some('n') => out.push_str(alias),
            Some('r') => out.push_str(user),
            Some('p') => out.push_str(&port.to_string()),
            Some('u') => out.push_str(&own_name()),
            Some('d') => out.push_str(&home().unwrap_or_default().to_string_lossy()),
            other => {
                out.push('%');
                out.extend(other);
            }
        }
    }
    PathBuf::from(out)
}

fn default_identities() -> Vec<PathBuf> {
    let ssh = home().unwrap_or_default().join(".ssh");
    ["id_rsa", "id_ecdsa", "id_ed25519"]
        .map(|name| ssh.join(name))
        .to_vec()
}

fn home() -> Option<PathBuf> {
    std::env::home_dir()
}

/// The name of the user who runs this.
fn own_name() -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let uid = rustix::process::getuid().as_raw().to_string();
    let line = passwd
        .lines()
        .find(|line| line.split(':').nth(2) == Some(&uid));
    let name = line
        .and_then(|line| line.split(':').next())
        .map(str::to_owned);
    name.or_else(|| std::env::var("USER").ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jump_hosts_are_read_as_ssh_reads_them() {
        let read = |text: &str| jump_target(text).map(|to| (to.user, to.host, to.port));
        let host = |user: Option<&str>, host: &str, port| {
            Some((user.map(str::to_owned), host.to_owned(), port))
        };
        assert_eq!(read("bastion"), host(None, "bastion", None));
        assert_eq!(read("me@b:2222"), host(Some("me"), "b", Some(2222)));
        assert_eq!(read("ssh://me@b:22"), host(Some("me"), "b", Some(22)));
        assert_eq!(read("a@b@c"), host(Some("a@b"), "c", None));
        assert_eq!(read("[::1]:22"), host(None, "::1", Some(22)));
        assert_eq!(read("::1"), host(None, "::1", None));
        for bad in ["", "b:x", "-oProxyCommand=x", "b:99999", "[::1]x"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn files_of_known_hosts_may_have_spaces() {
        assert_eq!(paths("/a/b /c"), ["/a/b", "/c"]);
        assert_eq!(paths("/a b/c /d"), ["/a b/c", "/d"]);
        assert_eq!(paths(""), [""; 0]);
    }

    #[test]
    fn tokens_in_paths_are_filled_in() {
        let path = expand("/k/%n-%h-%r-%p-%%-%x", "10.0.0.1", "eva", 22, "gpu");
        assert_eq!(path, Path::new("/k/gpu-10.0.0.1-eva-22-%-%x"));
    }
}
