//! This machine.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process;

use super::error::span;
use super::exec::{MOST_OUTPUT, program_of};
use super::{Answer, Command, NodeFile, Output, Transport, TransportError};

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
            let program = command.program().to_owned();
            tracing::debug!(?command, "run");
            match tokio::time::timeout(limit, run(command)).await {
                Err(_) => Err(TransportError::Unknown {
                    program,
                    node: None,
                    why: format!("it did not end within {}", span(limit)),
                }),
                Ok(Err(source)) => Err(start_error(program, source)),
                Ok(Ok(output)) => {
                    tracing::debug!(?command, code = output.code, "ended");
                    Ok(output)
                }
            }
        })
    }

    fn spawn<'a>(&'a self, argv: &'a [String]) -> Answer<'a, Result<u32, TransportError>> {
        Box::pin(async move {
            let program = program_of(argv).to_owned();
            // A child that is no group leader becomes a session's leader without a fork, so the
            // process id stays; tokio reaps it while we live, and init after us.
            let child = process::Command::new("setsid")
                .args(argv)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .map_err(|source| start_error(program, source))?;
            let pid = child.id().unwrap_or_default();
            tracing::debug!(?argv, pid, "started");
            tokio::spawn(async move {
                let mut child = child;
                let _ = child.wait().await;
            });
            Ok(pid)
        })
    }

    fn put_all<'a>(
        &'a self,
        files: &'a [NodeFile],
        limit: Duration,
    ) -> Answer<'a, Result<(), TransportError>> {
        Box::pin(async move {
            let unknown = |why| TransportError::Unknown {
                program: format!("writing {} files", files.len()),
                node: None,
                why,
            };
            let mine = files.to_vec();
            let writing = tokio::task::spawn_blocking(move || write_all(&mine));
            match tokio::time::timeout(limit, writing).await {
                Ok(Ok(written)) => written,
                Ok(Err(panicked)) => Err(unknown(panicked.to_string())),
                Err(_) => Err(unknown(format!("it took longer than {}", span(limit)))),
            }
        })
    }
}

fn start_error(program: String, source: io::Error) -> TransportError {
    TransportError::Start {
        program,
        node: None,
        source,
    }
}

async fn run(command: &Command) -> io::Result<Output> {
    let input = command.stdin.as_deref();
    let stdin = input.map_or_else(Stdio::null, |_| Stdio::piped());
    let mut child = process::Command::new(command.program())
        .args(command.argv.iter().skip(1))
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C is for us: what we began is brought to its end.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let pipe = child.stdin.take();
    let feed = async move {
        if let (Some(mut pipe), Some(input)) = (pipe, input) {
            // Who reads only a part of it is free to.
            let _ = pipe.write_all(input).await;
        }
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ((), stdout, stderr) = tokio::join!(feed, keep(stdout), keep(stderr));
    let ((stdout, cut_out), (stderr, cut_err)) = (stdout?, stderr?);
    let status: ExitStatus = child.wait().await?;
    Ok(Output {
        code: status.code(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
        cut: cut_out || cut_err,
    })
}

/// Reads to the end, keeps the start, and says whether something was left out.
async fn keep(from: Option<impl AsyncRead + Unpin>) -> io::Result<(Vec<u8>, bool)> {
    let mut kept = Vec::new();
    let Some(mut from) = from else {
        return Ok((kept, false));
    };
    let most = u64::try_from(MOST_OUTPUT).unwrap_or(u64::MAX);
    (&mut from).take(most).read_to_end(&mut kept).await?;
    let more = tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok((kept, more > 0))
}

fn write_all(files: &[NodeFile]) -> Result<(), TransportError> {
    let failed = |file: &NodeFile| {
        let path = file.path.clone();
        move |error: io::Error| TransportError::NotWritten {
            path,
            node: None,
            why: error.to_string(),
        }
    };
    let staged: Vec<NamedTempFile> = files
        .iter()
        .map(|file| stage(file).map_err(failed(file)))
        .collect::<Result<_, _>>()?;
    for (file, staged) in files.iter().zip(staged) {
        let put = staged.persist(&file.path).map_err(|error| error.error);
        put.map_err(failed(file))?;
    }
    for file in files {
        let synced = File::open(parent(&file.path)).and_then(|dir| dir.sync_all());
        synced.map_err(failed(file))?;
    }
    Ok(())
}

/// Writes a file beside its place, down to the disk.
fn stage(file: &NodeFile) -> io::Result<NamedTempFile> {
    let dir = parent(&file.path);
    DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    // Of the system's error only the kind: its text names a file of the moment.
    let mut staged = tempfile::Builder::new()
        .prefix(".toolorch-")
        .tempfile_in(&dir)
        .map_err(|error| io::Error::from(error.kind()))?;
    io::Write::write_all(&mut staged, &file.bytes)?;
    fs::set_permissions(staged.path(), Permissions::from_mode(file.mode & 0o7777))?;
    staged.as_file().sync_all()?;
    Ok(staged)
}

fn parent(path: &str) -> PathBuf {
    match Path::new(path).parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
