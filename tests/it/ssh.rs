//! Both ssh transports against real `sshd` processes of the test's own, on loopback.

mod auth;
mod commands;
mod config;
mod files;
mod host_keys;
mod links;
mod many;
mod relay;
mod sshd;

use std::time::Duration;

use toolorch::base::NodeName;
use toolorch::plan::{Access, SshTarget};
use toolorch::world::{Command, Output, SshSettings, Transport, TransportError, Transports};

use sshd::Sshd;

/// Longer than any of these takes on a loaded machine.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ssh2,
    SystemSsh,
}

/// The same test for both.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod ssh2 {
            $(#[test] fn $name() { super::$name(crate::ssh::Kind::Ssh2); })*
        }
        mod system_ssh {
            $(#[test] fn $name() { super::$name(crate::ssh::Kind::SystemSsh); })*
        }
    };
}
pub(crate) use on_both;

/// One node, and a runtime to ask it from.
pub(crate) struct Node {
    runtime: tokio::runtime::Runtime,
    transports: Transports,
}

impl Node {
    /// The node `node` of an sshd's configuration.
    pub(crate) fn of(sshd: &Sshd, kind: Kind) -> Self {
        Self::at(sshd, kind, SshTarget::host("node"))
    }

    /// Any target by the same configuration.
    pub(crate) fn at(sshd: &Sshd, kind: Kind, target: SshTarget) -> Self {
        let settings = SshSettings {
            config: Some(sshd.config()),
            responder: None,
        };
        Self::with(kind, target, &settings)
    }

    /// With other settings.
    pub(crate) fn with(kind: Kind, target: SshTarget, settings: &SshSettings) -> Self {
        let access = match kind {
            Kind::Ssh2 => Access::Ssh2(target),
            Kind::SystemSsh => Access::SystemSsh(target),
        };
        let nodes = [(NodeName::new("node"), access)];
        Self {
            runtime: tokio::runtime::Runtime::new().unwrap(),
            transports: Transports::new(nodes, settings).unwrap(),
        }
    }

    pub(crate) fn transport(&self) -> &dyn Transport {
        self.transports.of(&NodeName::new("node")).unwrap().as_ref()
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn exec(&self, argv: &[&str]) -> Result<Output, TransportError> {
        self.exec_within(argv, LONG)
    }

    pub(crate) fn exec_within(
        &self,
        argv: &[&str],
        limit: Duration,
    ) -> Result<Output, TransportError> {
        let command = Command::new(argv.iter().copied());
        self.block_on(self.transport().exec(&command, limit))
    }

    /// What a command prints.
    #[track_caller]
    pub(crate) fn says(&self, argv: &[&str]) -> String {
        let output = self.exec(argv).unwrap();
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
        output.stdout
    }

    /// The words of a command that is not run.
    #[track_caller]
    pub(crate) fn refuses(&self) -> TransportError {
        self.exec(&["true"]).unwrap_err()
    }
}
