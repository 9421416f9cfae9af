//! The files of a plan: `plan.json`, a script per unit, and one per node that starts several.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::context::{GroupContext, MemberContext, NodeContext, OptionContext, UnitContext};
use super::engine::{LIBRARY, NODE, NODE_TEXT, Renderer, SAMPLE, SAMPLE_TEXT, SLURM, SLURM_TEXT};
use super::error::RenderError;
use super::files::FileSet;
use crate::base::{GpuIndex, NodeName, UnitId};
use crate::plan::{JobPlan, Plan, PlanNode, Unit};
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
    files.add(LIBRARY, renderer.library().into(), 0o644);
    if !plan.jobs.is_empty() || plan.reached().next().is_some() {
        files.add(NODE, NODE_TEXT.into(), 0o644);
    }
    if !plan.jobs.is_empty() {
        files.add(SLURM, SLURM_TEXT.into(), 0o644);
        files.add(SAMPLE, SAMPLE_TEXT.into(), 0o644);
    }
    for unit in &plan.units {
        let text = renderer.unit(&UnitContext::of(plan, unit))?;
        files.add_script(format!("units/{}.sh", unit.id), text);
    }
    let (units, sessions) = (in_tmux(plan), tmux_sessions(plan));
    for node in &plan.nodes {
        if let (Some(units), Some(session)) = (units.get(&node.name), sessions.get(&node.name)) {
            let text = renderer.tmux(&node_context(plan, node, session, units))?;
            files.add_script(format!("tmux/{session}.sh"), text);
        }
    }
    let by_id: HashMap<&UnitId, &Unit> = plan.units.iter().map(|unit| (&unit.id, unit)).collect();
    for (job, name) in named_jobs(plan) {
        let file = job_file(&name);
        let units: Vec<&Unit> = (job.units.iter())
            .filter_map(|id| by_id.get(id).copied())
            .collect();
        let text = renderer.sbatch(&group_context(plan, job, &file, &units))?;
        files.add_script(file, text);
    }
    Ok(files.with_manifest())
}

/// The SLURM job of each unit that is in one; its script is [`job_file`].
pub fn slurm_jobs(plan: &Plan) -> BTreeMap<UnitId, String> {
    let units = |(job, name): (&JobPlan, String)| -> Vec<(UnitId, String)> {
        let units = job.units.iter();
        units.map(|unit| (unit.clone(), name.clone())).collect()
    };
    named_jobs(plan).flat_map(units).collect()
}

/// The script of a job, from the folder that holds `units/`.
pub fn job_file(job: &str) -> String {
    format!("slurm/{job}.sbatch")
}

fn named_jobs(plan: &Plan) -> impl Iterator<Item = (&JobPlan, String)> {
    let mut names = Names::default();
    let jobs = plan.jobs.iter();
    jobs.map(move |job| (job, names.unique(&job.name)))
}

/// The tmux session of each node that has units in one; its script is `tmux/SESSION.sh`.
pub fn tmux_sessions(plan: &Plan) -> BTreeMap<NodeName, String> {
    let mut names = Names::default();
    let units = in_tmux(plan);
    plan.nodes
        .iter()
        .filter(|node| units.contains_key(&node.name))
        .map(|node| (node.name.clone(), names.unique(node.name.as_str())))
        .collect()
}

/// The units of each node that run in tmux, in one pass: there may be thousands.
fn in_tmux(plan: &Plan) -> BTreeMap<&NodeName, Vec<&Unit>> {
    let mut units: BTreeMap<&NodeName, Vec<&Unit>> = BTreeMap::new();
    for unit in &plan.units {
        if unit.launcher == LauncherKind::Tmux {
            units.entry(&unit.node).or_default().push(unit);
        }
    }
    units
}

