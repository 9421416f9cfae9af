//! All families of rules, in the order in which they are asked.

use crate::diag::Report;
use crate::facts::Facts;
use crate::plan::{self, Plan};
use crate::spec::ClusterSpec;

use super::{
    addresses, allow, client, containers, context, credentials, egress, evals, externals, fit,
    flags, gpus, here, keys, launch, listening, names, parsers, ports, remote, shared, slurm, ssh,
    thinking, words, written,
};

/// What the rules look at.
#[derive(Debug, Clone, Copy)]
pub struct Ctx<'a> {
    /// The YAML.
    pub spec: &'a ClusterSpec,
    /// What it comes to.
    pub plan: &'a Plan,
    /// What is known about this machine.
    pub facts: &'a Facts,
}

/// A family of rules.
type Family = fn(&Ctx<'_>, &mut Report);

const FAMILIES: &[Family] = &[
    names::check,
    ports::check,
    gpus::check,
    addresses::check,
    listening::check,
    shared::check,
    ssh::check,
    slurm::check,
    keys::check,
    containers::check,
    parsers::check,
    flags::check,
    thinking::check,
    launch::check,
    context::check,
    fit::check,
    evals::check,
    client::check,
    written::check,
    externals::check,
    egress::check,
    here::check,
    credentials::check,
    remote::check,
    words::check,
];

/// Asks every family; `found` are the findings of reading and planning, which `allow` covers too.
pub fn check(ctx: &Ctx<'_>, found: Report) -> Report {
    let mut report = found;
    for family in FAMILIES {
        family(ctx, &mut report);
    }
    allow::apply(ctx.spec, report)
}

/// Plans and checks in one go.
pub fn check_all(spec: &ClusterSpec, facts: &Facts) -> (Plan, Report) {
    let (plan, found) = plan::plan(spec, facts);
    let ctx = Ctx {
        spec,
        plan: &plan,
        facts,
    };
    let report = check(&ctx, found);
    (plan, report)
}
