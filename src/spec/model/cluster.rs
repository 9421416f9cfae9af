//! The top of the YAML.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::oneof::Duration;
use super::{
    ClientConfig, Env, Eval, External, Hf, LauncherKind, ModelSpec, Node, Pool, Rehearse, Service,
    Sim, Slurm, Vllm,
};
use crate::base::{ClusterName, ConfigName, EvalName, Name, NodeName};

/// A cluster and what is to be evaluated on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterSpec {
    /// The version of this format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// The cluster's name: `[a-z][a-z0-9_-]*`. Runs, sessions and jobs are named after it.
    pub name: ClusterName,
    /// The vLLM release and environment of all models that do not say otherwise.
    pub vllm: Option<Vllm>,
    /// How units are started where nothing more specific is said. Default: `process`.
    pub launcher: Option<LauncherKind>,
    /// Environment of everything that is started; more specific levels add to it.
    pub env: Option<Env>,
    /// Hugging Face: cache, token, offline mode.
    pub hf: Option<Hf>,
    /// Options of SLURM jobs; a pool adds to them.
    pub slurm: Option<Slurm>,
    /// Hosts with GPUs, by name. The key is the host name or address unless `address` says otherwise.
    #[serde(default)]
    pub nodes: IndexMap<NodeName, Node>,
    /// Nodes that SLURM chooses, by name.
    #[serde(default)]
    pub pools: IndexMap<NodeName, Pool>,
    /// Language models to serve, by name.
    #[serde(default)]
    pub models: IndexMap<Name, ModelSpec>,
    /// Other servers to start, by name. The name is the key in the client's configuration.
    #[serde(default)]
    pub services: IndexMap<Name, Service>,
    /// Endpoints that are not started here, by name: the only ways out.
    #[serde(default)]
    pub externals: IndexMap<Name, External>,
    /// The file from which the evaluation client learns the endpoints.
    pub client_config: Option<ClientConfig>,
    /// Several such files by name, when evaluations need different ones.
    #[serde(default)]
    pub client_configs: IndexMap<ConfigName, ClientConfig>,
    /// Evaluations, by name.
    #[serde(default)]
    pub evals: IndexMap<EvalName, Eval>,
    /// What `toolorch rehearse` replaces on a machine that lacks the site's files.
    pub rehearse: Option<Rehearse>,
    /// Parameters of simulated servers.
    pub sim: Option<Sim>,
    /// A command that hears of alarms.
    pub notify: Option<Notify>,
    /// Units stop themselves when nobody has watched and nothing has moved for this long: no log grew, no result came,
    /// nobody was connected to a server.
    pub idle: Option<Duration>,
    /// What happens to the servers when all evaluations are complete. Default: `down` under SLURM, `keep` elsewhere.
    /// Without a controller `down` is servers that stop themselves once nobody has asked them for ten minutes.
    pub when_done: Option<WhenDone>,
    /// Warnings that are accepted, each with its reason.
    #[serde(default)]
    pub allow: Vec<Allow>,
}

/// What happens to the servers when all evaluations are complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenDone {
    /// Stop them.
    Down,
    /// Leave them running.
    Keep,
}

/// A command that hears of alarms: the event as JSON on its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// The program and its arguments.
    #[schemars(length(min = 1), extend("x-source-text" = true))]
    pub command: Vec<String>,
    /// What to hear of. Default: `alarm`, `gave-up` and `ended`.
    pub on: Option<Vec<NotifyOn>>,
    /// The shortest time between two calls for the same alarm; what comes sooner is told together. Default: `10m`.
    pub every: Option<Duration>,
}

/// What a notification is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NotifyOn {
    /// Something that a person should know.
    Alarm,
    /// A server is not started again.
    GaveUp,
    /// An evaluation is over, well or badly.
    Evaluation,
    /// The controller's work is over, or it was told to go.
    Ended,
}

/// An accepted warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Its code, such as `W0517`.
    pub code: String,
    /// Why it is accepted; shown beside it.
    #[schemars(length(min = 1))]
    pub reason: String,
}
