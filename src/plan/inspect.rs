//! What is asked of each machine in one look before anything starts: the questions of `doctor.sh`.

use std::collections::{BTreeMap, BTreeSet};

use super::weights::Weights;
use super::{Access, Plan, PlanNode, Unit, UnitKind, ask};
use crate::base::{NodeName, clean};
use crate::facts::{EnvName, Known, NodeLook};
use crate::plan::argv;
use crate::spec::ClusterSpec;
use crate::spec::model::{Engine, LauncherKind};

/// Where units keep their state and, where the run's folder is not shared, their logs.
pub const STATE_DISK: &str = "/tmp";

/// What the scripts of units call, beside what every shell has.
const PROGRAMS: &str = "find flock grep setsid stat timeout";
/// What they call with `launcher: tmux`.
pub const TMUX: &str = "tmux";

/// One machine to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Its name in the plan, or one for where jobs are submitted.
    pub name: NodeName,
    /// How it is reached.
    pub access: Access,
    /// The words of the questions, but for installations whose flags are known.
    pub questions: Vec<String>,
    /// Jobs are submitted there: nothing is asked of the machine itself.
    pub queue: bool,
}

/// One machine, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// What was asked.
    pub inspection: Inspection,
    /// What it said; why nothing is known of it.
    pub look: Known<NodeLook>,
    /// When it was asked and when it had answered, by the clock of this machine, in milliseconds.
    pub between: (i64, i64),
}

/// The machines of a plan, each with its questions, in the order of the plan; `runs` is where runs are kept on this machine.
pub fn inspections(
    spec: &ClusterSpec,
    plan: &Plan,
    weights: &Weights,
    runs: Option<&str>,
) -> Vec<Inspection> {
    let nodes = plan.nodes.iter().filter_map(|node| {
        let units = direct(plan, &node.name);
        (!units.is_empty()).then(|| of_node(spec, node, &units, weights, runs))
    });
    nodes.chain(queues(plan)).collect()
}

/// What is started on a node without SLURM.
pub fn direct<'a>(plan: &'a Plan, node: &NodeName) -> Vec<&'a Unit> {
    let there = |unit: &&Unit| unit.node == *node && unit.launcher != LauncherKind::Slurm;
    plan.units.iter().filter(there).collect()
}

/// The environment of a unit that can be looked for without starting it; modules and containers bring others.
pub fn env_of(unit: &Unit) -> Option<EnvName> {
    let env = &unit.env;
    if env.container.is_some() || !env.modules.is_empty() {
        return None;
    }
    Some(match (&env.conda, &env.venv) {
        (Some(name), _) => EnvName::Conda(name.clone()),
        (None, Some(path)) => EnvName::Venv(path.clone()),
        (None, None) if env.setup.is_empty() && !env.set.contains_key("PATH") => EnvName::Path,
        (None, None) => return None,
    })
}

/// Whether a unit is a server of vLLM's own program.
pub fn is_vllm(spec: &ClusterSpec, unit: &Unit) -> bool {
    let UnitKind::Replica { model, .. } = &unit.kind else {
        return false;
    };
    let model = spec.models.get(model);
    model.is_some_and(|model| argv::engine(model) == Engine::Vllm)
}

/// Paths that must be there for a unit, each with the key of the YAML that names it below the unit's own.
pub fn paths_of(spec: &ClusterSpec, unit: &Unit) -> Vec<(String, Option<&'static str>)> {
    let mut paths = Vec::new();
    if let Some(cwd) = &unit.cwd {
        paths.push((cwd.clone(), Some("cwd")));
    }
    if let UnitKind::Replica { model, .. } = &unit.kind
        && let Some(model) = spec.models.get(model)
        && model.model.starts_with('/')
        && matches!(argv::engine(model), Engine::Vllm | Engine::Sglang)
    {
        paths.push((model.model.clone(), Some("model")));
    }
    paths.extend(
        ask::sourced_by(unit, None)
            .into_iter()
            .map(|file| (file, None)),
    );
    paths
}

