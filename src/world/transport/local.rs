//! This machine.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::{Answer, Output, Transport, TransportError};

/// Commands on this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalTransport;

impl Transport for LocalTransport {
    fn exec<'a>(
        &'a self,
        argv: &'a [String],
        limit: Duration,
    ) -> Answer<'a, Result<Output, TransportError>> {
        Box::pin(async move {
            let program = program_of(argv);
            let running = Command::new(&program)
                .args(argv.iter().skip(1))
                .stdin(Stdio::null())
                // Ctrl-C is for us: what we began is brought to its end.
                .process_group(0)
                .kill_on_drop(true)
                .output();
            tracing::debug!(?argv, "run");
            match tokio::time::timeout(limit, running).await {
                Err(_) => Err(TransportError::TimedOut { program, limit }),
                Ok(Err(source)) => Err(TransportError::Start { program, source }),
                Ok(Ok(done)) => {
                    tracing::debug!(?argv, code = done.status.code(), "ended");
                    Ok(Output {
                        code: done.status.code(),
                        stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
                        stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
                    })
                }
            }
        })
    }

    fn spawn<'a>(&'a self, argv: &'a [String]) -> Answer<'a, Result<u32, TransportError>> {
        Box::pin(async move {
            let program = program_of(argv);
            // A child that is no group leader becomes a session's leader without a fork, so the
            // process id stays; tokio reaps it while we live, and init after us.
            let child = Command::new("setsid")
                .args(argv)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .map_err(|source| TransportError::Start {
                    program: program.clone(),
                    source,
                })?;
            let pid = child.id().unwrap_or_default();
            tracing::debug!(?argv, pid, "started");
            tokio::spawn(async move {
                let mut child = child;
                let _ = child.wait().await;
            });
            Ok(pid)
        })
    }
}

fn program_of(argv: &[String]) -> String {
    argv.first().cloned().unwrap_or_default()
}
