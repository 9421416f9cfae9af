//! The nodes of a run that are reached from elsewhere, and whose units stand there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join_all;

use super::station::{Marked, Station, StationError, unseen};
use crate::base::{Epoch, NodeName, UnitId};
use crate::facts::Observation;
use crate::plan::{Plan, Unit};
use crate::render::{FileSet, LIBRARY, NODE, SAMPLE, SLURM, job_file, tmux_sessions};
use crate::run::store::{Mode, write_atomically};
use crate::spec::model::LauncherKind;

/// Of a log so much is kept that stands on its node alone.
const KEPT: u64 = 1 << 20;

/// All of them; empty where everything runs on this machine.
#[derive(Debug, Default)]
pub struct Fleet {
    /// Where the run's logs are on this machine.
    logs: PathBuf,
    posts: BTreeMap<NodeName, Post>,
    of_unit: BTreeMap<UnitId, NodeName>,
}

/// A node with what stands there.
#[derive(Debug)]
struct Post {
    station: Arc<Station>,
    units: Vec<UnitId>,
    files: FileSet,
}

impl Fleet {
    /// The remote nodes of a plan, each with its part of the scripts. `logs` is the run's folder of logs on this machine.
    pub fn new(plan: &Plan, files: &FileSet, stations: Vec<Station>, logs: PathBuf) -> Self {
        let mut fleet = Self {
            logs,
            ..Self::default()
        };
        let sessions = tmux_sessions(plan);
        for station in stations {
            let node = station.node().clone();
            let units: Vec<UnitId> = match station.jobs() {
                Some(jobs) => jobs.keys().cloned().collect(),
                None => units_on(plan, &node),
            };
            fleet
                .of_unit
                .extend(units.iter().map(|unit| (unit.clone(), node.clone())));
            let post = Post {
                files: part(files, &units, sessions.get(&node), station.jobs()),
                station: Arc::new(station),
                units,
            };
            fleet.posts.insert(node, post);
        }
        fleet
    }

    /// Everything runs on this machine.
    pub fn is_empty(&self) -> bool {
        self.posts.is_empty()
    }

    /// The node of a unit; none if it is this machine.
    pub fn of(&self, unit: &UnitId) -> Option<&Arc<Station>> {
        Some(&self.posts.get(self.of_unit.get(unit)?)?.station)
    }

    /// Each node with its units.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<Station>, &[UnitId])> {
        self.posts
            .values()
            .map(|post| (&post.station, post.units.as_slice()))
    }

    /// Puts the scripts on the node of a unit, and raises the fence there.
    ///
    /// # Errors
    /// [`StationError`].
    pub async fn equip(&self, node: &NodeName, epoch: Epoch) -> Result<(), StationError> {
        match self.posts.get(node) {
            Some(post) => post.station.equip(&post.files, epoch).await,
            None => Ok(()),
        }
    }

    /// Removes what a run that is over left on its nodes, and keeps the ends of logs that stand only there; a node that does not
    /// answer keeps all of it.
    pub async fn clear_all(&self) {
        let cleared = self.posts.values().map(|post| async {
            self.keep_logs(post).await;
            if let Err(error) = post.station.clear().await {
                tracing::warn!(%error, "what the run left there stays");
            }
        });
        join_all(cleared).await;
    }

    async fn keep_logs(&self, post: &Post) {
        for unit in &post.units {
            let here = self.logs.join(format!("{unit}.log"));
            if here.exists() {
                continue;
            }
            // One that was never started has none.
            let Ok(end) = post.station.tail(unit, KEPT).await else {
                continue;
            };
            if end.is_empty() {
                continue;
            }
            if let Err(error) = write_atomically(&here, end.as_bytes(), Mode::Private) {
                tracing::warn!(%error, "a log is not kept");
            }
        }
    }

    /// Raises the fence on all nodes at once; answers with those that could not be asked.
    pub async fn raise_fences(&self, epoch: Epoch) -> BTreeSet<NodeName> {
        let raised = self.posts.values().map(|post| async move {
            let failed = post.station.raise_fence(epoch).await.is_err();
            failed.then(|| post.station.node().clone())
        });
        join_all(raised).await.into_iter().flatten().collect()
    }

    /// What of the run still lives on its nodes, and which of them could not be asked, so that nobody knows; each with the
    /// units that it is about.
    pub async fn left(&self) -> Vec<(BTreeSet<UnitId>, String)> {
        let looks = self.posts.values().map(|post| async {
            let (place, what) = (post.station.place(), post.station.marks_are());
            match post.station.marks().await {
                Ok(marked) => {
                    let left = marked.into_iter().map(|Marked { pid, unit }| {
                        let words = format!("{what} {pid} of `{unit}` still lives on {place}");
                        (BTreeSet::from([unit]), words)
                    });
                    left.collect()
                }
                Err(error) => {
                    let words = format!("{error}: what of the run lives there is not known");
                    vec![(post.units.iter().cloned().collect(), words)]
                }
            }
        });
        join_all(looks).await.concat()
    }

    /// Puts scripts and fence on all nodes at once, then looks at each of their units.
    pub async fn sight(
        &self,
        epoch: Epoch,
        may_live: impl Fn(&UnitId) -> bool,
    ) -> Vec<(UnitId, Observation)> {
        let may_live = &may_live;
        let looks = self.posts.values().map(|post| async move {
            match post.station.equip(&post.files, epoch).await {
                Ok(()) => post.station.sight(&post.units, may_live).await,
                Err(error) => unseen(&post.units, &error),
            }
        });
        join_all(looks).await.concat()
    }
}

/// What is started on a node without SLURM.
fn units_on(plan: &Plan, node: &NodeName) -> Vec<UnitId> {
    let there = |unit: &&Unit| unit.node == *node && unit.launcher != LauncherKind::Slurm;
    let there = plan.units.iter().filter(there);
    there.map(|unit| unit.id.clone()).collect()
}

/// What of the scripts a node needs, or a machine from which these jobs are submitted.
fn part(
    files: &FileSet,
    units: &[UnitId],
    session: Option<&String>,
    jobs: Option<&BTreeMap<UnitId, String>>,
) -> FileSet {
    let mut part = FileSet::new();
    let mut paths = vec![LIBRARY.to_owned(), NODE.to_owned()];
    paths.extend(units.iter().map(|unit| format!("units/{unit}.sh")));
    match jobs {
        None => paths.extend(session.map(|session| format!("tmux/{session}.sh"))),
        Some(jobs) => {
            let jobs: BTreeSet<&String> = jobs.values().collect();
            paths.extend([SLURM, SAMPLE].map(str::to_owned));
            paths.extend(jobs.into_iter().map(|job| job_file(job)));
        }
    }
    for path in paths {
        if let Some(file) = files.get(&path) {
            part.add(path, file.bytes.clone(), file.mode);
        }
    }
    part.with_manifest()
}
