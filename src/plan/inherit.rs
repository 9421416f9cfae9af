//! What an inner level takes from the outer ones: launcher, release, environment, SLURM options.
//!
//! Each value is returned with the place that decided it, so that `plan --origins` can say why.

use crate::base::FieldPath;
use crate::knowledge::release::Release;
use crate::spec::ClusterSpec;
use crate::spec::model::{Engine, Env, Eval, LauncherKind, ModelSpec, Service, Slurm};

use super::UnitEnv;
use super::sites::Site;

/// A value and the key that decided it; no key means that nothing was written and a default holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sourced<T> {
    /// The value.
    pub value: T,
    /// The key that it comes from.
    pub from: Option<FieldPath>,
}

impl<T> Sourced<T> {
    fn default_of(value: T) -> Self {
        Self { value, from: None }
    }

    fn of(value: T, from: FieldPath) -> Self {
        Self {
            value,
            from: Some(from),
        }
    }
}

/// How a model or service at `site` is started: its own word, else the node's, else the top's.
pub(crate) fn launcher(
    spec: &ClusterSpec,
    site: &Site<'_>,
    own: Option<LauncherKind>,
    origin: &FieldPath,
) -> Sourced<LauncherKind> {
    if site.pool.is_some() {
        return Sourced::of(LauncherKind::Slurm, site.origin.clone());
    }
    if let Some(kind) = own {
        return Sourced::of(kind, origin.key("launcher"));
    }
    if let Some(kind) = site.launcher {
        return Sourced::of(kind, site.origin.key("launcher"));
    }
    match spec.launcher {
        Some(kind) => Sourced::of(kind, FieldPath::root().key("launcher")),
        None => Sourced::default_of(LauncherKind::Process),
    }
}

/// How an evaluation is started: on the controller as a process unless it says otherwise.
pub(crate) fn eval_launcher(
    spec: &ClusterSpec,
    site: Option<&Site<'_>>,
    eval: &Eval,
    origin: &FieldPath,
) -> Sourced<LauncherKind> {
    match site {
        Some(site) => launcher(spec, site, eval.launcher, origin),
        None => match eval.launcher {
            Some(kind) => Sourced::of(kind, origin.key("launcher")),
            None => Sourced::default_of(LauncherKind::Process),
        },
    }
}

/// The text of the release that a model is checked against, as the YAML has it.
pub(crate) fn release_text<'a>(
    spec: &'a ClusterSpec,
    model: &'a ModelSpec,
    origin: &FieldPath,
) -> Option<(&'a str, FieldPath)> {
    let own = model.vllm.as_ref().and_then(|vllm| vllm.version.as_deref());
    let top = spec.vllm.as_ref().and_then(|vllm| vllm.version.as_deref());
    match (own, top) {
        (Some(text), _) => Some((text, origin.key("vllm").key("version"))),
        (None, Some(text)) => Some((text, FieldPath::root().key("vllm").key("version"))),
        (None, None) => None,
    }
}

/// The release that a model is checked against, where one is written and can be read.
pub(crate) fn release(spec: &ClusterSpec, model: &ModelSpec) -> Option<Release> {
    let (text, _) = release_text(spec, model, &FieldPath::root())?;
    text.parse().ok()
}

/// The environment of a model's servers: top < `vllm.env` < node < `model.vllm.env` < model.
///
/// The simulator is this program: the environments that hold vLLM are not for it.
pub(crate) fn model_env(spec: &ClusterSpec, site: &Site<'_>, model: &ModelSpec) -> UnitEnv {
    let vllm =
        |vllm: &Option<crate::spec::model::Vllm>| vllm.as_ref().and_then(|vllm| vllm.env.clone());
    let runs_vllm = super::argv::engine(model) == Engine::Vllm;
    let of_top = if runs_vllm { vllm(&spec.vllm) } else { None };
    let of_model = if runs_vllm { vllm(&model.vllm) } else { None };
    merged([
        spec.env.as_ref(),
        of_top.as_ref(),
        site.env,
        of_model.as_ref(),
        model.env.as_ref(),
    ])
}

/// The environment of a service: top < node < service.
pub(crate) fn service_env(spec: &ClusterSpec, site: &Site<'_>, service: &Service) -> UnitEnv {
    merged([spec.env.as_ref(), site.env, service.env.as_ref()])
}

/// The environment of an evaluation: top < node < evaluation.
pub(crate) fn eval_env(spec: &ClusterSpec, site: Option<&Site<'_>>, eval: &Eval) -> UnitEnv {
    merged([
        spec.env.as_ref(),
        site.and_then(|site| site.env),
        eval.env.as_ref(),
    ])
}

/// Merges levels, outermost first: lists append, maps override, and of `conda`, `venv` and
/// `container` the most specific replaces the others.
fn merged<const N: usize>(levels: [Option<&Env>; N]) -> UnitEnv {
    let mut all = UnitEnv::default();
    for env in levels.into_iter().flatten() {
        if env.conda.is_some() || env.venv.is_some() || env.container.is_some() {
            all.conda.clone_from(&env.conda);
            all.venv.clone_from(&env.venv);
        }
        all.modules.extend(env.modules.iter().cloned());
        all.setup.extend(env.setup.iter().cloned());
        append_new(&mut all.pass, &env.pass);
        append_new(&mut all.unset, &env.unset);
        for (name, value) in &env.set {
            all.set.insert(name.clone(), value.0.clone());
        }
        if let Some(umask) = &env.umask {
            all.umask = Some(umask.0.clone());
        }
    }
    all
}

/// Appends the names that are not there yet.
fn append_new(all: &mut Vec<String>, more: &[String]) {
    for name in more {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
}

/// SLURM options of a pool's jobs: the pool's own over those at the top.
pub(crate) fn slurm(spec: &ClusterSpec, own: Option<&Slurm>) -> Slurm {
    let mut all = spec.slurm.clone().unwrap_or_default();
    let Some(own) = own else { return all };
    let over = |outer: &mut Option<String>, inner: &Option<String>| {
        if inner.is_some() {
            outer.clone_from(inner);
        }
    };
    over(&mut all.partition, &own.partition);
    over(&mut all.account, &own.account);
    over(&mut all.qos, &own.qos);
    over(&mut all.time, &own.time);
    over(&mut all.gres, &own.gres);
    over(&mut all.constraint, &own.constraint);
    over(&mut all.exclude, &own.exclude);
    over(&mut all.login, &own.login);
    all.renew = own.renew.or(all.renew);
    for (name, value) in &own.extra {
        all.extra.insert(name.clone(), value.clone());
    }
    all
}
