//! What stands in the way of a start, found before anything is started.

use std::path::Path;

use super::load::Cluster;
use super::printer::Printer;
use super::{orphans, runs};
use crate::base::{ExitStatus, UnitId};
use crate::check::{self, Ctx, Ours};
use crate::diag::human;
use crate::facts::Observation;
use crate::plan::{Plan, ask};
use crate::run::store::RunDir;
use crate::spec::Document;
use crate::supervise::Goal;
use crate::world::{self, UnitDirs};

/// Servers of a run whose folder is gone hold ports and GPUs, and nobody watches them.
pub(super) fn refuse_orphans(plan: &Plan, yaml: &Path, printer: Printer) -> Result<(), ExitStatus> {
    let orphans = orphans::find(&runs::home(), Some(&plan.cluster));
    let Some((run, units)) = orphans.first_key_value() else {
        return Ok(());
    };
    let names: Vec<&str> = units.iter().map(UnitId::as_str).collect();
    printer.complain(&format!(
        "error: the folder of run `{run}` is gone, but {} of it live: {}\nhelp: first end them: toolorch down {}\nnothing was started",
        names.len(),
        names.join(", "),
        yaml.display()
    ));
    Err(ExitStatus::Refused)
}

/// What would stop the start is said before anything is started.
pub(super) fn refuse(
    cluster: &mut Cluster,
    document: &Document,
    goal: &Goal,
    printer: Printer,
) -> Result<(), ExitStatus> {
    let failed = |error| runs::store(&error, printer);
    let last = runs::home().latest(&cluster.plan.cluster).map_err(failed)?;
    // Looked at before the listeners: what ends in between has no port any more.
    let ours = last
        .map(|run| ours(&cluster.plan, &run))
        .unwrap_or_default();
    let mut starting = cluster.plan.clone();
    starting.units.retain(|unit| goal.starts(unit));
    world::add_programs(&mut cluster.facts, &ask::programs(&starting));
    let ports = starting.units.iter().filter_map(|unit| unit.port).collect();
    cluster.facts.listeners = world::listeners(&ports);
    let ctx = Ctx {
        plan: &starting,
        ..cluster.ctx()
    };
    let mut found = check::preflight(&ctx, &ours);
    found.extend(check::refusal(&ctx));
    if found.is_empty() {
        return Ok(());
    }
    printer.complain(human(&found, document, printer.in_colour()).trim_end());
    printer.complain("nothing was started");
    Err(ExitStatus::Refused)
}

/// What of a run is there at this moment.
fn ours(plan: &Plan, run: &RunDir) -> Ours {
    let dirs = UnitDirs::new(run.id());
    let at_work = |unit: &&UnitId| {
        matches!(
            dirs.observe(unit),
            Observation::Running(_) | Observation::Unknown { .. }
        )
    };
    let units = plan.units.iter().map(|unit| &unit.id);
    Ours {
        units: units.filter(at_work).cloned().collect(),
        pids: world::find_marked(&format!("{}/", run.id()))
            .into_iter()
            .collect(),
    }
}
