//! The command line of a model's servers.

use std::fmt::Display;

use serde_json::Value;

use crate::base::{FieldPath, Name, Port};
use crate::diag::Report;
use crate::facts::Facts;
use crate::knowledge::flags;
use crate::knowledge::release::{Release, Support};
use crate::spec::ClusterSpec;
use crate::spec::model::{Engine, Layout, ModelSpec};
use crate::spec::resolve;

use super::family::{family, tool_parser};
use super::{args, inherit, paths};

/// vLLM's switch for chat-template arguments that hold for every request.
pub(crate) const THINKING_SWITCH: &str = "--default-chat-template-kwargs";

/// What serves a model.
pub(crate) fn engine(model: &ModelSpec) -> Engine {
    model.engine.unwrap_or_default()
}

/// The id under which the server answers, and the client's key.
pub(crate) fn served_id(model: &ModelSpec) -> &str {
    model.served_name.as_deref().unwrap_or(&model.model)
}

/// The command line of a model, without what differs between its servers.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    head: Vec<String>,
    /// An address to bind to that the YAML insists on, with `args: { host: … }`.
    host: Option<String>,
    tail: Vec<String>,
}

impl Command {
    /// The command line of the server at `address:port`.
    pub(crate) fn at(&self, address: &str, port: Port) -> Vec<String> {
        let mut argv = Vec::with_capacity(self.head.len() + self.tail.len() + 4);
        argv.extend_from_slice(&self.head);
        argv.extend([
            "--host".to_owned(),
            self.host.as_deref().unwrap_or(address).to_owned(),
            "--port".to_owned(),
            port.to_string(),
        ]);
        argv.extend_from_slice(&self.tail);
        argv
    }
}

/// The command line of a model; none with `engine: command`, whose command is its own.
pub(crate) fn command(
    spec: &ClusterSpec,
    facts: &Facts,
    name: &Name,
    model: &ModelSpec,
    origin: &FieldPath,
    report: &mut Report,
) -> Option<Command> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    let head: Vec<String> = match engine(model) {
        Engine::Command => return None,
        Engine::Vllm => words(&["vllm", "serve", &model.model]),
        Engine::Sim => words(&[&facts.exe, "sim", "vllm", "serve", &model.model]),
        Engine::Sglang => {
            let mut head: Vec<String> = words(&["python", "-m", "sglang.launch_server"]);
            head.extend(["--model-path".to_owned(), model.model.clone()]);
            let tail = sglang_tail(model, &args::flags(model, origin, report));
            return Some(Command {
                head,
                host: own_host(model),
                tail,
            });
        }
    };
    let release = inherit::release(spec, name);
    let mut tail = vllm_tail(facts, name, model, release);
    tail.extend(args::flags(model, origin, report));
    Some(Command {
        head,
        host: own_host(model),
        tail,
    })
}

/// The address that `args` insists on, such as `0.0.0.0`.
fn own_host(model: &ModelSpec) -> Option<String> {
    let (_, host) = model.args.iter().find(|(name, _)| is_host(name))?;
    host.as_str().map(str::to_owned)
}

/// Whether a name in `args` is the flag that stands in front of the others.
pub(crate) fn is_host(name: &str) -> bool {
    flags::canonical(name) == "--host"
}

/// Collects flags with their values.
#[derive(Default)]
struct Flags(Vec<String>);

impl Flags {
    fn alone(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    fn put(&mut self, name: &str, value: impl Display) {
        self.0.extend([name.to_owned(), value.to_string()]);
    }

    fn maybe(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }
}

fn vllm_tail(
    facts: &Facts,
    name: &Name,
    model: &ModelSpec,
    release: Option<Release>,
) -> Vec<String> {
    let mut flags = Flags::default();
    flags.maybe("--gpu-memory-utilization", model.gpu_memory_utilization);
    flags.maybe("--max-model-len", model.max_model_len);
    if let Some(parser) = tool_parser(model, facts.config_of(name)) {
        flags.alone("--enable-auto-tool-choice");
        flags.put("--tool-call-parser", parser.name);
    }
    flags.maybe("--reasoning-parser", model.reasoning_parser.as_ref());
    flags.maybe("--chat-template", model.chat_template.as_ref());
    if let Some(kwargs) = thinking_switch(facts, name, model, release) {
        flags.put(THINKING_SWITCH, kwargs);
    }
    flags.maybe("--served-model-name", model.served_name.as_ref());
    flags.maybe("--revision", model.revision.as_ref());
    parallel(&mut flags, model);
    flags.0
}

fn parallel(flags: &mut Flags, model: &ModelSpec) {
    flags.maybe("--tensor-parallel-size", model.tensor_parallel);
    flags.maybe("--pipeline-parallel-size", model.pipeline_parallel);
    if model.layout == Some(Layout::VllmDp) {
        flags.maybe("--data-parallel-size", model.replicas);
    }
}

/// What the server is told so that the model does not think, or does against its habit, where the release can be told.
pub(crate) fn thinking_switch(
    facts: &Facts,
    name: &Name,
    model: &ModelSpec,
    release: Option<Release>,
) -> Option<&'static str> {
    let thinking = family(model, facts.config_of(name))?.thinking?;
    let can = flags::supported(THINKING_SWITCH, release?) == Support::Yes;
    match model.thinking? {
        false if thinking.by_default && can => Some(thinking.off),
        true if !thinking.by_default && can => Some(thinking.on),
        _ => None,
    }
}

