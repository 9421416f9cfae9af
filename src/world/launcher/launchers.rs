//! The launchers of this machine's run, and one start of one unit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::RwLock;

use super::{process, slurm, tmux};
use crate::base::{Epoch, Generation, LaunchId, Millis, NodeName, RunId, UnitId};
use crate::facts::GpuSeen;
use crate::spec::model::LauncherKind;
use crate::world::fleet::{Fleet, Station, StationError};
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
    /// What it takes from the caller, where it is not put here beforehand.
    pub passed: Vec<(String, String)>,
    /// The folder with `units/` and `tmux/`, on this machine.
    pub scripts: PathBuf,
    /// Its log, on this machine; on another one it stands elsewhere where that does not see this folder.
    pub log: PathBuf,
}

/// What a start left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launched {
    /// The process id of the unit script, on its node.
    pub pid: u32,
    /// Where its log is, on its node.
    pub log: PathBuf,
    /// What its SLURM job was submitted with, an option a line.
    pub submitted: Option<String>,
}

/// Why a unit could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The command did not run.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Its node did not do its part.
    #[error(transparent)]
    Station(#[from] StationError),
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
    /// It will never be started as it is asked for.
    #[error("{place}: {words}")]
    Never {
        /// Who refused.
        place: String,
        /// Why, and what to do.
        words: String,
    },
    /// Nothing was started, and the same start may be asked for later.
    #[error("{place}: {words}")]
    Later {
        /// Who put it off.
        place: String,
        /// Why.
        words: String,
    },
    /// No such launcher here.
    #[error("nothing here starts units by `{0}`")]
    Absent(&'static str),
}

/// The launchers of a run, here and on its nodes.
#[derive(Debug, Default)]
pub struct Launchers {
    local: LocalTransport,
    /// The nodes that are reached from here.
    fleet: Arc<Fleet>,
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
    /// Launchers that reach these nodes.
    pub fn reaching(fleet: Arc<Fleet>) -> Self {
        Self {
            fleet,
            ..Self::default()
        }
    }

    /// Starts a unit; answers with the process id of its unit script and its log.
    ///
    /// # Errors
    /// What was tried and what went wrong.
    pub async fn launch(&self, job: &LaunchJob) -> Result<Launched, LaunchError> {
        let Some(station) = self.fleet.of(&job.unit) else {
            return self.launch_over(&self.local, job).await;
        };
        self.fleet
            .equip(station.node(), job.epoch.unwrap_or_default())
            .await?;
        station.keep(&job.unit, &job.passed).await?;
        if let Some(name) = station.job_of(&job.unit) {
            return slurm::launch(station, name, job).await;
        }
        let there = LaunchJob {
            scripts: station.scripts().await?,
            log: station.log(&job.log).await?,
            ..job.clone()
        };
        self.launch_over(station.transport(), &there).await
    }

    async fn launch_over(
        &self,
        transport: &dyn Transport,
        job: &LaunchJob,
    ) -> Result<Launched, LaunchError> {
        let pid = match job.launcher {
            LauncherKind::Process => process::launch(transport, job).await?,
            LauncherKind::Tmux => self.launch_in_tmux(transport, job).await?,
            // Its station has jobs.
            LauncherKind::Slurm => return Err(LaunchError::Absent("slurm")),
        };
        let log = job.log.clone();
        let submitted = None;
        Ok(Launched {
            pid,
            log,
            submitted,
        })
    }

    async fn launch_in_tmux(
        &self,
        transport: &dyn Transport,
        job: &LaunchJob,
    ) -> Result<u32, LaunchError> {
        let session = job.session.as_deref().unwrap_or_default();
        {
            let known = self.sessions.read().await;
            if known.contains(session) {
                return tmux::launch(transport, job).await;
            }
        }
        let mut known = self.sessions.write().await;
        let pid = tmux::launch(transport, job).await?;
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
        if let Some(station) = self.fleet.of(unit) {
            return Self::stop_at(station, run, unit, epoch, grace).await;
        }
        let stop = Command::new(["bash", &unit_script(scripts, unit)]);
        stop_by(&self.local, stop, run, unit, epoch, grace).await
    }

    /// The same of a unit on this machine, whatever the plan says.
    ///
    /// # Errors
    /// What was tried and what went wrong.
    pub async fn stop_at(
        station: &Station,
        run: &RunId,
        unit: &UnitId,
        epoch: Option<Epoch>,
        grace: Millis,
    ) -> Result<(), LaunchError> {
        /// A node on which nothing was ever started has no scripts.
        const IF_THERE: &str = r#"[[ -f $0 ]] || exit 0; exec bash "$0" "$@""#;
        if let Some(job) = station.job_of(unit) {
            return Ok(station.stop_in_job(job, unit, epoch, grace).await?);
        }
        let script = unit_script(&station.scripts().await?, unit);
        let stop = Command::new(["bash", "-c", IF_THERE, &script]);
        stop_by(station.transport(), stop, run, unit, epoch, grace).await
    }

    /// What is seen of the memory of the GPUs of this unit's node; nothing where nobody can tell.
    pub async fn look_at_gpus(&self, unit: &UnitId) -> Vec<GpuSeen> {
        match self.fleet.of(unit) {
            None => gpus::look_at_gpus(&self.local).await,
            // Who of those processes lives can only be told there.
            Some(_) => Vec::new(),
        }
    }

    /// Cancels the run's SLURM jobs.
    ///
    /// # Errors
    /// What was tried and what went wrong.
    pub async fn end_jobs(&self) -> Result<(), LaunchError> {
        let ends = self.fleet.iter().map(|(station, _)| station.end_jobs());
        let ended: Result<(), StationError> = join_all(ends).await.into_iter().collect();
        Ok(ended?)
    }

    /// Ends what held the units of a run, which must be stopped before: tmux servers and SLURM jobs, but for those of nodes
    /// that do not answer.
    ///
    /// # Errors
    /// What was tried and what went wrong.
    pub async fn release(
        &self,
        run: &RunId,
        silent: &BTreeMap<NodeName, String>,
    ) -> Result<(), LaunchError> {
        tmux::end_server(&self.local, run).await?;
        let answering = self
            .fleet
            .iter()
            .filter(|(station, _)| !silent.contains_key(station.node()));
        let nodes = answering.map(|(station, _)| async move {
            match station.jobs() {
                Some(_) => Ok(station.end_jobs().await?),
                None => tmux::end_server(station.transport(), run).await,
            }
        });
        join_all(nodes).await.into_iter().collect()
    }
}

/// Has a unit's script, at the end of this command, stop it.
async fn stop_by(
    transport: &dyn Transport,
    mut script: Command,
    run: &RunId,
    unit: &UnitId,
    epoch: Option<Epoch>,
    grace: Millis,
) -> Result<(), LaunchError> {
    let words = ["stop", "--run", run.as_str()].map(str::to_owned);
    script
        .argv
        .extend(words.into_iter().chain(epoch_args(epoch)));
    let limit = Duration::from(grace) + Duration::from_secs(30);
    expect_success(transport, &script, limit, format!("{unit}.sh stop")).await
}

/// Runs a command that must end with 0.
pub(super) async fn expect_success(
    transport: &dyn Transport,
    what: &Command,
    limit: Duration,
    command: String,
) -> Result<(), LaunchError> {
    run_checked(transport, what, limit, command).await.map(drop)
}

/// Runs a command that must end with 0, and answers with its output.
pub(super) async fn run_checked(
    transport: &dyn Transport,
    what: &Command,
    limit: Duration,
    command: String,
) -> Result<String, LaunchError> {
    let done = transport.exec(what, limit).await?;
    match done.code {
        Some(0) => Ok(done.stdout),
        code => Err(LaunchError::Refused {
            command,
            code: code.unwrap_or(-1),
            words: crate::base::clean(done.stderr.trim()),
        }),
    }
}
