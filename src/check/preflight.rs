//! What must hold on this machine before anything starts; a refusal here is exit code 3.

use std::collections::{BTreeSet, HashSet};

use crate::base::{FieldPath, UnitId};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::plan::ask::{notify_program, own_program};
use crate::plan::paths;
use crate::spec::model::LauncherKind;

use super::{Ctx, here, ports};

/// What of this cluster's own is there already: it may listen where it should.
#[derive(Debug, Clone, Default)]
pub struct Ours {
    /// Processes that carry the run's mark.
    pub pids: BTreeSet<u32>,
    /// Units whose script or process was seen a moment before. A process that ends keeps its port for a while in which
    /// neither its mark nor its files can be seen.
    pub units: BTreeSet<UnitId>,
}

/// Busy ports (with the owner's pid), missing programs, missing directories.
pub fn preflight(ctx: &Ctx<'_>, ours: &Ours) -> Report {
    let mut report = ports::busy(ctx.plan, ctx.facts, ours);
    programs(ctx, &mut report);
    own_files(ctx, &mut report);
    directories(ctx, &mut report);
    for (venv, origin) in here::absent_environments(ctx) {
        report.push(
            Diagnostic::error(Code("E0606"), format!("there is no environment `{venv}`"))
                .at(Place::Key(origin), "it has no bin/activate")
                .help("make it (`python3 -m venv`), or name the one that is meant"),
        );
    }
    for (file, origin) in here::absent_setups(ctx) {
        report.push(
            Diagnostic::error(Code("E0615"), format!("there is no file `{file}`"))
                .at(Place::Key(origin), "a line of its `setup` reads it")
                .help("write it there, or name the one that is meant: without it the program would start in another environment"),
        );
    }
    report
}

/// Busy ports alone: what can change between a look at the plan and its start.
pub fn busy_ports(ctx: &Ctx<'_>, ours: &Ours) -> Report {
    ports::busy(ctx.plan, ctx.facts, ours)
}

fn programs(ctx: &Ctx<'_>, report: &mut Report) {
    let missing = |name: &str| matches!(ctx.facts.programs.get(name), Some(None));
    let mut said: HashSet<String> = HashSet::new();
    let mut say = |name: &str, place: Place, label: String| {
        if missing(name) && said.insert(name.to_owned()) {
            let (title, help) = if name.contains('/') {
                let title = format!("there is no program `{name}`");
                (
                    title,
                    "write it there and make it executable, or name another",
                )
            } else {
                let title = format!("`{name}` is not on PATH");
                let help = if name == "sbatch" {
                    "name the machine from which jobs are submitted: `slurm: { login: … }`, or call toolorch there"
                } else {
                    "install it, or name the environment that holds it: `env: { conda: … }`"
                };
                (title, help)
            };
            report.push(
                Diagnostic::error(Code("E0604"), title)
                    .at(place, label)
                    .help(help),
            );
        }
    };
    if let Some(job) = ctx.plan.jobs.first() {
        let unit = job.units.first().and_then(|id| ctx.plan.unit(id));
        if let Some(unit) = unit {
            say(
                "sbatch",
                Place::Key(unit.origin.clone()),
                "is started by SLURM".to_owned(),
            );
        }
    }
    if let Some(program) = notify_program(ctx.plan) {
        let place = Place::Key(FieldPath::root().key("notify"));
        say(program, place, "nobody would hear of alarms".to_owned());
    }
    for unit in ctx.plan.units_here() {
        if unit.launcher == LauncherKind::Tmux {
            say(
                "tmux",
                Place::Key(unit.origin.clone()),
                "is started in tmux".to_owned(),
            );
        }
        if let Some(program) = own_program(unit) {
            say(
                program,
                Place::Key(unit.origin.clone()),
                format!("`{}` runs it", unit.id),
            );
        }
    }
}

/// Each server takes a handle of its process and connections for probes; the rest is the controller's own.
const FILES_PER_UNIT: usize = 4;
const FILES_BESIDE: usize = 64;

fn own_files(ctx: &Ctx<'_>, report: &mut Report) {
    let Some(limits) = ctx.facts.open_files.get() else {
        return;
    };
    let units = ctx.plan.units.len();
    let needed = units * FILES_PER_UNIT + FILES_BESIDE;
    if limits.hard < needed as u64 {
        let title = format!("watching {units} units takes about {needed} open files");
        let place = Place::Key(FieldPath::root().key("name"));
        report.push(
            Diagnostic::error(Code("E0607"), title)
                .at(
                    place,
                    format!("this shell allows {} (`ulimit -Hn`)", limits.hard),
                )
                .help("have the hard limit raised, or start from a shell that allows more"),
        );
    }
}

fn directories(ctx: &Ctx<'_>, report: &mut Report) {
    let home = ctx.facts.home.get().map(String::as_str);
    let mut said = HashSet::new();
    for unit in ctx.plan.units_here() {
        let Some(cwd) = &unit.cwd else { continue };
        let cwd = paths::expanded(cwd, home);
        if here::is_absent(ctx, &cwd) && said.insert(&unit.origin) {
            report.push(
                Diagnostic::error(
                    Code("E0605"),
                    format!("`{}` has no directory to run in", unit.id),
                )
                .at(
                    Place::Value(unit.origin.key("cwd")),
                    format!("there is no `{cwd}`"),
                ),
            );
        }
    }
}
