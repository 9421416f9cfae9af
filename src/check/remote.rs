//! Clients on other machines: planned and rendered, not yet started.

use std::collections::HashSet;

use crate::base::{FieldPath, NodeName};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::plan::{PlanNode, UnitKind};
use crate::spec::model::LauncherKind;

use super::Ctx;

/// So many nodes are shown; more would not make the point better.
const SHOWN: usize = 8;

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    let title = "evaluations on other machines are planned and rendered, not yet started";
    report.extend(labelled(ctx, Diagnostic::note(Code("N0330"), title)));
}

/// The error with which a command refuses that would have to start clients on other machines.
pub fn refusal(ctx: &Ctx<'_>) -> Option<Diagnostic> {
    let title = "evaluations on other machines cannot be started by this release";
    let finding = Diagnostic::error(Code("E0331"), title)
        .help("leave `node` out: the client runs where toolorch does; for a node that is this machine say `transport: local`");
    labelled(ctx, finding)
}

fn labelled(ctx: &Ctx<'_>, finding: Diagnostic) -> Option<Diagnostic> {
    let nodes = remote_nodes(ctx);
    if nodes.is_empty() {
        return None;
    }
    let path = |name: &NodeName| FieldPath::root().key("nodes").key(name.as_str());
    let shown = nodes.iter().take(SHOWN);
    Some(shown.fold(finding, |finding, name| {
        finding.at(Place::Key(path(name)), "another machine, reached over ssh")
    }))
}

/// Nodes of other machines on which a client is started by ssh, in the order of the plan.
fn remote_nodes<'a>(ctx: &Ctx<'a>) -> Vec<&'a NodeName> {
    let by_ssh = ctx
        .plan
        .units
        .iter()
        .filter(|unit| matches!(unit.kind, UnitKind::Eval { .. }))
        .filter(|unit| unit.launcher != LauncherKind::Slurm);
    let used: HashSet<&NodeName> = by_ssh.map(|unit| &unit.node).collect();
    let remote = |node: &&PlanNode| node.is_remote() && used.contains(&node.name);
    ctx.plan
        .nodes
        .iter()
        .filter(remote)
        .map(|node| &node.name)
        .collect()
}
