//! From what was watched to the verdict.

use std::collections::BTreeMap;

use super::course::Course;
use super::stage::Watched;
use crate::base::{EvalName, ExitStatus, Millis, Timestamp, float, floor};
use crate::cli::load::Cluster;
use crate::cli::printer::Printer;
use crate::cli::runs::{self, REHEARSAL_FILE};
use crate::knowledge::adapters;
use crate::plan::rehearsal::{Rehearsal, Wish, host_of};
use crate::plan::{Plan, UnitKind};
use crate::report::rehearsal::{
    EvalEvidence, Evidence, ModelEvidence, Proof, Refused, findings, leads_out, predict,
    verdict_text,
};
use crate::supervise::EvalDesk;
use crate::world;

/// What the cluster alone can prove, whatever it is.
const NEVER_HERE: &[&str] = &[
    "that weights load, fit their GPUs and answer sensibly",
    "that real servers are as fast as the simulated ones",
    "that nodes, their environments, ssh and SLURM work",
];

/// What was played.
#[derive(Clone, Copy)]
pub(in crate::cli) struct Played<'a> {
    /// The cluster as it is meant.
    pub(in crate::cli) real: &'a Cluster,
    pub(in crate::cli) rehearsal: &'a Rehearsal,
    pub(in crate::cli) wish: &'a Wish,
    /// The titles of what `check` notes.
    pub(in crate::cli) notes: &'a [String],
}

/// Prints the verdict on standard output, and answers how the command ends.
pub(in crate::cli) fn verdict(
    played: &Played<'_>,
    watched: &Watched,
    status: ExitStatus,
    printer: Printer,
) -> Result<ExitStatus, ExitStatus> {
    let Some(plan) = watched.plan.clone() else {
        return Ok(status);
    };
    let evidence = evidence(played, watched, &plan);
    keep(&evidence, &plan, printer)?;
    printer
        .data(&verdict_text(&evidence))
        .map_err(|_| ExitStatus::Internal)?;
    let refuted = findings(&evidence).iter().any(|one| one.proof == Proof::No);
    Ok(match status {
        _ if leads_out(&evidence) => ExitStatus::Misrouted,
        ExitStatus::Done if refuted => ExitStatus::Refused,
        status => status,
    })
}

/// Keeps the evidence beside the run, for programs.
fn keep(evidence: &Evidence, plan: &Plan, printer: Printer) -> Result<(), ExitStatus> {
    let failed = |error| runs::store(&error, printer);
    let Some(dir) = runs::home().latest(&plan.cluster).map_err(failed)? else {
        return Ok(());
    };
    crate::run::store::make_dir(&dir.report()).map_err(failed)?;
    let internal = |_| ExitStatus::Internal;
    let mut kept = serde_json::to_value(evidence).map_err(internal)?;
    let prediction = serde_json::to_value(predict(evidence)).map_err(internal)?;
    if let Some(kept) = kept.as_object_mut() {
        kept.insert("prediction".to_owned(), prediction);
    }
    let text = serde_json::to_vec_pretty(&kept).map_err(internal)?;
    let path = dir.report().join(REHEARSAL_FILE);
    let mode = crate::run::store::Mode::Private;
    crate::run::store::write_atomically(&path, &text, mode).map_err(failed)
}

fn evidence(played: &Played<'_>, watched: &Watched, plan: &Plan) -> Evidence {
    let Played {
        real,
        rehearsal,
        wish,
        notes,
    } = *played;
    let log = std::fs::read_to_string(&rehearsal.outside_log).unwrap_or_default();
    let starts = watched
        .courses
        .values()
        .filter_map(|course| course.first_start);
    let first = starts.min().unwrap_or_default();
    let evals = plan.evals.iter();
    Evidence {
        speed: wish.speed,
        gpus: gpus(real),
        startup: scaled(watched.startup, wish.speed),
        evals: evals
            .filter_map(|one| watched.courses.get_key_value(&one.name))
            .map(|(name, course)| eval(real, plan, name, (course, first), watched))
            .collect(),
        models: models(real, rehearsal, plan, watched),
        refused: refused(real, &log),
        stood_in: stood_in(rehearsal, watched),
        strangers: watched.strangers.iter().cloned().collect(),
        dropped: watched.dropped.iter().cloned().collect(),
        faults: watched.faults.clone(),
        unproved: unproved(notes),
    }
}

