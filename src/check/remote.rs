//! Clients on other machines: what they work on, and whom they can reach.

use std::collections::HashSet;

use crate::base::{FieldPath, NodeName};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::plan::sites::is_loopback;
use crate::plan::{EvalPlan, Group, Plan, PlanNode, UnitKind};
use crate::spec::model::LauncherKind;

use super::Ctx;

/// So many nodes are shown; more would not make the point better.
const SHOWN: usize = 8;

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    let mut nodes = by_ssh(ctx).take(SHOWN).peekable();
    if nodes.peek().is_some() {
        let title =
            "clients on other machines work on files that both machines have at the same path";
        let label = "dataset, results and the client's configuration must be seen there as here";
        report.push(
            nodes.fold(Diagnostic::note(Code("N0330"), title), |note, name| {
                let path = FieldPath::root().key("nodes").key(name.as_str());
                note.at(Place::Key(path), label)
            }),
        );
    }
    let title = "evaluations in SLURM jobs are rendered, and not started by this release";
    report.extend(in_jobs(ctx, Diagnostic::note(Code("N0331"), title)));
    for eval in &ctx.plan.evals {
        report.extend(out_of_reach(ctx.plan, eval));
    }
}

/// The error with which a command refuses that would have to start clients in SLURM jobs.
pub fn refusal(ctx: &Ctx<'_>) -> Option<Diagnostic> {
    let title = "evaluations in SLURM jobs cannot be started by this release";
    in_jobs(ctx, Diagnostic::error(Code("E0331"), title))
}

/// Clients of whichever machine that SLURM gives out.
fn in_jobs(ctx: &Ctx<'_>, finding: Diagnostic) -> Option<Diagnostic> {
    let units = ctx.plan.units.iter();
    let mut places = units
        .filter(|unit| unit.launcher == LauncherKind::Slurm)
        .filter_map(|unit| match &unit.kind {
            UnitKind::Eval { name } => Some(match ctx.spec.evals[name].node {
                Some(_) => Place::Value(unit.origin.key("node")),
                None => Place::Key(unit.origin.clone()),
            }),
            _ => None,
        })
        .peekable();
    places.peek()?;
    let shown = places.take(SHOWN);
    let finding = shown.fold(finding, |finding, place| {
        finding.at(place, "a machine that SLURM gives out")
    });
    Some(finding.help("leave `node` out: the client runs where toolorch does; or name a node that ssh reaches, with `launcher: process` for the evaluation"))
}

/// Nodes of other machines on which ssh starts clients, in the order of the plan.
fn by_ssh<'a>(ctx: &Ctx<'a>) -> impl Iterator<Item = &'a NodeName> {
    let clients = ctx
        .plan
        .units
        .iter()
        .filter(|unit| matches!(unit.kind, UnitKind::Eval { .. }))
        .filter(|unit| unit.launcher != LauncherKind::Slurm);
    let used: HashSet<&NodeName> = clients.map(|unit| &unit.node).collect();
    let remote = move |node: &&PlanNode| node.is_remote() && used.contains(&node.name);
    let nodes = ctx.plan.nodes.iter().filter(remote);
    nodes.map(|node| &node.name)
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
