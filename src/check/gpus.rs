//! GPUs: those that are named exist, and nobody shares one by mistake.

use std::collections::HashMap;

use crate::base::{FieldPath, GpuIndex, NodeName};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::knowledge::release::Release;
use crate::plan::inherit;
use crate::plan::{PlanNode, Unit, UnitKind};
use crate::spec::model::NodeGpus;

use super::Ctx;

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    named_twice(ctx, report);
    absent(ctx, report);
    shared(ctx, report);
}

/// A list of a node's GPUs that names one twice: two servers would be packed onto it.
fn named_twice(ctx: &Ctx<'_>, report: &mut Report) {
    for (name, node) in &ctx.spec.nodes {
        let NodeGpus::List(gpus) = &node.gpus else {
            continue;
        };
        let again = (0..gpus.len()).find(|&index| gpus[..index].contains(&gpus[index]));
        if let Some(index) = again {
            let path = FieldPath::root().key("nodes").key(name.as_str());
            report.push(
                Diagnostic::error(
                    Code("E0317"),
                    format!("GPU {} of `{name}` is named twice", gpus[index]),
                )
                .at(Place::Value(path.key("gpus").index(index)), "again"),
            );
        }
    }
}

fn absent(ctx: &Ctx<'_>, report: &mut Report) {
    let nodes: HashMap<&NodeName, &PlanNode> = (ctx.plan.nodes.iter())
        .map(|node| (&node.name, node))
        .collect();
    let mut said: Vec<(&FieldPath, GpuIndex)> = Vec::new();
    for unit in &ctx.plan.units {
        let Some(node) = nodes.get(&unit.node) else {
            continue;
        };
        for gpu in unit.gpus.iter().filter(|gpu| !node.gpus.contains(gpu)) {
            if said.contains(&(&unit.origin, *gpu)) {
                continue;
            }
            said.push((&unit.origin, *gpu));
            report.push(
                Diagnostic::error(
                    Code("E0310"),
                    format!(
                        "`{}` wants GPU {gpu}, which `{}` does not have",
                        unit.id, node.name
                    ),
                )
                .at(Place::Value(unit.origin.key("gpus")), "GPUs count from 0")
                .see(
                    Place::Value(
                        FieldPath::root()
                            .key("nodes")
                            .key(node.name.as_str())
                            .key("gpus"),
                    ),
                    has(node),
                ),
            );
        }
    }
}

fn has(node: &PlanNode) -> String {
    match node.gpus.as_slice() {
        [] => "it has none".to_owned(),
        gpus => {
            let all: Vec<String> = gpus.iter().map(ToString::to_string).collect();
            format!("it has {}", all.join(", "))
        }
    }
}

/// What takes a part of a GPU.
struct Use<'a> {
    unit: &'a Unit,
    /// The share of its memory; unknown for a service.
    share: Option<f64>,
}

fn shared(ctx: &Ctx<'_>, report: &mut Report) {
    let mut uses: HashMap<(&NodeName, GpuIndex), Vec<Use<'_>>> = HashMap::new();
    let mut order: Vec<(&NodeName, GpuIndex)> = Vec::new();
    for unit in &ctx.plan.units {
        let share = share(ctx, unit);
        for gpu in &unit.gpus {
            let uses = uses.entry((&unit.node, *gpu)).or_default();
            uses.push(Use { unit, share });
            if uses.len() == 2 {
                order.push((&unit.node, *gpu));
            }
        }
    }
    let mut said: Vec<(&FieldPath, &FieldPath)> = Vec::new();
    for key in order {
        let [first, second, ..] = uses[&key].as_slice() else {
            continue;
        };
        let pair = (&first.unit.origin, &second.unit.origin);
        if said.contains(&pair) {
            continue;
        }
        if let Some(finding) = sharing(key.0, key.1, &uses[&key]) {
            said.push(pair);
            report.push(finding);
        }
    }
}

fn sharing(node: &NodeName, gpu: GpuIndex, uses: &[Use<'_>]) -> Option<Diagnostic> {
    let [first, second, ..] = uses else {
        return None;
    };
    let sum: f64 = uses.iter().filter_map(|one| one.share).sum();
    let known = uses.iter().all(|one| one.share.is_some());
    if known && sum <= 1.0 + f64::EPSILON {
        return None;
    }
    let names: Vec<String> = uses
        .iter()
        .map(|one| format!("`{}`", one.unit.id))
        .collect();
    let names = names.join(" and ");
    let said = |one: &Use<'_>| match one.share {
        Some(share) => format!(
            "`{}` takes {:.0} % of its memory",
            one.unit.id,
            share * 100.0
        ),
        None => format!("what `{}` takes is not known", one.unit.id),
    };
    let finding = if known {
        Diagnostic::error(
            Code("E0311"),
            format!(
                "GPU {gpu} of `{node}` is used by {names}, {:.0} % of its memory in all",
                sum * 100.0
            ),
        )
    } else {
        Diagnostic::warning(
            Code("W0311"),
            format!("GPU {gpu} of `{node}` is used by {names}"),
        )
    };
    Some(
        finding
            .at(Place::Value(second.unit.origin.key("gpus")), said(second))
            .see(Place::Value(first.unit.origin.key("gpus")), said(first))
            .help("give each its own GPU, or set `gpu_memory_utilization` so that they add up to at most 1"),
    )
}

fn share(ctx: &Ctx<'_>, unit: &Unit) -> Option<f64> {
    let UnitKind::Replica { model, .. } = &unit.kind else {
        return None;
    };
    let name = model;
    let model = ctx.spec.models.get(name)?;
    Some(
        model
            .gpu_memory_utilization
            .unwrap_or_else(|| default_share(inherit::release(ctx.spec, name))),
    )
}

/// vLLM's own default: 0.9, and 0.92 in 0.32.
fn default_share(release: Option<Release>) -> f64 {
    match release {
        Some(release) if release >= Release::new(0, 32, 0) => 0.92,
        _ => 0.9,
    }
}
