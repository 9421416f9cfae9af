//! The environment of a unit: the merged levels, and what the plan adds.

use crate::base::{FieldPath, Name};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::spec::ClusterSpec;
use crate::spec::model::{CachePolicy, Engine, ModelSpec};

use super::fill::{FillError, Values, fill};
use super::{Stage, UnitEnv, argv};

/// Adds what the plan knows to a model's environment; what the YAML sets wins.
pub(crate) fn add_for_model(
    spec: &ClusterSpec,
    name: &Name,
    model: &ModelSpec,
    yaml_dir: &str,
    env: &mut UnitEnv,
) {
    match argv::engine(model) {
        Engine::Sim => {
            for (name, value) in argv::sim_variables(spec, name, model, yaml_dir) {
                env.set.entry(name).or_insert(value);
            }
        }
        Engine::Vllm | Engine::Sglang => add_hub(spec, env),
        Engine::Command => {}
    }
    mount_weights(model, env);
}

/// Weights of a directory are there in a container, too.
fn mount_weights(model: &ModelSpec, env: &mut UnitEnv) {
    let Some(container) = &mut env.container else {
        return;
    };
    let place = &model.model;
    if place.starts_with('/') {
        container.mounts.push(format!("{place}:{place}"));
    }
}

/// Hugging Face: cache, offline mode, token by name.
fn add_hub(spec: &ClusterSpec, env: &mut UnitEnv) {
    let Some(hf) = &spec.hf else { return };
    if let Some(home) = &hf.home {
        env.set
            .entry("HF_HOME".to_owned())
            .or_insert_with(|| home.clone());
    }
    if hf.offline == Some(true) {
        env.set
            .entry("HF_HUB_OFFLINE".to_owned())
            .or_insert_with(|| "1".to_owned());
    }
    if let Some(token) = hf.token.as_ref().and_then(|token| token.env.as_ref())
        && !env.pass.contains(token)
    {
        env.pass.push(token.clone());
    }
}

/// What is copied to a server's machine before it loads it.
pub(crate) fn stage(spec: &ClusterSpec, model: &ModelSpec) -> Option<Stage> {
    let dir = spec.hf.as_ref()?.stage.clone()?;
    let is_of_hub =
        !model.model.starts_with(['/', '.', '~']) && model.model.matches('/').count() == 1;
    let loads = matches!(argv::engine(model), Engine::Vllm | Engine::Sglang);
    (is_of_hub && loads).then(|| Stage {
        dir,
        repo: model.model.clone(),
        revision: model.revision.clone().unwrap_or_else(|| "main".to_owned()),
    })
}

/// Where a server's compile caches go: one directory each, or one for all that start warm.
///
/// vLLM, Inductor and Triton each write caches that servers started together have corrupted for
/// each other (vllm#24601); the unit script points all three below this directory.
pub(crate) fn cache_dir(
    spec: &ClusterSpec,
    name: &Name,
    model: &ModelSpec,
    unit: &str,
) -> Option<String> {
    if argv::engine(model) != Engine::Vllm {
        return None;
    }
    let last = match model.cache.unwrap_or(CachePolicy::PerReplica) {
        CachePolicy::PerReplica => unit,
        CachePolicy::WarmFirst => name.as_str(),
    };
    Some(format!("~/.cache/toolorch/{}/{last}", spec.name))
}

/// Fills in the placeholders of the variables; what cannot be is reported and kept as written.
pub(crate) fn fill_set(
    env: &mut UnitEnv,
    values: &Values,
    origin: &FieldPath,
    mut report: Option<&mut Report>,
) {
    for (name, value) in &mut env.set {
        match fill(value, values) {
            Ok(std::borrow::Cow::Borrowed(_)) => {}
            Ok(std::borrow::Cow::Owned(filled)) => *value = filled,
            Err(why) => {
                if let Some(report) = report.as_deref_mut() {
                    let path = origin.key("env").key("set").key(name.as_str());
                    report.push(cannot_fill(&why, values, path));
                }
            }
        }
    }
}

/// Fills in the placeholders of a command; what cannot be is reported and kept as written.
pub(crate) fn fill_command(
    command: &[String],
    values: &Values,
    origin: &FieldPath,
    mut report: Option<&mut Report>,
) -> Vec<String> {
    let mut argv = Vec::with_capacity(command.len());
    for (index, word) in command.iter().enumerate() {
        match fill(word, values) {
            Ok(filled) => argv.push(filled.into_owned()),
            Err(why) => {
                argv.push(word.clone());
                if let Some(report) = report.as_deref_mut() {
                    let path = origin.key("command").index(index);
                    report.push(cannot_fill(&why, values, path));
                }
            }
        }
    }
    argv
}

fn cannot_fill(why: &FillError, values: &Values, path: FieldPath) -> Diagnostic {
    let known = values.names().map(|name| format!("`{{{name}}}`"));
    let known = known.collect::<Vec<_>>().join(", ");
    let code = match why {
        FillError::NoValue(_) => Code("E0516"),
        FillError::Unknown(_) | FillError::NotClosed => Code("E0515"),
    };
    Diagnostic::error(code, why.to_string())
        .at(Place::Value(path), "in this text")
        .help(format!("here there are {known}; write `{{{{` for a brace"))
}
