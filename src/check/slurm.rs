//! Options of SLURM jobs, and whether a job lasts as long as what it holds.

use crate::base::FieldPath;
use crate::diag::{Applicability, Code, Diagnostic, Fix, Place, Report};
use crate::knowledge::slurm::{OURS, time_limit};
use crate::plan::JobPlan;
use crate::spec::model::Slurm;

use super::Ctx;

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    for (slurm, path) in all(ctx) {
        time(slurm, &path, report);
        gres(slurm, &path, report);
        one_line(slurm, &path, report);
        ours(ctx, slurm, &path, report);
    }
    for job in &ctx.plan.jobs {
        report.extend(too_short(ctx, job));
        report.extend(excluded(job));
        report.extend(ends_early(ctx, job));
    }
}

/// Where options of jobs are written.
fn all<'a>(ctx: &Ctx<'a>) -> Vec<(&'a Slurm, FieldPath)> {
    let root = FieldPath::root();
    let top = ctx
        .spec
        .slurm
        .iter()
        .map(|slurm| (slurm, root.key("slurm")));
    let pools = ctx.spec.pools.iter().filter_map(|(name, pool)| {
        let path = root.key("pools").key(name.as_str()).key("slurm");
        Some((pool.slurm.as_ref()?, path))
    });
    top.chain(pools).collect()
}

fn time(slurm: &Slurm, path: &FieldPath, report: &mut Report) {
    let Some(text) = slurm
        .time
        .as_ref()
        .filter(|text| time_limit(text).is_none())
    else {
        return;
    };
    // What sbatch(1) takes for none at all.
    let none = ["UNLIMITED", "INFINITE", "-1"].contains(&text.to_uppercase().as_str())
        || text.chars().all(|c| "0:-".contains(c));
    let label = if none {
        "that is no limit: nothing would say when its servers end"
    } else {
        "sbatch would refuse the job"
    };
    report.push(
        Diagnostic::error(Code("E0340"), format!("`{text}` is no time limit of SLURM"))
            .at(Place::Value(path.key("time")), label)
            .help("write `\"HH:MM:SS\"` or `\"D-HH:MM:SS\"`; a number alone is minutes, `\"90:30\"` minutes and seconds"),
    );
}

/// `gpu` or `gpu:TYPE`; how many is known from the plan.
fn gres(slurm: &Slurm, path: &FieldPath, report: &mut Report) {
    let Some(text) = &slurm.gres else { return };
    let place = Place::Value(path.key("gres"));
    let word = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        !part.is_empty() && part.chars().all(plain)
    };
    let parts: Vec<&str> = text.split(':').collect();
    let counted = parts.len() > 1 && parts.last().is_some_and(|last| last.parse::<u64>().is_ok());
    if parts.len() <= 2 && parts.iter().all(|part| word(part)) && !counted {
        return;
    }
    let finding = Diagnostic::error(Code("E0341"), format!("`{text}` is no resource of a GPU"));
    report.push(if counted && parts.iter().all(|part| word(part)) {
        let without = parts[..parts.len() - 1].join(":");
        finding
            .at(place.clone(), "the number of GPUs is added to it")
            .help("each job asks for the GPUs that its servers use; what a node has is its `gpus`")
            .fix(Fix {
                title: "leave the number out".to_owned(),
                place,
                replacement: without,
                applicability: Applicability::Sure,
            })
    } else {
        finding
            .at(place, "SLURM would refuse the job")
            .help("write `gpu`, or `gpu:TYPE` where the site has types, such as `gpu:h100`")
    });
}

/// As `render` writes them into a line of their own.
fn one_line(slurm: &Slurm, path: &FieldPath, report: &mut Report) {
    let single = [
        ("partition", &slurm.partition),
        ("account", &slurm.account),
        ("qos", &slurm.qos),
        ("constraint", &slurm.constraint),
        ("exclude", &slurm.exclude),
    ];
    let single = single
        .into_iter()
        .filter_map(|(key, value)| Some((path.key(key), value.as_ref()?.as_str())));
    let more = slurm
        .extra
        .iter()
        .map(|(key, value)| (path.key("extra").key(key.as_str()), value.0.as_str()));
    for (path, text) in single.chain(more) {
        let why = if text.is_empty() {
            "it is empty"
        } else if text.chars().any(char::is_control) {
            "it has a line end or another control character"
        } else if text.contains(['"', '\'', '\\', '`']) {
            "it has a quote or a backslash"
        } else {
            continue;
        };
        report.push(
            Diagnostic::error(Code("E0342"), "an option of SLURM is one line of plain text")
                .at(Place::Value(path), why)
                .help("SLURM would read another option, or none: write it as it stands after `sbatch --option=`"),
        );
    }
}

