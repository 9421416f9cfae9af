//! What SLURM says of the nodes and partitions of jobs, without taking any.

use std::collections::BTreeSet;

use super::Ctx;
use crate::base::FieldPath;
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::{Known, NodeLook};
use crate::knowledge::slurm;
use crate::plan::{Access, JobPlan};

/// How the words of `State=IDLE+DRAIN` begin that keep jobs away. One that is powered down to save energy is woken for a job.
const AWAY: [&str; 6] = ["DOWN", "DRAIN", "FAIL", "MAINT", "INVAL", "NOT_RESPONDING"];

pub(super) fn check(ctx: &Ctx<'_>, access: &Access, look: &NodeLook, report: &mut Report) {
    let jobs: Vec<&JobPlan> = ctx
        .plan
        .jobs
        .iter()
        .filter(|job| job.access == *access)
        .collect();
    let mut said = BTreeSet::new();
    for job in &jobs {
        if let Some(node) = &job.nodelist {
            report.extend(of_node(ctx, job, node, look.slurm_nodes.get(node)));
        }
        let partition = job.options.partition.as_ref();
        if let Some(name) = partition.filter(|name| said.insert((*name).clone())) {
            report.extend(of_partition(ctx, job, name, look.partitions.get(name)));
        }
    }
    let places: Vec<Place> = jobs.iter().map(|job| Place::Key(origin(job))).collect();
    if !places.is_empty() {
        let note = Diagnostic::note(Code("N0720"), "what only the job will show: vLLM and its flags, memory in use, limits, paths and clock of nodes that SLURM gives out")
            .help("`srun -p PARTITION -w NODE --pty bash`, then the rendered script by hand, shows it before");
        let mut seen = Vec::new();
        let places = places.into_iter().filter(|place| {
            let new = !seen.contains(place);
            seen.push(place.clone());
            new
        });
        report.push(places.fold(note, |note, place| note.at(place, "")));
    }
}

fn origin(job: &JobPlan) -> FieldPath {
    let root = FieldPath::root();
    match &job.pool {
        Some(pool) => root.key("pools").key(pool.as_str()),
        None => root.key("nodes").key(job.node.as_str()),
    }
}

fn of_node(
    ctx: &Ctx<'_>,
    job: &JobPlan,
    name: &str,
    said: Option<&Known<String>>,
) -> Option<Diagnostic> {
    let path = origin(job);
    let line = match said? {
        Known::Known(line) => line,
        Known::Unknown(why) if why.contains("not found") => {
            let title = format!("SLURM knows no node `{name}`");
            let finding = Diagnostic::error(Code("E0717"), title).at(Place::Key(path), why.clone());
            return Some(
                finding.help("`sinfo -N` lists them; `slurm_name` says what SLURM calls a node"),
            );
        }
        Known::Unknown(why) => return Some(unasked(&format!("node `{name}`"), why, path)),
    };
    let value = |key: &str| {
        line.split_whitespace()
            .find_map(|word| word.strip_prefix(key))
    };
    let state = value("State=").unwrap_or_default();
    let away = |word: &&str| AWAY.iter().any(|away| word.starts_with(away));
    if let Some(away) = state.split('+').find(away) {
        let reason = line.split_once("Reason=").map_or("", |(_, reason)| reason);
        let title = format!("SLURM gives no jobs to `{name}`: it is {state}");
        let finding = Diagnostic::warning(Code("W0718"), title).at(
            Place::Key(path),
            format!("its job would wait while it is {away}"),
        );
        return Some(if reason.is_empty() {
            finding
        } else {
            finding.help(format!("reason: {reason}"))
        });
    }
    let has = gpus(value("Gres=")?)?;
    let wants = ctx
        .plan
        .nodes
        .iter()
        .find(|node| node.name == job.node)
        .map(|node| node.gpus.len());
    let wants = wants.unwrap_or_default().max(job.gpus.len());
    (has < wants).then(|| {
        let title =
            format!("`{name}` has {has} GPUs in SLURM, fewer than the {wants} that are written");
        Diagnostic::error(Code("E0719"), title).at(
            Place::Value(path.key("gpus")),
            "sbatch would refuse the job",
        )
    })
}

/// The GPUs of `gpu:h100:8(S:0-1),shard:4`, of all types together; none where the text is something else.
fn gpus(gres: &str) -> Option<usize> {
    let count = |part: &str| -> Option<usize> {
        let part = part.split('(').next()?;
        let mut fields = part.split(':');
        (fields.next()? == "gpu").then_some(())?;
        fields.next_back()?.parse().ok()
    };
    let counts: Vec<usize> = gres.split(',').filter_map(count).collect();
    match gres {
        "(null)" => Some(0),
        _ if counts.is_empty() => None,
        _ => Some(counts.iter().sum()),
    }
}

fn of_partition(
    ctx: &Ctx<'_>,
    job: &JobPlan,
    name: &str,
    said: Option<&Known<Vec<String>>>,
) -> Option<Diagnostic> {
    let pool = job.pool.as_ref().and_then(|pool| ctx.spec.pools.get(pool));
    let own = pool.and_then(|pool| pool.slurm.as_ref()?.partition.as_ref());
    let above = own.map_or_else(FieldPath::root, |_| origin(job));
    let path = above.key("slurm").key("partition");
    let lines = match said? {
        Known::Known(lines) => lines,
        Known::Unknown(why) => {
            return Some(unasked(&format!("partition `{name}`"), why, origin(job)));
        }
    };
    let rows = lines.iter().filter(|line| line.contains('|'));
    let rows: Vec<&String> = rows.collect();
    if rows.is_empty() {
        let title = format!("SLURM has no partition `{name}`");
        return Some(
            Diagnostic::error(Code("E0717"), title)
                .at(Place::Value(path), "sbatch would refuse the job")
                .help("`sinfo -s` lists them"),
        );
    }
    let allowed = rows.iter().find_map(|row| row.split('|').nth(2));
    if let (Some(time), Some(most)) = (&job.options.time, allowed) {
        let limits = slurm::time_limit(time).zip(slurm::time_limit(most));
        if limits.is_some_and(|(asked, most)| asked > most) {
            let own = pool.and_then(|pool| pool.slurm.as_ref()?.time.as_ref());
            let above = own.map_or_else(FieldPath::root, |_| origin(job));
            let title = format!("partition `{name}` allows {most} at most, less than `time`");
            return Some(Diagnostic::error(Code("E0722"), title).at(
                Place::Value(above.key("slurm").key("time")),
                "its jobs would never begin",
            ));
        }
    }
    let up = rows.iter().any(|row| row.split('|').nth(1) == Some("up"));
    (!up).then(|| {
        let title = format!("partition `{name}` takes no jobs now");
        Diagnostic::warning(Code("W0718"), title).at(Place::Value(path), "its jobs would wait")
    })
}

fn unasked(what: &str, why: &str, path: FieldPath) -> Diagnostic {
    Diagnostic::error(
        Code("E0701"),
        format!("SLURM could not be asked for {what}"),
    )
    .at(Place::Key(path), "nothing is known of it")
    .help(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::gpus;

    #[test]
    fn gpus_of_a_node_are_counted() {
        assert_eq!(gpus("gpu:8"), Some(8));
        assert_eq!(gpus("gpu:h100:8(S:0-1)"), Some(8));
        assert_eq!(gpus("gpu:a100:4,gpu:h100:2,shard:3"), Some(6));
        assert_eq!(gpus("(null)"), Some(0));
        assert_eq!(gpus("craynetwork:4"), None);
    }
}
