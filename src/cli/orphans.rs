//! Runs whose folder was removed, not moved, while something of them still runs: nobody watches it, and no plan names it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::detach::CONTROLLER;
use super::load::gather;
use super::printer::Printer;
use super::stopping::Stop;
use super::unit_scripts::{GRACE, stop_scripts};
use crate::base::{ClusterName, ExitStatus, RunId, UnitId};
use crate::run::store::{Home, read_at_most};
use crate::spec::{MAX_BYTES, Source, parse};
use crate::world::{self, UnitDirs};

/// Runs of this home (of this cluster, where one is named) that live and have no folder, with their units.
pub(super) fn find(
    home: &Home,
    cluster: Option<&ClusterName>,
) -> BTreeMap<RunId, BTreeSet<UnitId>> {
    let mut living = world::living_runs();
    living.retain(|id, _| {
        home.run_named(id).is_some_and(|run| {
            !run.path().exists()
                && cluster.is_none_or(|name| name == run.cluster())
                && !world::is_kept_elsewhere(id)
        })
    });
    living
}

/// Stops all of a run; answers whether nothing of it is left.
pub(super) fn end(
    home: &Home,
    run: &RunId,
    living: BTreeSet<UnitId>,
    printer: Printer,
) -> Result<bool, ExitStatus> {
    printer.say(&format!(
        "the folder of run `{run}` is gone, but processes of it live"
    ));
    let dirs = UnitDirs::new(run);
    let mut units = living;
    units.extend(dirs.units());
    let cluster = home.run_named(run).map(|dir| dir.cluster().clone());
    let cluster = cluster.ok_or_else(|| printer.internal("the run has no cluster"))?;
    let all: Vec<&UnitId> = units.iter().collect();
    let folder = stop_scripts(&cluster, &all).map_err(|why| printer.internal(why))?;
    // A controller first: it must not start again what is stopped here.
    let (controller, units): (Vec<_>, Vec<_>) = units
        .into_iter()
        .map(|unit| (unit, GRACE))
        .partition(|(unit, _)| unit.as_str() == CONTROLLER);
    let mut failures = Vec::new();
    for units in [controller, units] {
        let stop = Stop {
            run,
            epoch: None,
            scripts: folder.path(),
            units,
            fleet: Arc::default(),
            settled: BTreeSet::new(),
            given_up: BTreeSet::new(),
            printer,
        };
        if !stop.units.is_empty() {
            failures.extend(stop.everything()?.problems);
        }
    }
    failures.extend(dirs.clear(&UnitId::new(CONTROLLER)).err());
    for failure in &failures {
        printer.complain(&format!("error: {failure}"));
    }
    if failures.is_empty() {
        printer.say(&format!("`{run}` is down: no process of it is left"));
    }
    Ok(failures.is_empty())
}

/// That nobody knows what a run without a folder has on other machines, where the YAML has such.
pub(super) fn unknown_elsewhere(yaml: &Path) -> Option<String> {
    let text = read_at_most(yaml, MAX_BYTES as u64).ok()?;
    let name = yaml.display().to_string();
    let (cluster, _) = gather(parse(Source::new(name.clone(), &text), &[]).spec?, yaml);
    let plan = cluster.plan;
    let nodes = plan.reached().map(|node| format!("`{}`", node.name));
    let mut places: Vec<String> = nodes.collect();
    if !plan.jobs.is_empty() {
        places.push("SLURM".to_owned());
    }
    (!places.is_empty()).then(|| {
        format!(
            "error: what the run has on {} is not known, since its folder is gone: servers and jobs may go on there\n\
             help: on ssh nodes `toolorch up {name}` finds what lives, and `toolorch down {name}` ends it then; in SLURM `squeue --me` lists the jobs, and `scancel` ends them",
            places.join(", ")
        )
    })
}
