//! Evaluations: what they need is there, and their results do not mix.

use std::collections::HashMap;

use regex_lite::Regex;

use crate::base::{EvalName, FieldPath};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::PathKind;
use crate::knowledge::adapters::Adapter;
use crate::plan::argv::served_id;
use crate::plan::evals::{EvalPaths, adapter_of, config_of, node_of, orchestrator, paths_of};
use crate::spec::model::{ClientConfigFormat, Eval, Results, ResultsDir};

use super::{Ctx, dataset, here};

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    let mut results: HashMap<String, &EvalName> = HashMap::new();
    for (name, eval) in &ctx.spec.evals {
        let home = ctx.facts.home.get().map(String::as_str);
        let at = paths_of(eval, &ctx.facts.yaml_dir, home);
        let origin = FieldPath::root().key("evals").key(name.as_str());
        marker(eval, &origin, report);
        result_pattern(eval, &origin, report);
        report.extend(unheard(eval, &origin));
        if let Some(other) = results.insert(at.results.clone(), name) {
            report.push(one_directory(name, other, &at.results));
        }
        if at.dataset.as_ref() == Some(&at.results) {
            report.push(own_questions(&origin));
        }
        if let Some(adapter) = adapter_of(eval) {
            needs(ctx, name, eval, adapter, report);
            format(ctx, eval, adapter, &origin, report);
            layout(eval, adapter, &origin, report);
        }
        // Where the client's files are somewhere else, one note says so for all of them.
        if here::is_absent(ctx, &at.cwd) {
            continue;
        }
        results_place(ctx, eval, &at, &origin, report);
        open_files(ctx, eval, &origin, report);
        dataset::check(ctx, name, eval, report);
        if let Some(adapter) = adapter_of(eval) {
            reads(ctx, eval, adapter, &at, &origin, report);
            tools_gate(ctx, eval, adapter, &origin, report);
        }
    }
}

fn marker(eval: &Eval, origin: &FieldPath, report: &mut Report) {
    let Some(Err(why)) = eval.marker.as_deref().map(Regex::new) else {
        return;
    };
    report.push(
        Diagnostic::error(
            Code("E0525"),
            "a marker is a regular expression, and this is none",
        )
        .at(Place::Value(origin.key("marker")), why.to_string())
        .help(
            "put a backslash before `[ ] ( ) { } . * + ? | ^ $` where they are meant as they stand",
        ),
    );
}

fn result_pattern(eval: &Eval, origin: &FieldPath, report: &mut Report) {
    let Results::Dir(ResultsDir {
        pattern: Some(pattern),
        ..
    }) = &eval.results
    else {
        return;
    };
    // As `eval::Pattern` reads it.
    if !pattern.contains("{id}") || pattern.contains('/') {
        report.push(
            Diagnostic::error(
                Code("E0526"),
                "no question's result can have this file name",
            )
            .at(
                Place::Value(origin.key("results").key("pattern")),
                "it needs `{id}`, and no `/`",
            )
            .help("write the file's name with `{id}` in the id's place, such as `task_{id}.json`"),
        );
    }
}

/// Numbers that nobody tells the client.
fn unheard(eval: &Eval, origin: &FieldPath) -> Vec<Diagnostic> {
    let Some(command) = &eval.command else {
        return Vec::new();
    };
    // Where fewer are to be in flight after a death, that is an error already.
    let lowered = (eval.restart.iter()).any(|restart| !restart.concurrency.is_empty());
    let numbers = [
        ("concurrency", eval.concurrency.filter(|_| !lowered)),
        ("max_rounds", eval.max_rounds),
    ];
    let set = eval.env.iter().flat_map(|env| env.set.values());
    let words: Vec<&str> = (command.iter().map(String::as_str))
        .chain(set.map(|value| value.0.as_str()))
        .collect();
    let missing = numbers.into_iter().filter_map(|(key, number)| {
        let number = number?.to_string();
        let says = |word: &&str| word.contains(&format!("{{{key}}}")) || has_number(word, &number);
        (!words.iter().any(says)).then_some((key, number))
    });
    let finding = |(key, number): (&str, String)| {
        Diagnostic::warning(
            Code("W0539"),
            format!("nothing tells the client `{key}: {number}`"),
        )
        .at(
            Place::Value(origin.key(key)),
            "the client keeps its own number",
        )
        .see(
            Place::Value(origin.key("command")),
            format!("has neither `{{{key}}}` nor {number}"),
        )
        .help(format!(
            "put `{{{key}}}` into `command`, where the client reads it"
        ))
    };
    missing.map(finding).collect()
}

