//! Why there is no connection, or why it broke: in words that become a [`TransportError`].

use super::TransportError;
use crate::plan::SshTarget;

/// Where something was tried: address and port, and which host on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot(pub(super) String);

/// Why there is no connection, or why it broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LinkError {
    /// It can be tried again.
    Unreachable { at: Spot, why: String },
    /// A person has to act.
    Refused { at: Spot, why: String, fix: String },
    /// It was asked, and the answer is missing.
    Unknown { why: String },
}

impl Spot {
    /// Before there is an address.
    pub(super) fn configured(target: &SshTarget) -> Self {
        Self(format!("`{}`, as ssh is configured", target.host))
    }

    /// Where only `ssh` itself knows.
    pub(super) fn system_ssh() -> Self {
        Self("by the system's ssh".to_owned())
    }
}

impl LinkError {
    pub(super) fn unreachable(at: &Spot, why: impl Into<String>) -> Self {
        Self::Unreachable {
            at: at.clone(),
            why: why.into(),
        }
    }

    pub(super) fn refused(at: &Spot, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Refused {
            at: at.clone(),
            why: why.into(),
            fix: fix.into(),
        }
    }

    /// As the caller of a command on a node hears it.
    pub(super) fn told(self, node: &str, program: &str) -> TransportError {
        let node = node.to_owned();
        match self {
            Self::Unreachable { at, why } => TransportError::Unreachable {
                node,
                at: at.0,
                why,
            },
            Self::Refused { at, why, fix } => TransportError::Refused {
                node,
                at: at.0,
                why,
                fix,
            },
            Self::Unknown { why } => TransportError::Unknown {
                program: program.to_owned(),
                node: Some(node),
                why,
            },
        }
    }
}
