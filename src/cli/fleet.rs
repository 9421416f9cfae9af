//! The nodes of a run that are reached over ssh.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::former::Former;
use super::printer::Printer;
use crate::base::{ExitStatus, NodeName, UnitId, sha256};
use crate::plan::{Access, Plan, PlanNode};
use crate::render::{FileSet, slurm_jobs};
use crate::run::RunState;
use crate::run::store::{RunDir, read_regular};
use crate::spec::model::LauncherKind;
use crate::world::{Fleet, SshSettings, Station, TransportError, Transports};

/// The nodes of a plan. Nothing is connected yet.
///
/// # Errors
/// The system gives no thread: said.
pub(super) fn of(
    plan: &Plan,
    files: &FileSet,
    dir: &RunDir,
    printer: Printer,
) -> Result<Arc<Fleet>, ExitStatus> {
    let stations = stations(wanted(plan), dir, printer)?;
    Ok(Arc::new(Fleet::new(plan, files, stations, dir.logs())))
}

/// Where these units of a plan are. Nothing is connected yet.
///
/// # Errors
/// The system gives no thread: said.
pub(super) fn of_units(
    plan: &Plan,
    units: &BTreeSet<UnitId>,
    dir: &RunDir,
    printer: Printer,
) -> Result<Arc<Fleet>, ExitStatus> {
    let mut wanted = wanted(plan);
    wanted.retain(|wanted| wanted.units(plan).iter().any(|unit| units.contains(*unit)));
    let stations = stations(wanted, dir, printer)?;
    Ok(Arc::new(Fleet::new(
        plan,
        &FileSet::new(),
        stations,
        dir.logs(),
    )))
}

/// All machines on which something of a run was ever started.
pub(super) struct Machines {
    planned: Vec<Wanted>,
    former: Vec<Former>,
}

impl Machines {
    /// Those of a plan, and those of earlier ones.
    pub(super) fn new(plan: &Plan, mut former: Vec<Former>) -> Self {
        let planned = wanted(plan);
        for Former { wanted, .. } in &mut former {
            if planned.iter().any(|planned| planned.name == wanted.name) {
                let place = wanted.access.host().unwrap_or("this machine");
                wanted.name = NodeName::new(format!("{} at {place}", wanted.name));
            }
        }
        Self { planned, former }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Wanted> {
        let former = self.former.iter().map(|former| &former.wanted);
        self.planned.iter().chain(former)
    }

    /// How to ask them. Nothing is connected yet.
    ///
    /// # Errors
    /// The system gives no thread: said.
    pub(super) fn fleet(
        self,
        plan: &Plan,
        dir: &RunDir,
        printer: Printer,
    ) -> Result<Arc<Fleet>, ExitStatus> {
        let (former, open): (Vec<_>, Vec<_>) = (self.former.into_iter())
            .map(|former| (former.wanted, former.open))
            .unzip();
        let planned = stations(self.planned, dir, printer)?;
        let fleet = Fleet::new(plan, &FileSet::new(), planned, dir.logs());
        let former = stations(former, dir, printer)?;
        Ok(Arc::new(
            fleet.with_former(former.into_iter().zip(open).collect()),
        ))
    }
}

fn stations(
    wanted: Vec<Wanted>,
    dir: &RunDir,
    printer: Printer,
) -> Result<Vec<Station>, ExitStatus> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let transports = transports(&wanted).map_err(|error| printer.internal(error))?;
    let mark = (dir.record(), digest_of(&dir.record()));
    let stations = wanted.into_iter().filter_map(|wanted| {
        let transport = transports.of(&wanted.name)?.clone();
        let station = Station::new(wanted.name, dir.id().clone(), transport, mark.clone());
        Some(match wanted.jobs {
            None => station,
            Some(jobs) => station.with_jobs(jobs),
        })
    });
    Ok(stations.collect())
}

/// All machines of a plan that are asked.
pub(super) fn wanted(plan: &Plan) -> Vec<Wanted> {
    let nodes = plan.reached().map(Wanted::node);
    nodes.chain(queues(plan)).collect()
}

/// The ways to them. Nothing is connected yet.
///
/// # Errors
/// The system gives no thread.
pub(super) fn transports(wanted: &[Wanted]) -> Result<Transports, TransportError> {
    let accesses = wanted
        .iter()
        .map(|wanted| (wanted.name.clone(), wanted.access.clone()));
    Transports::new(accesses, &SshSettings::default())
}

/// A machine that is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wanted {
    pub(super) name: NodeName,
    access: Access,
    /// The job of each unit that is in one, if jobs are submitted there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jobs: Option<BTreeMap<UnitId, String>>,
}

