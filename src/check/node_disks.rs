//! Whether the disks of a machine have room for what is written there.

use std::collections::BTreeSet;

use super::Ctx;
use super::nodes::{Looked, node_path};
use crate::base::{FieldPath, Name, NodeName, bytes};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::{Disk, Known, PathKind};
use crate::plan::UnitKind;
use crate::plan::inspect::{STATE_DISK, stages};
use crate::plan::weights::Weights;

/// State, logs and compile caches of a node take less, in KiB: 1 GiB.
const STATE: u64 = 1 << 20;

pub(super) fn disks(ctx: &Ctx<'_>, looked: &Looked<'_>, weights: &Weights, report: &mut Report) {
    report.extend(kept(ctx, looked));
    report.extend(caches(ctx, looked, weights));
    report.extend(staged(ctx, looked));
}

/// Folders that grow while a run goes on.
fn kept(ctx: &Ctx<'_>, looked: &Looked<'_>) -> Vec<Diagnostic> {
    let name = &looked.node.name;
    let runs = ctx.facts.runs.get().map(String::as_str);
    let own = [
        (
            Some(STATE_DISK),
            "units keep their state there, and logs if the run's folder is not shared",
        ),
        (runs, "journals and logs of runs are kept there"),
    ];
    let own = own.into_iter().filter_map(|(path, what)| {
        let place = Place::Key(node_path(ctx, name));
        Some((path?, place, what))
    });
    let results = looked.units.iter().filter_map(|unit| {
        let place = Place::Value(unit.origin.key("results"));
        Some((
            unit.results_dir.as_deref()?,
            place,
            "results are written there",
        ))
    });
    let small = own.chain(results).filter_map(|(path, place, what)| {
        let disk = looked.look.disks.get(path)?;
        let title = format!("`{path}` of `{name}` has {} left", free(disk));
        (disk.free < STATE).then(|| {
            Diagnostic::warning(Code("W0713"), title)
                .at(place, what)
                .help(format!("make room on `{}`", disk.mount))
        })
    });
    small.collect()
}

fn free(disk: &Disk) -> String {
    bytes(disk.free.saturating_mul(1024))
}

/// Weights that are not in the cache and do not fit there.
fn caches(ctx: &Ctx<'_>, looked: &Looked<'_>, weights: &Weights) -> Vec<Diagnostic> {
    let too_small = weights.wanted.iter().filter_map(|wanted| {
        let cached = wanted.cache().root().to_string_lossy().into_owned();
        let absent = looked.look.paths.get(&cached).and_then(Known::get) == Some(&PathKind::Absent);
        let disk = looked.look.disks.get(&*wanted.hub.to_string_lossy())?;
        let model = wanted.models.first().filter(|_| absent)?;
        let help = format!(
            "make room, or have the cache `{}` elsewhere: `hf: {{ home: … }}`",
            wanted.hub.display()
        );
        let finding = too_large(ctx, model, disk, &looked.node.name)?;
        let path = FieldPath::root().key("models").key(model.as_str());
        let place = Place::Value(path.key("model"));
        Some(finding.at(place, "not in the cache there").help(help))
    });
    too_small.collect()
}

/// Weights that are to be copied to the node's own disk, where nothing was copied before.
fn staged(ctx: &Ctx<'_>, looked: &Looked<'_>) -> Vec<Diagnostic> {
    let stage = stages(&looked.units).into_iter().next();
    let absent =
        |path: &&str| looked.look.paths.get(*path).and_then(Known::get) == Some(&PathKind::Absent);
    let Some((path, disk)) = stage
        .filter(absent)
        .and_then(|path| Some((path, looked.look.disks.get(path)?)))
    else {
        return Vec::new();
    };
    let with = looked.units.iter().filter(|unit| unit.stage.is_some());
    let models: BTreeSet<&Name> = with
        .filter_map(|unit| match &unit.kind {
            UnitKind::Replica { model, .. } => Some(model),
            _ => None,
        })
        .collect();
    let too_small = models.into_iter().filter_map(|model| {
        let finding = too_large(ctx, model, disk, &looked.node.name)?;
        let place = Place::Value(FieldPath::root().key("hf").key("stage"));
        let help =
            "make room, stage elsewhere, or let servers load from the cache: without `hf.stage`";
        Some(
            finding
                .at(place, format!("`{path}` is on that disk"))
                .help(help),
        )
    });
    too_small.collect()
}

/// That the weights of a model are more than a disk has left.
fn too_large(ctx: &Ctx<'_>, model: &Name, disk: &Disk, node: &NodeName) -> Option<Diagnostic> {
    let spec = ctx.spec.models.get(model)?;
    let needed = super::shape::shape(ctx, model, spec)?.weights?;
    let title = format!(
        "the weights of `{model}` take {}, and `{}` of `{node}` has {} left",
        bytes(needed),
        disk.mount,
        free(disk)
    );
    (needed / 1024 > disk.free).then(|| Diagnostic::warning(Code("W0713"), title))
}
