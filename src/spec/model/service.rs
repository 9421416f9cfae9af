//! Servers that are not language models.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::oneof::{Duration, NodeChoice, PortChoice};
use super::{Env, LauncherKind, Restart};
use crate::base::GpuIndex;

/// A server that is not a language model, such as retrieval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The node it runs on.
    pub node: NodeChoice,
    /// Its GPUs. Default: none.
    #[serde(default)]
    pub gpus: Vec<GpuIndex>,
    /// Its port, or `auto`. Default: `auto`.
    pub port: Option<PortChoice>,
    /// Environment of its process.
    pub env: Option<Env>,
    /// The directory it runs in. Default: the YAML's folder.
    pub cwd: Option<String>,
    /// The program and its arguments; `{port}`, `{host}`, `{name}` and `{gpus}` are filled in.
    #[schemars(length(min = 1), extend("x-source-text" = true))]
    pub command: Vec<String>,
    /// What proves that it is ready. Default: its port listens.
    pub ready: Option<Ready>,
    /// Requests to send before it counts as ready.
    pub warmup: Option<Warmup>,
    /// How often it is started again after a death.
    pub restart: Option<Restart>,
    /// How it is started.
    pub launcher: Option<LauncherKind>,
    /// The limit of open files to ask for; a higher one that is there already is left. Default: 65536.
    pub open_files: Option<u64>,
    /// Clients need not know it: a rehearsal's own. No key of the YAML.
    #[serde(skip)]
    pub hidden: bool,
}

/// What proves that a service is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// A path that answers 200.
    pub http: Option<String>,
    /// The longest time from its start to ready. Default: 30m.
    pub timeout: Option<Duration>,
}

/// Requests to send before a service counts as ready.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Warmup {
    /// The path to post to.
    pub post: String,
    /// The body.
    pub json: serde_json::Value,
    /// How many. Default: 1.
    #[schemars(range(min = 1))]
    pub requests: Option<u32>,
}
