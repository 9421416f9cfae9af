//! What a unit takes from outer levels, in the plan's own types; `spec::resolve` decides.

use crate::base::Name;
use crate::knowledge::release::Release;
use crate::spec::ClusterSpec;
use crate::spec::model::Slurm;
use crate::spec::resolve::{self, Activation, MergedEnv};

use super::UnitEnv;

/// The release that a model is checked against, where one is written and can be read.
pub(crate) fn release(spec: &ClusterSpec, model: &Name) -> Option<Release> {
    resolve::release(spec, model)?.value.parse().ok()
}

/// A merged environment without the origins of its values.
pub(crate) fn unit_env(env: MergedEnv) -> UnitEnv {
    let values = |list: Vec<crate::spec::Sourced<String>>| {
        list.into_iter().map(|item| item.value).collect::<Vec<_>>()
    };
    let (mut conda, mut venv, mut container) = (None, None, None);
    match env.activation.map(|activation| activation.value) {
        Some(Activation::Conda(name)) => conda = Some(name),
        Some(Activation::Venv(path)) => venv = Some(path),
        Some(Activation::Container(image)) => container = Some(image),
        None => {}
    }
    UnitEnv {
        conda,
        venv,
        container,
        modules: values(env.modules),
        setup: values(env.setup),
        pass: values(env.pass),
        may_pass: Vec::new(),
        set: (env.set.into_iter())
            .map(|(name, value)| (name, value.value))
            .collect(),
        unset: values(env.unset),
        umask: env.umask.map(|umask| umask.value),
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