fn of_node(
    spec: &ClusterSpec,
    node: &PlanNode,
    units: &[&Unit],
    weights: &Weights,
    runs: Option<&str>,
) -> Inspection {
    let mut questions = Vec::new();
    if !node.gpus.is_empty() {
        questions.push("gpus".to_owned());
    }
    let mut ask = |words: &[&str]| questions.extend(words.iter().map(|word| clean(word)));
    let in_tmux = units.iter().any(|unit| unit.launcher == LauncherKind::Tmux);
    if in_tmux {
        ask(&["programs", &format!("{PROGRAMS} {TMUX}")]);
    } else {
        ask(&["programs", PROGRAMS]);
    }
    let paths: BTreeSet<String> = units
        .iter()
        .flat_map(|unit| paths_of(spec, unit))
        .map(|(path, _)| path)
        .collect();
    for path in &paths {
        ask(&["path", path]);
    }
    let mut disks = BTreeSet::from([STATE_DISK.to_owned()]);
    disks.extend(runs.filter(|_| !node.is_remote()).map(str::to_owned));
    for wanted in &weights.wanted {
        if units.iter().any(|unit| loads(unit, &wanted.models)) {
            ask(&["path", &wanted.cache().root().to_string_lossy()]);
            disks.insert(wanted.hub.to_string_lossy().into_owned());
        }
    }
    disks.extend(units.iter().filter_map(|unit| unit.results_dir.clone()));
    for stage in stages(units) {
        ask(&["path", stage]);
        disks.insert(stage.to_owned());
    }
    for path in &disks {
        ask(&["disk", path]);
    }
    let ports: BTreeSet<u16> = units
        .iter()
        .flat_map(|unit| unit.port.iter().chain(&unit.more_ports))
        .map(|port| port.0)
        .collect();
    for port in &ports {
        ask(&["port", &port.to_string()]);
    }
    let mut envs: BTreeMap<EnvName, &str> = BTreeMap::new();
    for unit in units {
        let vllm = is_vllm(spec, unit);
        match env_of(unit) {
            Some(env) if vllm => envs.insert(env, "flags"),
            Some(EnvName::Path) | None => continue,
            Some(env) => envs.insert(env.clone(), envs.get(&env).copied().unwrap_or("-")),
        };
    }
    for (env, want) in &envs {
        let [kind, name] = env.words();
        ask(&["env", kind, name, want]);
    }
    Inspection {
        name: node.name.clone(),
        access: node.access(),
        questions,
        queue: false,
    }
}

/// The folders into which weights are copied before these units start.
pub fn stages<'a>(units: &[&'a Unit]) -> BTreeSet<&'a str> {
    let all = units.iter().filter_map(|unit| unit.stage.as_ref());
    all.map(|stage| stage.dir.as_str()).collect()
}

fn loads(unit: &Unit, models: &[crate::base::Name]) -> bool {
    matches!(&unit.kind, UnitKind::Replica { model, .. } if models.contains(model))
}

/// Where jobs are submitted: what SLURM says of the nodes and partitions, without taking one.
fn queues(plan: &Plan) -> impl Iterator<Item = Inspection> {
    let mut queues: BTreeMap<&Access, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for job in &plan.jobs {
        let asked = queues.entry(&job.access).or_default();
        asked.extend(job.nodelist.as_deref().map(|node| ("slurm", node)));
        let partition = job.options.partition.as_deref();
        asked.extend(partition.map(|name| ("partition", name)));
    }
    queues.into_iter().map(|(access, asked)| {
        let name = match access {
            Access::Local => "SLURM here".to_owned(),
            Access::Ssh2(target) | Access::SystemSsh(target) => format!("SLURM at {}", target.host),
        };
        let words = asked
            .into_iter()
            .flat_map(|(kind, name)| [clean(kind), clean(name)]);
        Inspection {
            name: NodeName::new(name),
            access: access.clone(),
            questions: words.collect(),
            queue: true,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::plan::plan_tests::{clean, spec};

    #[test]
    fn each_machine_is_asked_what_its_units_need() {
        let yaml = include_str!("../../clusters/hle-oss.yaml");
        let mut text = String::new();
        for one in inspections(&spec(yaml), &clean(yaml), &Weights::default(), None) {
            writeln!(text, "{}: {}", one.name, one.questions.join(" ")).unwrap();
        }
        insta::assert_snapshot!(text, @r"
        research-secure-05: gpus programs find flock grep setsid stat timeout tmux path /ckpt/nvidia/Nemotron-Orchestrator-8B/ path ~ disk /tmp port 1800 port 1801 port 1802 port 1803 env conda vllm1 flags
        research-secure-11: gpus programs find flock grep setsid stat timeout tmux path ~ disk /tmp port 1810 port 1811 port 1812 port 1813 port 1814 port 1815 port 1816 port 1817 env conda vllm1 flags
        research-secure-12: gpus programs find flock grep setsid stat timeout tmux path ~ disk /tmp port 1820 port 1821 port 1822 port 1823 port 1824 port 1825 port 1826 port 1827 env conda vllm1 flags
        research-secure-13: gpus programs find flock grep setsid stat timeout tmux path ~/ToolOrchestra/evaluation disk /tmp port 8765 port 8766 env conda retriever -
        controller: programs find flock grep setsid stat timeout path /home/user/ToolOrchestra/evaluation path ~/ToolOrchestra/setup_envs.sh disk /home/user/ToolOrchestra/evaluation/outputs_oss_frames_full_new disk /home/user/ToolOrchestra/evaluation/outputs_oss_hle_full_new disk /tmp env conda vllm1 -
        SLURM here: partition batch slurm gpu-31-10
        ");
    }
}
