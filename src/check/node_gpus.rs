//! GPUs as they were seen on a machine: there, of the model that is written, with the memory that servers ask for.

use std::collections::{BTreeMap, BTreeSet};

use super::Ctx;
use super::nodes::{Looked, node_path};
use crate::base::GpuIndex;
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::{GpuFound, Known};
use crate::knowledge::gpus;
use crate::plan::{Unit, UnitKind, argv};
use crate::spec::model::Engine;

/// MiB that a driver or an idle process may hold without being in anybody's way.
const LITTLE: u64 = 1024;

pub(super) fn check(ctx: &Ctx<'_>, looked: &Looked<'_>, report: &mut Report) {
    let users: Vec<&Unit> = (looked.units.iter().copied())
        .filter(|unit| !unit.gpus.is_empty() && !is_simulated(ctx, unit))
        .collect();
    if users.is_empty() {
        return;
    }
    let path = node_path(ctx, &looked.node.name);
    let found = match &looked.look.gpus {
        Known::Known(found) => found,
        Known::Unknown(why) => {
            let title = format!("the GPUs of `{}` could not be looked at", looked.node.name);
            report.push(
                Diagnostic::warning(Code("W0703"), title)
                    .at(Place::Value(path.key("gpus")), why.clone())
                    .help("`nvidia-smi` in a shell there should list them"),
            );
            return;
        }
    };
    report.extend(absent(looked, found, &path));
    report.extend(other_model(looked, found, &path));
    report.extend(untold(looked, &users, found, &path));
    memory(ctx, looked, &users, found, report);
}

fn is_simulated(ctx: &Ctx<'_>, unit: &Unit) -> bool {
    let UnitKind::Replica { model, .. } = &unit.kind else {
        return false;
    };
    let model = ctx.spec.models.get(model);
    model.is_some_and(|model| argv::engine(model) == Engine::Sim)
}

fn absent(
    looked: &Looked<'_>,
    found: &[GpuFound],
    path: &crate::base::FieldPath,
) -> Option<Diagnostic> {
    let there = |gpu: &&GpuIndex| found.iter().any(|found| found.index == **gpu);
    let absent: Vec<String> = (looked.node.gpus.iter())
        .filter(|gpu| !there(gpu))
        .map(ToString::to_string)
        .collect();
    if absent.is_empty() {
        return None;
    }
    let title = format!("`{}` has no GPU {}", looked.node.name, absent.join(", "));
    Some(
        Diagnostic::error(Code("E0702"), title)
            .at(
                Place::Value(path.key("gpus")),
                format!("`nvidia-smi` lists {}", found.len()),
            )
            .help("write those that are there, or have the machine looked after"),
    )
}

fn other_model(
    looked: &Looked<'_>,
    found: &[GpuFound],
    path: &crate::base::FieldPath,
) -> Option<Diagnostic> {
    let written = looked.node.gpu.as_deref()?;
    let memory = gpus::memory_mib(written).map(u64::from);
    let differs = |gpu: &&GpuFound| {
        let (known, seen) = (gpus::gpu(written), gpus::gpu(&gpu.name));
        let names = known.zip(seen).is_some_and(|(a, b)| a.name != b.name);
        let size = memory
            .zip(gpu.total)
            .is_some_and(|(a, b)| a.abs_diff(b) * 10 > a);
        looked.node.gpus.contains(&gpu.index) && (names || size)
    };
    let other = found.iter().find(differs)?;
    let size = other
        .total
        .map_or_else(String::new, |mib| format!(" with {}", gib(mib)));
    let title = format!(
        "GPU {} of `{}` is no {written}",
        other.index, looked.node.name
    );
    Some(
        Diagnostic::warning(Code("W0704"), title)
            .at(
                Place::Value(path.key("gpu")),
                format!("it is a {}{size}", other.name),
            )
            .help("memory is reckoned with what is written here"),
    )
}

