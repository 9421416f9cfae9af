//! What several machines must see or must not mistake: folders of their own, and one machine under two names.

use std::collections::BTreeSet;

use crate::base::{FieldPath, NodeName};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::Known;
use crate::plan::{PlanNode, Unit};

use super::Ctx;

/// Folders that each machine has for itself.
const OWN: &[&str] = &["/tmp", "/var/tmp", "/dev/shm", "/run"];

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    report.extend(runs(ctx));
    report.extend(cache(ctx));
    twins(ctx, report);
}

fn own(path: &str) -> Option<&'static str> {
    let below = |folder: &&&str| {
        path.strip_prefix(**folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    OWN.iter().find(below).copied()
}

/// Jobs read their scripts from the run's folder, and write what they see into it.
fn runs(ctx: &Ctx<'_>) -> Option<Diagnostic> {
    let runs = ctx.facts.runs.get()?;
    let folder = own(runs)?;
    let job = ctx.plan.jobs.first()?;
    let unit = job.units.first().and_then(|id| ctx.plan.unit(id))?;
    Some(
        Diagnostic::note(
            Code("N0346"),
            format!("runs are kept in `{runs}`, which nodes of SLURM may not see"),
        )
        .at(
            Place::Key(unit.origin.clone()),
            format!(
                "its job reads and writes there; `{folder}` is a folder of each machine for itself"
            ),
        )
        .help("call from a folder on the shared file system, or set `TOOLORCH_HOME` to one"),
    )
}

/// Weights in a folder of each node are downloaded by each node.
fn cache(ctx: &Ctx<'_>) -> Option<Diagnostic> {
    let home = ctx.spec.hf.as_ref()?.home.as_ref()?;
    let folder = own(home)?;
    let from_hub = ctx
        .spec
        .models
        .iter()
        .filter(|(_, model)| !model.model.starts_with('/'));
    let nodes: BTreeSet<&str> = from_hub
        .flat_map(|(_, model)| &model.node.0)
        .map(NodeName::as_str)
        .collect();
    let pools = ctx
        .spec
        .pools
        .iter()
        .filter(|(name, _)| nodes.contains(name.as_str()));
    let count = nodes.len()
        + pools
            .map(|(_, pool)| pool.nodes as usize - 1)
            .sum::<usize>();
    if count < 2 {
        return None;
    }
    Some(
        Diagnostic::note(
            Code("N0609"),
            format!("each of {count} nodes downloads its weights for itself"),
        )
        .at(
            Place::Value(FieldPath::root().key("hf").key("home")),
            format!("`{folder}` is a folder of each machine for itself"),
        )
        .help("on a shared file system they are downloaded once, by `toolorch fetch`"),
    )
}

/// Two nodes that are one machine, whose servers would meet on a GPU or a port.
fn twins(ctx: &Ctx<'_>, report: &mut Report) {
    let nodes = &ctx.plan.nodes;
    for (at, one) in nodes.iter().enumerate() {
        for other in &nodes[at + 1..] {
            if let Some((address, what)) = twin(ctx, one, other) {
                let key = |node: &PlanNode| {
                    Place::Key(FieldPath::root().key("nodes").key(node.name.as_str()))
                };
                report.push(
                    Diagnostic::warning(
                        Code("W0325"),
                        format!("`{}` and `{}` are one machine, and {what} twice", one.name, other.name),
                    )
                    .at(key(other), format!("this is {address}"))
                    .see(key(one), "and so is this")
                    .help("make one node of the two, or share its GPUs and ports between them: `gpus: [0, 1]`"),
                );
            }
        }
    }
}

/// The address that both lead to.
fn same(ctx: &Ctx<'_>, one: &PlanNode, other: &PlanNode) -> Option<String> {
    if one.address == other.address {
        return Some(one.address.clone());
    }
    let all = |node: &PlanNode| match ctx.facts.addresses.get(&node.name) {
        Some(Known::Known(all)) => all.clone(),
        _ => Vec::new(),
    };
    let others = all(other);
    all(one)
        .into_iter()
        .find(|address| others.contains(address))
}

/// Where both are, and what servers of both want there.
fn twin(ctx: &Ctx<'_>, one: &PlanNode, other: &PlanNode) -> Option<(String, String)> {
    if let Some(address) = same(ctx, one, other) {
        let what = gpu_of_both(ctx, one, other).or_else(|| port_of_both(ctx, one, other));
        return Some((address, what?));
    }
    // Servers at different addresses of one host have their ports for themselves.
    let (access, its) = (one.access(), other.access());
    let host = access.host().filter(|_| access == its)?;
    Some((host.to_owned(), gpu_of_both(ctx, one, other)?))
}

fn on<'a>(ctx: &Ctx<'a>, node: &PlanNode) -> impl Iterator<Item = &'a Unit> {
    let units = ctx.plan.units.iter();
    units.filter(|unit| unit.node == node.name)
}

fn gpu_of_both(ctx: &Ctx<'_>, one: &PlanNode, other: &PlanNode) -> Option<String> {
    let ours: BTreeSet<_> = on(ctx, one).flat_map(|unit| &unit.gpus).collect();
    let mut theirs = on(ctx, other).flat_map(|unit| &unit.gpus);
    let gpu = theirs.find(|gpu| ours.contains(gpu))?;
    Some(format!("its GPU {gpu} is used"))
}

fn port_of_both(ctx: &Ctx<'_>, one: &PlanNode, other: &PlanNode) -> Option<String> {
    // Where the addresses are written alike, the rule of ports says so.
    if one.address == other.address {
        return None;
    }
    let ours: BTreeSet<_> = on(ctx, one).filter_map(|unit| unit.port).collect();
    let mut theirs = on(ctx, other).filter_map(|unit| unit.port);
    let port = theirs.find(|port| ours.contains(port))?;
    Some(format!("its port {port} is taken"))
}
