//! Gathers what a report is made of: of a run, or of results that anybody made.

use std::path::{Path, PathBuf};

use super::args::ToldArgs;
use super::runs::Found as Run;
use super::unit_log;
use crate::base::Timestamp;
use crate::eval::{Expected, Written};
use crate::facts::DatasetProblem;
use crate::knowledge::adapters;
use crate::plan::{EvalPlan, Plan, ResultsPlan, UnitKind};
use crate::report::tables::{Evaluation, Found, Logged, Source, Whose, evaluation};
use crate::report::{Report, Subject};
use crate::run::Phase;
use crate::spec::model::Finished;
use crate::world::{FileError, read_answers, read_call_log, read_dataset, read_spoken_calls};

/// Of a run: all its evaluations, with all results that are there.
///
/// # Errors
/// Results are there and cannot be read.
pub(super) fn of_run(run: &Run) -> Result<Report, FileError> {
    let plan = &run.plan;
    let evaluations = plan.evals.iter().map(|eval| of_eval(run, eval));
    let evaluations = evaluations.collect::<Result<Vec<_>, _>>()?;
    let at = run.records.last().map(|record| record.at);
    Ok(Report {
        subject: Subject::Run {
            run: run.dir.id().to_string(),
            cluster: plan.cluster.to_string(),
            ended: match run.state.phase {
                Phase::Ended(code) => Some(code),
                Phase::New | Phase::Running => None,
            },
            until: at.map(|at: Timestamp| at.to_string()),
        },
        evaluations,
        judgements: Vec::new(),
    })
}

fn of_eval(run: &Run, eval: &EvalPlan) -> Result<Evaluation, FileError> {
    let ids = match &eval.dataset {
        Some(path) => read_dataset(path.as_ref(), &eval.id_fields).ids,
        None => Vec::new(),
    };
    let known = !ids.is_empty() || eval.finished != Finished::Ids;
    let logged =
        call_log(eval.call_log.as_deref().map(Path::new)).or_else(|| client_log(run, eval));
    Ok(evaluation(Found {
        name: eval.name.to_string(),
        place: match &eval.results {
            ResultsPlan::Dir { dir, .. } => dir.clone(),
            ResultsPlan::Jsonl { file } => file.clone(),
        },
        expected: known.then(|| Expected::of(eval, &ids)),
        written: read_answers(&eval.results, &eval.id_fields)?,
        logged,
        orchestrator: orchestrator(&run.plan, eval),
        server_times: Vec::new(),
        whose: Whose::Run,
    }))
}

fn call_log(path: Option<&Path>) -> Option<Logged> {
    let calls = read_call_log(path?)?;
    let source = Source::CallLog;
    (!calls.is_empty()).then_some(Logged { source, calls })
}

fn client_log(run: &Run, eval: &EvalPlan) -> Option<Logged> {
    let words = adapters::adapter(&eval.adapter)?.calls?;
    let calls = read_spoken_calls(&unit_log::path(run, &eval.unit), words)?;
    let source = Source::ClientLog;
    (!calls.is_empty()).then_some(Logged { source, calls })
}

/// The key of the model that drives the tools: the required one of that name, or the only one that is no expert of the client's.
fn orchestrator(plan: &Plan, eval: &EvalPlan) -> Option<String> {
    let experts = adapters::adapter(&eval.adapter).map_or(&[][..], |adapter| adapter.models);
    let is_model = |name: &str| {
        let mut units = plan.units.iter();
        units.any(
            |unit| matches!(&unit.kind, UnitKind::Replica { model, .. } if model.as_str() == name),
        )
    };
    let groups = plan
        .groups
        .iter()
        .filter(|group| eval.requires.contains(&group.name) && is_model(group.name.as_str()));
    let groups: Vec<_> = groups
        .filter(|group| !experts.contains(&group.key.as_str()))
        .collect();
    let named = groups
        .iter()
        .find(|group| group.name.as_str() == "orchestrator");
    let only = (groups.len() == 1).then(|| &groups[0]);
    named.or(only).map(|group| group.key.clone())
}

