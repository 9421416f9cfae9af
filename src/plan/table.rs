//! The plan as people read it.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::base::{NodeName, UnitId, mask_keys};
use crate::spec::model::{AfterState, LauncherKind, WhenDone};

use super::columns::{columns, ranges};
use super::{EvalPlan, Plan, ResultsPlan, Start, Unit, UnitEnv, UnitKind};

/// The plan as text: units with node, GPUs, ports, launcher and start, one line for all replicas of
/// a model on a node; commands, environments, files, SLURM jobs.
pub fn table(plan: &Plan) -> String {
    let blocks = blocks(plan);
    let mut text = format!("{}\n\n", title(plan));
    text += &columns(&unit_rows(plan, &blocks), 0);
    section(&mut text, "commands", &command_rows(&blocks));
    section(&mut text, "environment", &env_rows(&blocks));
    section(&mut text, "files", &file_rows(plan));
    section(&mut text, "slurm jobs", &job_rows(plan));
    let _ = writeln!(text, "\nwhen done: {}", when_done(plan));
    if let Some(idle) = plan.idle {
        let _ = writeln!(
            text,
            "idle: a unit stops itself after {idle} without watcher and work"
        );
    }
    if let Some(notify) = &plan.notify {
        let _ = writeln!(text, "alarms: told to `{}`", notify.argv.join(" "));
    }
    mask_keys(&text).into_owned()
}

fn title(plan: &Plan) -> String {
    let count = |number: usize, what: &str| {
        let s = if number == 1 { "" } else { "s" };
        format!("{number} {what}{s}")
    };
    // Ours: the YAML names neither them nor their node.
    let proxies: HashSet<&UnitId> = (plan.evals.iter())
        .filter_map(|eval| eval.egress.as_ref())
        .collect();
    let is_tunnel = |unit: &&Unit| matches!(unit.kind, UnitKind::Tunnel { .. });
    let (tunnels, mut servers): (Vec<&Unit>, Vec<&Unit>) = plan.servers().partition(is_tunnel);
    servers.retain(|unit| !proxies.contains(&unit.id));
    let nodes: HashSet<&NodeName> = servers.iter().map(|unit| &unit.node).collect();
    let tunnels = match tunnels.len() {
        0 => String::new(),
        several => format!(", {}", count(several, "tunnel")),
    };
    let proxies = match proxies.len() {
        0 => String::new(),
        1 => ", 1 egress proxy".to_owned(),
        several => format!(", {several} egress proxies"),
    };
    format!(
        "{}: {} on {}, {}{proxies}{tunnels}",
        plan.cluster,
        count(servers.len(), "server"),
        count(nodes.len(), "node"),
        count(plan.evals.len(), "evaluation"),
    )
}

fn section(text: &mut String, title: &str, rows: &[Vec<String>]) {
    if !rows.is_empty() {
        let _ = write!(text, "\n{title}\n{}", columns(rows, 2));
    }
}

/// Successive units of one origin on one node: one line.
fn blocks(plan: &Plan) -> Vec<&[Unit]> {
    let together = |a: &Unit, b: &Unit| a.origin == b.origin && a.node == b.node;
    plan.units.chunk_by(together).collect()
}

/// The first unit of a block; `chunk_by` makes no empty ones.
fn first(block: &[Unit]) -> Option<&Unit> {
    block.first()
}

fn unit_rows(plan: &Plan, blocks: &[&[Unit]]) -> Vec<Vec<String>> {
    let head = ["units", "node", "gpus", "ports", "launcher", "start"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for block in blocks {
        let Some(one) = first(block) else { continue };
        let gpus = block
            .iter()
            .flat_map(|unit| &unit.gpus)
            .map(|gpu| u64::from(gpu.0));
        let ports = block
            .iter()
            .flat_map(|unit| unit.port.iter().chain(&unit.more_ports))
            .map(|port| u64::from(port.0));
        let auto = if one.port_auto { " (auto)" } else { "" };
        rows.push(vec![
            names(block),
            one.node.to_string(),
            ranges(gpus),
            format!("{}{auto}", ranges(ports)),
            launcher(one.launcher).to_owned(),
            match &one.kind {
                UnitKind::Eval { name } => plan.eval(name).map_or_else(String::new, after),
                UnitKind::Replica { .. } | UnitKind::Service { .. } | UnitKind::Tunnel { .. } => {
                    start(block)
                }
            },
        ]);
    }
    rows
}

/// `answer-0…7` for all replicas of a block.
fn names(block: &[Unit]) -> String {
    match block {
        [one] => one.id.to_string(),
        [one, .., last] => {
            let number = |unit: &Unit| match unit.kind {
                UnitKind::Replica { index, .. } => index.to_string(),
                UnitKind::Service { .. } | UnitKind::Tunnel { .. } | UnitKind::Eval { .. } => {
                    unit.id.to_string()
                }
            };
            format!("{}…{}", one.id, number(last))
        }
        [] => String::new(),
    }
}

fn launcher(kind: LauncherKind) -> &'static str {
    match kind {
        LauncherKind::Process => "process",
        LauncherKind::Tmux => "tmux",
        LauncherKind::Slurm => "slurm",
    }
}