fn sglang_tail(model: &ModelSpec, more: &[String]) -> Vec<String> {
    let mut flags = Flags::default();
    flags.maybe("--mem-fraction-static", model.gpu_memory_utilization);
    flags.maybe("--context-length", model.max_model_len);
    flags.maybe("--tool-call-parser", model.tool_parser.as_ref());
    flags.maybe("--reasoning-parser", model.reasoning_parser.as_ref());
    flags.maybe("--chat-template", model.chat_template.as_ref());
    flags.maybe("--served-model-name", model.served_name.as_ref());
    flags.maybe("--revision", model.revision.as_ref());
    flags.maybe("--tp-size", model.tensor_parallel);
    flags.maybe("--pp-size", model.pipeline_parallel);
    flags.0.extend_from_slice(more);
    flags.0
}

/// The environment variables that tell a simulator how to behave.
pub(crate) fn sim_variables(
    spec: &ClusterSpec,
    name: &Name,
    model: &ModelSpec,
    yaml_dir: &str,
) -> Vec<(String, String)> {
    let mut set = Vec::new();
    if let Some(release) = resolve::release(spec, name) {
        set.push(("TOOLORCH_SIM_RELEASE".to_owned(), release.value));
    }
    let pick = |value: fn(&crate::spec::model::Sim) -> Option<String>| {
        let own = model.sim.as_ref().and_then(value);
        own.or_else(|| spec.sim.as_ref().and_then(value))
    };
    let all = [
        (
            "STARTUP_MS",
            pick(|sim| sim.startup.map(|length| length.0.0.to_string())),
        ),
        (
            "LATENCY_MS",
            pick(|sim| sim.latency.map(|length| length.0.0.to_string())),
        ),
        (
            "PREFILL_RATE",
            pick(|sim| sim.prefill_rate.map(|rate| rate.to_string())),
        ),
        (
            "DECODE_RATE",
            pick(|sim| sim.decode_rate.map(|rate| rate.to_string())),
        ),
        (
            "BATCH_SLOWDOWN",
            pick(|sim| sim.batch_slowdown.map(|share| share.to_string())),
        ),
        (
            "CACHE_TOKENS",
            pick(|sim| sim.cache_tokens.map(|tokens| tokens.to_string())),
        ),
        (
            "ANSWER_TOKENS",
            pick(|sim| sim.answer_tokens.map(|tokens| tokens.to_string())),
        ),
        (
            "ANSWER_SPREAD",
            pick(|sim| sim.answer_spread.map(|spread| spread.to_string())),
        ),
        (
            "SPEED",
            pick(|sim| sim.speed.map(|speed| speed.to_string())),
        ),
        ("SEED", pick(|sim| sim.seed.map(|seed| seed.to_string()))),
        (
            "ACCURACY",
            pick(|sim| sim.accuracy.map(|share| share.to_string())),
        ),
        (
            "REFUSE",
            pick(|sim| sim.refuse.map(|share| share.to_string())),
        ),
        (
            "RUN_LONG",
            pick(|sim| sim.run_long.map(|share| share.to_string())),
        ),
        (
            "DATASET",
            pick(|sim| sim.dataset.clone()).map(|path| paths::anchored(&path, yaml_dir)),
        ),
    ];
    let given = all.into_iter();
    set.extend(given.filter_map(|(name, value)| Some((format!("TOOLORCH_SIM_{name}"), value?))));
    set
}

/// GPUs of one server, for `{gpus}` and tables.
pub(crate) fn gpu_list(gpus: &[crate::base::GpuIndex]) -> String {
    let all: Vec<String> = gpus.iter().map(ToString::to_string).collect();
    all.join(",")
}

/// The JSON text of a value, for flags that take JSON.
pub(crate) fn json(value: &Value) -> String {
    value.to_string()
}
