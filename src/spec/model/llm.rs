//! Language models and how they are served.

use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::oneof::{Duration, NodeChoice, PortChoice};
use super::{Env, LauncherKind};
use crate::base::GpuIndex;

/// A vLLM release and its environment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vllm {
    /// The release that flags and parsers are checked against, quoted: `"0.12.0"`.
    #[schemars(extend("x-release" = true))]
    pub version: Option<String>,
    /// The environment that holds it.
    pub env: Option<Env>,
}

/// What serves a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// `vllm serve`.
    #[default]
    Vllm,
    /// `python -m sglang.launch_server`.
    Sglang,
    /// The model's own `command`.
    Command,
    /// The built-in simulator, with vLLM's command line.
    Sim,
}

/// How several replicas of a model are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Independent servers, one endpoint each: the documented way for dense models.
    #[default]
    Replicas,
    /// One server with vLLM's internal data parallelism and one endpoint.
    VllmDp,
}

/// How compile caches are shared between replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CachePolicy {
    /// A directory for each replica: safe with every release.
    PerReplica,
    /// One directory; replica 0 starts alone and warms it for the others.
    WarmFirst,
}

/// A language model with one or more replicas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// What is passed to the server, and the client's key, byte for byte: a Hugging Face id or a path.
    #[schemars(length(min = 1))]
    pub model: String,
    /// The node or pool it runs on, or several nodes to spread over in contiguous blocks.
    pub node: NodeChoice,
    /// How many independent servers. Default: 1.
    #[schemars(range(min = 1, max = 100_000))]
    pub replicas: Option<u32>,
    /// The first port, +1 per replica, or `auto`. Default: `auto`.
    pub port: Option<PortChoice>,
    /// The GPUs of each replica: `[4, 5]` one each, `[[4, 5], [6, 7]]` groups. Default: packed; none for `engine: command` and `sim`.
    pub gpus: Option<ModelGpus>,
    /// What serves it. Default: `vllm`.
    pub engine: Option<Engine>,
    /// With `engine: command`: the program and its arguments.
    #[schemars(length(min = 1), extend("x-source-text" = true))]
    pub command: Option<Vec<String>>,
    /// The vLLM release and environment, over those at the top.
    pub vllm: Option<Vllm>,
    /// GPUs that share each layer of one replica. Default: 1.
    #[schemars(range(min = 1, max = 1024))]
    pub tensor_parallel: Option<u32>,
    /// GPUs that hold successive layers of one replica. Default: 1.
    #[schemars(range(min = 1, max = 1024))]
    pub pipeline_parallel: Option<u32>,
    /// Nodes that one replica spans. Default: 1.
    #[schemars(range(min = 1, max = 64))]
    pub span: Option<u32>,
    /// How several replicas are made. Default: `replicas`.
    pub layout: Option<Layout>,
    /// The share of a GPU's memory that the server may take, 0 to 1. Default: the release's own.
    #[schemars(range(min = 0.01, max = 1.0))]
    pub gpu_memory_utilization: Option<f64>,
    /// The context length in tokens. Default: the model's own.
    #[schemars(range(min = 1))]
    pub max_model_len: Option<u64>,
    /// The client calls tools: adds `--enable-auto-tool-choice` and the family's parser.
    pub tools: Option<bool>,
    /// The tool-call parser to insist on.
    pub tool_parser: Option<String>,
    /// The reasoning parser to use.
    pub reasoning_parser: Option<String>,
    /// `false`: the model must answer without thinking; proved before the evaluation starts.
    pub thinking: Option<bool>,
    /// A chat template file on the node.
    pub chat_template: Option<String>,
    /// The name under which the server knows it, where that differs from `model`.
    pub served_name: Option<String>,
    /// The revision of the weights: a branch, a tag or a commit. Default: `main`, which its owner can move.
    pub revision: Option<String>,
    /// More flags of the server, checked against the release: `true` gives `--flag`, `false`
    /// `--no-flag`, a list repeated values, a map JSON.
    #[serde(default)]
    #[schemars(extend("x-no-null" = true))]
    pub args: IndexMap<String, serde_json::Value>,
    /// The shortest time between two starts of this model on one node.
    pub stagger: Option<Duration>,
    /// How compile caches are shared. Default: `per-replica`.
    pub cache: Option<CachePolicy>,
    /// An evaluation may start with this many replicas ready. Default: all.
    #[schemars(range(min = 1))]
    pub min_ready: Option<u32>,
    /// How long to wait until it is ready.
    pub ready: Option<ReadyTiming>,
    /// How often it is started again after a death.
    pub restart: Option<Restart>,
    /// How it is started.
    pub launcher: Option<LauncherKind>,
    /// Environment of its servers.
    pub env: Option<Env>,
    /// Parameters of the simulator for this model.
    pub sim: Option<super::Sim>,
}

/// How long to wait until a server is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadyTiming {
    /// The longest time from its start to ready. Default: 30m.
    pub timeout: Option<Duration>,
}

/// How often something is started again after a death that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// Restarts within `window`; at the next death it is given up. 0 never starts it again. Default: 3.
    pub attempts: Option<u32>,
    /// The pause before the first restart; three times longer before each further one. Default: 5s.
    pub backoff: Option<Duration>,
    /// The time in which starts are counted. Default: 10m.
    pub window: Option<Duration>,
}

/// The GPUs of a model's replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum ModelGpus {
    /// One GPU for each replica, in order; empty for none.
    Flat(Vec<GpuIndex>),
    /// A group for each replica, in order.
    Groups(Vec<Vec<GpuIndex>>),
}

impl ModelGpus {
    /// None are named.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Flat(gpus) => gpus.is_empty(),
            Self::Groups(groups) => groups.is_empty(),
        }
    }
}

impl<'de> Deserialize<'de> for ModelGpus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Gpus;
        impl<'de> Visitor<'de> for Gpus {
            type Value = ModelGpus;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("GPUs such as [4, 5], or groups such as [[4, 5], [6, 7]]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ModelGpus, A::Error> {
                let mut flat = Vec::new();
                let mut groups = Vec::new();
                while let Some(item) = seq.next_element::<serde_json::Value>()? {
                    if item.is_array() {
                        groups.push(serde_json::from_value(item).map_err(de::Error::custom)?);
                    } else {
                        flat.push(serde_json::from_value(item).map_err(de::Error::custom)?);
                    }
                }
                match (flat.is_empty(), groups.is_empty()) {
                    (_, true) => Ok(ModelGpus::Flat(flat)),
                    (true, false) => Ok(ModelGpus::Groups(groups)),
                    (false, false) => Err(de::Error::custom(
                        "either GPUs or groups of GPUs, not both in one list",
                    )),
                }
            }
        }
        deserializer.deserialize_any(Gpus)
    }
}

impl JsonSchema for ModelGpus {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ModelGpus".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let gpu = serde_json::json!({ "type": "integer", "minimum": 0, "maximum": 1023 });
        json_schema!({
            "description": "GPUs such as [4, 5], one for each replica, or groups such as [[4, 5], [6, 7]].",
            "type": "array",
            "items": { "anyOf": [gpu, { "type": "array", "items": gpu, "minItems": 1 }] }
        })
    }
}