fn start(block: &[Unit]) -> String {
    let Some(last) = block.last() else {
        return String::new();
    };
    let spread = match last.start {
        Start { delay, .. } if delay.0 == 0 => String::new(),
        Start { delay, .. } => format!(", the last {delay} later"),
    };
    match last.start.after_ready.first() {
        Some(before) => format!("{before} first, the others when it is ready{spread}"),
        None => format!("at once{spread}"),
    }
}

fn after(eval: &EvalPlan) -> String {
    let waits = eval.after.iter().map(|(name, state)| {
        let state = match state {
            AfterState::Complete => "is complete",
            AfterState::Ended => "ended",
        };
        format!("after `{name}` {state}")
    });
    let waits: Vec<String> = waits.collect();
    if waits.is_empty() {
        "when its servers are ready".to_owned()
    } else {
        waits.join(", ")
    }
}

/// One command for each model, service and evaluation: that of its first unit.
fn command_rows(blocks: &[&[Unit]]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for one in firsts(blocks) {
        rows.push(vec![one.id.to_string(), shell(&one.argv)]);
    }
    rows
}

/// The first unit of each origin.
fn firsts<'a>(blocks: &[&'a [Unit]]) -> Vec<&'a Unit> {
    let mut units: Vec<&Unit> = Vec::new();
    for one in blocks.iter().filter_map(|block| block.first()) {
        if units.last().is_none_or(|last| last.origin != one.origin) {
            units.push(one);
        }
    }
    units
}

/// A command as a shell would read it.
pub(crate) fn shell(argv: &[String]) -> String {
    let quoted = argv.iter().map(|word| match shlex::try_quote(word) {
        Ok(quoted) => quoted.into_owned(),
        Err(_) => format!("{word:?}"),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn env_rows(blocks: &[&[Unit]]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for one in firsts(blocks) {
        let mut id = one.id.to_string();
        for line in env_lines(&one.env) {
            rows.push(vec![std::mem::take(&mut id), line]);
        }
    }
    rows
}

fn env_lines(env: &UnitEnv) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(env.conda.iter().map(|conda| format!("conda {conda}")));
    lines.extend(env.venv.iter().map(|venv| format!("venv {venv}")));
    lines.extend(env.container.iter().map(|container| {
        let mounts = container.mounts.iter().map(|mount| format!(" {mount}"));
        let runtime = container.runtime.word();
        format!(
            "container {runtime} {}{}",
            container.image,
            mounts.collect::<String>()
        )
    }));
    lines.extend(env.modules.iter().map(|module| format!("module {module}")));
    lines.extend(env.setup.iter().map(|line| format!("setup $ {line}")));
    lines.extend(env.pass.iter().map(|name| format!("pass {name}")));
    lines.extend(env.unset.iter().map(|name| format!("unset {name}")));
    lines.extend(
        env.set
            .iter()
            .map(|(name, value)| format!("set {name}={value}")),
    );
    lines.extend(env.umask.iter().map(|umask| format!("umask {umask}")));
    lines
}

fn file_rows(plan: &Plan) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for config in &plan.configs {
        rows.push(vec![
            "client config".to_owned(),
            config.name.to_string(),
            config.path.clone(),
        ]);
    }
    for eval in &plan.evals {
        let name = eval.name.to_string();
        if let Some(dataset) = &eval.dataset {
            rows.push(vec!["dataset".to_owned(), name.clone(), dataset.clone()]);
        }
        let results = match &eval.results {
            ResultsPlan::Dir { dir, pattern, .. } => format!("{dir}/{pattern}"),
            ResultsPlan::Jsonl { file } => file.clone(),
        };
        rows.push(vec!["results".to_owned(), name, results]);
    }
    rows
}

fn job_rows(plan: &Plan) -> Vec<Vec<String>> {
    let rows = plan.jobs.iter().map(|job| {
        let where_to = match (&job.nodelist, &job.pool) {
            (Some(node), _) => format!("node {node}"),
            (None, Some(pool)) => format!("a node of `{pool}`"),
            (None, None) => "any node".to_owned(),
        };
        vec![
            job.name.clone(),
            where_to,
            format!("{} GPUs", job.gpus.len()),
            job.options
                .time
                .clone()
                .unwrap_or_else(|| "no time limit".to_owned()),
            format!("{} units", job.units.len()),
        ]
    });
    rows.collect()
}

fn when_done(plan: &Plan) -> &'static str {
    match plan.when_done {
        WhenDone::Down => "servers go down",
        WhenDone::Keep if plan.jobs_go => "servers are kept, those in SLURM jobs go down",
        WhenDone::Keep => "servers are kept",
    }
}
