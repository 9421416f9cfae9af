//! Services: those that can run here do, for the others a stand-in answers.

use crate::base::{Name, NodeName};
use crate::facts::{Facts, PathKind};
use crate::plan::ask::activation;
use crate::plan::paths;
use crate::spec::ClusterSpec;
use crate::spec::model::{Env, ScalarText, Service};
use crate::spec::resolve::{self, Activation, MergedEnv};

use super::clients::withhold_keys;
use super::models::sooner_again;
use super::types::{Replaced, Wish};

/// The variable that tells programs of this one how fast time passes.
pub(super) const SPEED: &str = "TOOLORCH_SIM_SPEED";

/// Tokens of a document that a stand-in finds: clients ask for fifty, and cut what is beyond some 24,000 tokens.
const DOCUMENT: &str = "300";

/// Puts stand-ins where a service cannot run here.
pub(super) fn stand_in(
    spec: &mut ClusterSpec,
    facts: &Facts,
    wish: &Wish,
    original: &ClusterSpec,
) -> Vec<Replaced> {
    let mut replaced = Vec::new();
    for (name, service) in &mut spec.services {
        service.launcher = None;
        service.restart = Some(sooner_again(service.restart.take(), wish));
        let nodes = &original.services[name.as_str()].node.0;
        let node = nodes.first().cloned().unwrap_or_else(|| NodeName::new(""));
        let env = resolve::service_env(original, name, &node);
        match cannot_run(service, &env, facts) {
            None => {
                let mut env = flat(&env);
                withhold_keys(&mut env);
                service.env = Some(env);
            }
            Some(why) => {
                substitute(name, service, facts, wish);
                replaced.push(Replaced {
                    what: name.to_string(),
                    by: "a stand-in".to_owned(),
                    why: Some(why),
                });
            }
        }
        service.gpus = Vec::new();
    }
    replaced
}

fn cannot_run(service: &Service, env: &MergedEnv, facts: &Facts) -> Option<String> {
    if !service.gpus.is_empty() {
        return Some("it asks for GPUs".to_owned());
    }
    let home = facts.home.get().map(String::as_str);
    let cwd = service.cwd.as_deref().unwrap_or(".");
    let cwd = paths::absolute(cwd, &facts.yaml_dir, home);
    if is_absent(facts, &cwd) {
        return Some(format!("`{cwd}` is not here"));
    }
    lacks(service.command.first().map(String::as_str), env, facts)
}

/// What of an environment or program is not on this machine.
pub(super) fn lacks(program: Option<&str>, env: &MergedEnv, facts: &Facts) -> Option<String> {
    let home = facts.home.get().map(String::as_str);
    match env.activation.as_ref().map(|found| &found.value) {
        Some(Activation::Conda(name))
            if !(facts.conda_envs.get()).is_some_and(|all| all.contains(name)) =>
        {
            return Some(format!("there is no conda environment `{name}` here"));
        }
        Some(Activation::Venv(path))
            if is_absent(facts, &activation(&paths::expanded(path, home))) =>
        {
            return Some(format!("there is no environment `{path}` here"));
        }
        Some(Activation::Container(_)) => return Some("it runs in a container".to_owned()),
        _ => {}
    }
    if let Some(module) = env.modules.first() {
        return Some(format!("it loads the module `{}`", module.value));
    }
    let brought = env.activation.is_some() || env.set.contains_key("PATH");
    let plain = |program: &&str| !program.contains(['/', '{']) && !brought;
    let program = program.filter(plain)?;
    let missing = matches!(facts.programs.get(program), Some(None));
    missing.then(|| format!("there is no program `{program}` here"))
}

fn is_absent(facts: &Facts, path: &str) -> bool {
    let kind = facts.paths.get(path).and_then(|kind| kind.get());
    kind == Some(&PathKind::Absent)
}

fn substitute(name: &Name, service: &mut Service, facts: &Facts, wish: &Wish) {
    let mut command = program(facts);
    let words = ["--host", "{host}", "--port", "{port}", "--name"];
    command.extend(words.map(str::to_owned));
    command.push(name.to_string());
    if service.warmup.is_some() || !service.gpus.is_empty() {
        // What was loaded onto a GPU answers slowly at first; who warms a service up knows that.
        command.extend(["--cold", "8s", "--cold-requests", "100"].map(str::to_owned));
    }
    command.extend(["--latency", "200ms", "--tokens", DOCUMENT].map(str::to_owned));
    service.command = command;
    service.cwd = None;
    service.env = Some(speed_alone(wish));
}

/// The words that start a stand-in.
pub(super) fn program(facts: &Facts) -> Vec<String> {
    // Braces of a path are no placeholder.
    let exe = facts.exe.replace('{', "{{").replace('}', "}}");
    vec![exe, "sim".to_owned(), "service".to_owned()]
}

/// An environment that says how fast time passes, and nothing else.
pub(super) fn speed_alone(wish: &Wish) -> Env {
    let mut env = Env::default();
    let speed = ScalarText(wish.speed.to_string());
    env.set.insert(SPEED.to_owned(), speed);
    env
}

/// One level that says what all of them say together.
pub(super) fn flat(env: &MergedEnv) -> Env {
    let mut flat = Env {
        modules: env.modules.iter().map(|line| line.value.clone()).collect(),
        setup: env.setup.iter().map(|line| line.value.clone()).collect(),
        pass: env.pass.iter().map(|name| name.value.clone()).collect(),
        unset: env.unset.iter().map(|name| name.value.clone()).collect(),
        umask: env
            .umask
            .as_ref()
            .map(|mask| ScalarText(mask.value.clone())),
        ..Env::default()
    };
    match env.activation.as_ref().map(|found| found.value.clone()) {
        Some(Activation::Conda(name)) => flat.conda = Some(name),
        Some(Activation::Venv(path)) => flat.venv = Some(path),
        Some(Activation::Container(container)) => flat.container = Some(container),
        None => {}
    }
    for (name, value) in &env.set {
        flat.set
            .insert(name.clone(), ScalarText(value.value.clone()));
    }
    flat
}
