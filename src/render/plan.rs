//! The files of a plan: `plan.json`, a script per unit, and one per node that starts several.

use std::collections::{BTreeMap, BTreeSet};

use super::context::{GroupContext, MemberContext, NodeContext, OptionContext, UnitContext};
use super::engine::Renderer;
use super::error::RenderError;
use super::files::FileSet;
use crate::base::NodeName;
use crate::plan::{Plan, PlanNode, Unit};
use crate::spec::model::LauncherKind;

/// Everything that `render --out` writes and `up` starts from, with its `MANIFEST`.
///
/// # Errors
/// The first value or template that cannot be rendered; then there is no file at all.
pub fn render_plan(plan: &Plan, renderer: &Renderer) -> Result<FileSet, RenderError> {
    let mut files = FileSet::new();
    let mut json = serde_json::to_vec_pretty(plan)?;
    json.push(b'\n');
    files.add("plan.json", json, 0o644);
    for unit in &plan.units {
        let text = renderer.unit(&UnitContext::of(plan, unit))?;
        files.add_script(format!("units/{}.sh", unit.id), text);
    }
    let sessions = tmux_sessions(plan);
    for node in &plan.nodes {
        if let Some(session) = sessions.get(&node.name) {
            let units = units_of(plan, node, LauncherKind::Tmux);
            let text = renderer.tmux(&node_context(plan, node, session, &units))?;
            files.add_script(format!("tmux/{session}.sh"), text);
        }
    }
    let mut jobs = Names::default();
    for node in &plan.nodes {
        let units = units_of(plan, node, LauncherKind::Slurm);
        if !units.is_empty() {
            let name = jobs.unique(node.name.as_str());
            let text = renderer.sbatch(&group_context(plan, &name, &units))?;
            files.add_script(format!("slurm/{name}.sbatch"), text);
        }
    }
    Ok(files.with_manifest())
}

/// The tmux session of each node that has units in one; its script is `tmux/SESSION.sh`.
pub fn tmux_sessions(plan: &Plan) -> BTreeMap<NodeName, String> {
    let mut names = Names::default();
    plan.nodes
        .iter()
        .filter(|node| !units_of(plan, node, LauncherKind::Tmux).is_empty())
        .map(|node| (node.name.clone(), names.unique(node.name.as_str())))
        .collect()
}

fn units_of<'a>(plan: &'a Plan, node: &PlanNode, launcher: LauncherKind) -> Vec<&'a Unit> {
    plan.units
        .iter()
        .filter(|unit| unit.node == node.name && unit.launcher == launcher)
        .collect()
}

fn node_context(plan: &Plan, node: &PlanNode, session: &str, units: &[&Unit]) -> NodeContext {
    NodeContext {
        cluster: plan.cluster.to_string(),
        node: node.name.to_string(),
        session: session.to_owned(),
        units: members(units),
    }
}

fn members(units: &[&Unit]) -> Vec<MemberContext> {
    units
        .iter()
        .map(|unit| MemberContext::from(*unit))
        .collect()
}

/// Names that are safe as file and tmux session: tmux rewrites `.` and `:`, so they are rewritten here, visibly.
#[derive(Default)]
struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    fn unique(&mut self, name: &str) -> String {
        let plain: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let mut unique = plain.clone();
        let mut n = 1;
        while !self.taken.insert(unique.clone()) {
            n += 1;
            unique = format!("{plain}-{n}");
        }
        unique
    }
}

/// Until the plan carries a site's SLURM settings: one day, the limit that most partitions allow.
const TIME: &str = "1-00:00:00";

fn group_context(plan: &Plan, name: &str, units: &[&Unit]) -> GroupContext {
    let grace = units.iter().map(|unit| unit.grace.0.div_ceil(1000)).max();
    GroupContext {
        cluster: plan.cluster.to_string(),
        job: format!("{}-{name}", plan.cluster),
        gpus: units.iter().map(|unit| unit.gpus.len()).sum(),
        gres: "gpu".to_owned(),
        time: TIME.to_owned(),
        // SLURM's own timing is tens of seconds coarse.
        signal_s: grace.unwrap_or_default() + 60,
        options: Vec::<OptionContext>::new(),
        units: members(units),
    }
}