/// Options that are written from the YAML and the plan.
fn ours(ctx: &Ctx<'_>, slurm: &Slurm, path: &FieldPath, report: &mut Report) {
    // Jobs whose servers need no GPU ask for none by themselves.
    let with_gpus = ctx.plan.jobs.iter().any(|job| !job.gpus.is_empty());
    for name in slurm.extra.keys() {
        let bare = name.trim_start_matches('-');
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if bare != name || bare.len() < 2 || !bare.chars().all(plain) {
            report.push(
                Diagnostic::error(Code("E0342"), format!("`{name}` is no option of SLURM"))
                    .at(
                        Place::Key(path.key("extra").key(name.as_str())),
                        "written as `--NAME=VALUE`",
                    )
                    .help("write its long name without dashes: `mem: 200G` for `--mem=200G`"),
            );
            continue;
        }
        let of_gpus = bare.starts_with("gpus") || bare == "gres";
        if !OURS.contains(&bare) || (of_gpus && !with_gpus) {
            continue;
        }
        let instead = match bare {
            "time" => "write `time:` beside `extra`".to_owned(),
            "gres" | "gpus" | "gpus-per-node" | "gpus-per-task" => {
                "each job asks for the GPUs that its servers use".to_owned()
            }
            "nodes" | "ntasks" | "array" | "nodelist" => {
                "there is one job for each node".to_owned()
            }
            _ => "supervision depends on it".to_owned(),
        };
        let title = format!("`{bare}` is an option that every job has already");
        // SLURM takes the last one: with more GPUs than the servers use that may be meant.
        let finding = if of_gpus {
            Diagnostic::warning(Code("W0343"), title)
        } else {
            Diagnostic::error(Code("E0343"), title)
        };
        report.push(
            finding
                .at(Place::Key(path.key("extra").key(name.as_str())), instead)
                .help("remove it from `extra`"),
        );
    }
}

/// A job that ends before its servers need to be ready.
fn too_short(ctx: &Ctx<'_>, job: &JobPlan) -> Option<Diagnostic> {
    let limit = time_limit(job.options.time.as_deref()?)?;
    let units = job.units.iter().filter_map(|id| ctx.plan.unit(id));
    let slowest = units.max_by_key(|unit| unit.ready.timeout.0)?;
    let timeout = slowest.ready.timeout;
    if limit.0 > timeout.0 {
        return None;
    }
    let place = limit_of(ctx, job);
    Some(
        Diagnostic::warning(
            Code("W0344"),
            format!("a job of {limit} may end before its servers are ready"),
        )
        .at(place, "the limit of the job")
        .see(
            Place::Key(slowest.origin.clone()),
            format!("`{}` may take {timeout} to become ready", slowest.id),
        )
        .help("ask for more time, or give the servers less with `ready: { timeout: … }`"),
    )
}

/// A job for the one node that it must not have.
fn excluded(job: &JobPlan) -> Option<Diagnostic> {
    let node = job.nodelist.as_deref()?;
    let all = job.options.exclude.as_deref()?;
    hosts(all).any(|name| name == node).then(|| {
        Diagnostic::error(
            Code("E0345"),
            format!("the job for `{node}` excludes `{node}`"),
        )
        .at(
            Place::Value(FieldPath::root().key("slurm").key("exclude")),
            "SLURM would refuse it, or let it wait for ever",
        )
        .help("take the node out of `exclude`, or its servers to another node")
    })
}

/// The names of a list as SLURM writes it: `gpu[01-03,07],login`. Of one that is too long, or cannot be read, as they stand.
fn hosts(list: &str) -> impl Iterator<Item = String> {
    let mut open = false;
    let apart = list.split(move |c: char| {
        open = (open || c == '[') && c != ']';
        c == ',' && !open
    });
    let names: Vec<String> = apart
        .flat_map(|part| ranged(part.trim()).unwrap_or_else(|| vec![part.to_owned()]))
        .collect();
    names.into_iter()
}

/// The names of one part; none where it has no ranges, or several.
fn ranged(part: &str) -> Option<Vec<String>> {
    const MOST: u32 = 65_536;
    let (head, rest) = part.split_once('[')?;
    let (ranges, tail) = rest.split_once(']')?;
    let mut names = Vec::new();
    for range in ranges.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (from, to): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if to.checked_sub(from)? > MOST {
            return None;
        }
        let width = first.len();
        names.extend((from..=to).map(|number| format!("{head}{number:0width$}{tail}")));
    }
    Some(names)
}

/// A job that ends before the evaluations do, as far as a rehearsal could tell.
fn ends_early(ctx: &Ctx<'_>, job: &JobPlan) -> Option<Diagnostic> {
    let (least, most) = ctx.facts.predicted?;
    let limit = time_limit(job.options.time.as_deref()?)?;
    if limit.0 >= most.0 || job.options.renew == Some(true) || ctx.spec.evals.is_empty() {
        return None;
    }
    let certain = if limit.0 < least.0 { "ends" } else { "may end" };
    Some(
        Diagnostic::warning(
            Code("W0347"),
            format!("a job of {limit} {certain} before the evaluations do"),
        )
        .at(
            limit_of(ctx, job),
            format!("the latest rehearsal predicts {least} to {most} after its start"),
        )
        .help("ask for more time, or let a successor be submitted before it ends: `slurm: { renew: true }`"),
    )
}

/// Where the time limit of a job is written.
fn limit_of(ctx: &Ctx<'_>, job: &JobPlan) -> Place {
    let root = FieldPath::root();
    let pool = job.pool.as_ref().and_then(|name| {
        let pool = ctx.spec.pools.get(name.as_str())?;
        pool.slurm.as_ref()?.time.as_ref()?;
        Some(root.key("pools").key(name.as_str()).key("slurm"))
    });
    Place::Value(pool.unwrap_or_else(|| root.key("slurm")).key("time"))
}
