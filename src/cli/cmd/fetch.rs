//! `toolorch fetch`: weights into caches, before any GPU is held.

use std::collections::BTreeSet;

use crate::base::{ExitStatus, bytes};
use crate::cli::args::FetchArgs;
use crate::cli::fetching::{Interrupts, commit};
use crate::cli::load::{Cluster, load};
use crate::cli::printer::Printer;
use crate::cli::weights;
use crate::plan::weights::{Wanted, Weights};
use crate::spec::{LaterKey, later_keys, later_refusal};
use crate::world::hub::{self, CacheLook};

pub(in crate::cli) fn run(args: &FetchArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let mut loaded = load(&args.cluster, printer)?;
    let mut later = later_keys(&loaded.document);
    later.retain(LaterKey::is_of_weights);
    loaded.diagnostics.extend(later_refusal(&later, "fetch"));
    let (_, cluster) = loaded.ready(printer, false)?;
    let weights = weights::of(&cluster, &BTreeSet::new());
    if weights.wanted.is_empty() && weights.local.is_empty() && weights.unknown.is_empty() {
        printer.say("no server of this cluster loads weights");
        return Ok(ExitStatus::Done);
    }
    folders(&weights, &cluster, printer)?;
    let (mut lacking, mut forbidden) = (Vec::new(), Vec::new());
    for wanted in &weights.wanted {
        let look = hub::look(wanted);
        match weights::lacks(wanted, &look) {
            Some(why) if wanted.offline => forbidden.push(why),
            None if wanted.offline || !args.refresh => say_whole(wanted, &look, printer),
            _ => lacking.push(wanted.clone()),
        }
    }
    if !forbidden.is_empty() {
        for why in forbidden {
            printer.complain(&format!("error: {why}"));
        }
        printer.complain(
            "help: `hf: { offline: true }` forbids to ask a hub: fetch without it (`--set hf.offline=false`)\nnothing was downloaded",
        );
        return Err(ExitStatus::Refused);
    }
    if !lacking.is_empty() {
        weights::bring(&lacking, Interrupts::Told, printer)?;
    }
    say_unseen(&weights, printer);
    Ok(ExitStatus::Done)
}

fn say_whole(wanted: &Wanted, look: &CacheLook, printer: Printer) {
    let CacheLook::Whole {
        commit: found,
        bytes: size,
    } = look
    else {
        return;
    };
    let size = size.map_or_else(String::new, |size| format!(" ({})", bytes(size)));
    printer.say(&format!(
        "`{}` is in the cache `{}`{size}, {}",
        wanted.repo,
        wanted.hub.display(),
        commit(&wanted.revision, found)
    ));
}

/// Models that are folders of this machine are there, or nothing is begun.
fn folders(weights: &Weights, cluster: &Cluster, printer: Printer) -> Result<(), ExitStatus> {
    let mut absent = false;
    for local in weights.local.iter().filter(|local| local.here) {
        let found = cluster
            .facts
            .paths
            .get(&local.path)
            .and_then(|found| found.get());
        if found.is_none_or(|kind| *kind == crate::facts::PathKind::Directory) {
            printer.say(&format!(
                "`{}` (model `{}`) is a folder of this machine",
                local.path, local.model
            ));
        } else {
            absent = true;
            printer.complain(&format!(
                "error: there is no folder `{}` (model `{}`)",
                local.path, local.model
            ));
        }
    }
    if absent {
        Err(ExitStatus::Refused)
    } else {
        Ok(())
    }
}

/// What was not looked at is said: nobody may take it for proved.
fn say_unseen(weights: &Weights, printer: Printer) {
    for other in &weights.unknown {
        printer.say(&format!(
            "not looked at: the weights of model `{}`: {}",
            other.model, other.why
        ));
    }
    for local in weights.local.iter().filter(|local| !local.here) {
        printer.say(&format!(
            "not looked at: `{}` (model `{}`) is a folder of another machine",
            local.path, local.model
        ));
    }
    for wanted in weights
        .wanted
        .iter()
        .filter(|wanted| !wanted.elsewhere.is_empty())
    {
        let names = wanted.elsewhere.iter().map(|node| format!("`{node}`"));
        let names: Vec<String> = names.collect();
        printer.say(&format!(
            "not looked at: {}: there `{}` is found only if `{}` is the same folder as here",
            names.join(", "),
            wanted.repo,
            wanted.hub.display()
        ));
    }
}
