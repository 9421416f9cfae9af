//! Names: one namespace, no unit called like something else, every reference leads somewhere.

use std::collections::HashMap;

use crate::base::{ConfigName, FieldPath, Name};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::plan::similar::{MaybeFix as _, did_you_mean};
use crate::plan::{CONTROLLER, DEFAULT_CONFIG};
use crate::spec::ClusterSpec;

use super::Ctx;

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    let all = all_names(ctx.spec);
    one_namespace(&all, report);
    units(ctx.spec, &all, report);
    reserved(ctx.spec, report);
    references(ctx.spec, report);
}

/// Every name of the one namespace, with what it names and where it stands.
fn all_names(spec: &ClusterSpec) -> Vec<(&str, &'static str, FieldPath)> {
    let path = |part: &str, name: &str| FieldPath::root().key(part).key(name);
    let mut all = Vec::new();
    let mut add = |kind, part, name| all.push((name, kind, path(part, name)));
    spec.models
        .keys()
        .for_each(|name| add("a model", "models", name.as_str()));
    spec.services
        .keys()
        .for_each(|name| add("a service", "services", name.as_str()));
    spec.externals
        .keys()
        .for_each(|name| add("an external", "externals", name.as_str()));
    spec.evals
        .keys()
        .for_each(|name| add("an evaluation", "evals", name.as_str()));
    all
}

fn one_namespace(all: &[(&str, &'static str, FieldPath)], report: &mut Report) {
    let mut first: HashMap<&str, (&str, &FieldPath)> = HashMap::new();
    for (name, kind, path) in all {
        let Some((other, before)) = first.insert(name, (kind, path)) else {
            continue;
        };
        report.push(
            Diagnostic::error(Code("E0211"), format!("two things are called `{name}`"))
                .at(Place::Key(path.clone()), *kind)
                .see(Place::Key(before.clone()), format!("{other} of the same name"))
                .help("models, services, externals and evaluations share one namespace: commands and client configurations name them alike"),
        );
    }
}

/// `a-0` is the first replica of `a`, `eval-x` the client of `x`: nothing else may be called so.
fn units(spec: &ClusterSpec, all: &[(&str, &'static str, FieldPath)], report: &mut Report) {
    for (name, kind, path) in all {
        let owner = match name.rsplit_once('-') {
            Some((model, number)) if is_replica(spec, model, number) => {
                Some((format!("replica {number} of `{model}`"), "models", model))
            }
            _ => name
                .strip_prefix("eval-")
                .filter(|eval| spec.evals.contains_key(*eval))
                .map(|eval| (format!("the client of evaluation `{eval}`"), "evals", eval)),
        };
        let Some((what, part, owner)) = owner else {
            continue;
        };
        report.push(
            Diagnostic::error(
                Code("E0212"),
                format!("`{name}` is also the name of {what}"),
            )
            .at(Place::Key(path.clone()), *kind)
            .see(
                Place::Key(FieldPath::root().key(part).key(owner)),
                format!("its unit is called `{name}`"),
            )
            .help("units, logs and sessions go by these names: rename one of the two"),
        );
    }
}

fn is_replica(spec: &ClusterSpec, model: &str, number: &str) -> bool {
    let canonical = number == "0" || !number.starts_with('0');
    let replicas = spec
        .models
        .get(model)
        .map(|model| model.replicas.unwrap_or(1));
    match (replicas, number.parse::<u32>()) {
        (Some(replicas), Ok(number)) => canonical && number < replicas,
        _ => false,
    }
}

fn reserved(spec: &ClusterSpec, report: &mut Report) {
    let root = FieldPath::root();
    let mut taken = |path: FieldPath, title: String, text: &str| {
        report.push(Diagnostic::error(Code("E0213"), title).at(Place::Key(path), text));
    };
    if spec.nodes.contains_key(CONTROLLER) {
        taken(
            root.key("nodes").key(CONTROLLER),
            "`controller` means the machine where toolorch runs".to_owned(),
            "call this node by its host name",
        );
    }
    for pool in spec.pools.keys() {
        let path = root.key("pools").key(pool.as_str());
        if spec.nodes.contains_key(pool) {
            taken(path, format!("`{pool}` is a node and a pool"), "rename one");
        }
    }
    if spec.client_config.is_some() && spec.client_configs.contains_key(DEFAULT_CONFIG) {
        taken(
            root.key("client_configs").key(DEFAULT_CONFIG),
            "`default` is the name of `client_config`".to_owned(),
            "rename this one",
        );
    }
}

/// Names that evaluations mention.
fn references(spec: &ClusterSpec, report: &mut Report) {
    for (name, eval) in &spec.evals {
        let origin = FieldPath::root().key("evals").key(name.as_str());
        let servers = || {
            let models = spec.models.keys().chain(spec.services.keys());
            models.chain(spec.externals.keys()).map(Name::as_str)
        };
        for (index, wanted) in eval.requires.iter().flatten().enumerate() {
            if !servers().any(|known| known == wanted.as_str()) {
                let place = Place::Value(origin.key("requires").index(index));
                report.push(unknown(
                    "model, service or external",
                    wanted.as_str(),
                    place,
                    servers(),
                ));
            }
        }
        let models = || spec.models.keys().map(Name::as_str);
        for wanted in eval
            .context
            .keys()
            .filter(|name| !spec.models.contains_key(*name))
        {
            let place = Place::Key(origin.key("context").key(wanted.as_str()));
            report.push(unknown("model", wanted.as_str(), place, models()));
        }
        if let Some(wanted) = &eval.config {
            let single = spec.client_config.iter().map(|_| DEFAULT_CONFIG);
            let known = || {
                let named = spec.client_configs.keys().map(ConfigName::as_str);
                named.chain(single.clone())
            };
            if !known().any(|known| known == wanted.as_str()) {
                let place = Place::Value(origin.key("config"));
                report.push(unknown(
                    "client configuration",
                    wanted.as_str(),
                    place,
                    known(),
                ));
            }
        }
    }
}

fn unknown<'a>(
    what: &str,
    wanted: &str,
    place: Place,
    known: impl Iterator<Item = &'a str>,
) -> Diagnostic {
    let fix = did_you_mean(wanted, known, place.clone());
    Diagnostic::error(Code("E0210"), format!("there is no {what} `{wanted}`"))
        .at(place, "nothing of this name")
        .maybe_fix(fix)
}
