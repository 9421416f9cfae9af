//! What stands in the way of a start, found alike by `up`, which refuses, and by `plan`, which says so beforehand.

use std::path::Path;

use super::load::Cluster;
use super::printer::Printer;
use super::{fleet, orphans, owners, runs, unusable};
use crate::base::{EvalName, ExitStatus, UnitId};
use crate::check::{self, Ctx, Ours};
use crate::diag::human;
use crate::facts::Observation;
use crate::plan::{Plan, ask};
use crate::run::RunState;
use crate::run::store::{RunDir, StoreError, read_journal};
use crate::spec::Document;
use crate::supervise::{EvalDesk, Goal};
use crate::world::{self, UnitDirs};

/// What is known of the results of these evaluations.
pub(super) fn desks(
    cluster: &Cluster,
    evals: &[EvalName],
    printer: Printer,
) -> Result<Vec<EvalDesk>, ExitStatus> {
    let mut desks = Vec::new();
    for eval in &cluster.plan.evals {
        if !evals.contains(&eval.name) {
            continue;
        }
        let ids = cluster
            .facts
            .datasets
            .get(&eval.name)
            .and_then(|known| known.get())
            .map_or(&[][..], |dataset| &dataset.ids);
        let desk = EvalDesk::new(&cluster.plan, eval, ids).map_err(|why| {
            printer.complain(&format!("error: evaluation `{}`: {why}", eval.name));
            ExitStatus::Usage
        })?;
        desks.push(desk);
    }
    Ok(desks)
}

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

/// What lives on other machines keeps its place as long as it lives.
pub(super) fn refuse_moves(plan: &Plan, printer: Printer) -> Result<(), ExitStatus> {
    moves(plan)
        .map_err(|error| runs::store(&error, printer))?
        .map_err(|why| {
            printer.complain(&format!("error: {why}\nnothing was started"));
            ExitStatus::Refused
        })
}

/// Machines that nobody can use are refused while nothing of the cluster lives: what does goes on without them.
pub(super) fn refuse_unusable(
    plan: &Plan,
    evals: &[EvalName],
    printer: Printer,
) -> Result<(), ExitStatus> {
    let state = match runs::home().latest(&plan.cluster) {
        Ok(Some(dir)) => read_journal(dir.path()).map(|records| RunState::fold(&records)),
        Ok(None) => Ok(RunState::default()),
        Err(error) => Err(error),
    };
    let state = state.map_err(|error| runs::store(&error, printer))?;
    if state.units.values().any(|unit| unit.phase.may_live()) {
        return Ok(());
    }
    unusable::refuse(plan, evals, printer)
}

/// Of a run whose plan is gone or damaged nobody can tell where its units were.
fn moves(plan: &Plan) -> Result<Result<(), String>, StoreError> {
    let Some(dir) = runs::home().latest(&plan.cluster)? else {
        return Ok(Ok(()));
    };
    let Ok(before) = runs::read_plan(&dir) else {
        return Ok(Ok(()));
    };
    let state = RunState::fold(&read_journal(dir.path())?);
    Ok(fleet::refuse_moves(&before, plan, &state)
        .and_then(|()| fleet::refuse_growth(&before, plan, &state)))
}

/// What would stop the start is said before anything is started.
pub(super) fn refuse(
    cluster: &mut Cluster,
    document: &Document,
    goal: &Goal,
    printer: Printer,
) -> Result<(), ExitStatus> {
    let mut starting = cluster.plan.clone();
    starting.units.retain(|unit| goal.starts(unit));
    world::add_programs(&mut cluster.facts, &ask::programs(&starting));
    let ours = look_at_ports(cluster, &starting).map_err(|error| runs::store(&error, printer))?;
    let ctx = Ctx {
        plan: &starting,
        ..cluster.ctx()
    };
    let mut found = check::preflight(&ctx, &ours);
    if !ours.pids.is_empty() {
        found = owners::let_strangers_be(found, printer);
    }
    found.extend(check::refusal(&ctx));
    if found.is_empty() {
        return Ok(());
    }
    printer.complain(human(&found, document, printer.in_colour()).trim_end());
    printer.complain("nothing was started");
    Err(ExitStatus::Refused)
}

/// Looks who listens on the ports of this plan; answers with what of the cluster's own run is there, which may.
fn look_at_ports(cluster: &mut Cluster, starting: &Plan) -> Result<Ours, StoreError> {
    let last = runs::home().latest(&cluster.plan.cluster)?;
    // Looked at before the listeners: what ends in between has no port any more.
    let ours = last
        .map(|run| ours(&cluster.plan, &run))
        .unwrap_or_default();
    let ports = starting.units.iter().filter_map(|unit| unit.port).collect();
    cluster.facts.listeners = world::listeners(&ports);
    Ok(ours)
}

/// What `up` would refuse and `check` does not see, in its words: results of another evaluation, ports that others hold.
pub(super) fn foreseen(
    cluster: &mut Cluster,
    document: &Document,
    desks: &mut [EvalDesk],
    printer: Printer,
) -> Result<Vec<String>, ExitStatus> {
    let identities = desks.iter_mut().map(|desk| desk.identity().err());
    let mut said: Vec<String> = identities.flatten().collect();
    let plan = cluster.plan.clone();
    said.extend(
        moves(&plan)
            .map_err(|error| runs::store(&error, printer))?
            .err(),
    );
    let ours = look_at_ports(cluster, &plan).map_err(|error| runs::store(&error, printer))?;
    let busy = check::busy_ports(
        &Ctx {
            plan: &plan,
            ..cluster.ctx()
        },
        &ours,
    );
    if !busy.is_empty() {
        let shown = human(&busy, document, printer.in_colour());
        said.push(shown.trim_end().to_owned());
    }
    Ok(said)
}

/// What of a run is there at this moment.
fn ours(plan: &Plan, run: &RunDir) -> Ours {
    let dirs = UnitDirs::of_run(run);
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
