//! A window of a tmux session, one session per node, on a server of the run's own.

use std::path::Path;
use std::time::Duration;

use super::launchers::{LaunchError, LaunchJob, expect_success, run_checked};
use crate::base::RunId;
use crate::world::transport::Transport;

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

pub(super) async fn stop_all(
    transport: &dyn Transport,
    run: &RunId,
    scripts: &Path,
) -> Result<(), LaunchError> {
    let Ok(entries) = std::fs::read_dir(scripts.join("tmux")) else {
        return Ok(());
    };
    for script in entries.flatten().map(|entry| entry.path()) {
        let argv = [
            "bash",
            &script.to_string_lossy(),
            "stop",
            "--run",
            run.as_str(),
        ]
        .map(str::to_owned);
        let name = script.file_name().unwrap_or_default().to_string_lossy();
        expect_success(transport, &argv, LIMIT, format!("tmux/{name} stop")).await?;
    }
    Ok(())
}