fn scaled(length: Millis, speed: f64) -> Millis {
    Millis(floor(float(length.0) * speed))
}

/// GPUs that are taken as long as the cluster is up.
fn gpus(real: &Cluster) -> usize {
    real.plan.servers().map(|unit| unit.gpus.len()).sum()
}

fn eval(
    real: &Cluster,
    plan: &Plan,
    name: &EvalName,
    (course, first): (&Course, Timestamp),
    watched: &Watched,
) -> EvalEvidence {
    let since_first = |at: Option<Timestamp>| at.map_or(Millis(0), |at| at.since(first));
    let ids = world::read_dataset(
        course.plan.dataset.as_deref().unwrap_or_default().as_ref(),
        &course.plan.id_fields,
    )
    .ids;
    let mut desk = EvalDesk::new(plan, &course.plan, &ids).ok();
    let progress = desk.as_mut().and_then(|desk| desk.progress().ok());
    let calls = desk.as_ref().map(EvalDesk::calls).unwrap_or_default();
    let mut tools: BTreeMap<String, usize> = BTreeMap::new();
    for call in calls.into_iter().filter(|call| !call.failed) {
        *tools.entry(call.model).or_default() += 1;
    }
    let dataset = real.facts.datasets.get(name).and_then(|found| found.get());
    let known = dataset
        .map(|found| found.ids.len())
        .filter(|count| *count > 0);
    let adapter = real
        .spec
        .evals
        .get(name)
        .and_then(|eval| eval.adapter.as_deref());
    let usual = adapter
        .and_then(adapters::adapter)
        .and_then(|adapter| adapter.questions);
    let usual = usual.and_then(|count| usize::try_from(count).ok());
    let total = progress.as_ref().map_or(course.total, |found| found.total);
    EvalEvidence {
        eval: name.to_string(),
        total,
        real_total: known.or(usual).unwrap_or(total),
        done: progress.as_ref().map_or(0, |found| found.done.len()),
        errors: progress.as_ref().map_or(0, |found| found.errors.len()),
        starts: course.starts,
        first_result: course.first_result,
        ran: course.ran,
        began: since_first(course.first_start),
        ended: since_first(course.last_end),
        concurrency: course.plan.concurrency,
        kill: course.kill(),
        tools: tools.into_iter().collect(),
        files: (watched.seen.get(name))
            .and_then(|seen| seen.files)
            .map(|files| (files.open, files.soft)),
        files_raised: course.files_raised,
        looks: watched.looked.get(name).copied().unwrap_or(0),
    }
}

fn models(
    real: &Cluster,
    rehearsal: &Rehearsal,
    plan: &Plan,
    watched: &Watched,
) -> Vec<ModelEvidence> {
    let names = real.spec.models.keys();
    let one = |name| {
        let of_model =
            |kind: &UnitKind| matches!(kind, UnitKind::Replica { model, .. } if model == name);
        let (requests, seconds) = watched.books.models.get(name).copied().unwrap_or_default();
        ModelEvidence {
            model: name.to_string(),
            replicas: plan
                .units
                .iter()
                .filter(|unit| of_model(&unit.kind))
                .count(),
            requests,
            seconds,
            assumed: rehearsal.assumed.contains(name),
        }
    };
    names.map(one).collect()
}

/// What the proxy refused, and whether the YAML declares it.
fn refused(real: &Cluster, log: &str) -> Vec<Refused> {
    let declared = |host: &str| {
        let mut externals = real.spec.externals.values();
        externals.any(|external| host_of(&external.url) == host)
    };
    crate::eval::outside_of(log)
        .into_iter()
        .map(|found| Refused {
            place: format!("{}:{}", found.host, found.port),
            times: found.times,
            declared: declared(&found.host),
        })
        .collect()
}

fn stood_in(rehearsal: &Rehearsal, watched: &Watched) -> Vec<(String, u64)> {
    let externals = rehearsal.externals.iter();
    externals
        .map(|(name, url)| {
            let requests = watched.books.externals.get(name).copied();
            (url.clone(), requests.unwrap_or(0))
        })
        .collect()
}

/// What was not proved here: the notes of `check`, and what no laptop can prove.
fn unproved(notes: &[String]) -> Vec<String> {
    let here = notes
        .iter()
        .filter_map(|title| title.strip_prefix("not proved here: "));
    let always = NEVER_HERE.iter().map(|&line| line.to_owned());
    always.chain(here.map(str::to_owned)).collect()
}
