//! What a unit inherits from outer levels: launcher, environment, release.
//!
//! Pure functions over the spec; each value keeps the path it came from, and
//! [`Document::origin`](super::Document::origin) tells file and command line apart.

use indexmap::IndexMap;

use super::ClusterSpec;
use super::model::{Container, Engine, Env, LauncherKind, ModelSpec};
use super::origin::Sourced;
use crate::base::{EvalName, FieldPath, Name, NodeName};

/// What an environment is entered through; the most specific level replaces the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activation {
    /// The name or path of a conda environment.
    Conda(String),
    /// The path of a virtual environment.
    Venv(String),
    /// A container.
    Container(Container),
}

/// An environment, all levels merged.
///
/// Lists append. A variable that a more specific level sets is not unset by an outer one, and the
/// other way round.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MergedEnv {
    /// What it is entered through.
    pub activation: Option<Sourced<Activation>>,
    /// Modules to load, in order.
    pub modules: Vec<Sourced<String>>,
    /// Shell lines to run, in order.
    pub setup: Vec<Sourced<String>>,
    /// Names handed on from the caller, each once.
    pub pass: Vec<Sourced<String>>,
    /// Variables to set.
    pub set: IndexMap<String, Sourced<String>>,
    /// Variables to remove, each once.
    pub unset: Vec<Sourced<String>>,
    /// The umask, in octal.
    pub umask: Option<Sourced<String>>,
}

impl MergedEnv {
    /// Adds a more specific level, which stands at `path`.
    fn add(&mut self, env: &Env, path: &FieldPath) {
        let activation = [
            env.conda
                .clone()
                .map(|conda| (Activation::Conda(conda), "conda")),
            env.venv
                .clone()
                .map(|venv| (Activation::Venv(venv), "venv")),
            env.container
                .clone()
                .map(|container| (Activation::Container(container), "container")),
        ];
        if let Some((value, key)) = activation.into_iter().flatten().next() {
            self.activation = Some(Sourced::yaml(value, path.key(key)));
        }
        append(&mut self.modules, &env.modules, &path.key("modules"));
        append(&mut self.setup, &env.setup, &path.key("setup"));
        append_new(&mut self.pass, &env.pass, &path.key("pass"));
        for name in &env.unset {
            self.set.shift_remove(name);
        }
        append_new(&mut self.unset, &env.unset, &path.key("unset"));
        for (name, value) in &env.set {
            self.unset.retain(|unset| &unset.value != name);
            let value = Sourced::yaml(value.0.clone(), path.key("set").key(name));
            self.set.insert(name.clone(), value);
        }
        if let Some(umask) = &env.umask {
            self.umask = Some(Sourced::yaml(umask.0.clone(), path.key("umask")));
        }
    }
}

fn append(to: &mut Vec<Sourced<String>>, items: &[String], path: &FieldPath) {
    for (index, item) in items.iter().enumerate() {
        to.push(Sourced::yaml(item.clone(), path.index(index)));
    }
}

fn append_new(to: &mut Vec<Sourced<String>>, items: &[String], path: &FieldPath) {
    for (index, item) in items.iter().enumerate() {
        if to.iter().all(|there| &there.value != item) {
            to.push(Sourced::yaml(item.clone(), path.index(index)));
        }
    }
}

fn merged<'a>(levels: impl IntoIterator<Item = (Option<&'a Env>, FieldPath)>) -> MergedEnv {
    let mut env = MergedEnv::default();
    for (level, path) in levels {
        if let Some(level) = level {
            env.add(level, &path);
        }
    }
    env
}

/// The environment of a model's servers: top < `vllm.env` < node < model's `vllm.env` < model.
///
/// The environments that hold vLLM are for vLLM alone: the simulator is this program.
pub fn model_env(spec: &ClusterSpec, model: &Name, node: &NodeName) -> MergedEnv {
    let path = root().key("models").key(model.as_str());
    let given = spec.models.get(model.as_str());
    let is_vllm = given.is_none_or(|model| model.engine.unwrap_or_default() == Engine::Vllm);
    let top_vllm = spec.vllm.as_ref().filter(|_| is_vllm);
    let own_vllm = given
        .and_then(|model| model.vllm.as_ref())
        .filter(|_| is_vllm);
    merged([
        (spec.env.as_ref(), root().key("env")),
        (
            top_vllm.and_then(|vllm| vllm.env.as_ref()),
            root().key("vllm").key("env"),
        ),
        node_env(spec, node),
        (
            own_vllm.and_then(|vllm| vllm.env.as_ref()),
            path.key("vllm").key("env"),
        ),
        (given.and_then(|model| model.env.as_ref()), path.key("env")),
    ])
}

/// The environment of a service: top < node < service.
pub fn service_env(spec: &ClusterSpec, service: &Name, node: &NodeName) -> MergedEnv {
    let given = spec.services.get(service.as_str());
    merged([
        (spec.env.as_ref(), root().key("env")),
        node_env(spec, node),
        (
            given.and_then(|service| service.env.as_ref()),
            root().key("services").key(service.as_str()).key("env"),
        ),
    ])
}

