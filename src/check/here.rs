//! What cannot be proved on this machine, said once.

use crate::base::FieldPath;
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::PathKind;
use crate::plan::evals::{node_of, paths_of};
use crate::plan::paths;

use super::Ctx;

/// What stands at a path of this machine, where that was looked up.
pub(super) fn kind(ctx: &Ctx<'_>, path: &str) -> Option<PathKind> {
    ctx.facts.paths.get(path)?.get().copied()
}

/// Whether a directory is known to be absent here.
pub(super) fn is_absent(ctx: &Ctx<'_>, path: &str) -> bool {
    kind(ctx, path) == Some(PathKind::Absent)
}

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    let home = ctx.facts.home.get().map(String::as_str);
    let mut absent: Vec<(String, FieldPath)> = Vec::new();
    for (name, eval) in &ctx.spec.evals {
        let cwd = paths_of(eval, &ctx.facts.yaml_dir, home).cwd;
        if node_of(eval).is_none() && is_absent(ctx, &cwd) {
            absent.push((cwd, FieldPath::root().key("evals").key(name.as_str())));
        }
    }
    for unit in ctx.plan.units_here().filter(|unit| unit.port.is_some()) {
        let Some(cwd) = &unit.cwd else { continue };
        let cwd = paths::expanded(cwd, home);
        let said = absent.iter().any(|(_, origin)| *origin == unit.origin);
        if !said && is_absent(ctx, &cwd) {
            absent.push((cwd, unit.origin.clone()));
        }
    }
    if absent.is_empty() {
        return;
    }
    let mut dirs: Vec<String> = absent.iter().map(|(cwd, _)| format!("`{cwd}`")).collect();
    dirs.sort_unstable();
    dirs.dedup();
    let finding = Diagnostic::note(
        Code("N0519"),
        format!("not proved here: {} does not exist on this machine", dirs.join(", ")),
    )
    .help("files, environments and datasets of these units are checked where they run: call `check` on that machine");
    report.push(absent.into_iter().fold(finding, |finding, (_, origin)| {
        finding.at(Place::Value(origin.key("cwd")), "absent here")
    }));
}