/// Whether a word has the number as it stands: `64`, `--limit=64`.
fn has_number(word: &str, number: &str) -> bool {
    word.split(|c: char| !c.is_ascii_digit())
        .any(|part| part == number)
}

/// Its questions would count as answers, and its answers be written among them.
fn own_questions(origin: &FieldPath) -> Diagnostic {
    Diagnostic::error(Code("E0538"), "results are written into the dataset")
        .at(Place::Value(origin.key("results")), "the same file")
        .see(Place::Value(origin.key("dataset")), "as this")
        .help("name another file or directory for `results`")
}

fn one_directory(name: &EvalName, other: &EvalName, path: &str) -> Diagnostic {
    let place = |name: &EvalName| {
        let origin = FieldPath::root().key("evals").key(name.as_str());
        Place::Value(origin.key("results"))
    };
    Diagnostic::error(
        Code("E0521"),
        format!("`{other}` and `{name}` would write into one another's results"),
    )
    .at(place(name), format!("`{path}`"))
    .see(place(other), "the same")
}

/// Models, services and judge that the client asks for by name.
fn needs(ctx: &Ctx<'_>, name: &EvalName, eval: &Eval, adapter: &Adapter, report: &mut Report) {
    let origin = FieldPath::root().key("evals").key(name.as_str());
    let place = Place::Value(origin.key("adapter"));
    let spec = ctx.spec;
    if eval.requires.is_some() {
        // Somebody wrote down what it needs; `names` has checked that these exist.
        return;
    }
    for wanted in adapter.models {
        let served = spec
            .models
            .values()
            .any(|model| served_id(model) == *wanted);
        let declared = (spec.externals.values())
            .any(|external| external.models.iter().any(|model| model == wanted));
        if !served && !declared {
            report.push(
                Diagnostic::error(
                    Code("E0510"),
                    format!("`{name}` needs the model `{wanted}`"),
                )
                .at(place.clone(), "this client asks for it by name")
                .help(format!(
                    "add a model with `model: {wanted}`, or list what it really needs in `requires`"
                )),
            );
        }
    }
    for services in adapter.services {
        if !services
            .iter()
            .any(|name| spec.services.contains_key(*name))
        {
            report.push(
                Diagnostic::error(
                    Code("E0510"),
                    format!("`{name}` needs the service `{}`", services.join("` or `")),
                )
                .at(
                    place.clone(),
                    "without it each search waits 90 s and then finds nothing",
                )
                .help("add the service, or list what the client really needs in `requires`"),
            );
        }
    }
    if let Some(judge) = adapter.judge {
        let mut externals = spec.externals.values();
        if !externals.any(|external| external.models.iter().any(|model| model == judge)) {
            report.push(
                Diagnostic::warning(
                    Code("W0522"),
                    format!("no external answers for `{judge}`, which judges in `{name}`"),
                )
                .at(place, "each answer would end in error")
                .help(format!("declare it: `externals: {{ judge: {{ url: …, models: [{judge}], api_key: {{ env: … }} }} }}`")),
            );
        }
    }
}

fn format(ctx: &Ctx<'_>, eval: &Eval, adapter: &Adapter, origin: &FieldPath, report: &mut Report) {
    let Some(config) = config_of(ctx.spec, eval) else {
        return;
    };
    let Some(config) = ctx.plan.configs.iter().find(|known| known.name == config) else {
        return;
    };
    let Some(wanted) = adapter.config_format else {
        return;
    };
    if config.format != wanted && config.format != ClientConfigFormat::Template {
        report.push(
            Diagnostic::error(
                Code("E0523"),
                format!("`{}` cannot read this client configuration", adapter.name),
            )
            .at(
                Place::Value(config.origin.key("format")),
                format!("it needs `{}`", wanted.word()),
            )
            .see(
                Place::Value(origin.key("adapter")),
                "the client that reads it",
            ),
        );
    }
}

/// The client's own layout cannot be chosen.
fn layout(eval: &Eval, adapter: &Adapter, origin: &FieldPath, report: &mut Report) {
    if adapter.files_alone && eval.command.is_none() && matches!(eval.results, Results::Jsonl(_)) {
        report.push(
            Diagnostic::error(
                Code("E0527"),
                format!("`{}` writes one file for each question", adapter.name),
            )
            .at(Place::Value(origin.key("results")), "one file for all")
            .help("name a directory"),
        );
    }
}

