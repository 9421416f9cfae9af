//! The client's configuration: a file of its own, whose names do not meet.

use std::collections::HashMap;

use crate::base::{FieldPath, Name};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::PathKind;
use crate::plan::{ClientConfigPlan, ResultsPlan, variable};
use crate::spec::model::ClientConfigFormat;

use super::{Ctx, here};

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    let configs = &ctx.plan.configs;
    for (at, config) in configs.iter().enumerate() {
        let earlier = configs[..at].iter().find(|other| other.path == config.path);
        let found = match earlier {
            Some(other) => Some((
                "another client configuration is written there".to_owned(),
                Some(Place::Value(other.origin.key("path"))),
            )),
            None => taken(ctx, config),
        };
        if let Some((why, other)) = found {
            let finding = Diagnostic::error(
                Code("E0542"),
                "the client's configuration needs a file of its own",
            )
            .at(Place::Value(config.origin.key("path")), why)
            .help("name a file that nothing else uses, such as `model_config.json`");
            report.push(match other {
                Some(other) => finding.see(other, "the same file"),
                None => finding,
            });
        }
        if config.format == ClientConfigFormat::OpenaiEnv {
            report.extend(same_variable(ctx, config));
        }
    }
}

/// What else is at its place.
fn taken(ctx: &Ctx<'_>, config: &ClientConfigPlan) -> Option<(String, Option<Place>)> {
    if config.path == ctx.facts.yaml_file {
        return Some(("this is the cluster's own YAML".to_owned(), None));
    }
    for eval in &ctx.plan.evals {
        if eval.dataset.as_ref() == Some(&config.path) {
            let place = Place::Value(eval.origin.key("dataset"));
            return Some((
                format!("the questions of `{}` are there", eval.name),
                Some(place),
            ));
        }
        let (ResultsPlan::Dir { dir: results, .. } | ResultsPlan::Jsonl { file: results }) =
            &eval.results;
        if *results == config.path {
            let place = Place::Value(eval.origin.key("results"));
            return Some((
                format!("the results of `{}` go there", eval.name),
                Some(place),
            ));
        }
    }
    match here::kind(ctx, &config.path) {
        Some(PathKind::Directory) => Some((format!("`{}` is a directory", config.path), None)),
        _ => None,
    }
}

/// Two names that make one variable; the client would be given one of the two.
fn same_variable(ctx: &Ctx<'_>, config: &ClientConfigPlan) -> Option<Diagnostic> {
    let groups = ctx.plan.groups.iter().filter(|group| !group.hidden);
    let names = groups
        .map(|group| &group.name)
        .chain(ctx.spec.externals.keys());
    let mut first: HashMap<String, &Name> = HashMap::new();
    for name in names {
        let prefix = variable(name.as_str());
        if let Some(other) = first.insert(prefix.clone(), name) {
            let title = format!("`{other}` and `{name}` would both be `{prefix}_BASE_URL`");
            return Some(
                Diagnostic::error(Code("E0543"), title)
                    .at(Place::Key(place(ctx, name)), "the same but for `-` and `_`")
                    .see(Place::Key(place(ctx, other)), "the first of the two")
                    .see(
                        Place::Value(config.origin.key("format")),
                        "names become variables",
                    )
                    .help("rename one of the two"),
            );
        }
    }
    None
}

fn place(ctx: &Ctx<'_>, name: &Name) -> FieldPath {
    let section = if ctx.spec.models.contains_key(name) {
        "models"
    } else if ctx.spec.services.contains_key(name) {
        "services"
    } else {
        "externals"
    };
    FieldPath::root().key(section).key(name.as_str())
}
