//! Spec to plan: total, a plan *and* diagnostics. Pure.

mod types;

pub use types::{
    ClientConfigPlan, Endpoint, EvalPlan, ExternalPlan, Group, Plan, PlanNode, ReadyRule,
    RestartRule, ResultsPlan, Rung, Start, Unit, UnitEnv, UnitKind, WarmupRequest,
};
