//! `args:` against the flags of the release.

use serde_json::Value;

use crate::base::{FieldPath, Name};
use crate::diag::{Applicability, Code, Diagnostic, Fix, Place, Report};
use crate::knowledge::flags::{self, Flag, Removed, Takes};
use crate::knowledge::release::{NotARelease, Release, Support};
use crate::plan::similar::{MaybeFix as _, did_you_mean};
use crate::plan::{argv, inherit};
use crate::spec::model::{Engine, ModelSpec};
use crate::spec::{Origin, resolve};

use super::Ctx;

/// Flags that have a key of their own: the plan would not know what they say.
const KEYS: &[(&str, &str)] = &[
    ("--chat-template", "chat_template"),
    ("--data-parallel-size", "replicas"),
    ("--enable-auto-tool-choice", "tools"),
    ("--gpu-memory-utilization", "gpu_memory_utilization"),
    ("--max-model-len", "max_model_len"),
    ("--model", "model"),
    ("--pipeline-parallel-size", "pipeline_parallel"),
    ("--port", "port"),
    ("--reasoning-parser", "reasoning_parser"),
    ("--revision", "revision"),
    ("--served-model-name", "served_name"),
    ("--tensor-parallel-size", "tensor_parallel"),
    ("--tool-call-parser", "tool_parser"),
];

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    report.extend(no_releases(ctx));
    let mut unwritten: Vec<FieldPath> = Vec::new();
    for (name, model) in &ctx.spec.models {
        if !matches!(argv::engine(model), Engine::Vllm | Engine::Sim) {
            continue;
        }
        let origin = FieldPath::root().key("models").key(name.as_str());
        match inherit::release(ctx.spec, name) {
            Some(release) => of_model(name, model, release, &origin, report),
            None if resolve::release(ctx.spec, name).is_some() => {}
            None => unwritten.push(origin),
        }
    }
    if !unwritten.is_empty() {
        let finding = Diagnostic::note(
            Code("N0418"),
            "no vLLM release is written: flags and parsers are not checked against one",
        )
        .help("`vllm: { version: \"0.12.0\" }`, at the top or for a model; `vllm --version` prints it");
        report.push(unwritten.into_iter().fold(finding, |finding, path| {
            finding.at(Place::Key(path), "which release serves it?")
        }));
    }
}

/// What is written as a release and is none.
fn no_releases(ctx: &Ctx<'_>) -> Vec<Diagnostic> {
    let mut said: Vec<FieldPath> = Vec::new();
    let written = ctx.spec.models.keys().filter_map(|name| {
        let release = resolve::release(ctx.spec, name)?;
        let why = release.value.parse::<Release>().err()?;
        match release.origin {
            Origin::Yaml(path) if !said.contains(&path) => {
                said.push(path.clone());
                Some((path, why))
            }
            _ => None,
        }
    });
    let finding = |(path, why): (FieldPath, NotARelease)| {
        Diagnostic::error(Code("E0449"), why.to_string())
            .at(Place::Value(path), "flags and parsers cannot be checked against it")
            .help("`vllm --version` in the servers' environment prints it; leave it out where it is not known")
    };
    written.map(finding).collect()
}

fn of_model(
    name: &Name,
    model: &ModelSpec,
    release: Release,
    origin: &FieldPath,
    report: &mut Report,
) {
    let mut unknown: Vec<FieldPath> = Vec::new();
    let mut lacked = 0;
    for (flag, value) in &model.args {
        let path = origin.key("args").key(flag.as_str());
        if let Some((long, key)) = key_of(flag) {
            report.push(has_a_key(long, key, &path));
            continue;
        }
        match flags::supported(flag, release) {
            Support::No => {
                lacked += 1;
                report.push(lacking(flag, release, path, lacked <= GUESSED));
            }
            Support::Unknown => unknown.push(path),
            Support::Yes => {
                if let Some(found) = flags::find(flag) {
                    report.extend(wrong_value(found.flag, value, release, path));
                }
            }
        }
    }
    if !unknown.is_empty() {
        let title = format!("it is not known whether vLLM {release} has all flags of `{name}`");
        let finding = Diagnostic::note(Code("N0417"), title);
        report.push(unknown.into_iter().fold(finding, |finding, path| {
            finding.at(Place::Key(path), "not looked up for this release")
        }));
    }
}

fn key_of(flag: &str) -> Option<(&'static str, &'static str)> {
    let long = flags::flag(flag)?.name;
    KEYS.iter().find(|(name, _)| *name == long).copied()
}

fn has_a_key(long: &str, key: &str, path: &FieldPath) -> Diagnostic {
    Diagnostic::error(Code("E0414"), format!("flag `{long}` has a key of its own"))
        .at(
            Place::Key(path.clone()),
            format!("write `{key}:` in the model instead"),
        )
        .help(
            "the plan reckons with that key: placement, context and ports would not see this flag",
        )
}

/// For so many flags of a model that do not exist one is looked for that may be meant.
const GUESSED: usize = 100;

