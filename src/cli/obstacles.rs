//! What stands in the way of a start, found alike by `up`, which refuses, and by `plan`, which says so beforehand.

use std::collections::BTreeSet;

use super::load::Cluster;
use super::printer::Printer;
use super::runs;
use crate::base::{EvalName, ExitStatus};
use crate::check::{self, Ctx};
use crate::diag::human;
use crate::plan::Plan;
use crate::run::store::{RunDir, StoreError};
use crate::spec::Document;
use crate::supervise::EvalDesk;
use crate::world;

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

/// Looks who listens on the ports of this plan; answers with the processes of the cluster's own run, which may.
pub(super) fn look_at_ports(
    cluster: &mut Cluster,
    plan: &Plan,
) -> Result<BTreeSet<u32>, StoreError> {
    let last = runs::home().latest(&plan.cluster)?;
    let marked = |run: &RunDir| world::find_marked(&format!("{}/", run.id()));
    let ports = plan.units.iter().filter_map(|unit| unit.port).collect();
    cluster.facts.listeners = world::listeners(&ports);
    Ok(last.iter().flat_map(marked).collect())
}

/// What `up` would refuse and `check` does not see, in its words: results of another evaluation, ports that others hold.
pub(super) fn foreseen(
    cluster: &mut Cluster,
    document: &Document,
    printer: Printer,
) -> Result<Vec<String>, ExitStatus> {
    world::add_git_facts(&mut cluster.facts, &cluster.asked);
    (cluster.plan, _) = crate::plan::plan(&cluster.spec, &cluster.facts);
    let all: Vec<EvalName> = cluster
        .plan
        .evals
        .iter()
        .map(|eval| eval.name.clone())
        .collect();
    let mut said = Vec::new();
    for mut desk in desks(cluster, &all, printer)? {
        said.extend(desk.identity().err());
    }
    let plan = cluster.plan.clone();
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
