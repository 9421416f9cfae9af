//! What would stop a start, said before anything is started.

use std::collections::BTreeSet;

use crate::base::UnitId;
use crate::facts::{Facts, Known, Listener};
use crate::plan::{Plan, Unit};
use crate::spec::model::{LauncherKind, TransportKind};
use crate::world;

/// Everything in the way of starting these units; empty if nothing is.
pub(super) fn obstacles(plan: &Plan, facts: &Facts, starting: &BTreeSet<UnitId>) -> Vec<String> {
    let units: Vec<&Unit> = plan
        .units
        .iter()
        .filter(|unit| starting.contains(&unit.id))
        .collect();
    let mut found = missing_programs(&units, facts);
    found.extend(busy_ports(&units));
    for node in &plan.nodes {
        if node.transport != TransportKind::Local && units.iter().any(|u| u.node == node.name) {
            found.push(format!(
                "node `{}` is reached over ssh, which this release does not do yet",
                node.name
            ));
        }
    }
    found
}

fn missing_programs(units: &[&Unit], facts: &Facts) -> Vec<String> {
    let mut needed: BTreeSet<(&str, &str)> = BTreeSet::new();
    needed.insert(("bash", "every unit"));
    needed.insert(("setsid", "every unit"));
    needed.insert(("flock", "every unit"));
    for unit in units {
        if unit.launcher == LauncherKind::Tmux {
            needed.insert(("tmux", "`launcher: tmux`"));
        }
    }
    let mut missing: Vec<String> = needed
        .into_iter()
        .filter(|(program, _)| !present(program, facts))
        .map(|(program, who)| format!("`{program}` is not on PATH; {who} needs it"))
        .collect();
    let mut said = BTreeSet::new();
    for unit in units {
        // An environment or setup line of its own may bring the program.
        let own = &unit.env;
        let plain = own.conda.is_none()
            && own.venv.is_none()
            && own.modules.is_empty()
            && own.setup.is_empty()
            && !own.set.contains_key("PATH");
        let Some(program) = unit.argv.first() else {
            continue;
        };
        let named = !program.contains('/');
        if plain && named && !present(program, facts) && said.insert(program.clone()) {
            missing.push(format!(
                "`{program}` is not on PATH; `{}` needs it (or name its `env: {{conda: …}}` or `{{venv: …}}`)",
                unit.id
            ));
        }
    }
    missing
}

fn present(program: &str, facts: &Facts) -> bool {
    match facts.programs.get(program) {
        Some(found) => found.is_some(),
        None => world::find_program(program).is_some(),
    }
}

fn busy_ports(units: &[&Unit]) -> Vec<String> {
    // Owners are looked up only if a port is really taken.
    let Known::Known(taken) = world::listening() else {
        return Vec::new();
    };
    let clashes = |listener: &Listener| {
        units
            .iter()
            .any(|unit| unit.port == Some(listener.port) && overlaps(&unit.address, listener))
    };
    if !taken.iter().any(clashes) {
        return Vec::new();
    }
    let Known::Known(owned) = world::listeners() else {
        return Vec::new();
    };
    units
        .iter()
        .filter_map(|unit| {
            let port = unit.port?;
            let owner = owned
                .iter()
                .find(|listener| listener.port == port && overlaps(&unit.address, listener))?;
            Some(format!(
                "port {port} of `{}` is in use by {}; stop it, or give another `port`",
                unit.id,
                words(owner)
            ))
        })
        .collect()
}

/// Whether a bound address is in the way of another.
fn overlaps(address: &str, listener: &Listener) -> bool {
    let any = |text: &str| matches!(text, "0.0.0.0" | "::");
    let literal = address.parse::<std::net::IpAddr>().is_ok();
    any(&listener.address) || any(address) || !literal || listener.address == address
}

fn words(owner: &Listener) -> String {
    match (&owner.pid, &owner.command, &owner.user) {
        (Some(pid), Some(command), Some(user)) => format!("pid {pid} of {user} (`{command}`)"),
        (Some(pid), ..) => format!("pid {pid}"),
        _ => "a process of another user".to_owned(),
    }
}
