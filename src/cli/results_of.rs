//! The results of a run: those that are there, or, once it is over, those that were.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::printer::Printer;
use super::runs::{self, Found as Run};
use super::{books_of, unit_log};
use crate::base::{EvalName, Millis, Timestamp};
use crate::eval::{Expected, Parsed, Written};
use crate::knowledge::adapters;
use crate::plan::EvalPlan;
use crate::report::tables::{Logged, Source};
use crate::report::{Kept, KeptEval, KeptYaml, Routed, changed_since, cut};
use crate::run::Phase;
use crate::run::store::{RunDir, StoreError, read_packed, read_regular_text, write_packed};
use crate::world::{
    FileError, read_answers, read_call_log, read_dataset, read_spoken_calls, result_times,
};

/// A result may be written a moment after the last thing that is known of its run.
const MOMENT: Millis = Millis::from_secs(60);

/// The results of a run, as its report needs them.
///
/// # Errors
/// Results are there and cannot be read.
pub(super) fn of(run: &Run, printer: Printer) -> Result<Kept, FileError> {
    match kept(run) {
        Ok(Some(kept)) => return Ok(kept),
        Ok(None) => {}
        Err(error) => {
            printer.complain(&format!("warning: {error}"));
            if let Some(help) = error.help() {
                printer.complain(&format!("help: {help}"));
            }
        }
    }
    now(run, None)
}

/// The same; of a run that is over they are kept from now on, if they are its own.
///
/// # Errors
/// Results are there and cannot be read.
pub(super) fn of_and_keep(run: &Run, printer: Printer) -> Result<Kept, FileError> {
    let found = of(run, printer)?;
    keep(run, &found, printer);
    Ok(match kept(run) {
        // A number may be written otherwise than it was read: what is kept is what counts.
        Ok(Some(kept)) => kept,
        _ => found,
    })
}

/// Keeps the results of a run if it is over by now. A run is no worse for what cannot be kept: its first report tries again.
pub(super) fn keep_at_the_end(dir: &RunDir, routed: Option<Routed>, printer: Printer) {
    let Ok(run) = runs::read(dir.clone()) else {
        return;
    };
    if let Ok(found) = now(&run, routed) {
        keep(&run, &found, printer);
    }
}

fn keep(run: &Run, found: &Kept, printer: Printer) {
    let path = run.dir.results();
    let is_over = matches!(run.state.phase, Phase::Ended(_));
    if !is_over || found.is_worse() || path.exists() {
        return;
    }
    if let Err(error) = write_packed(&path, found) {
        printer.complain(&format!("warning: {error}"));
    }
}

/// Where calls of a run went that is over, if what was kept of it is what is there.
pub(super) fn routed(run: &Run) -> Option<Routed> {
    let kept = kept(run).ok().flatten()?;
    let same = kept.evals.iter().all(|eval| eval.changed.is_none());
    same.then_some(kept.routed)
}

/// What was kept, and what became of it since.
fn kept(run: &Run) -> Result<Option<Kept>, StoreError> {
    let path = run.dir.results();
    let Some(mut kept) = read_packed::<Kept>(&path)? else {
        return Ok(None);
    };
    if kept.format > Kept::FORMAT {
        return Err(StoreError::Newer {
            path,
            found: kept.format,
            known: Kept::FORMAT,
        });
    }
    for eval in &mut kept.evals {
        let plan = run.plan.eval(&eval.name);
        let now = plan.map(|plan| result_times(&plan.results));
        // A folder that cannot be listed now tells of no change.
        let now = now
            .and_then(Result::ok)
            .unwrap_or_else(|| eval.times.clone());
        eval.changed = changed_since(&eval.times, &now);
    }
    Ok(Some(kept))
}

