//! What a look at the machines shows, held against the plan.

use std::collections::BTreeSet;

use super::Ctx;
use super::{node_disks, node_gpus, node_programs, node_queue, node_vllm};
use crate::base::{EvalName, FieldPath, NodeName};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::{Known, NodeLook, PathKind, PortHolder};
use crate::plan::inspect::{self, Inspected};
use crate::plan::sites::is_loopback;
use crate::plan::weights::Weights;
use crate::plan::{PlanNode, Unit, UnitKind};

/// A clock that is off by less does no harm, in milliseconds: times of logs and results are compared by the minute.
const CLOCK: u64 = 5_000;

/// One machine of the plan with what it said, and what is started there.
pub(super) struct Looked<'a> {
    pub(super) node: &'a PlanNode,
    pub(super) look: &'a NodeLook,
    pub(super) units: Vec<&'a Unit>,
}

/// All findings of a look; warnings that are allowed are left out.
pub fn nodes(ctx: &Ctx<'_>, weights: &Weights, looked: &[Inspected]) -> Report {
    let mut report = Report::new();
    for one in looked {
        let place = place(ctx, one);
        let look = match &one.look {
            Known::Unknown(why) => {
                report.push(unasked(one, why, place));
                continue;
            }
            Known::Known(look) if !look.is_whole() => {
                report.push(unasked(one, "its answer was cut short", place));
                continue;
            }
            Known::Known(look) => look,
        };
        report.extend(clock(one, look, place));
        if one.inspection.queue {
            node_queue::check(ctx, &one.inspection.access, look, &mut report);
        }
        let node = ctx
            .plan
            .nodes
            .iter()
            .find(|node| node.name == one.inspection.name);
        if let Some(node) = node {
            let looked = Looked {
                node,
                look,
                units: inspect::direct(ctx.plan, &node.name),
            };
            of_node(ctx, &looked, weights, &mut report);
        }
    }
    super::allow::of_nodes(ctx.spec, report)
}

fn of_node(ctx: &Ctx<'_>, looked: &Looked<'_>, weights: &Weights, report: &mut Report) {
    node_programs::check(ctx, looked, report);
    node_gpus::check(ctx, looked, report);
    node_vllm::check(ctx, looked, report);
    report.extend(open_files(ctx, looked));
    paths(ctx, looked, report);
    node_disks::disks(ctx, looked, weights, report);
    ports(ctx, looked, report);
}

/// Where the YAML speaks of a machine.
fn place(ctx: &Ctx<'_>, one: &Inspected) -> Place {
    let root = FieldPath::root();
    if one.inspection.queue {
        return Place::Value(root.key("slurm").key("login"));
    }
    Place::Key(node_path(ctx, &one.inspection.name))
}

pub(super) fn node_path(ctx: &Ctx<'_>, name: &NodeName) -> FieldPath {
    let root = FieldPath::root();
    if ctx.spec.nodes.contains_key(name) {
        return root.key("nodes").key(name.as_str());
    }
    let unit = ctx.plan.units.iter().find(|unit| unit.node == *name);
    unit.map_or(root, |unit| unit.origin.clone())
}

fn unasked(one: &Inspected, why: &str, place: Place) -> Diagnostic {
    let title = format!("`{}` could not be looked at", one.inspection.name);
    Diagnostic::error(Code("E0701"), title)
        .at(place, "nothing is known of it")
        .help(why.to_owned())
}

fn clock(one: &Inspected, look: &NodeLook, place: Place) -> Option<Diagnostic> {
    let off = look.clock_error(one.between.0, one.between.1);
    if off.unsigned_abs() < CLOCK {
        return None;
    }
    let way = if off > 0 { "ahead of" } else { "behind" };
    let seconds = off.unsigned_abs() / 1000;
    let title = format!(
        "the clock of `{}` is {seconds} s {way} that of this machine",
        one.inspection.name
    );
    Some(
        Diagnostic::warning(Code("W0716"), title)
            .at(
                place,
                "times of logs, results and leases would not fit together",
            )
            .help("have both keep time (`chronyc tracking`, `timedatectl`)"),
    )
}