/// The log's `Too many open files`, hours into the run.
fn open_files(ctx: &Ctx<'_>, eval: &Eval, origin: &FieldPath, report: &mut Report) {
    let (Some(limits), None) = (ctx.facts.open_files.get(), node_of(eval)) else {
        return;
    };
    let files = adapter_of(eval).map_or(8, |adapter| adapter.files_per_question);
    let concurrency = u64::from(eval.concurrency.unwrap_or(1));
    // What a Python client holds anyway: libraries, logs, the event loop.
    let needed = concurrency.saturating_mul(files).saturating_add(256);
    let wanted = eval.limits.as_ref().and_then(|limits| limits.open_files);
    if limits.hard < needed {
        report.push(
            Diagnostic::error(
                Code("E0517"),
                format!("{concurrency} questions in flight need about {needed} open files"),
            )
            .at(
                Place::Value(origin.key("concurrency")),
                "too many for this machine",
            )
            .help(format!(
                "the hard limit here is {} (`ulimit -Hn`): have it raised, or lower `concurrency`",
                limits.hard
            )),
        );
    } else if let Some(wanted) = wanted.filter(|wanted| *wanted > limits.hard) {
        report.push(
            Diagnostic::warning(
                Code("W0517"),
                format!("the hard limit of open files is {}", limits.hard),
            )
            .at(
                Place::Value(origin.key("limits").key("open_files")),
                format!("{wanted} cannot be had"),
            )
            .help("the client runs with the hard limit"),
        );
    }
}

/// What stands where results are to be written.
fn results_place(
    ctx: &Ctx<'_>,
    eval: &Eval,
    at: &EvalPaths,
    origin: &FieldPath,
    report: &mut Report,
) {
    let wanted = match eval.results {
        Results::Jsonl(_) => PathKind::File,
        Results::Dir(_) => PathKind::Directory,
    };
    let found = match here::kind(ctx, &at.results) {
        None | Some(PathKind::Absent) => return,
        Some(found) if found == wanted => return,
        Some(PathKind::File) => "a file",
        Some(PathKind::Directory) => "a directory",
        Some(PathKind::Other) => "neither a file nor a directory",
    };
    let wanted = match wanted {
        PathKind::File => "a file",
        _ => "a directory",
    };
    report.push(
        Diagnostic::error(Code("E0532"), format!("the results cannot be {wanted}"))
            .at(
                Place::Value(origin.key("results")),
                format!("`{}` is {found}", at.results),
            )
            .help("move it away, or write the results elsewhere"),
    );
}

/// Files that the client reads at its start.
fn reads(
    ctx: &Ctx<'_>,
    eval: &Eval,
    adapter: &Adapter,
    at: &EvalPaths,
    origin: &FieldPath,
    report: &mut Report,
) {
    if eval.command.is_some() {
        return;
    }
    for file in adapter.reads {
        let path = format!("{}/{file}", at.cwd);
        if here::kind(ctx, &path) == Some(PathKind::Absent) {
            report.push(
                Diagnostic::error(
                    Code("E0524"),
                    format!("the client's directory has no `{file}`"),
                )
                .at(Place::Value(origin.key("cwd")), format!("`{}`", at.cwd))
                .help("`cwd` is the directory of the client, such as `~/ToolOrchestra/evaluation`"),
            );
        }
    }
}

/// ToolOrchestra sends tools only where the orchestrator's name is a path that exists beside it.
fn tools_gate(
    ctx: &Ctx<'_>,
    eval: &Eval,
    adapter: &Adapter,
    origin: &FieldPath,
    report: &mut Report,
) {
    let driver = orchestrator(ctx.spec, eval).ok().flatten();
    let model = driver.and_then(|name| Some((name, ctx.spec.models.get(name)?)));
    let (true, Some((name, model))) = (adapter.tools_gate, model) else {
        return;
    };
    let key = served_id(model);
    let label = match key.starts_with('/') {
        false => "not a path".to_owned(),
        true if here::kind(ctx, key) == Some(PathKind::Absent) => {
            "no such directory on this machine".to_owned()
        }
        true => return,
    };
    report.push(
        Diagnostic::error(
            Code("E0518"),
            format!("the client would not send its tools to `{name}`"),
        )
        .at(Place::Value(FieldPath::root().key("models").key(name.as_str()).key("model")), label)
        .see(Place::Value(origin.key("adapter")), "sends tools only to a model whose name is a path that exists where the client runs")
        .help("every question would end with `correct=False`: give the checkpoint's path, and mount it (or an empty directory of that name) here"),
    );
}