/// The environment of an evaluation's client: top < node (if it runs on one) < evaluation.
pub fn eval_env(spec: &ClusterSpec, eval: &EvalName) -> MergedEnv {
    let given = spec.evals.get(eval.as_str());
    let node = given.and_then(|eval| eval.node.as_ref());
    let on_node = node.map_or((None, root()), |node| node_env(spec, node));
    merged([
        (spec.env.as_ref(), root().key("env")),
        on_node,
        (
            given.and_then(|eval| eval.env.as_ref()),
            root().key("evals").key(eval.as_str()).key("env"),
        ),
    ])
}

/// An environment that another one replaces but for what is set and handed on: `rehearse.env`.
pub fn replaced(mut env: MergedEnv, own: &Env) -> MergedEnv {
    env.activation = None;
    env.modules.clear();
    env.setup.clear();
    env.add(own, &root().key("rehearse").key("env"));
    env
}

fn node_env<'a>(spec: &'a ClusterSpec, node: &NodeName) -> (Option<&'a Env>, FieldPath) {
    let (kind, env) = match spec.pools.get(node.as_str()) {
        Some(pool) => ("pools", pool.env.as_ref()),
        None => (
            "nodes",
            spec.nodes
                .get(node.as_str())
                .and_then(|node| node.env.as_ref()),
        ),
    };
    (env, root().key(kind).key(node.as_str()).key("env"))
}

/// How a model's servers are started on `node`: top < node < model; a pool is always SLURM's.
pub fn model_launcher(spec: &ClusterSpec, model: &Name, node: &NodeName) -> Sourced<LauncherKind> {
    let own = spec
        .models
        .get(model.as_str())
        .and_then(|model| model.launcher);
    let path = root().key("models").key(model.as_str());
    launcher(spec, own, &path, node)
}

/// How a service is started on `node`: top < node < service; a pool is always SLURM's.
pub fn service_launcher(
    spec: &ClusterSpec,
    service: &Name,
    node: &NodeName,
) -> Sourced<LauncherKind> {
    let own = spec
        .services
        .get(service.as_str())
        .and_then(|service| service.launcher);
    let path = root().key("services").key(service.as_str());
    launcher(spec, own, &path, node)
}

/// How an evaluation's client is started: on the controller as a process unless it says otherwise,
/// on a node as everything there.
pub fn eval_launcher(spec: &ClusterSpec, eval: &EvalName) -> Sourced<LauncherKind> {
    let given = spec.evals.get(eval.as_str());
    let own = given.and_then(|eval| eval.launcher);
    let path = root().key("evals").key(eval.as_str());
    let node = given.and_then(|eval| eval.node.as_ref());
    match (own, node.filter(|node| is_node(spec, node))) {
        (Some(own), _) => Sourced::yaml(own, path.key("launcher")),
        (None, Some(node)) => launcher(spec, None, &path, node),
        (None, None) => Sourced::default(LauncherKind::Process, "process on the controller"),
    }
}

fn is_node(spec: &ClusterSpec, name: &NodeName) -> bool {
    spec.nodes.contains_key(name.as_str()) || spec.pools.contains_key(name.as_str())
}

fn launcher(
    spec: &ClusterSpec,
    own: Option<LauncherKind>,
    path: &FieldPath,
    node: &NodeName,
) -> Sourced<LauncherKind> {
    if spec.pools.contains_key(node.as_str()) {
        let pool = root().key("pools").key(node.as_str());
        return Sourced::yaml(LauncherKind::Slurm, pool);
    }
    if let Some(own) = own {
        return Sourced::yaml(own, path.key("launcher"));
    }
    if let Some(of_node) = spec.nodes.get(node.as_str()).and_then(|node| node.launcher) {
        let path = root().key("nodes").key(node.as_str()).key("launcher");
        return Sourced::yaml(of_node, path);
    }
    match spec.launcher {
        Some(top) => Sourced::yaml(top, root().key("launcher")),
        None => Sourced::default(LauncherKind::Process, "process"),
    }
}

/// The vLLM release that a model's flags and parsers are checked against; none if none is named.
pub fn release(spec: &ClusterSpec, model: &Name) -> Option<Sourced<String>> {
    let key = |path: FieldPath| path.key("vllm").key("version");
    if let Some(own) = spec.models.get(model.as_str()).and_then(own_release) {
        let path = key(root().key("models").key(model.as_str()));
        return Some(Sourced::yaml(own.to_owned(), path));
    }
    let top = spec.vllm.as_ref()?.version.as_ref()?;
    Some(Sourced::yaml(top.clone(), key(root())))
}

fn own_release(model: &ModelSpec) -> Option<&str> {
    model.vllm.as_ref()?.version.as_deref()
}

fn root() -> FieldPath {
    FieldPath::root()
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