fn node_context(plan: &Plan, node: &PlanNode, session: &str, units: &[&Unit]) -> NodeContext {
    NodeContext {
        cluster: plan.cluster.to_string(),
        node: node.name.to_string(),
        session: session.to_owned(),
        units: units
            .iter()
            .map(|unit| MemberContext::from(*unit))
            .collect(),
    }
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

/// Seconds before the time limit at which a job is told to stop, beside its units' grace: for their scripts to sweep, and for the job to say
/// so. SLURM's timing is coarse to one side only: the signal comes up to 60 s earlier than it should (`--signal` in sbatch(1)).
const SIGNAL_SLACK_S: u64 = 20;

fn group_context(plan: &Plan, job: &JobPlan, file: &str, units: &[&Unit]) -> GroupContext {
    let grace = units.iter().map(|unit| unit.grace.0.div_ceil(1000)).max();
    let slurm = &job.options;
    let named = [
        ("nodelist", &job.nodelist),
        ("partition", &slurm.partition),
        ("account", &slurm.account),
        ("qos", &slurm.qos),
        ("constraint", &slurm.constraint),
        ("exclude", &slurm.exclude),
    ];
    let named = named
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?.as_str())));
    let extra = slurm
        .extra
        .iter()
        .map(|(name, value)| (name.as_str(), value.0.as_str()));
    GroupContext {
        cluster: plan.cluster.to_string(),
        job: job.name.clone(),
        file: file.to_owned(),
        gpus: job.gpus.len(),
        numbers: job.gpus.iter().map(|gpu| gpu.0).collect(),
        gres: slurm.gres.clone().unwrap_or_else(|| "gpu".to_owned()),
        time: slurm.time.clone().unwrap_or_default(),
        renew: slurm.renew.unwrap_or_default(),
        signal_s: grace.unwrap_or_default() + SIGNAL_SLACK_S,
        options: named.chain(extra).filter_map(OptionContext::of).collect(),
        units: units
            .iter()
            .map(|unit| MemberContext {
                gpus: positions(&unit.gpus, &job.gpus),
                ..MemberContext::from(*unit)
            })
            .collect(),
    }
}

/// Where a unit's GPUs stand among those of its job: SLURM decides which they are.
fn positions(own: &[GpuIndex], all: &[GpuIndex]) -> Vec<usize> {
    own.iter()
        .filter_map(|gpu| all.iter().position(|other| other == gpu))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::plan_tests::clean;

    #[test]
    fn the_log_s_cluster_becomes_these_files() {
        let plan = clean(include_str!("../../clusters/hle-oss.yaml"));
        let files = render_plan(&plan, &Renderer::new(&BTreeMap::new()).unwrap()).unwrap();
        let paths: Vec<&str> = files.iter().map(|(path, _)| path).collect();
        let others = paths.iter().filter(|path| !path.starts_with("units/"));
        let others: Vec<&str> = others.copied().collect();
        assert_eq!(paths.len() - others.len(), plan.units.len());
        insta::assert_snapshot!(others.join("\n"), @r"
    MANIFEST
    lib/node.sh
    lib/sample.sh
    lib/slurm.sh
    lib/unit.sh
    plan.json
    slurm/hle-oss-172_27_31_10.sbatch
    tmux/research-secure-05.sh
    tmux/research-secure-11.sh
    tmux/research-secure-12.sh
    tmux/research-secure-13.sh
    ");
        let job = files.get("slurm/hle-oss-172_27_31_10.sbatch").unwrap();
        let text = std::str::from_utf8(&job.bytes).unwrap();
        let lines = text
            .lines()
            .filter(|line| line.starts_with("#SBATCH") || line.contains("=( "));
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @"
        #SBATCH --job-name=hle-oss-172.27.31.10
        #SBATCH --nodes=1
        #SBATCH --ntasks=1
        #SBATCH --gres=gpu:4
        #SBATCH --time=12:00:00
        #SBATCH --signal=B:TERM@30
        #SBATCH --export=NIL
        #SBATCH --no-requeue
        #SBATCH --open-mode=append
        #SBATCH --output=%x-%j.log
        #SBATCH --nodelist=gpu-31-10
        #SBATCH --partition=batch
        UNITS=( search-0 search-1 search-2 search-3 )
        GPUS_OF=( 0 1 2 3 ) # their places among those that SLURM gives
        NUMBERS=( 0 1 2 3 ) # what the YAML calls those that SLURM gives
        PORTS=( 1840 1841 1842 1843 )
        MAY_MOVE=( 0 0 0 0 ) # another port may be taken
        ");
    }

    #[test]
    fn nodes_whose_names_look_alike_to_tmux_get_their_own_session() {
        let mut names = Names::default();
        assert_eq!(names.unique("10.0.0.1"), "10_0_0_1");
        assert_eq!(names.unique("10_0_0_1"), "10_0_0_1-2");
        assert_eq!(names.unique("gpu:1"), "gpu_1");
    }
}