impl Wanted {
    /// Whoever asks the one asks the other: all that the run has there bears the run's mark.
    pub(super) fn is_same_place(&self, other: &Self) -> bool {
        (&self.access, self.jobs.is_some()) == (&other.access, other.jobs.is_some())
    }

    /// A person may call it so: its name, or the host to which ssh goes.
    pub(super) fn is_called(&self, word: &str) -> bool {
        self.name.as_str() == word || self.access.host() == Some(word)
    }

    fn node(node: &PlanNode) -> Self {
        Self {
            name: node.name.clone(),
            access: node.access(),
            jobs: None,
        }
    }
}

impl Wanted {
    /// What cannot be started without it.
    pub(super) fn units<'a>(&'a self, plan: &'a Plan) -> Vec<&'a UnitId> {
        if let Some(jobs) = &self.jobs {
            return jobs.keys().collect();
        }
        let there = plan.units.iter().filter(|unit| unit.node == self.name);
        let started = there.filter(|unit| unit.launcher != LauncherKind::Slurm);
        started.map(|unit| &unit.id).collect()
    }
}

/// The machines from which jobs are submitted.
fn queues(plan: &Plan) -> impl Iterator<Item = Wanted> {
    let mut queues: BTreeMap<Access, BTreeMap<UnitId, String>> = BTreeMap::new();
    let names = slurm_jobs(plan);
    for job in &plan.jobs {
        let units = job.units.iter();
        let named = units.filter_map(|unit| Some((unit.clone(), names.get(unit)?.clone())));
        queues.entry(job.access.clone()).or_default().extend(named);
    }
    (1..).zip(queues).map(|(nth, (access, jobs))| Wanted {
        name: queue_name(&access, nth),
        access,
        jobs: Some(jobs),
    })
}

/// No node has a blank in its name, and of two ways to one host each has its own.
fn queue_name(access: &Access, nth: usize) -> NodeName {
    let place = match access {
        Access::Local => "here".to_owned(),
        Access::Ssh2(target) | Access::SystemSsh(target) => format!("at {}", target.host),
    };
    NodeName::new(match nth {
        1 => format!("SLURM {place}"),
        _ => format!("SLURM {place} ({nth})"),
    })
}

/// Empty where there is no such file: no folder is taken for shared then.
fn digest_of(file: &Path) -> String {
    read_regular(file).map_or_else(|_| String::new(), |bytes| sha256(&bytes))
}

/// Whether something of a run may live on another machine: only that machine can tell.
pub(super) fn may_live(plan: &Plan, state: &RunState) -> bool {
    let mut living = state.units.iter().filter(|(_, unit)| unit.phase.may_live());
    living.any(|(unit, _)| plan.elsewhere(unit).is_some())
}

/// Refuses a plan in which a unit that lives on another machine has no place there any more: whoever looked for it at its new
/// place would start it a second time.
///
/// # Errors
/// There is one: its words, with what to do.
pub(super) fn refuse_moves(before: &Plan, plan: &Plan, state: &RunState) -> Result<(), String> {
    let living = state.units.iter().filter(|(_, unit)| unit.phase.may_live());
    let moves = living.filter_map(|(unit, _)| {
        let there = before.way(unit)?;
        let same = plan.way(unit).is_some_and(|now| now == there);
        (!same).then(|| format!("`{unit}` on node `{}`", there.node))
    });
    let moves: Vec<String> = moves.collect();
    if moves.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the plan has no place there any more for what runs on other machines: {}\n\
         help: units of other machines are not moved yet: leave them in the YAML as they were (`toolorch drain NAME` stops one of them for \
         good), or end the run first (toolorch down)",
        moves.join(", ")
    ))
}

