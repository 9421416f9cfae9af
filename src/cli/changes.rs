//! What a plan changes beside a live run: found, said, and told to the owner.

use std::collections::{BTreeMap, BTreeSet};

use super::detach::CONTROLLER;
use super::printer::Printer;
use super::unit_scripts::stop_only;
use crate::base::{ExitStatus, UnitId, sha256};
use crate::facts::Observation;
use crate::plan::Plan;
use crate::render::FileSet;
use crate::run::store::{RunDir, read_regular, read_regular_text};
use crate::run::{Changes, RunState, script_path};
use crate::supervise::Wishes;
use crate::world::{UnitDirs, living_runs};

/// What the plan changes in this run, and the units that live.
pub(super) fn beside(
    dir: &RunDir,
    plan: &Plan,
    files: &FileSet,
    state: &RunState,
    printer: Printer,
) -> Result<Changes, ExitStatus> {
    let there = |path: &str| read_regular(&dir.scripts().join(path)).ok();
    let live = live_units(dir, plan, state);
    Changes::between(plan, files, state, &live, there).map_err(|why| {
        printer.complain(&format!("error: {why}"));
        ExitStatus::Usage
    })
}

/// Units that live at this moment: of the run, of its plan, and whatever carries the run's mark.
fn live_units(dir: &RunDir, plan: &Plan, state: &RunState) -> BTreeSet<UnitId> {
    let dirs = UnitDirs::of_run(dir);
    let planned = plan.units.iter().map(|unit| &unit.id);
    let known = planned
        .chain(state.units.keys())
        .filter(|unit| matches!(dirs.observe(unit), Observation::Running(_)));
    let mut live: BTreeSet<UnitId> = known.cloned().collect();
    live.extend(marked(dir));
    live
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
