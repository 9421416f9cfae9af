//! Spec to plan: total, a plan *and* diagnostics. Pure.

mod access;
mod args;
pub(crate) mod argv;
pub mod ask;
mod build;
mod columns;
mod configs;
pub(crate) mod egress;
mod env;
pub(crate) mod evals;
pub(crate) mod family;
mod fill;
mod gpu_share;
mod identity;
pub(crate) mod inherit;
pub mod inspect;
mod jobs;
mod notify;
mod origins;
pub(crate) mod paths;
mod place;
#[cfg(test)]
pub(crate) mod plan_tests;
pub(crate) mod ports;
mod ready;
pub mod rehearsal;
mod select;
mod shares;
pub(crate) mod similar;
pub(crate) mod sites;
mod slower;
mod start;
mod table;
#[cfg(test)]
mod total_tests;
pub(crate) mod tunnels;
mod types;
pub mod weights;

pub use access::{Access, SshTarget};
pub use ask::{DatasetQuestion, Questions, programs, questions};
pub use build::plan;
pub use configs::{DEFAULT_CONFIG, variable};
pub use evals::CONTROLLER;
pub use origins::origins;
pub use ready::needed_context;
pub use select::{UnknownNames, select};
pub use shares::{Share, Shares};
pub use table::table;
pub use types::{
    ClientConfigPlan, Endpoint, EvalPlan, ExternalPlan, Group, JobPlan, NotifyPlan, Plan, PlanNode,
    ReadyRule, RestartRule, ResultsPlan, Rung, Slower, Stage, Start, Through, Unit, UnitEnv,
    UnitKind, WarmupRequest, Way,
};
