//! Containers: each must be one that its unit can enter.

use std::path::Path;

use crate::base::FieldPath;
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::plan::{Unit, UnitKind};
use crate::spec::Origin;
use crate::spec::model::{Container, ContainerRuntime, LauncherKind};
use crate::spec::resolve::{self, Activation};

use super::Ctx;

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    let mut said = Vec::new();
    for unit in &ctx.plan.units {
        let Some((container, path)) = container_of(ctx, unit) else {
            continue;
        };
        for finding in findings(unit, &container, &path) {
            if !said.contains(&finding) {
                said.push(finding);
            }
        }
    }
    report.extend(said);
}

/// The container of a unit, and where it is written.
fn container_of(ctx: &Ctx<'_>, unit: &Unit) -> Option<(Container, FieldPath)> {
    let env = match &unit.kind {
        UnitKind::Replica { model, .. } => resolve::model_env(ctx.spec, model, &unit.node),
        UnitKind::Service { name } => resolve::service_env(ctx.spec, name, &unit.node),
        UnitKind::Eval { name } => resolve::eval_env(ctx.spec, name),
        UnitKind::Tunnel { .. } => return None,
    };
    let activation = env.activation?;
    match (activation.value, activation.origin) {
        (Activation::Container(container), Origin::Yaml(path)) => Some((container, path)),
        _ => None,
    }
}

fn findings(unit: &Unit, container: &Container, path: &FieldPath) -> Vec<Diagnostic> {
    let refused = |title: &str, place: Place, label: String, help: &str| {
        let finding = Diagnostic::error(Code("E0603"), title);
        finding.at(place, label).help(help)
    };
    let mut found = Vec::new();
    let Container {
        runtime,
        image,
        mounts,
    } = container;
    if *runtime == ContainerRuntime::Pyxis && unit.launcher != LauncherKind::Slurm {
        found.push(refused(
            "Pyxis is a part of SLURM",
            Place::Value(path.key("runtime")),
            format!("`{}` is in no SLURM job", unit.id),
            "write `launcher: slurm`, or `runtime: apptainer`",
        ));
    }
    if image.trim().is_empty() || image.starts_with('-') || image.contains(['\n', '\r']) {
        found.push(refused(
            "an image that no runtime understands",
            Place::Value(path.key("image")),
            "a path or an address is needed".to_owned(),
            "write a path (`/shared/images/vllm.sif`) or an address (`docker://vllm/vllm-openai:v0.11.0`)",
        ));
    }
    found.extend(of_the_other(*runtime, image).map(|(label, help)| {
        let place = Place::Value(path.key("image"));
        refused(
            "an image of the other runtime",
            place,
            label.to_owned(),
            help,
        )
    }));
    let bad = mounts
        .iter()
        .enumerate()
        .filter(|(_, mount)| !is_mount(mount));
    found.extend(bad.map(|(index, _)| {
        refused(
            "a mount that no runtime understands",
            Place::Value(path.key("mounts").index(index)),
            "`HOST:INSIDE` is needed".to_owned(),
            "write `/data:/data`, or `/data:/data:ro`; without commas",
        )
    }));
    found
}

/// Why a runtime cannot read an image that another one could, and what to write. Apptainer and Singularity take a name
/// without a scheme for a file; enroot, which Pyxis asks, reads no SIF (enroot's doc/cmd/import.md).
fn of_the_other(runtime: ContainerRuntime, image: &str) -> Option<(&'static str, &'static str)> {
    let image = image.trim();
    let is_sif = Path::new(image).extension().is_some_and(|end| end == "sif");
    let is_file = is_sif || image.starts_with(['/', '~', '.', '$']);
    let is_address = image.contains("://") || !image.contains('/');
    match runtime {
        ContainerRuntime::Pyxis if is_sif => Some((
            "enroot reads no SIF image",
            "write its address (`docker://vllm/vllm-openai:v0.11.0`), or a squashfs file that `enroot import` made",
        )),
        ContainerRuntime::Apptainer | ContainerRuntime::Singularity if image.contains('#') => {
            Some((
                "`#` after the registry is enroot's way",
                "write `docker://REGISTRY/IMAGE:TAG`",
            ))
        }
        ContainerRuntime::Apptainer | ContainerRuntime::Singularity if !is_file && !is_address => {
            Some((
                "it would be looked for as a file",
                "write `docker://` before an address, or the whole path of a file",
            ))
        }
        _ => None,
    }
}

/// `HOST:INSIDE`, with flags maybe.
fn is_mount(mount: &str) -> bool {
    let parts: Vec<&str> = mount.split(':').collect();
    let plain = !mount.contains([',', '\n', '\r']) && mount.trim() == mount;
    let places = matches!(parts.as_slice(), [host, inside] | [host, inside, _] if host.starts_with(['/', '~', '$']) && inside.starts_with('/'));
    plain && places
}
