//! What cannot be proved on this machine, said once.

use std::collections::BTreeMap;

use crate::base::FieldPath;
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::PathKind;
use crate::plan::ask::{
    activation, conda as conda_of, environments as environments_of, notify_program, own_program,
    sourced,
};
use crate::plan::evals::paths_of;
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
        if is_absent(ctx, &cwd) {
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
    if !absent.is_empty() {
        report.push(directories(absent));
    }
    report.extend(programs(ctx));
    report.extend(notify(ctx));
    report.extend(environments(ctx));
    report.extend(setup_files(ctx));
    report.extend(conda(ctx));
}

/// Whether the unit's own directory is missing, which one note says for all of its files.
fn is_elsewhere(ctx: &Ctx<'_>, origin: &FieldPath) -> bool {
    let home = ctx.facts.home.get().map(String::as_str);
    let unit = ctx.plan.units.iter().find(|unit| unit.origin == *origin);
    let cwd = unit.and_then(|unit| unit.cwd.as_deref());
    cwd.is_some_and(|cwd| is_absent(ctx, &paths::expanded(cwd, home)))
}

/// Files that `setup` reads and that are not here, each with its place in the YAML.
pub(super) fn absent_setups(ctx: &Ctx<'_>) -> BTreeMap<String, FieldPath> {
    let home = ctx.facts.home.get().map(String::as_str);
    let all = sourced(ctx.plan, home).into_iter();
    all.filter(|(file, origin)| is_absent(ctx, file) && !is_elsewhere(ctx, origin))
        .collect()
}

fn setup_files(ctx: &Ctx<'_>) -> Option<Diagnostic> {
    let absent = absent_setups(ctx);
    if absent.is_empty() {
        return None;
    }
    let names = absent.keys().map(String::as_str).collect();
    let finding = Diagnostic::note(
        Code("N0520"),
        format!(
            "not proved here: there is no {} for `setup` to read",
            listed(names)
        ),
    )
    .help("`up` here would refuse: write it there, or name the one that is meant");
    Some(absent.into_iter().fold(finding, |finding, (file, origin)| {
        finding.at(Place::Key(origin), format!("reads `{file}`"))
    }))
}

fn conda(ctx: &Ctx<'_>) -> Option<Diagnostic> {
    let known = ctx.facts.conda_envs.get()?;
    let all = conda_of(ctx.plan).into_iter();
    let absent: BTreeMap<String, FieldPath> = all
        .filter(|(name, origin)| {
            let path = name.trim_end_matches('/');
            !known.contains(path) && !name.starts_with('~') && !is_elsewhere(ctx, origin)
        })
        .collect();
    if absent.is_empty() {
        return None;
    }
    let names = absent.keys().map(String::as_str).collect();
    let finding = Diagnostic::note(
        Code("N0520"),
        format!("not proved here: no conda environment is called {}", listed(names)),
    )
    .help("conda is looked for where CONDA_EXE leads and in the usual places: make the environment, or name the one that is meant");
    Some(absent.into_iter().fold(finding, |finding, (name, origin)| {
        finding.at(Place::Key(origin), format!("activates `{name}`"))
    }))
}

/// Virtual environments that are not here: for each its place in the YAML.
pub(super) fn absent_environments(ctx: &Ctx<'_>) -> BTreeMap<String, FieldPath> {
    let home = ctx.facts.home.get().map(String::as_str);
    let all = environments_of(ctx.plan, home).into_iter();
    all.filter(|(venv, _)| is_absent(ctx, &activation(venv)))
        .collect()
}

fn environments(ctx: &Ctx<'_>) -> Option<Diagnostic> {
    let mut absent = absent_environments(ctx);
    absent.retain(|_, origin| !is_elsewhere(ctx, origin));
    if absent.is_empty() {
        return None;
    }
    let names = absent.keys().map(String::as_str).collect();
    let finding = Diagnostic::note(
        Code("N0520"),
        format!("not proved here: there is no environment {}", listed(names)),
    )
    .help("`up` here would refuse: make it, or name the one that is meant");
    Some(absent.into_iter().fold(finding, |finding, (venv, origin)| {
        finding.at(Place::Key(origin), format!("`{venv}` has no bin/activate"))
    }))
}

fn directories(absent: Vec<(String, FieldPath)>) -> Diagnostic {
    let dirs = absent.iter().map(|(cwd, _)| cwd.as_str()).collect();
    let finding = Diagnostic::note(
        Code("N0519"),
        format!("not proved here: {} does not exist on this machine", listed(dirs)),
    )
    .help("`up` here would refuse; if it is to run on another machine, call `check` there: files, environments and datasets of these units are checked where they are");
    absent.into_iter().fold(finding, |finding, (_, origin)| {
        finding.at(Place::Value(origin.key("cwd")), "absent here")
    })
}

/// Programs that PATH does not have, where no environment of the YAML could bring them.
fn programs(ctx: &Ctx<'_>) -> Option<Diagnostic> {
    let missing = |name: &str| matches!(ctx.facts.programs.get(name), Some(None));
    let mut units = ctx.plan.units_here().filter_map(|unit| {
        let program = own_program(unit).filter(|program| missing(program))?;
        Some((program, &unit.origin))
    });
    let absent: BTreeMap<&str, &FieldPath> = units.by_ref().collect();
    if absent.is_empty() {
        return None;
    }
    let finding = Diagnostic::note(
        Code("N0520"),
        format!("not proved here: PATH has no {}", listed(absent.keys().copied().collect())),
    )
    .help("`up` here would refuse: install it, or name the environment that holds it: `env: { conda: … }`");
    Some(
        absent
            .into_iter()
            .fold(finding, |finding, (program, origin)| {
                finding.at(Place::Key(origin.clone()), format!("runs `{program}`"))
            }),
    )
}

/// The command of `notify`, which runs where `up` does.
fn notify(ctx: &Ctx<'_>) -> Option<Diagnostic> {
    let program = notify_program(ctx.plan)?;
    if !matches!(ctx.facts.programs.get(program), Some(None)) {
        return None;
    }
    let absent = if program.contains('/') {
        "there is no program"
    } else {
        "PATH has no"
    };
    let finding = Diagnostic::note(
        Code("N0520"),
        format!("not proved here: {absent} `{program}`"),
    );
    let place = Place::Key(FieldPath::root().key("notify"));
    Some(
        finding
            .at(place, "nobody would hear of alarms")
            .help("`up` here would refuse: write it there and make it executable, or name another"),
    )
}

pub(super) fn listed(mut names: Vec<&str>) -> String {
    names.sort_unstable();
    names.dedup();
    format!("`{}`", names.join("`, `"))
}
