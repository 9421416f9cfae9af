//! `up --detach`: the controller goes on in the background, as a process of its own.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::cmd::up::Wanted;
use super::printer::Printer;
use super::runs;
use crate::base::{Clock, ExitStatus};
use crate::plan::Plan;
use crate::run::store::{RunDir, Watch, make_dir};
use crate::world::SystemClock;

/// A start that takes longer than this has gone wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts the controller again, detached, and returns once it owns the run.
pub(super) fn detach(
    wanted: &Wanted,
    plan: &Plan,
    printer: Printer,
) -> Result<ExitStatus, ExitStatus> {
    let home = runs::home();
    let dir = home
        .current(&plan.cluster)
        .map_err(|error| runs::store(&error, printer))?;
    let log = dir.logs().join("controller.log");
    let failed = |why: String| {
        printer.complain(&format!("error: cannot start the controller: {why}"));
        ExitStatus::Internal
    };
    make_dir(&dir.logs()).map_err(|error| failed(error.to_string()))?;
    let out = std::fs::File::options()
        .create(true)
        .append(true)
        .open(&log)
        .map_err(|error| failed(error.to_string()))?;
    let both = out.try_clone().map_err(|error| failed(error.to_string()))?;
    let mut child = command(wanted)
        .map_err(|error| failed(error.to_string()))?
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(both)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let pid = child.id();
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        if owns(&dir, pid) {
            printer.say(&format!(
                "the controller runs as pid {pid}; its log is `{}`\nlook: toolorch status    stop: toolorch down",
                log.display()
            ));
            return Ok(ExitStatus::Done);
        }
        if let Ok(Some(status)) = child.try_wait() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            printer.complain(said.trim_end());
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            return code
                .and_then(ExitStatus::from_code)
                .ok_or(ExitStatus::Internal);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(failed(format!(
        "it does not own the run after {}s, see `{}`",
        PATIENCE.as_secs(),
        log.display()
    )))
}

/// The same call without `--detach`, in a session of its own: a child that leads no group keeps
/// its process id through `setsid`.
fn command(wanted: &Wanted) -> std::io::Result<Command> {
    let exe = std::env::current_exe()?;
    let mut command = Command::new("setsid");
    command.arg(exe).arg("up").arg(&wanted.args.cluster.file);
    for set in &wanted.args.cluster.set {
        command.args(["--set", set]);
    }
    for only in &wanted.args.only {
        command.args(["--only", only]);
    }
    if wanted.args.no_eval {
        command.arg("--no-eval");
    }
    if wanted.args.strict {
        command.arg("--strict");
    }
    if let Some(templates) = &wanted.args.templates {
        command.arg("--templates").arg(templates);
    }
    command.args(["--events", "plain"]);
    Ok(command)
}

fn owns(dir: &RunDir, pid: u32) -> bool {
    match Watch::look(dir.path(), SystemClock.now()) {
        Ok(Watch::Alive(owner)) => owner.process.pid == pid,
        _ => false,
    }
}
