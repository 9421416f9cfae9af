//! What results depend on: values that may not be mixed in one results directory.
//!
//! Operational settings (concurrency, nodes, ports, limits, memory) are left out: they may change
//! between attempts.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::base::{EvalName, Name};
use crate::facts::Facts;
use crate::knowledge::flags;
use crate::spec::ClusterSpec;
use crate::spec::model::{Engine, Eval, ModelSpec};

use super::{argv, evals, family, inherit};

/// Flags of vLLM that change how fast it answers, not what.
const OPERATIONAL: &[&str] = &[
    "--api-server-count",
    "--async-scheduling",
    "--block-size",
    "--compilation-config",
    "--cpu-offload-gb",
    "--disable-log-requests",
    "--disable-log-stats",
    "--disable-uvicorn-access-log",
    "--enable-chunked-prefill",
    "--enable-log-requests",
    "--enable-prefix-caching",
    "--enforce-eager",
    "--gpu-memory-utilization",
    "--max-log-len",
    "--max-num-batched-tokens",
    "--max-num-seqs",
    "--max-parallel-loading-workers",
    "--model-loader-extra-config",
    "--num-gpu-blocks-override",
    "--scheduling-policy",
    "--swap-space",
    "--uvicorn-log-level",
];

/// The identity of an evaluation's results.
pub(crate) fn of(
    spec: &ClusterSpec,
    facts: &Facts,
    name: &EvalName,
    eval: &Eval,
) -> IndexMap<String, Value> {
    let required = evals::requires(spec, eval);
    let mut identity = IndexMap::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            identity.insert(key.to_owned(), value);
        }
    };
    put("adapter", eval.adapter.clone().map(Value::from));
    put("command", eval.command.clone().map(Value::from));
    put("models", Some(models(spec, facts, &required)));
    put("services", some_map(services(spec, &required)));
    put("externals", some_map(externals(spec, &required)));
    put("max_rounds", eval.max_rounds.map(Value::from));
    let dataset = facts.datasets.get(name).and_then(|dataset| dataset.get());
    put(
        "dataset_sha256",
        dataset.map(|dataset| dataset.sha256.clone().into()),
    );
    let git = facts.client_git.get(name).and_then(|git| git.get());
    put("client_git", git.cloned().map(Value::from));
    identity
}

fn some_map(map: Map<String, Value>) -> Option<Value> {
    (!map.is_empty()).then_some(Value::Object(map))
}

fn models(spec: &ClusterSpec, facts: &Facts, required: &[Name]) -> Value {
    let used = required
        .iter()
        .filter_map(|name| Some((name, spec.models.get(name)?)));
    used.map(|(name, model)| (name.to_string(), model_identity(spec, facts, name, model)))
        .collect::<Map<String, Value>>()
        .into()
}

fn model_identity(spec: &ClusterSpec, facts: &Facts, name: &Name, model: &ModelSpec) -> Value {
    let mut all = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            all.insert(key.to_owned(), value);
        }
    };
    put("model", Some(model.model.clone().into()));
    let engine = argv::engine(model);
    put("engine", (engine != Engine::Vllm).then(|| json!(engine)));
    put("command", model.command.clone().map(Value::from));
    put("revision", model.revision.clone().map(Value::from));
    put(
        "release",
        inherit::release(spec, name).map(|release| release.to_string().into()),
    );
    put("thinking", model.thinking.map(Value::from));
    put("max_model_len", model.max_model_len.map(Value::from));
    let parser = family::tool_parser(model, facts.config_of(name));
    put("tool_parser", parser.map(|parser| parser.name.into()));
    put(
        "reasoning_parser",
        model.reasoning_parser.clone().map(Value::from),
    );
    put(
        "chat_template",
        model.chat_template.clone().map(Value::from),
    );
    let args: Map<String, Value> = (model.args.iter())
        .filter(|(name, _)| changes_tokens(name))
        .map(|(name, value)| (flags::canonical(name).into_owned(), value.clone()))
        .collect();
    put("args", some_map(args));
    Value::Object(all)
}

/// Whether a flag may change the tokens of an answer; unknown ones are taken to.
fn changes_tokens(name: &str) -> bool {
    let known = flags::flag(name).map(|flag| flag.name);
    known.is_none_or(|name| OPERATIONAL.binary_search(&name).is_err())
}

fn services(spec: &ClusterSpec, required: &[Name]) -> Map<String, Value> {
    let used = required
        .iter()
        .filter_map(|name| Some((name, spec.services.get(name)?)));
    used.map(|(name, service)| (name.to_string(), json!(service.command)))
        .collect()
}

fn externals(spec: &ClusterSpec, required: &[Name]) -> Map<String, Value> {
    let used = required
        .iter()
        .filter_map(|name| Some((name, spec.externals.get(name)?)));
    used.map(|(name, external)| {
        let what = json!({ "url": external.url, "models": external.models });
        (name.to_string(), what)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operational_flags_are_sorted_and_known() {
        assert!(OPERATIONAL.is_sorted());
        for name in OPERATIONAL {
            assert_eq!(flags::flag(name).map(|flag| flag.name), Some(*name));
        }
    }

    #[test]
    fn the_temperature_of_the_server_counts_and_its_batch_does_not() {
        assert!(changes_tokens("quantization") && changes_tokens("--brand-new"));
        assert!(!changes_tokens("max_num_seqs"));
    }
}
