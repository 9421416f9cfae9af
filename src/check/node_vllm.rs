//! Environments as they were seen on a machine, and what of vLLM is in them.

use std::collections::{BTreeMap, BTreeSet};

use super::Ctx;
use super::nodes::Looked;
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::{EnvFound, EnvName, Known, VllmFound};
use crate::knowledge::flags::canonical;
use crate::knowledge::release::Release;
use crate::plan::inspect::{env_of, is_vllm};
use crate::plan::{Unit, UnitKind};
use crate::spec::{Origin, resolve};

pub(super) fn check(ctx: &Ctx<'_>, looked: &Looked<'_>, report: &mut Report) {
    let mut unproved: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    // Replicas of one model need one word.
    let mut said = BTreeSet::new();
    for unit in looked
        .units
        .iter()
        .filter(|unit| said.insert(unit.origin.to_string()))
    {
        let vllm = is_vllm(ctx.spec, unit);
        let place = || Place::Key(unit.origin.clone());
        let Some(env) = env_of(unit) else {
            if vllm {
                let why =
                    "its environment is made by modules, `setup` or a container when it starts";
                unproved.entry(why.to_owned()).or_default().push(place());
            }
            continue;
        };
        match looked.look.envs.get(&env) {
            Some(EnvFound::Absent(why)) => report.push(absent(looked, unit, &env, why)),
            Some(EnvFound::Present { vllm: found, .. }) if vllm => match found {
                VllmFound::NotAsked => {}
                VllmFound::Absent(why) => report.push(no_vllm(looked, unit, &env, why)),
                VllmFound::Unknown(why) => unproved.entry(why.clone()).or_default().push(place()),
                VllmFound::Installed { release, flags, .. } => {
                    report.extend(other_release(ctx, looked, unit, &env, release));
                    match flags {
                        Known::Known(flags) => {
                            unknown_flags(ctx, looked, unit, (release, flags), report);
                        }
                        Known::Unknown(why) => {
                            unproved
                                .entry(format!("flags: {why}"))
                                .or_default()
                                .push(place());
                        }
                    }
                }
            },
            _ => {}
        }
    }
    for (why, places) in unproved {
        let title = format!(
            "not proved on `{}`: which vLLM serves, and its flags",
            looked.node.name
        );
        let finding = Diagnostic::note(Code("N0715"), title).help(why);
        report.push(
            places
                .into_iter()
                .fold(finding, |finding, place| finding.at(place, "")),
        );
    }
}

fn absent(looked: &Looked<'_>, unit: &Unit, env: &EnvName, why: &str) -> Diagnostic {
    let (title, help) = match env {
        EnvName::Path => (
            format!("`{}` has no vLLM", looked.node.name),
            "name the environment that holds it: `vllm: { env: { conda: … } }`",
        ),
        _ => (
            format!("{env} is not there on `{}`", looked.node.name),
            "make it there, or name the one that is meant",
        ),
    };
    Diagnostic::error(Code("E0707"), title)
        .at(Place::Key(unit.origin.clone()), why)
        .help(help)
}

fn no_vllm(looked: &Looked<'_>, unit: &Unit, env: &EnvName, why: &str) -> Diagnostic {
    let title = format!("{env} of `{}` has no vLLM", looked.node.name);
    Diagnostic::error(Code("E0708"), title)
        .at(Place::Key(unit.origin.clone()), why)
        .help("install it there, or name the environment that holds it")
}

/// The same release, whatever comes after a plus.
fn same(written: &str, found: &str) -> bool {
    match (written.parse::<Release>(), found.parse::<Release>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => written == found,
    }
}

fn other_release(
    ctx: &Ctx<'_>,
    looked: &Looked<'_>,
    unit: &Unit,
    env: &EnvName,
    found: &str,
) -> Option<Diagnostic> {
    let UnitKind::Replica { model, .. } = &unit.kind else {
        return None;
    };
    let written = resolve::release(ctx.spec, model)?;
    if same(&written.value, found) {
        return None;
    }
    let title = format!(
        "{env} of `{}` has vLLM {found}, not {}",
        looked.node.name, written.value
    );
    let place = match written.origin {
        Origin::Yaml(path) | Origin::CommandLine(path) => path,
        Origin::Default(_) | Origin::Derived(_) => unit.origin.clone(),
    };
    Some(
        Diagnostic::error(Code("E0709"), title)
            .at(Place::Value(place), "flags and parsers are checked against this one")
            .see(Place::Key(unit.origin.clone()), "is served from there")
            .help("write the release that is installed, or install the one that is written; a server of another release is refused when it is up"),
    )
}

fn unknown_flags(
    ctx: &Ctx<'_>,
    looked: &Looked<'_>,
    unit: &Unit,
    (release, known): (&str, &BTreeSet<String>),
    report: &mut Report,
) {
    let UnitKind::Replica { model, .. } = &unit.kind else {
        return;
    };
    let args = ctx.spec.models.get(model).map(|model| &model.args);
    for word in unit.argv.iter().filter(|word| word.starts_with("--")) {
        let flag = word.split('=').next().unwrap_or_default().replace('_', "-");
        let top = flag.split('.').next().unwrap_or_default();
        if top.len() < 3 || known.contains(&flag) || known.contains(top) {
            continue;
        }
        let own = args.and_then(|args| {
            args.keys().find(|key| {
                canonical(key) == top
                    || format!("--no-{}", canonical(key).trim_start_matches('-')) == top
            })
        });
        let place = match own {
            Some(key) => Place::Key(unit.origin.key("args").key(key.as_str())),
            None => Place::Key(unit.origin.clone()),
        };
        let title = format!(
            "vLLM {release} on `{}` has no flag `{top}`",
            looked.node.name
        );
        report.push(
            Diagnostic::error(Code("E0710"), title)
                .at(place, "its help does not name it")
                .help("`vllm serve --help=all` lists those that it has"),
        );
    }
}