fn lacking(flag: &str, release: Release, path: FieldPath, guess: bool) -> Diagnostic {
    let place = Place::Key(path);
    let gone = flags::removed(flag).filter(|removed| release >= removed.gone_in);
    if let Some(removed) = gone {
        return Diagnostic::error(
            Code("E0411"),
            format!("vLLM {release} has no flag `{}` any more", removed.name),
        )
        .at(place.clone(), format!("last seen in {}", removed.last_seen))
        .help(instead(removed.use_instead))
        .maybe_fix(renamed(removed, release, place));
    }
    let title = format!("vLLM {release} has no flag `{}`", flags::canonical(flag));
    let finding = Diagnostic::error(Code("E0410"), title);
    let finding = match flags::flag(flag) {
        Some(known) if release < known.seen.first => {
            finding.at(place, format!("first seen in {}", known.seen.first))
        }
        Some(known) => finding.at(place, format!("last seen in {}", known.seen.last)),
        None => {
            let given = flags::canonical(flag).into_owned();
            let existing = flags::all()
                .iter()
                .filter(|flag| flag.supported(release) == Support::Yes);
            let fix = guess
                .then(|| did_you_mean(&given, existing.map(|flag| flag.name), place.clone()))
                .flatten();
            let fix = fix.map(|fix| Fix {
                replacement: fix.replacement.trim_start_matches('-').to_owned(),
                ..fix
            });
            finding
                .at(place, "not a flag of any release")
                .maybe_fix(fix)
        }
    };
    finding.help("the server would exit at its start with code 2")
}

/// What to write in place of a flag that is gone, as a sentence.
fn instead(what: &str) -> String {
    let rest = what
        .strip_prefix("drop it")
        .or_else(|| what.strip_prefix("drop"));
    match rest {
        Some("") => "remove the line: nothing takes its place".to_owned(),
        Some(rest) => format!("remove the line{rest}"),
        None if what.starts_with("UNKNOWN") => {
            "what takes its place is not known here: see the release notes".to_owned()
        }
        None => format!("write {what}"),
    }
}

/// The patch where a flag has only another name.
fn renamed(removed: &Removed, release: Release, place: Place) -> Option<Fix> {
    let name = removed.use_instead.strip_prefix("--")?;
    let flag = flags::flag(name).filter(|flag| flag.name == removed.use_instead)?;
    (flag.supported(release) == Support::Yes).then(|| Fix {
        title: format!("it is called `--{name}` now"),
        place,
        replacement: name.to_owned(),
        applicability: Applicability::Guess,
    })
}

fn wrong_value(
    flag: &Flag,
    value: &Value,
    release: Release,
    path: FieldPath,
) -> Option<Diagnostic> {
    // `null`, and `false` without a negative form, are findings of the plan.
    if matches!(value, Value::Null | Value::Bool(false)) {
        return None;
    }
    let items: Vec<&Value> = match value {
        Value::Array(items) if flag.many => items.iter().collect(),
        other => vec![other],
    };
    if let Some(wrong) = items.iter().find(|item| !is_a(flag.takes, item)) {
        return Some(
            Diagnostic::error(
                Code("E0412"),
                format!("flag `{}` does not take `{wrong}`", flag.name),
            )
            .at(
                Place::Value(path),
                format!("it takes {}", in_words(flag.takes)),
            )
            .help("the server would exit at its start with code 2"),
        );
    }
    let choice = |item: &&&Value| {
        let text = item
            .as_str()
            .map_or_else(|| item.to_string(), str::to_owned);
        !flag.choices.is_empty() && !flag.choices.contains(&text.as_str())
    };
    let wrong = items.iter().find(choice)?;
    let place = Place::Value(path);
    let fix = wrong
        .as_str()
        .and_then(|text| did_you_mean(text, flag.choices.iter().copied(), place.clone()));
    // The table holds the choices of one release; older ones had fewer or others.
    let sure = release >= Release::new(0, 32, 0);
    let title = format!("{wrong} is not a choice of `{}`", flag.name);
    let finding = if sure {
        Diagnostic::error(Code("E0413"), title)
    } else {
        Diagnostic::warning(Code("W0413"), title)
    };
    let choices = flag.choices.join(", ");
    Some(
        finding
            .at(place, format!("vLLM 0.32 takes {choices}"))
            .maybe_fix(fix),
    )
}

fn is_a(takes: Takes, value: &Value) -> bool {
    let text = value.as_str();
    match takes {
        Takes::Switch | Takes::Toggle => value.is_boolean(),
        Takes::Integer => value.is_i64() || text.is_some_and(|text| text.parse::<i64>().is_ok()),
        Takes::HumanInteger => value.is_i64() || text.is_some_and(is_human),
        Takes::HumanIntegerOrAuto => {
            value.is_i64() || text.is_some_and(|text| text == "auto" || is_human(text))
        }
        Takes::Float => value.is_number() || text.is_some_and(|text| text.parse::<f64>().is_ok()),
        Takes::Text => text.is_some() || value.is_number(),
        Takes::Json => value.is_object() || value.is_array() || value.is_number() || text.is_some(),
        Takes::Any => !value.is_boolean(),
    }
}

/// Whether a text is a whole number such as `32k` or `1.5M`.
fn is_human(text: &str) -> bool {
    let number = text.trim_end_matches(['k', 'K', 'm', 'M', 'g', 'G', 't', 'T']);
    text.len() - number.len() <= 1 && number.parse::<f64>().is_ok()
}

fn in_words(takes: Takes) -> &'static str {
    match takes {
        Takes::Switch => "nothing: write `true`",
        Takes::Toggle => "nothing: write `true` or `false`",
        Takes::Integer => "a whole number",
        Takes::HumanInteger => "a whole number, such as 4096 or 32k",
        Takes::HumanIntegerOrAuto => "a whole number, such as 4096 or 32k, or `auto`",
        Takes::Float => "a number",
        Takes::Text => "a text",
        Takes::Json => "JSON",
        Takes::Any => "a text, a number or JSON",
    }
}
