//! What is inherited from where.

use super::*;
use crate::spec::{Source, parse};

fn spec(yaml: &str) -> ClusterSpec {
    let parsed = parse(Source::new("a.yaml", yaml.as_bytes()), &[]);
    assert_eq!(parsed.diagnostics, []);
    parsed.spec.expect("the YAML has no mistake")
}

const CLUSTER: &str = r#"
version: 1
name: levels
launcher: tmux
env: { modules: [gcc], setup: [source top.sh], pass: [A, B], set: { X: top, Y: top, Z: "1" }, unset: [T] }
vllm: { version: "0.12.0", env: { conda: vllm1, set: { X: vllm } } }
nodes:
  n: { gpus: 8, env: { venv: /n, setup: [source n.sh], pass: [B, C], unset: [Y] } }
  s: { gpus: 8, launcher: slurm }
pools: { p: { nodes: 2, gpus: 8 } }
models:
  plain: { model: m, node: n }
  own: { model: m, node: s, launcher: process, vllm: { version: "0.13.0", env: { conda: vllm2, umask: 022 } }, env: { set: { T: 0.10 } } }
services: { web: { node: n, command: [web], env: { conda: w } } }
evals:
  here: { results: out, dataset: d }
  there: { results: out, dataset: d, node: n }
"#;

fn texts(list: &[Sourced<String>]) -> Vec<&str> {
    list.iter().map(|item| item.value.as_str()).collect()
}

fn came_from<T>(value: &Sourced<T>) -> String {
    value.origin.to_string()
}

#[test]
fn lists_append_maps_override_and_the_most_specific_activation_wins() {
    let spec = spec(CLUSTER);
    let env = model_env(&spec, &"plain".into(), &"n".into());
    let activation = env.activation.expect("there is one");
    assert_eq!(activation.value, Activation::Venv("/n".to_owned()));
    assert_eq!(came_from(&activation), "nodes.n.env.venv");
    assert_eq!(texts(&env.setup), ["source top.sh", "source n.sh"]);
    assert_eq!(texts(&env.pass), ["A", "B", "C"]);
    assert_eq!(texts(&env.unset), ["T", "Y"]);
    assert_eq!(env.set.keys().collect::<Vec<_>>(), ["X", "Z"]);
    assert_eq!(env.set["X"].value, "vllm");
    assert_eq!(came_from(&env.set["X"]), "vllm.env.set.X");
}

#[test]
fn a_model_overrides_and_numbers_keep_their_text() {
    let spec = spec(CLUSTER);
    let env = model_env(&spec, &"own".into(), &"s".into());
    let activation = env.activation.expect("there is one");
    assert_eq!(activation.value, Activation::Conda("vllm2".to_owned()));
    assert_eq!(env.umask.map(|umask| umask.value).as_deref(), Some("022"));
    assert_eq!(env.set["T"].value, "0.10");
    assert_eq!(texts(&env.unset), [] as [&str; 0]);
}

#[test]
fn services_and_evaluations_do_not_see_the_environment_of_vllm() {
    let spec = spec(CLUSTER);
    let web = service_env(&spec, &"web".into(), &"n".into());
    assert_eq!(web.set["X"].value, "top");
    assert_eq!(
        came_from(&web.activation.expect("there is one")),
        "services.web.env.conda"
    );
    assert_eq!(eval_env(&spec, &"here".into()).activation, None);
    let there = eval_env(&spec, &"there".into())
        .activation
        .expect("there is one");
    assert_eq!(came_from(&there), "nodes.n.env.venv");
}

#[test]
fn launchers_come_from_the_most_specific_level() {
    let spec = spec(CLUSTER);
    let of_model = |model: &str, node: &str| {
        let launcher = model_launcher(&spec, &model.into(), &node.into());
        (launcher.value, came_from(&launcher))
    };
    let from = |kind, path: &str| (kind, path.to_owned());
    assert_eq!(of_model("plain", "n"), from(LauncherKind::Tmux, "launcher"));
    assert_eq!(
        of_model("plain", "s"),
        from(LauncherKind::Slurm, "nodes.s.launcher")
    );
    assert_eq!(
        of_model("own", "s"),
        from(LauncherKind::Process, "models.own.launcher")
    );
    assert_eq!(of_model("own", "p"), from(LauncherKind::Slurm, "pools.p"));
    assert_eq!(
        eval_launcher(&spec, &"here".into()).value,
        LauncherKind::Process
    );
    assert_eq!(
        eval_launcher(&spec, &"there".into()).value,
        LauncherKind::Tmux
    );
}

#[test]
fn a_release_of_the_model_goes_before_the_top() {
    let spec = spec(CLUSTER);
    let of = |model: &str| release(&spec, &model.into()).map(|release| release.value);
    assert_eq!(of("plain").as_deref(), Some("0.12.0"));
    assert_eq!(of("own").as_deref(), Some("0.13.0"));
}
