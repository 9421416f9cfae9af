//! What goes against how servers are started: one flag written twice, flags and variables that move or hide a server, code
//! that a checkpoint brings.

use std::collections::HashMap;

use serde_json::Value;

use crate::base::{FieldPath, Name};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::knowledge::flags;
use crate::plan::argv::{self, THINKING_SWITCH};
use crate::plan::{Unit, UnitKind};
use crate::spec::model::{Engine, ModelSpec, PortChoice, Service};
use crate::spec::resolve;

use super::Ctx;

/// Flags that go against the way in which servers are started, and why.
const AGAINST: &[(&str, &str)] = &[
    (
        "--config",
        "flags in a file are not seen here, and may say something else",
    ),
    ("--headless", "no server would answer on its port"),
    (
        "--uds",
        "the server would listen on a socket file, not on its port",
    ),
    ("--ssl-certfile", "probes and clients speak http"),
    ("--ssl-keyfile", "probes and clients speak http"),
    (
        "--data-parallel-rank",
        "every server here is whole: `layout: vllm-dp` makes one of several ranks",
    ),
    (
        "--data-parallel-start-rank",
        "every server here is whole: `layout: vllm-dp` makes one of several ranks",
    ),
    (
        "--data-parallel-size-local",
        "every server here is whole: `layout: vllm-dp` makes one of several ranks",
    ),
    (
        "--data-parallel-address",
        "every server here is whole: `layout: vllm-dp` makes one of several ranks",
    ),
    (
        "--data-parallel-rpc-port",
        "every server here is whole: `layout: vllm-dp` makes one of several ranks",
    ),
    (
        "--data-parallel-external-lb",
        "every server here has one endpoint, which its client knows",
    ),
    (
        "--data-parallel-hybrid-lb",
        "every server here has one endpoint, which its client knows",
    ),
];

/// Variables that do something else than people expect of them, and what.
const VARIABLES: &[(Code, &str, &str, &str)] = &[
    (
        Code("W0441"),
        "VLLM_PORT",
        "it is the base of vLLM's internal ports, not that of its API: servers that share it race for the same ones",
        "remove it; the port of a server is its `port`",
    ),
    (
        Code("W0442"),
        "VLLM_KEEP_ALIVE_ON_ENGINE_DEATH",
        "a server whose engine is dead would go on answering, and be found out late",
        "remove it; a server that ends is started again",
    ),
];

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    report.extend(chosen_gpus(ctx));
    report.extend(unheard_ports(ctx));
    let mut foreign: Vec<Place> = Vec::new();
    for (name, model) in &ctx.spec.models {
        if !matches!(argv::engine(model), Engine::Vllm | Engine::Sim) {
            continue;
        }
        let args = FieldPath::root()
            .key("models")
            .key(name.as_str())
            .key("args");
        twice(model, &args, report);
        for (flag, value) in &model.args {
            let Some(found) = flags::find(flag) else {
                continue;
            };
            let path = args.key(flag.as_str());
            if let Some((long, why)) = AGAINST.iter().find(|(long, _)| *long == found.flag.name) {
                report.push(against(long, why, path));
            } else if found.flag.name == "--trust-remote-code" && *value == Value::Bool(true) {
                foreign.push(Place::Key(path));
            }
        }
        variables(ctx, name, model, report);
    }
    if !foreign.is_empty() {
        let finding = Diagnostic::note(
            Code("N0440"),
            "code that comes with a checkpoint will run on your nodes",
        )
        .help("`--trust-remote-code` runs Python files of the model's repository with your rights; `revision: COMMIT` pins what was read");
        report.push(foreign.into_iter().fold(finding, |finding, place| {
            finding.at(place, "trusts whoever can change the repository")
        }));
    }
}

