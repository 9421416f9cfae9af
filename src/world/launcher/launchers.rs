//! The launchers of this machine's run, and one start of one unit.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::RwLock;

use super::{process, tmux};
use crate::base::{Epoch, Generation, LaunchId, Millis, RunId, UnitId};
use crate::facts::GpuSeen;
use crate::spec::model::LauncherKind;
use crate::world::gpus;
use crate::world::transport::{Command, LocalTransport, Transport, TransportError};

/// One start of one unit.
#[derive(Debug, Clone)]
pub struct LaunchJob {
    /// Which run.
    pub run: RunId,
    /// Which unit.
    pub unit: UnitId,
    /// The tmux session of its node, where that is how it is started.
    pub session: Option<String>,
    /// How.
    pub launcher: LauncherKind,
    /// The n-th start.
    pub generation: Generation,
    /// Who starts it; none before the run has an owner.
    pub epoch: Option<Epoch>,
    /// What its processes carry.
    pub launch: LaunchId,
    /// A client's questions in flight, where they are not the plan's.
    pub concurrency: Option<u32>,
    /// The folder with `units/` and `tmux/`.
    pub scripts: PathBuf,
    /// Its log.
    pub log: PathBuf,
}

/// Why a unit could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The command did not run.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The command ran and refused.
    #[error("`{command}` failed with exit code {code}: {words}")]
    Refused {
        /// What was run.
        command: String,
        /// Its exit code.
        code: i32,
        /// What it said.
        words: String,
    },
    /// No such launcher here.
    #[error("the launcher `{0}` is not there yet")]
    Absent(&'static str),
}

/// The launchers of this machine's run.
#[derive(Debug, Default)]
pub struct Launchers {
    local: LocalTransport,
    /// Sessions that have a window. tmux makes a session with its first window, and two starts at once would both try
    /// to; later ones need not wait for each other.
    sessions: RwLock<BTreeSet<String>>,
}

impl LaunchJob {
    pub(super) fn script(&self) -> String {
        unit_script(&self.scripts, &self.unit)
    }

    /// What every start tells the unit script.
    pub(super) fn run_args(&self) -> Vec<String> {
        let mut args = [
            "--run",
            self.run.as_str(),
            "--generation",
            &self.generation.to_string(),
            "--launch",
            self.launch.as_str(),
            "--log",
            &self.log.to_string_lossy(),
        ]
        .map(str::to_owned)
        .to_vec();
        args.extend(epoch_args(self.epoch));
        let slower = self.concurrency.into_iter();
        args.extend(slower.flat_map(|number| ["--concurrency".to_owned(), number.to_string()]));
        args
    }
}

/// Who asks: a unit refuses whoever was superseded.
fn epoch_args(epoch: Option<Epoch>) -> impl Iterator<Item = String> {
    let words = epoch.map(|epoch| ["--epoch".to_owned(), epoch.to_string()]);
    words.into_iter().flatten()
}

fn unit_script(scripts: &std::path::Path, unit: &UnitId) -> String {
    scripts
        .join("units")
        .join(format!("{unit}.sh"))
        .to_string_lossy()
        .into_owned()
}

impl Launchers {
    /// Starts a unit; answers with the process id of its unit script.
    ///
    /// # Errors
    /// What was tried and what went wrong.
    pub async fn launch(&self, job: &LaunchJob) -> Result<u32, LaunchError> {
        match job.launcher {
            LauncherKind::Process => process::launch(&self.local, job).await,
            LauncherKind::Tmux => self.launch_in_tmux(job).await,
            LauncherKind::Slurm => Err(LaunchError::Absent("slurm")),
        }
    }

    async fn launch_in_tmux(&self, job: &LaunchJob) -> Result<u32, LaunchError> {
        let session = job.session.as_deref().unwrap_or_default();
        {
            let known = self.sessions.read().await;
            if known.contains(session) {
                return tmux::launch(&self.local, job).await;
            }
        }
        let mut known = self.sessions.write().await;
        let pid = tmux::launch(&self.local, job).await?;
        known.insert(session.to_owned());
        Ok(pid)
    }

    /// Stops a unit through its script; done when nothing of it is left.
    ///
    /// # Errors
    /// What was tried and what went wrong.
    pub async fn stop(
        &self,
        run: &RunId,
        unit: &UnitId,
        epoch: Option<Epoch>,
        scripts: &std::path::Path,
        grace: Millis,
    ) -> Result<(), LaunchError> {
        let mut argv = [
            "bash",
            &unit_script(scripts, unit),
            "stop",
            "--run",
            run.as_str(),
        ]
        .map(str::to_owned)
        .to_vec();
        argv.extend(epoch_args(epoch));
        let limit = Duration::from(grace) + Duration::from_secs(30);
        let command = format!("{unit}.sh stop");
        expect_success(&self.local, &argv, limit, command).await
    }

    /// What is seen of the memory of this machine's GPUs; nothing where nobody can tell.
    pub async fn look_at_gpus(&self) -> Vec<GpuSeen> {
        gpus::look_at_gpus(&self.local).await
    }

    /// Ends the tmux server of a run, if it has one. Its units must be stopped before.
    ///
    /// # Errors
    /// What was tried and what went wrong.
    pub async fn end_tmux(&self, run: &RunId) -> Result<(), LaunchError> {
        tmux::end_server(&self.local, run).await
    }
}

/// Runs a command that must end with 0.
pub(super) async fn expect_success(
    transport: &dyn Transport,
    argv: &[String],
    limit: Duration,
    command: String,
) -> Result<(), LaunchError> {
    run_checked(transport, argv, limit, command).await.map(drop)
}

/// Runs a command that must end with 0, and answers with its output.
pub(super) async fn run_checked(
    transport: &dyn Transport,
    argv: &[String],
    limit: Duration,
    command: String,
) -> Result<String, LaunchError> {
    let done = transport.exec(&Command::new(argv), limit).await?;
    match done.code {
        Some(0) => Ok(done.stdout),
        code => Err(LaunchError::Refused {
            command,
            code: code.unwrap_or(-1),
            words: crate::base::clean(done.stderr.trim()),
        }),
    }
}
