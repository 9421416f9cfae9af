//! A window of a tmux session, one session per node, on a server of the run's own.

use std::time::Duration;

use super::launchers::{LaunchError, LaunchJob, expect_success, run_checked};
use crate::base::RunId;
use crate::world::transport::{Command, Transport};

/// tmux answers in milliseconds; this long means that it hangs.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) async fn launch(transport: &dyn Transport, job: &LaunchJob) -> Result<u32, LaunchError> {
    let session = job.session.as_deref().unwrap_or_default();
    let script = job.scripts.join("tmux").join(format!("{session}.sh"));
    let mut start = Command::new([
        "bash",
        &script.to_string_lossy(),
        "start",
        "--run",
        job.run.as_str(),
        job.unit.as_str(),
        "--",
    ]);
    start.argv.extend(job.run_args());
    let command = format!("tmux/{session}.sh start {}", job.unit);
    let said = run_checked(transport, &start, LIMIT, command.clone()).await?;
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

/// Ends the server of the run `$0`, wherever `TMUX_TMPDIR` was when it began: its words tell it, and its environment where its
/// socket is, which tmux leaves behind.
const END: &str = r#"
shopt -s nullglob
sockets=("${TMUX_TMPDIR:-/tmp}")
for dir in /proc/[1-9]*; do
  [[ -O $dir ]] && mapfile -d '' -t words <"$dir/cmdline" || continue
  [[ ${words[0]##*/} == tmux && ${words[1]} == -L && ${words[2]} == "toolorch-$0" ]] || continue
  mapfile -d '' -t variables <"$dir/environ"
  for variable in "${variables[@]}"; do [[ $variable == TMUX_TMPDIR=?* ]] && sockets+=("${variable#*=}"); done
  kill -TERM "${dir#/proc/}"
done 2>/dev/null
for dir in "${sockets[@]}"; do rm -f -- "$dir/tmux-$UID/toolorch-$0"; done
"#;

/// Ends the server of a run, whatever its windows hold; fine if there is none.
pub(super) async fn end_server(transport: &dyn Transport, run: &RunId) -> Result<(), LaunchError> {
    let end = Command::new(["bash", "-c", END, run.as_str()]);
    expect_success(transport, &end, LIMIT, "end of the tmux server".to_owned()).await
}