/// One flag in two spellings; and one that a key sets, too.
fn twice(model: &ModelSpec, args: &FieldPath, report: &mut Report) {
    let mut first: HashMap<String, &str> = HashMap::new();
    for flag in model.args.keys() {
        let canonical = flags::canonical(flag);
        // `--x.a` and `--x.b` are two values of one flag.
        let name = match flags::find(flag) {
            Some(found) if !canonical.contains('.') => found.flag.name.to_owned(),
            _ => canonical.into_owned(),
        };
        if let Some(other) = first.insert(name.clone(), flag) {
            report.push(
                Diagnostic::error(Code("E0429"), format!("flag `{name}` is given twice"))
                    .at(Place::Key(args.key(flag.as_str())), "the same flag")
                    .see(Place::Key(args.key(other)), "here for the first time")
                    .help("vLLM would take the last one; remove one of the two"),
            );
        }
        if name == THINKING_SWITCH && model.thinking.is_some() {
            let Some(model_path) = args.parent() else {
                continue;
            };
            report.push(
                Diagnostic::error(Code("E0429"), format!("flag `{name}` is given twice"))
                    .at(Place::Key(args.key(flag.as_str())), "the same switch")
                    .see(Place::Value(model_path.key("thinking")), "sets it, too")
                    .help("write `enable_thinking` beside the others in the flag, and remove `thinking`"),
            );
        }
    }
}

fn against(long: &str, why: &str, path: FieldPath) -> Diagnostic {
    Diagnostic::error(
        Code("E0419"),
        format!("flag `{long}` goes against how servers are started here"),
    )
    .at(Place::Key(path), why)
    .help("remove it")
}

fn variables(ctx: &Ctx<'_>, name: &Name, model: &ModelSpec, report: &mut Report) {
    let Some(node) = model.node.0.first() else {
        return;
    };
    let env = resolve::model_env(ctx.spec, name, node);
    for (code, variable, why, help) in VARIABLES {
        let set = env.set.get(*variable).map(|value| &value.origin);
        let passed = env.pass.iter().find(|passed| passed.value == *variable);
        let origin = set.or(passed.map(|passed| &passed.origin));
        let Some(crate::spec::Origin::Yaml(path)) = origin else {
            continue;
        };
        report.push(
            Diagnostic::warning(
                *code,
                format!("`{variable}` reaches the servers of `{name}`"),
            )
            .at(Place::Value(path.clone()), *why)
            .help(*help),
        );
    }
}

/// Servers that would all see the GPUs of one variable, and not those that the plan gives each of them.
fn chosen_gpus(ctx: &Ctx<'_>) -> Vec<Diagnostic> {
    const VARIABLE: &str = "CUDA_VISIBLE_DEVICES";
    let mut said: Vec<FieldPath> = Vec::new();
    let with_gpus = ctx.plan.units.iter().filter(|unit| !unit.gpus.is_empty());
    let set = with_gpus.filter_map(|unit| {
        let env = match &unit.kind {
            UnitKind::Replica { model, .. } => resolve::model_env(ctx.spec, model, &unit.node),
            UnitKind::Service { name } => resolve::service_env(ctx.spec, name, &unit.node),
            UnitKind::Eval { .. } | UnitKind::Tunnel { .. } => return None,
        };
        match &env.set.get(VARIABLE)?.origin {
            crate::spec::Origin::Yaml(path) if !said.contains(path) => {
                said.push(path.clone());
                Some((path.clone(), unit))
            }
            _ => None,
        }
    });
    let finding = |(path, unit): (FieldPath, &Unit)| {
        let title = format!("`{VARIABLE}` would take the GPUs of `{}` from it", unit.id);
        Diagnostic::error(Code("E0448"), title)
            .at(Place::Value(path), "each server is given its own GPUs")
            .help("remove it: which GPUs a server uses is said by `gpus` of its model or service")
    };
    set.map(finding).collect()
}

/// Services whose port is chosen for them, and that nobody tells which it is.
fn unheard_ports(ctx: &Ctx<'_>) -> Vec<Diagnostic> {
    let auto = |service: &Service| matches!(service.port, None | Some(PortChoice::Auto));
    let unheard = ctx.spec.services.iter().filter(|(_, service)| {
        let env = service.env.iter().flat_map(|env| env.set.values());
        let mut words =
            (service.command.iter().map(String::as_str)).chain(env.map(|value| value.0.as_str()));
        auto(service) && !words.any(|word| word.contains("{port}"))
    });
    let finding = |(name, _): (&Name, _)| {
        let origin = FieldPath::root().key("services").key(name.as_str());
        Diagnostic::error(Code("E0306"), format!("nothing tells `{name}` its port"))
            .at(Place::Value(origin.key("command")), "has no `{port}`")
            .see(
                Place::Key(origin),
                "its port is chosen when it starts: `port: auto`",
            )
            .help(
                "put `{port}` into `command`, or write the port at which it listens: `port: 8765`",
            )
    };
    unheard.map(finding).collect()
}