/// Refuses a plan that adds a unit to a job that runs: it goes on with the script and the GPUs with which it was submitted. One
/// that only waits is submitted anew.
///
/// # Errors
/// There is one: its words, with what to do.
pub(super) fn refuse_growth(before: &Plan, plan: &Plan, state: &RunState) -> Result<(), String> {
    let (jobs, now) = (slurm_jobs(before), slurm_jobs(plan));
    let living = state
        .units
        .iter()
        .filter(|(_, unit)| unit.phase.may_live() && unit.queued.is_none());
    let running: BTreeSet<&String> = living.filter_map(|(unit, _)| jobs.get(unit)).collect();
    let grown = now
        .iter()
        .filter(|(unit, job)| !jobs.contains_key(*unit) && running.contains(job));
    let grown: Vec<String> = grown
        .map(|(unit, job)| format!("`{unit}` to `{job}`"))
        .collect();
    if grown.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the plan adds units to SLURM jobs that run: {}\n\
         help: a job's GPUs and its script stay what they were when it was submitted: end the run first (toolorch down), or leave it as it was",
        grown.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Epoch, Generation, LaunchId, Timestamp, UnitId};
    use crate::plan::plan_tests::clean;
    use crate::run::{Event, Record};

    const YAML: &str = "version: 1\nname: c\nnodes: { x: { gpus: 0 }, y: { gpus: 0 }, n: { gpus: 0, transport: local, address: 127.0.0.1 } }\nservices:\n  a: { node: x, port: 8000, command: [a] }\n  b: { node: n, port: 8001, command: [b] }\n";

    /// Both were started, and may live.
    fn living() -> RunState {
        let started = ["a", "b"].map(|unit| Event::LaunchIntended {
            unit: UnitId::new(unit),
            generation: Generation(1),
            launch: LaunchId::new("l"),
            script: None,
        });
        let records: Vec<Record> = (1..)
            .zip(started)
            .map(|(seq, event)| Record {
                v: Record::FORMAT,
                seq,
                at: Timestamp(seq),
                epoch: Epoch(1),
                event,
            })
            .collect();
        RunState::fold(&records)
    }

    #[test]
    fn a_former_machine_of_the_same_name_has_one_of_its_own() {
        let plan = clean(YAML);
        let before = clean(&YAML.replace("x: { gpus: 0 }", "x: { gpus: 0, ssh: { host: v } }"));
        let former = wanted(&before).into_iter().map(|wanted| Former {
            wanted,
            open: BTreeSet::new(),
        });
        let machines = Machines::new(&plan, former.take(1).collect());
        let names: Vec<&str> = machines.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["x", "x at v"]);
        let called = |word| {
            let called = machines.iter().filter(|it| it.is_called(word));
            called.map(|it| it.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!((called("x"), called("v")), (vec!["x"], vec!["x at v"]));
        assert_eq!(called("w"), [] as [&str; 0]);
    }

    #[test]
    fn what_lives_elsewhere_keeps_its_place() {
        let before = clean(YAML);
        let refused = |from: &str, to: &str| {
            let plan = clean(&YAML.replace(from, to));
            let refused = refuse_moves(&before, &plan, &living());
            refused
                .err()
                .map(|why| why.lines().next().unwrap_or_default().to_owned())
        };
        assert_eq!(
            refused("port: 8000", "port: 8002"),
            None,
            "its settings may change"
        );
        assert_eq!(
            refused("node: n", "node: y"),
            None,
            "what is here is looked for here"
        );
        let words =
            "the plan has no place there any more for what runs on other machines: `a` on node `x`";
        for (from, to) in [
            ("node: x", "node: y"),
            ("node: x", "node: n"),
            ("  a: { node: x, port: 8000, command: [a] }\n", ""),
            ("x: { gpus: 0 }", "x: { gpus: 0, ssh: { host: z } }"),
        ] {
            assert_eq!(refused(from, to).as_deref(), Some(words), "{to}");
        }
        let plan = clean(&YAML.replace("node: x", "node: y"));
        assert_eq!(refuse_moves(&before, &plan, &RunState::default()), Ok(()));
        assert!(may_live(&before, &living()));
        assert!(!may_live(&before, &RunState::default()));
    }

    const JOBS: &str = "version: 1\nname: c\nlauncher: slurm\nslurm: { partition: p, time: '01:00:00' }\nnodes: { x: { gpus: 0 } }\nservices:\n  a: { node: x, port: 8000, command: [a] }\n";

    #[test]
    fn a_job_that_runs_does_not_grow_and_one_that_waits_may() {
        let more = "  b: { node: x, port: 8001, command: [b] }\n";
        let (before, after) = (clean(JOBS), clean(&format!("{JOBS}{more}")));
        let state = living();
        let words = "the plan adds units to SLURM jobs that run: `b` to `c-x`";
        let refused = refuse_growth(&before, &after, &state).unwrap_err();
        assert_eq!(refused.lines().next(), Some(words));
        assert_eq!(
            refuse_growth(&after, &before, &state),
            Ok(()),
            "it may shrink"
        );
        assert_eq!(refuse_growth(&before, &after, &RunState::default()), Ok(()));
        let waits = Record {
            v: Record::FORMAT,
            seq: 3,
            at: Timestamp(3),
            epoch: Epoch(1),
            event: Event::Queued {
                unit: UnitId::new("a"),
                generation: Generation(1),
                why: "others come first".to_owned(),
                starts: None,
            },
        };
        let mut waiting = state;
        waiting.apply(&waits);
        assert_eq!(refuse_growth(&before, &after, &waiting), Ok(()));
    }
}