/// What a limit below the wanted one does not harm; nobody wrote the wanted one.
const FILES: u64 = 4096;

fn open_files(ctx: &Ctx<'_>, looked: &Looked<'_>) -> Option<Diagnostic> {
    let hard = looked.look.open_files?.hard;
    let needed = |unit: &&&Unit| match &unit.kind {
        UnitKind::Eval { name } if is_written(ctx, name) => unit.open_files,
        _ => unit.open_files.min(FILES),
    };
    let most = looked.units.iter().max_by_key(needed)?;
    if hard >= needed(&most) {
        return None;
    }
    let title = format!(
        "`{}` asks for {} open files, and `{}` allows {hard}",
        most.id, most.open_files, looked.node.name
    );
    Some(
        Diagnostic::warning(Code("W0711"), title)
            .at(
                Place::Value(most.origin.key("limits").key("open_files")),
                "it will get what is allowed",
            )
            .help(
                "have the hard limit of that machine raised (`ulimit -Hn`, /etc/security/limits.conf)",
            ),
    )
}

fn is_written(ctx: &Ctx<'_>, eval: &EvalName) -> bool {
    let limits = ctx
        .spec
        .evals
        .get(eval)
        .and_then(|eval| eval.limits.as_ref());
    limits.is_some_and(|limits| limits.open_files.is_some())
}

fn paths(ctx: &Ctx<'_>, looked: &Looked<'_>, report: &mut Report) {
    let mut said = BTreeSet::new();
    for unit in &looked.units {
        for (path, key) in inspect::paths_of(ctx.spec, unit) {
            let kind = looked.look.paths.get(&path).and_then(Known::get);
            let wrong = match (kind, key) {
                (Some(PathKind::Absent), _) => "is not there",
                (Some(PathKind::File | PathKind::Other), Some("cwd")) => "is no folder",
                _ => continue,
            };
            if !said.insert((unit.origin.to_string(), path.clone())) {
                continue;
            }
            let place = match key {
                Some(key) => Place::Value(unit.origin.key(key)),
                None => Place::Key(unit.origin.clone()),
            };
            let title = format!("`{path}` {wrong} on `{}`", looked.node.name);
            let label = match key {
                Some("cwd") => "it is to run there",
                Some(_) => "it is read from there",
                None => "a line of its `setup` reads it",
            };
            report.push(
                Diagnostic::error(Code("E0712"), title)
                    .at(place, label)
                    .help("bring it there, or name the one that is meant"),
            );
        }
    }
}

fn ports(ctx: &Ctx<'_>, looked: &Looked<'_>, report: &mut Report) {
    for unit in &looked.units {
        for port in unit.port.iter().chain(&unit.more_ports) {
            let holders = looked.look.ports.get(&port.0).into_iter().flatten();
            let mut others = holders.filter(|holder| {
                !holder.who.is_of(ctx.plan.cluster.as_str()) && meets(unit, holder)
            });
            let Some(holder) = others.next() else {
                continue;
            };
            if unit.port_auto {
                continue;
            }
            let title = format!(
                "port {port} of `{}`, which `{}` wants, is taken",
                looked.node.name, unit.id
            );
            report.push(
                Diagnostic::error(Code("E0714"), title)
                    .at(
                        Place::Value(unit.origin.key("port")),
                        "somebody listens there",
                    )
                    .help(format!(
                        "{} at {}",
                        holder.who.words(holder.pid),
                        holder.address
                    ))
                    .help("end it, or write another port or `auto`"),
            );
        }
    }
}

/// Whether both can not have the port: one of them takes all addresses, or both the same. What a host's name leads to there is
/// not known, so that any address but loopback may be its own.
fn meets(unit: &Unit, holder: &PortHolder) -> bool {
    let there = holder.address.as_str();
    if matches!(there, "0.0.0.0" | "::") || unit.address == there {
        return true;
    }
    !is_loopback(&unit.address) && !is_loopback(there)
}
