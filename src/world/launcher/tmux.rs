//! A window of a tmux session, one session per node, on a server of the run's own.

use std::time::Duration;

use super::launchers::{LaunchError, LaunchJob, expect_success, run_checked};
use crate::base::RunId;
use crate::world::transport::{Command, Transport, TransportError};

/// tmux answers in milliseconds; this long means that it hangs.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) async fn launch(transport: &dyn Transport, job: &LaunchJob) -> Result<u32, LaunchError> {
    let session = job.session.as_deref().unwrap_or_default();
    let script = job.scripts.join("tmux").join(format!("{session}.sh"));
    let mut argv = [
        "bash",
        &script.to_string_lossy(),
        "start",
        "--run",
        job.run.as_str(),
        job.unit.as_str(),
        "--",
    ]
    .map(str::to_owned)
    .to_vec();
    argv.extend(job.run_args());
    let command = format!("tmux/{session}.sh start {}", job.unit);
    let said = run_checked(transport, &argv, LIMIT, command.clone()).await?;
    pane_pid(&said, job).ok_or_else(|| LaunchError::Refused {
        command,
        code: 0,
        words: format!("it does not say the pid of the window: {}", said.trim()),
    })
}

/// `start` says `UNIT PID` for each window.
fn pane_pid(said: &str, job: &LaunchJob) -> Option<u32> {
    said.lines().find_map(|line| {
        let pid = line.strip_prefix(job.unit.as_str())?.strip_prefix(' ')?;
        pid.parse().ok()
    })
}

/// Ends the server of a run by its socket, whatever its windows hold; fine if there is none.
pub(super) async fn end_server(transport: &dyn Transport, run: &RunId) -> Result<(), LaunchError> {
    let tmux = |verb: &str| ["tmux", "-L", &format!("toolorch-{run}"), verb].map(str::to_owned);
    let list = Command::new(tmux("list-sessions"));
    match transport.exec(&list, LIMIT).await {
        // No tmux here.
        Err(TransportError::Start { .. }) => return Ok(()),
        // No server of this run.
        Ok(answer) if answer.code != Some(0) => {}
        Err(error) => return Err(error.into()),
        Ok(_) => {
            let command = "tmux kill-server".to_owned();
            expect_success(transport, &tmux("kill-server"), LIMIT, command).await?;
        }
    }
    // tmux leaves the socket of a server that ended where it was.
    let remove = r#"rm -f -- "${TMUX_TMPDIR:-/tmp}/tmux-$UID/toolorch-$0""#;
    let argv = ["bash", "-c", remove, run.as_str()].map(str::to_owned);
    expect_success(transport, &argv, LIMIT, "rm of the tmux socket".to_owned()).await
}
