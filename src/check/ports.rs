//! Ports: nobody's twice.

use std::collections::{HashMap, HashSet};

use crate::base::{FieldPath, UnitId};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::{Facts, Listener};
use crate::plan::ports::listens_on;
use crate::plan::sites::is_loopback;
use crate::plan::{Plan, Unit};

use super::{Ctx, Ours};

/// Ports below this one are for servers of the system.
const PRIVILEGED: u16 = 1024;

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    reserved(ctx, report);
    let mut owner: HashMap<(&str, Option<&str>, u16), &Unit> =
        HashMap::with_capacity(ctx.plan.units.len());
    let here: HashSet<&UnitId> = ctx.plan.units_here().map(|unit| &unit.id).collect();
    let mut said: HashSet<(&FieldPath, &FieldPath)> = HashSet::new();
    for unit in &ctx.plan.units {
        let Some(port) = unit.port else { continue };
        // A loopback address of another machine is that machine's alone.
        let apart = is_loopback(&unit.address) && !here.contains(&unit.id);
        let machine = apart.then_some(unit.node.as_str());
        let Some(other) = owner.insert((unit.address.as_str(), machine, port.0), unit) else {
            continue;
        };
        // Two models collide in many ports at once, which is one mistake.
        if !said.insert((&other.origin, &unit.origin)) {
            continue;
        }
        report.push(
            Diagnostic::error(
                Code("E0301"),
                format!(
                    "port {port} of `{}` is wanted by `{}` and `{}`",
                    unit.address, other.id, unit.id
                ),
            )
            .at(
                Place::Value(unit.origin.key("port")),
                format!("`{}` begins here", unit.origin.last()),
            )
            .see(
                Place::Value(other.origin.key("port")),
                format!("`{}` begins here, +1 for each replica", other.origin.last()),
            )
            .help("leave room for all replicas, or write `port: auto`"),
        );
    }
}

/// Written ports that only root may listen on, and those that the system gives away.
fn reserved(ctx: &Ctx<'_>, report: &mut Report) {
    let here: HashSet<&UnitId> = ctx.plan.units_here().map(|unit| &unit.id).collect();
    let given = ctx.facts.ephemeral_ports.get();
    let mut said: HashSet<&FieldPath> = HashSet::new();
    for unit in ctx.plan.units.iter().filter(|unit| !unit.port_auto) {
        let Some(port) = unit.port else { continue };
        let place = Place::Value(unit.origin.key("port"));
        let away = given.filter(|(first, last)| (*first..=*last).contains(&port.0));
        if port.0 < PRIVILEGED && said.insert(&unit.origin) {
            report.push(
                Diagnostic::warning(
                    Code("W0304"),
                    format!(
                        "port {port} of `{}` is one that only root may listen on",
                        unit.id
                    ),
                )
                .at(place, format!("below {PRIVILEGED}"))
                .help("choose a higher one, or write `port: auto`"),
            );
        } else if let Some((first, last)) = away
            && here.contains(&unit.id)
            && said.insert(&unit.origin)
        {
            report.push(
                Diagnostic::note(
                    Code("N0305"),
                    format!("port {port} of `{}` is one that this machine gives to outgoing connections", unit.id),
                )
                .at(place, format!("one of {first} to {last}"))
                .help("any program may hold it when the server starts: choose one below, or write `port: auto`"),
            );
        }
    }
}

/// Ports of this machine that somebody else listens on now: refused before anything starts.
///
/// Not a rule of `check`: while the cluster is up its own servers listen there.
pub(super) fn busy(plan: &Plan, facts: &Facts, ours: &Ours) -> Report {
    let Some(listeners) = facts.listeners.get() else {
        return Report::new();
    };
    let mut by_port: HashMap<u16, Vec<&Listener>> = HashMap::new();
    for listener in listeners {
        by_port.entry(listener.port.0).or_default().push(listener);
    }
    let mut report = Report::new();
    for unit in plan.units_here() {
        let Some(port) = unit.port else { continue };
        let at_port = by_port.get(&port.0).into_iter().flatten();
        let clash = at_port
            .filter(|listener| match listener.pid {
                Some(pid) => !ours.pids.contains(&pid),
                None => !ours.units.contains(&unit.id),
            })
            .find(|listener| listens_on(&listener.address, &unit.address));
        if let Some(listener) = clash {
            let place = Place::Value(unit.origin.key("port"));
            report.push(
                Diagnostic::error(
                    Code("E0303"),
                    format!(
                        "port {port} for `{}` is in use by {}",
                        unit.id,
                        listener.whom()
                    ),
                )
                .at(
                    place,
                    format!("`{}` listens there on {}", unit.id, unit.address),
                )
                .help("stop that process, choose another port, or write `port: auto`"),
            );
        }
    }
    report
}
