//! Addresses: what clients connect to must lead to the node.

use crate::base::FieldPath;
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::Known;
use crate::plan::PlanNode;
use crate::spec::model::{ClientConfigFormat, LauncherKind, Reach, TransportKind};

use super::Ctx;

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    let mut unresolved: Vec<&PlanNode> = Vec::new();
    for node in &ctx.plan.nodes {
        let Some(of_yaml) = ctx.spec.nodes.get(&node.name) else {
            continue;
        };
        // Where a tunnel ends is the other machine's affair, and clients of this one are led through it.
        if of_yaml.reach == Some(Reach::Tunnel) {
            continue;
        }
        let path = place_of(node, of_yaml.address.is_some());
        if node.address.contains(':') {
            ipv6(ctx, node, &path, report);
        }
        if node.transport == TransportKind::Local && !only_slurm(ctx, node) {
            continue;
        }
        let resolved = ctx.facts.addresses.get(&node.name);
        match resolved {
            _ if is_loopback(&node.address) => report.push(loopback(node, &node.address, path)),
            Some(Known::Known(all)) if all.is_empty() => unresolved.push(node),
            Some(Known::Known(all)) => {
                if let Some(address) = all.iter().find(|address| is_loopback(address)) {
                    report.push(loopback(node, address, path));
                }
            }
            Some(Known::Unknown(_)) | None => {}
        }
    }
    if let Some(finding) = not_resolved(&unresolved) {
        report.push(finding);
    }
}

fn place_of(node: &PlanNode, written: bool) -> Place {
    let path = FieldPath::root().key("nodes").key(node.name.as_str());
    if written {
        Place::Value(path.key("address"))
    } else {
        Place::Key(path)
    }
}

/// Whether all that runs on a node is started by SLURM.
fn only_slurm(ctx: &Ctx<'_>, node: &PlanNode) -> bool {
    let of_yaml = ctx.spec.nodes.get(&node.name);
    of_yaml
        .is_some_and(|node| node.launcher == Some(LauncherKind::Slurm) && node.transport.is_none())
}

fn is_loopback(address: &str) -> bool {
    let word = address.trim_start_matches('[').trim_end_matches(']');
    word == "localhost" || word == "::1" || word.starts_with("127.") || word == "0.0.0.0"
}

fn loopback(node: &PlanNode, address: &str, place: Place) -> Diagnostic {
    Diagnostic::error(
        Code("E0320"),
        format!("`{}` is another machine, but its address leads back to this one", node.name),
    )
    .at(place, format!("this is {address}"))
    .help(
        "Debian writes a host's own name to 127.0.1.1: give the node an `address` that others can reach; \
         for a node that is this machine say `transport: local`",
    )
}

fn ipv6(ctx: &Ctx<'_>, node: &PlanNode, place: &Place, report: &mut Report) {
    let format = ClientConfigFormat::Toolorchestra;
    if ctx
        .plan
        .configs
        .iter()
        .any(|config| config.format == format)
    {
        report.push(
            Diagnostic::error(
                Code("E0322"),
                format!(
                    "ToolOrchestra's clients cannot reach the IPv6 address of `{}`",
                    node.name
                ),
            )
            .at(place.clone(), "they write it into a URL without brackets")
            .help("give the node a host name or an IPv4 address"),
        );
    }
}

fn not_resolved(nodes: &[&PlanNode]) -> Option<Diagnostic> {
    if nodes.is_empty() {
        return None;
    }
    let names: Vec<String> = nodes
        .iter()
        .map(|node| format!("`{}`", node.name))
        .collect();
    let title = match names.as_slice() {
        [one] => format!("{one} has no address here"),
        many => format!("{} have no address here", many.join(", ")),
    };
    let finding = Diagnostic::note(Code("N0321"), title)
        .help("where clients run these names must lead to the nodes; there it is looked up again");
    Some(nodes.iter().fold(finding, |finding, node| {
        finding.at(
            place_of(node, false),
            "not found by this machine's resolver",
        )
    }))
}
