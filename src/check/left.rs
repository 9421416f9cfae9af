//! What no look beforehand can prove, and a run therefore does.

use crate::plan::{EvalPlan, Plan, Rung, Unit};

/// A line for each thing that `up` proves or watches, because nobody can know it from the YAML.
pub fn left_to_the_run(plan: &Plan) -> Vec<String> {
    let ladders = [
        (
            groups_with(plan, |rung| matches!(rung, Rung::Models { .. })),
            "model, context length and release: as each server says, before it is asked",
        ),
        (
            groups_with(plan, |rung| matches!(rung, Rung::ToolCall { .. })),
            "tool calls: each server has to answer with one before the first question",
        ),
        (
            groups_with(plan, |rung| matches!(rung, Rung::NoThinking { .. })),
            "no thinking: each server has to answer without it",
        ),
        (
            groups_with(plan, |rung| matches!(rung, Rung::Warmup(_))),
            "a cold start: warmed up before the first question",
        ),
    ];
    let is_open = |eval: &&EvalPlan| eval.egress.is_none();
    let clients = [
        (
            evals(plan, is_open),
            "where calls go: undeclared keys and proxies are dropped, connections are looked at",
        ),
        (
            evals(plan, |eval| !is_open(eval)),
            "where calls go: a proxy lets them out to declared places alone",
        ),
        (
            evals(plan, |_| true),
            "open files: the limit is raised as far as it may be, and watched",
        ),
        (
            evals(plan, |_| true),
            "progress: whole results are counted; a client that dies is started again, one that stands still is noticed (`limits.stall`)",
        ),
    ];
    let all = ladders.into_iter().chain(clients);
    all.filter_map(|(names, what)| Some(format!("{}: {what}", names?)))
        .collect()
}

fn evals(plan: &Plan, is_meant: impl Fn(&&EvalPlan) -> bool) -> Option<String> {
    listed(
        plan.evals
            .iter()
            .filter(is_meant)
            .map(|eval| eval.name.as_str()),
    )
}

/// The models and services that have such a step on their ladder: "`a`, `b`".
fn groups_with(plan: &Plan, is_meant: impl Fn(&Rung) -> bool) -> Option<String> {
    let climbs = |unit: &Unit| unit.ready.rungs.iter().any(&is_meant);
    let groups = plan.groups.iter().filter(|group| {
        let units = group
            .endpoints
            .iter()
            .filter_map(|end| plan.unit(&end.unit));
        units.into_iter().any(climbs)
    });
    listed(groups.map(|group| group.name.as_str()))
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check_all;
    use crate::plan::plan_tests;
    use crate::spec::{Source, parse};

    #[test]
    fn the_log_s_cluster_leaves_to_the_run_what_nobody_knows_before() {
        let yaml = include_bytes!("../../clusters/hle-oss.yaml");
        let spec = parse(Source::new("a.yaml", yaml), &[]).spec.unwrap();
        let (plan, _) = check_all(&spec, &plan_tests::facts());
        insta::assert_snapshot!(left_to_the_run(&plan).join("\n"), @r"
        `orchestrator`, `coder`, `answer`, `search`: model, context length and release: as each server says, before it is asked
        `orchestrator`, `search`: tool calls: each server has to answer with one before the first question
        `answer`: no thinking: each server has to answer without it
        `retrieval`: a cold start: warmed up before the first question
        `hle`, `frames`: where calls go: undeclared keys and proxies are dropped, connections are looked at
        `hle`, `frames`: open files: the limit is raised as far as it may be, and watched
        `hle`, `frames`: progress: whole results are counted; a client that dies is started again, one that stands still is noticed (`limits.stall`)
        ");
    }
}
