//! Another machine: scripts go out, replies come back, whoever carries them.

use std::time::Duration;

use super::exec::program_of;
use super::link_error::{LinkError, Spot};
use super::reply::Reply;
use super::script::Script;
use super::{Answer, Command, NodeFile, Output, Transport, TransportError};

/// How long a start may take: bash, `setsid`, and on a loaded node a second or two.
const SPAWN_LIMIT: Duration = Duration::from_secs(30);

/// Carries scripts to one host.
pub(super) trait Carrier: Send + Sync {
    /// The host, as the YAML names it.
    fn node(&self) -> &str;

    /// Brings a script there, and its reply back.
    fn carry(&self, script: Script, limit: Duration) -> Answer<'_, Result<Reply, TransportError>>;
}

/// Another machine.
#[derive(Debug)]
pub(super) struct Remote<C>(pub(super) C);

impl<C: Carrier> Transport for Remote<C> {
    fn exec<'a>(
        &'a self,
        command: &'a Command,
        limit: Duration,
    ) -> Answer<'a, Result<Output, TransportError>> {
        Box::pin(async move {
            let node = self.0.node();
            tracing::debug!(node, ?command, "run");
            let script = Script::exec(command, node)?;
            let reply = self.0.carry(script, limit).await?;
            let output = reply.output(command.program(), node)?;
            tracing::debug!(node, ?command, code = output.code, "ended");
            Ok(output)
        })
    }

    fn spawn<'a>(&'a self, argv: &'a [String]) -> Answer<'a, Result<u32, TransportError>> {
        Box::pin(async move {
            let node = self.0.node();
            let script = Script::spawn(argv, node)?;
            let reply = self.0.carry(script, SPAWN_LIMIT).await?;
            let pid = reply.pid(program_of(argv), node)?;
            tracing::debug!(node, ?argv, pid, "started");
            Ok(pid)
        })
    }

    fn put_all<'a>(
        &'a self,
        files: &'a [NodeFile],
        limit: Duration,
    ) -> Answer<'a, Result<(), TransportError>> {
        Box::pin(async move {
            if files.is_empty() {
                return Ok(());
            }
            let node = self.0.node();
            let script = Script::put(files, node)?;
            let program = script.program.clone();
            let reply = self.0.carry(script, limit).await?;
            reply.written(files, &program, node)?;
            tracing::debug!(node, files = files.len(), "written");
            Ok(())
        })
    }
}

/// The host let us in, and bash did not run.
pub(super) fn no_shell(at: &Spot, words: &str) -> LinkError {
    let why = format!(
        "it let us in and did not run bash; it said: {}",
        words.trim()
    );
    let fix = "bash must be on the PATH of the login shell there, and that shell must run commands (see chsh, \
               ForceCommand); or log in as another user";
    LinkError::refused(at, why, fix)
}
