//! A window of a tmux session, one session per node, on a server of the run's own.

use std::time::Duration;

use super::launchers::{LaunchError, LaunchJob, expect_success, run_checked};
use crate::base::RunId;
use crate::world::transport::{Transport, TransportError};

/// tmux answers in milliseconds; this long means that it hangs.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) async fn launch(transport: &dyn Transport, job: &LaunchJob) -> Result<u32, LaunchError> {
    let session = job.session.as_deref().unwrap_or_default();
    let script = job.scripts.join("tmux").join(format!("{session}.sh"));
    let words = |verb: &str| {
        [
            "bash",
            &script.to_string_lossy(),
            verb,
            "--run",
            job.run.as_str(),
        ]
        .map(str::to_owned)
        .to_vec()
    };
    let mut argv = words("start");
    argv.extend([job.unit.to_string(), "--".to_owned()]);
    argv.extend(job.run_args());
    let command = format!("tmux/{session}.sh start {}", job.unit);
    expect_success(transport, &argv, LIMIT, command.clone()).await?;
    let listed = run_checked(transport, &words("list"), LIMIT, command.clone()).await?;
    pane_pid(&listed, job).ok_or_else(|| LaunchError::Refused {
        command,
        code: 0,
        words: format!("its window is not in the list: {}", listed.trim()),
    })
}

/// `list` says `UNIT running|exited PID …` for each window.
fn pane_pid(listed: &str, job: &LaunchJob) -> Option<u32> {
    listed.lines().find_map(|line| {
        let mut words = line.split(' ');
        let ours = words.next()? == job.unit.as_str();
        ours.then(|| words.nth(1)?.parse().ok())?
    })
}

/// Ends the server of a run by its socket, whatever its windows hold; fine if there is none.
pub(super) async fn end_server(transport: &dyn Transport, run: &RunId) -> Result<(), LaunchError> {
    let tmux = |verb: &str| ["tmux", "-L", &format!("toolorch-{run}"), verb].map(str::to_owned);
    match transport.exec(&tmux("list-sessions"), LIMIT).await {
        // No tmux here, or no server of this run.
        Err(TransportError::Start { .. }) => Ok(()),
        Ok(answer) if answer.code != Some(0) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => {
            let command = "tmux kill-server".to_owned();
            expect_success(transport, &tmux("kill-server"), LIMIT, command).await
        }
    }
}
