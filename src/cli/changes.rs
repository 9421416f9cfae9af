//! What a plan changes beside a live run: found, said, and told to the owner.

use std::collections::{BTreeMap, BTreeSet};

use super::detach::CONTROLLER;
use super::unit_scripts::stop_only;
use crate::base::{UnitId, sha256};
use crate::facts::Observation;
use crate::plan::Plan;
use crate::render::FileSet;
use crate::run::store::{RunDir, read_regular, read_regular_text};
use crate::run::{Changes, OtherFormat, RunState, script_path};
use crate::supervise::Wishes;
use crate::world::{UnitDirs, living_runs};

/// What the plan changes in this run, and how its units look.
pub(super) fn between(
    dir: &RunDir,
    plan: &Plan,
    files: &FileSet,
    state: &RunState,
) -> Result<(Changes, BTreeMap<UnitId, Observation>), OtherFormat> {
    let there = |path: &str| read_regular(&dir.scripts().join(path)).ok();
    let seen = look(dir, plan, state);
    let is_live = |(_, seen): &(&UnitId, &Observation)| matches!(seen, Observation::Running(_));
    let mut live: BTreeSet<UnitId> = seen
        .iter()
        .filter(is_live)
        .map(|(unit, _)| unit.clone())
        .collect();
    live.extend(marked(dir));
    let may_live = |unit: &&UnitId| state.unit(unit).phase.may_live();
    let elsewhere = seen.keys().filter(|unit| plan.elsewhere(unit).is_some());
    live.extend(elsewhere.filter(may_live).cloned());
    Ok((Changes::between(plan, files, state, &live, there)?, seen))
}

/// Looks at each unit of the run and of the plan, as its owner will; one whose state is gone is found by its mark.
fn look(dir: &RunDir, plan: &Plan, state: &RunState) -> BTreeMap<UnitId, Observation> {
    let dirs = UnitDirs::of_run(dir);
    let planned = plan.units.iter().map(|unit| &unit.id);
    let mut seen: BTreeMap<UnitId, Observation> = planned
        .chain(state.units.keys())
        .map(|unit| match plan.elsewhere(unit) {
            None => (unit.clone(), dirs.observe(unit)),
            // Each start is written down before it is asked for, and each end when it is proved.
            Some(_) if !state.rebuilt && !state.unit(unit).phase.may_live() => {
                (unit.clone(), Observation::Never)
            }
            Some(node) => {
                let why = format!("it is on node `{}`", node.name);
                (unit.clone(), Observation::Unknown { why })
            }
        })
        .collect();
    let lost = |(unit, seen): (&UnitId, &Observation)| {
        *seen == Observation::Never && state.unit(unit).phase.may_live()
    };
    if seen.iter().any(lost) {
        for (unit, running) in dirs.find_running() {
            let entry = seen.get_mut(&unit);
            if let Some(entry) = entry.filter(|entry| lost((&unit, entry))) {
                *entry = Observation::Running(running);
            }
        }
    }
    seen
}

/// Units of which a process carries the run's mark; the controller itself is none.
pub(super) fn marked(dir: &RunDir) -> BTreeSet<UnitId> {
    let mut units = living_runs().remove(dir.id()).unwrap_or_default();
    units.remove(&UnitId::new(CONTROLLER));
    units
}

/// The scripts of the plan, and those of units that it has no longer and that are still to be stopped.
pub(super) fn with_retired(
    dir: &RunDir,
    plan: &Plan,
    files: &FileSet,
    changes: &Changes,
) -> Result<FileSet, String> {
    let mut all = files.clone();
    for unit in &changes.retired {
        let path = script_path(unit);
        let script = match read_regular_text(&dir.scripts().join(&path)) {
            Ok(script) => script,
            Err(_) => stop_only(&plan.cluster, unit)?,
        };
        all.add_script(path, script);
    }
    Ok(all.with_manifest())
}

/// What the owner is to do about it.
pub(super) fn wishes(
    plan: &Plan,
    files: &FileSet,
    changes: Changes,
    restart_evals: bool,
) -> Wishes {
    let digest = |unit: &UnitId| Some(sha256(&files.get(&script_path(unit))?.bytes));
    let ids = plan.units.iter().map(|unit| unit.id.clone());
    let scripts: BTreeMap<UnitId, String> = ids
        .filter_map(|unit| Some((unit.clone(), digest(&unit)?)))
        .collect();
    Wishes {
        changes,
        restart_evals,
        scripts,
    }
}