/// GPUs that are used, and whose memory is not told: whether it is free nobody knows.
fn untold(
    looked: &Looked<'_>,
    users: &[&Unit],
    found: &[GpuFound],
    path: &crate::base::FieldPath,
) -> Option<Diagnostic> {
    let used = |gpu: &&GpuFound| users.iter().any(|unit| unit.gpus.contains(&gpu.index));
    let untold = found
        .iter()
        .filter(|gpu| gpu.total.zip(gpu.used).is_none())
        .filter(used);
    let untold: BTreeSet<GpuIndex> = untold.map(|gpu| gpu.index).collect();
    if untold.is_empty() {
        return None;
    }
    let untold: Vec<String> = untold.iter().map(ToString::to_string).collect();
    let title = format!(
        "the free memory of GPU {} of `{}` is not known",
        untold.join(", "),
        looked.node.name
    );
    Some(
        Diagnostic::warning(Code("W0703"), title)
            .at(
                Place::Value(path.key("gpus")),
                "`nvidia-smi` does not say how much it has, or how much is in use",
            )
            .help("of a GPU in parts (MIG), and of one that shares the memory of its machine, it says `[N/A]`: whether there is enough only the start of the servers will show"),
    )
}

/// Servers whose GPUs have less memory free than they will ask for, and GPUs that others use beside ours.
fn memory(
    ctx: &Ctx<'_>,
    looked: &Looked<'_>,
    users: &[&Unit],
    found: &[GpuFound],
    report: &mut Report,
) {
    let mut short: BTreeMap<String, (&Unit, Vec<String>)> = BTreeMap::new();
    let mut shared: BTreeMap<String, (&Unit, Vec<String>)> = BTreeMap::new();
    for unit in users {
        for gpu in found.iter().filter(|gpu| unit.gpus.contains(&gpu.index)) {
            let Some((total, used)) = gpu.total.zip(gpu.used) else {
                continue;
            };
            let ours = gpu.holders.iter();
            let ours = ours.filter(|holder| holder.who.is_of(ctx.plan.cluster.as_str()));
            // What ours hold is not told in some containers, and then nobody can say what others do.
            let Some(ours) = ours.map(|holder| holder.used).sum::<Option<u64>>() else {
                continue;
            };
            let taken = used.saturating_sub(ours);
            let free = total.saturating_sub(taken);
            let wanted = unit.gpu_share.map(|share| total * u64::from(share) / 100);
            let into = match wanted {
                Some(wanted) if free < wanted => &mut short,
                _ if taken > LITTLE => &mut shared,
                _ => continue,
            };
            let line = format!(
                "GPU {}: {} of {} free{}; in use: {}",
                gpu.index,
                gib(free),
                gib(total),
                wanted.map_or_else(String::new, |wanted| format!(
                    ", and {} is asked for",
                    gib(wanted)
                )),
                holders(ctx, looked, gpu)
            );
            let entry = into
                .entry(unit.origin.to_string())
                .or_insert((unit, Vec::new()));
            if !entry.1.contains(&line) {
                entry.1.push(line);
            }
        }
    }
    let name = &looked.node.name;
    for (unit, lines) in short.into_values() {
        let title = format!(
            "GPUs of `{name}` have too little memory left for `{}`",
            unit.origin.last()
        );
        let finding = Diagnostic::error(Code("E0705"), title).at(
            Place::Key(unit.origin.clone()),
            "vLLM would refuse to start",
        );
        let finding = lines.into_iter().fold(finding, Diagnostic::help);
        report.push(finding.help(
            "have these processes ended, take other GPUs, or lower `gpu_memory_utilization`",
        ));
    }
    for (unit, lines) in shared.into_values() {
        let title = format!(
            "others use GPUs of `{name}` that `{}` will use",
            unit.origin.last()
        );
        let finding = Diagnostic::note(Code("N0706"), title).at(
            Place::Key(unit.origin.clone()),
            "both would share their time",
        );
        report.push(lines.into_iter().fold(finding, Diagnostic::help));
    }
}

/// Who holds memory of a GPU, but for ours.
fn holders(ctx: &Ctx<'_>, looked: &Looked<'_>, gpu: &GpuFound) -> String {
    let others = gpu
        .holders
        .iter()
        .filter(|holder| !holder.who.is_of(ctx.plan.cluster.as_str()));
    let words: Vec<String> = others
        .map(|holder| {
            let size = holder
                .used
                .map_or_else(String::new, |mib| format!(" {}", gib(mib)));
            format!("{}{size}", holder.who.words(Some(holder.pid)))
        })
        .collect();
    match (&looked.look.apps_hidden, words.is_empty()) {
        (Some(why), true) => format!("nobody can say by whom ({why})"),
        (None, true) => "by no process that can be seen".to_owned(),
        _ => words.join(", "),
    }
}

/// MiB for people.
pub(super) fn gib(mib: u64) -> String {
    format!("{}.{} GiB", mib / 1024, mib % 1024 * 10 / 1024)
}
