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
    /// Units that may live there although the plan has them elsewhere, or nowhere; none for a machine of the plan.
    former: Option<BTreeSet<UnitId>>,
}

impl Post {
    fn unseen(&self, why: String) -> Left {
        Left::Unseen {
            node: self.station.node().clone(),
            units: self.units.iter().cloned().collect(),
            former: self.former.clone(),
            why,
        }
    }
}

/// What is left of a run on a machine, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// Something still lives there.
    Lives {
        /// Whose it is.
        unit: UnitId,
        /// What, and where.
        words: String,
    },
    /// The machine could not be asked.
    Unseen {
        /// Which.
        node: NodeName,
        /// Units that the plan has there.
        units: BTreeSet<UnitId>,
        /// Units of an earlier plan that may live there, if it is a machine of such a one.
        former: Option<BTreeSet<UnitId>>,
        /// Why it could not.
        why: String,
    },
}

impl Left {
    /// As far as it is about these units; none if it is not.
    #[must_use]
    pub fn about(mut self, ours: impl Fn(&UnitId) -> bool) -> Option<Self> {
        match &mut self {
            Self::Lives { unit, .. } if !ours(unit) => return None,
            Self::Lives { .. } => {}
            Self::Unseen { units, .. } => units.retain(ours),
        }
        Some(self)
    }
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
                former: None,
            };
            fleet.posts.insert(node, post);
        }
        fleet
    }

    /// The same, and machines that only an earlier plan had, each with the units that may live there.
    #[must_use]
    pub fn with_former(mut self, stations: Vec<(Station, BTreeSet<UnitId>)>) -> Self {
        for (station, open) in stations {
            let node = station.node().clone();
            let post = Post {
                station: Arc::new(station),
                units: Vec::new(),
                files: FileSet::new(),
                former: Some(open),
            };
            self.posts.insert(node, post);
        }
        self
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

    /// Raises the fence on all nodes at once; answers with those that could not be asked, and why.
    pub async fn raise_fences(&self, epoch: Epoch) -> BTreeMap<NodeName, String> {
        let raised = self.posts.values().map(|post| async move {
            let error = post.station.raise_fence(epoch).await.err()?;
            Some((post.station.node().clone(), error.to_string()))
        });
        join_all(raised).await.into_iter().flatten().collect()
    }

    /// What of the run still lives on those of its machines that are to be asked, and which could not be, so that nobody
    /// knows. One that was silent a moment ago is not waited for again.
    pub async fn left(
        &self,
        silent: &BTreeMap<NodeName, String>,
        asks: impl Fn(&Station) -> bool,
    ) -> Vec<Left> {
        let asks = &asks;
        let looks = self.posts.values().map(|post| async {
            if let Some(why) = silent.get(post.station.node()) {
                return vec![post.unseen(why.clone())];
            }
            if !asks(&post.station) {
                return Vec::new();
            }
            let (place, what) = (post.station.place(), post.station.marks_are());
            match post.station.marks().await {
                Ok(marked) => {
                    let left = marked.into_iter().map(|Marked { pid, unit }| {
                        let words = format!("{what} {pid} of `{unit}` still lives on {place}");
                        Left::Lives { unit, words }
                    });
                    left.collect()
                }
                Err(error) => vec![post.unseen(error.to_string())],
            }
        });
        join_all(looks).await.concat()
    }

    /// Units that live where the plan does not have them, on machines that are not `silent`; jobs are ended as a whole.
    pub async fn strays(&self, silent: &BTreeMap<NodeName, String>) -> Vec<(Arc<Station>, UnitId)> {
        let nodes = self.posts.values().filter(|post| {
            post.station.jobs().is_none() && !silent.contains_key(post.station.node())
        });
        let looks = nodes.map(|post| async {
            let marked = post.station.marks().await.unwrap_or_default();
            let units: BTreeSet<UnitId> = marked.into_iter().map(|marked| marked.unit).collect();
            let strays = units.into_iter().filter(|unit| !post.units.contains(unit));
            strays.map(|unit| (post.station.clone(), unit)).collect()
        });
        join_all(looks)
            .await
            .into_iter()
            .flat_map(|found: Vec<_>| found)
            .collect()
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
