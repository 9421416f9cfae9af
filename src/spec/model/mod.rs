//! The keys of the cluster YAML as plain structs; their doc comments are the reference manual.
//!
//! Nothing here decides anything: a missing key is `None` or its constant default, what is
//! inherited from an outer level is settled by `spec::resolve`.

mod client_config;
mod cluster;
mod env;
mod eval;
mod external;
mod llm;
mod node;
mod oneof;
mod rehearse;
mod service;
mod site;

pub use client_config::{ClientConfig, ClientConfigFormat};
pub use cluster::{Allow, ClusterSpec, Notify, NotifyOn, WhenDone};
pub use env::{Container, ContainerRuntime, Env, EnvText};
pub use eval::{
    AfterState, ClientRestart, Context, Egress, Eval, Finished, Limits, OnMove, Results,
    ResultsDir, RetryErrors,
};
pub use external::{External, Secret};
pub use llm::{CachePolicy, Engine, Layout, ModelGpus, ModelSpec, ReadyTiming, Restart, Vllm};
pub use node::{LauncherKind, Node, NodeGpus, Pool, Reach, Ssh, TransportKind};
pub use oneof::{Duration, NodeChoice, PortChoice, ScalarText};
pub use rehearse::{Rehearse, Sim};
pub use service::{Ready, Service, Warmup};
pub use site::{Hf, Slurm};
