//! Clients on other machines: what they work on, and whom they can reach.

use std::collections::HashSet;

use crate::base::{FieldPath, NodeName};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::plan::sites::is_loopback;
use crate::plan::{EvalPlan, Group, Plan, PlanNode, Unit, UnitKind};
use crate::spec::model::LauncherKind;

use super::Ctx;

/// So many nodes are shown; more would not make the point better.
const SHOWN: usize = 8;

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    let title = "clients on other machines work on files that both machines have at the same path";
    let note = Diagnostic::note(Code("N0330"), title);
    let by_ssh = |unit: &Unit| unit.launcher != LauncherKind::Slurm;
    let label = "dataset, results and the client's configuration must be seen there as here";
    report.extend(labelled(ctx, by_ssh, note, label));
    for eval in &ctx.plan.evals {
        report.extend(out_of_reach(ctx.plan, eval));
    }
}

/// The error with which a command refuses that would have to start clients in SLURM jobs.
pub fn refusal(ctx: &Ctx<'_>) -> Option<Diagnostic> {
    let title = "evaluations in SLURM jobs cannot be started by this release";
    let finding = Diagnostic::error(Code("E0331"), title)
        .help("leave `node` out: the client runs where toolorch does; or name a node that ssh reaches, with `launcher: process` for the evaluation");
    let in_job = |unit: &Unit| unit.launcher == LauncherKind::Slurm;
    labelled(ctx, in_job, finding, "another machine, given out by SLURM")
}

fn labelled(
    ctx: &Ctx<'_>,
    is_meant: impl Fn(&Unit) -> bool,
    finding: Diagnostic,
    label: &str,
) -> Option<Diagnostic> {
    let nodes = remote_nodes(ctx, is_meant);
    if nodes.is_empty() {
        return None;
    }
    let path = |name: &NodeName| FieldPath::root().key("nodes").key(name.as_str());
    let shown = nodes.iter().take(SHOWN);
    Some(shown.fold(finding, |finding, name| {
        finding.at(Place::Key(path(name)), label)
    }))
}

/// Nodes of other machines on which such a client is started, in the order of the plan.
fn remote_nodes<'a>(ctx: &Ctx<'a>, is_meant: impl Fn(&Unit) -> bool) -> Vec<&'a NodeName> {
    let clients = ctx
        .plan
        .units
        .iter()
        .filter(|unit| matches!(unit.kind, UnitKind::Eval { .. }))
        .filter(|unit| is_meant(unit));
    let used: HashSet<&NodeName> = clients.map(|unit| &unit.node).collect();
    let remote = |node: &&PlanNode| node.is_remote() && used.contains(&node.name);
    ctx.plan
        .nodes
        .iter()
        .filter(remote)
        .map(|node| &node.name)
        .collect()
}

/// A client elsewhere to which the addresses of servers that it requires mean its own machine.
fn out_of_reach(plan: &Plan, eval: &EvalPlan) -> Option<Diagnostic> {
    let client = plan.unit(&eval.unit)?;
    let node = plan.elsewhere(&client.id)?;
    let required = |group: &&Group| eval.requires.contains(&group.name) && !group.hidden;
    let mut ends = (plan.groups.iter().filter(required)).flat_map(|group| &group.endpoints);
    let (end, server) = ends.find_map(|end| {
        let server = plan.unit(&end.unit)?;
        let there = server.through.is_none() && server.node == client.node;
        (is_loopback(&end.host) && !there).then_some((end, server))
    })?;
    let (why, help) = match &server.through {
        Some(_) => (
            "it is reached through a tunnel of this machine",
            "let the client run here (`node: controller`), or reach that node directly",
        ),
        None => (
            "its address means whatever machine it is used on",
            "let the client run here (`node: controller`), or give that node an `address` that others can reach",
        ),
    };
    let title = format!(
        "the client of `{}` runs on `{}`, and cannot reach `{}` at {}:{}",
        eval.name, node.name, server.id, end.host, end.port
    );
    Some(
        Diagnostic::error(Code("E0333"), title)
            .at(Place::Value(eval.origin.key("node")), why)
            .help(help),
    )
}
