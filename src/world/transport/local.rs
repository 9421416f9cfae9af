//! This machine.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process;

use super::{Answer, Command, Output, Transport, TransportError};

/// Commands on this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalTransport;

impl Transport for LocalTransport {
    fn exec<'a>(
        &'a self,
        command: &'a Command,
        limit: Duration,
    ) -> Answer<'a, Result<Output, TransportError>> {
        Box::pin(async move {
            let argv = &command.argv;
            let program = program_of(argv);
            tracing::debug!(?argv, "run");
            match tokio::time::timeout(limit, run(&program, command)).await {
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
            let child = process::Command::new("setsid")
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

async fn run(program: &str, command: &Command) -> std::io::Result<std::process::Output> {
    let input = if command.stdin.is_empty() {
        Stdio::null()
    } else {
        Stdio::piped()
    };
    let mut child = process::Command::new(program)
        .args(command.argv.iter().skip(1))
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C is for us: what we began is brought to its end.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let stdin = child.stdin.take();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // Whoever does not read it all says so by its exit code.
            let _ = stdin.write_all(&command.stdin).await;
        }
    };
    let (done, ()) = tokio::join!(child.wait_with_output(), feed);
    done
}

fn program_of(argv: &[String]) -> String {
    argv.first().cloned().unwrap_or_default()
}
