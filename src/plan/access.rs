//! How commands reach a node, as its YAML says.

use serde::{Deserialize, Serialize};

use crate::base::NodeName;
use crate::spec::model::{Ssh, TransportKind};

/// How commands reach a node. Nodes of the same access share one connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// It is this machine.
    Local,
    /// By the built-in ssh client.
    Ssh2(SshTarget),
    /// By the system's `ssh`.
    SystemSsh(SshTarget),
}

/// What the YAML says of an ssh connection; what it leaves open, `~/.ssh/config` and the defaults of ssh decide.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SshTarget {
    /// The host as a person would give it to `ssh`: a name, an address or a `Host` of the configuration.
    pub host: String,
    /// The user to log in as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The port of sshd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The one private key to use; may start with `~/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The hosts to jump through, first one first: `[user@]host[:port]`, with commas between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<String>,
    /// The SHA-256 fingerprint that one of the host's keys must have; `SHA256:` before it may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key_sha256: Option<String>,
}

impl Access {
    /// The host to which ssh goes; none for this machine.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Local => None,
            Self::Ssh2(target) | Self::SystemSsh(target) => Some(&target.host),
        }
    }

    /// The access of a node.
    pub fn of(node: &NodeName, transport: TransportKind, ssh: Option<&Ssh>) -> Self {
        match transport {
            TransportKind::Local => Self::Local,
            TransportKind::Ssh2 => Self::Ssh2(SshTarget::of(node, ssh)),
            TransportKind::SystemSsh => Self::SystemSsh(SshTarget::of(node, ssh)),
        }
    }
}

impl SshTarget {
    /// A host of which nothing more is said.
    pub fn host(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            user: None,
            port: None,
            identity: None,
            jump: None,
            host_key_sha256: None,
        }
    }

    /// The options of `ssh` that stand for user and port.
    pub fn options(&self) -> Vec<String> {
        let user = self
            .user
            .iter()
            .flat_map(|user| ["-l".to_owned(), user.clone()]);
        let port = self
            .port
            .iter()
            .flat_map(|port| ["-p".to_owned(), port.to_string()]);
        user.chain(port).collect()
    }

    fn of(node: &NodeName, ssh: Option<&Ssh>) -> Self {
        let host = ssh.and_then(|ssh| ssh.host.as_deref());
        let mut target = Self::host(host.unwrap_or(node.as_str()));
        if let Some(ssh) = ssh.cloned() {
            target.user = ssh.user;
            target.port = ssh.port;
            target.identity = ssh.identity;
            target.jump = ssh.jump;
            target.host_key_sha256 = ssh.host_key_sha256;
        }
        target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_yaml_leaves_open_stays_open() {
        let node = NodeName::new("gpu31");
        let bare = SshTarget::host("gpu31");
        let of = |kind, ssh| Access::of(&node, kind, ssh);
        assert_eq!(of(TransportKind::Local, None), Access::Local);
        assert_eq!(of(TransportKind::Ssh2, None), Access::Ssh2(bare.clone()));
        assert_eq!(of(TransportKind::SystemSsh, None), Access::SystemSsh(bare));
        let ssh = Ssh {
            host: Some("10.0.0.31".to_owned()),
            user: Some("eva".to_owned()),
            port: Some(2222),
            identity: None,
            jump: Some("bastion".to_owned()),
            host_key_sha256: None,
        };
        let target = SshTarget {
            user: Some("eva".to_owned()),
            port: Some(2222),
            jump: Some("bastion".to_owned()),
            ..SshTarget::host("10.0.0.31")
        };
        assert_eq!(of(TransportKind::Ssh2, Some(&ssh)), Access::Ssh2(target));
    }
}