/// Those that are there, without what came after the run. Where calls went is looked up, unless that was done.
fn now(run: &Run, routed: Option<Routed>) -> Result<Kept, FileError> {
    let evals = run.plan.evals.iter();
    let mut evals: Vec<KeptEval> = evals
        .map(|eval| of_eval(run, eval))
        .collect::<Result<_, _>>()?;
    if let Some(end) = end(run) {
        for eval in &mut evals {
            let Some(plan) = run.plan.eval(&eval.name) else {
                continue;
            };
            let expected = expected(plan, &eval.ids);
            let state = run.state.evals.get(&eval.name);
            let done = state.map_or(0, |state| state.done);
            cut(eval, end, done, |one| is_done(one, expected.as_ref()));
        }
    }
    let changed = evals.iter().filter(|eval| eval.changed.is_some());
    let changed: BTreeSet<EvalName> = changed.map(|eval| eval.name.clone()).collect();
    Ok(Kept {
        format: Kept::FORMAT,
        evals,
        routed: routed.unwrap_or_else(|| books_of::of_run(run, &changed)),
        yaml: yaml(run),
    })
}

fn yaml(run: &Run) -> Option<KeptYaml> {
    let path = run.state.yaml.clone()?;
    let text = read_regular_text(path.as_ref()).ok()?;
    Some(KeptYaml { path, text })
}

/// Up to when results can be of this run; none while it goes on.
fn end(run: &Run) -> Option<Timestamp> {
    let Phase::Ended(_) = run.state.phase else {
        return None;
    };
    let last = run.records.last()?.at;
    let mut all = run
        .dir
        .home()
        .runs_of(run.dir.cluster())
        .unwrap_or_default()
        .into_iter();
    let next = all.find(|other| other.number() > run.dir.number());
    let next = next.and_then(|next| runs::read(next).ok());
    let next = next.and_then(|next| Some(next.records.first()?.at));
    let moment = last + MOMENT;
    Some(next.map_or(moment, |next| moment.min(next)))
}

/// Which results an evaluation waits for; none where nobody says.
pub(super) fn expected(eval: &EvalPlan, ids: &[String]) -> Option<Expected> {
    let known = !ids.is_empty() || eval.finished != crate::spec::model::Finished::Ids;
    known.then(|| Expected::of(eval, ids))
}

/// Whether this is a whole result that was waited for.
pub(super) fn is_done(one: &Written, expected: Option<&Expected>) -> bool {
    matches!(one.answer.parsed, Parsed::Whole(_)) && expected.is_none_or(|set| set.wants(&one.id))
}

/// Those of one evaluation that are there now.
///
/// # Errors
/// Results are there and cannot be read.
pub(super) fn of_eval(run: &Run, eval: &EvalPlan) -> Result<KeptEval, FileError> {
    let ids = match &eval.dataset {
        Some(path) => read_dataset(path.as_ref(), &eval.id_fields).ids,
        None => Vec::new(),
    };
    Ok(KeptEval {
        name: eval.name.clone(),
        ids,
        // Before they are read: one that is written meanwhile counts as changed.
        times: result_times(&eval.results).unwrap_or_else(|_| BTreeMap::new()),
        written: read_answers(&eval.results, &eval.id_fields)?,
        logged: own_calls(run, eval).or_else(|| client_log(run, eval)),
        changed: None,
    })
}

/// The calls of its call log. Where the run began without results, what was logged before it made others.
fn own_calls(run: &Run, eval: &EvalPlan) -> Option<Logged> {
    let path = eval.call_log.as_deref()?;
    let mark = run.state.books.evals.get(&eval.name);
    let mark = mark.filter(|mark| mark.results == 0);
    call_log(path.as_ref(), mark.map_or(0, |mark| mark.call_log))
}

/// The calls of a call log, behind so many bytes of it.
pub(super) fn call_log(path: &Path, after: u64) -> Option<Logged> {
    let calls = read_call_log(path, after)?;
    let source = Source::CallLog;
    (!calls.is_empty()).then_some(Logged { source, calls })
}

fn client_log(run: &Run, eval: &EvalPlan) -> Option<Logged> {
    let words = adapters::adapter(&eval.adapter)?.calls?;
    let calls = read_spoken_calls(&unit_log::path(run, &eval.unit), words)?;
    let source = Source::ClientLog;
    (!calls.is_empty()).then_some(Logged { source, calls })
}