/// Of results in a folder, or in a `.jsonl`, that may have been made without us.
///
/// # Errors
/// What cannot be read, or that there are none, and what to do.
pub(super) fn of_results(place: &Path, told: &ToldArgs) -> Result<Report, String> {
    let shown = shown(place);
    let path = place.to_string_lossy().into_owned();
    let results = if place.is_dir() {
        ResultsPlan::Dir {
            dir: path,
            pattern: "{id}.json".to_owned(),
            valid: Vec::new(),
        }
    } else {
        ResultsPlan::Jsonl { file: path }
    };
    let fields = ["id".to_owned(), "_id".to_owned()];
    let written = read_answers(&results, &fields).map_err(|error| format!("error: {error}"))?;
    if !written.iter().any(|one| one.answer.is_result) {
        return Err(no_results(&shown, &written));
    }
    let found = Found {
        name: place
            .file_name()
            .map_or_else(|| shown.clone(), |name| name.to_string_lossy().into_owned()),
        place: shown.clone(),
        expected: told
            .dataset
            .as_deref()
            .map(|path| questions(path, &fields))
            .transpose()?,
        written,
        logged: logged(told)?,
        orchestrator: told.orchestrator.clone(),
        server_times: Vec::new(),
        whose: Whose::Anybody,
    };
    Ok(Report {
        subject: Subject::Results { place: shown },
        evaluations: vec![evaluation(found)],
        judgements: Vec::new(),
    })
}

/// As it was named, but for a slash at its end.
fn shown(place: &Path) -> String {
    place
        .components()
        .collect::<PathBuf>()
        .display()
        .to_string()
}

fn no_results(shown: &str, written: &[Written]) -> String {
    let found = match written.len() {
        0 => "it has no file `*.json`".to_owned(),
        count => format!("none of its {count} JSON objects is one"),
    };
    format!(
        "error: there are no results in `{shown}`: {found}\nhelp: a result is a file `ID.json`, or a line of a `.jsonl`, with one of the keys `status`, `correct`, `calls`, `all_tool_calls` and `all_tool_responses`"
    )
}

fn questions(path: &Path, fields: &[String]) -> Result<Expected, String> {
    let found = read_dataset(path, fields);
    if found.ids.is_empty() {
        let why = match found.problems.first() {
            Some(DatasetProblem::Missing) => "there is no such file".to_owned(),
            Some(DatasetProblem::Unreadable(why)) => why.clone(),
            Some(DatasetProblem::LfsPointer) => {
                "it is a pointer of Git LFS; fetch the file with `git lfs pull`".to_owned()
            }
            _ => "no line of it is a JSON object with an `id`".to_owned(),
        };
        return Err(format!(
            "error: cannot take questions from `{}`: {why}",
            path.display()
        ));
    }
    Ok(Expected::new(found.ids, Finished::Ids))
}

fn logged(told: &ToldArgs) -> Result<Option<Logged>, String> {
    let (path, found) = match (&told.call_log, &told.client_log) {
        (Some(path), _) => (path, call_log(Some(path))),
        (None, Some(path)) => {
            let words = adapters::adapter(adapters::GENERIC).and_then(|adapter| adapter.calls);
            let calls = words.and_then(|words| read_spoken_calls(path, words));
            let calls = calls.filter(|calls| !calls.is_empty());
            let source = Source::ClientLog;
            (path, calls.map(|calls| Logged { source, calls }))
        }
        (None, None) => return Ok(None),
    };
    match found {
        Some(found) => Ok(Some(found)),
        None if path.exists() => Err(format!(
            "error: `{}` tells of no call\nhelp: `--call-log` takes a file with a JSON object for each call, `--client-log` what ToolOrchestra's clients print",
            path.display()
        )),
        None => Err(format!("error: there is no file `{}`", path.display())),
    }
}
