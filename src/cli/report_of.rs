//! Gathers what a report is made of: of a run, or of results that anybody made.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::args::ToldArgs;
use super::charts_of;
use super::patches::{self, Patched};
use super::predictions;
use super::results_of;
use super::runs::Found as Run;
use crate::base::{Clock as _, Timestamp, clean};
use crate::eval::{Expected, Written};
use crate::facts::DatasetProblem;
use crate::facts::samples::Samples;
use crate::knowledge::adapters;
use crate::plan::{EvalPlan, Plan, ResultsPlan, UnitKind};
use crate::report::charts::Charts;
use crate::report::known::{
    Ends, Known, Told, doubts, evidence, evidence_of_results, server_times,
};
use crate::report::tables::{
    Changed, Evaluation, Found, Logged, Source, Times, Whose, evaluation, times,
};
use crate::report::verdict::{Advice, Analysis, Evidence, analyse};
use crate::report::{Happened, Judgement, Kept, KeptEval, Report, Subject};
use crate::run::store::{StoreError, read_samples};
use crate::run::{Event, Phase};
use crate::spec::model::Finished;
use crate::world::{SystemClock, read_answers_at, read_dataset, read_spoken_calls};

/// One evaluation of a run: its tables, and what is known for a judgement.
pub(super) struct Judgeable {
    pub(super) tables: Evaluation,
    /// None before its client has started.
    pub(super) evidence: Option<Evidence>,
    /// What of the samples could not be taken as it stands.
    doubts: Vec<String>,
    times: Vec<Times>,
}

/// A report, and what its page shows beside.
pub(super) struct Made {
    pub(super) report: Report,
    pub(super) charts: Charts,
    /// Results changed since, and what they were is not kept: an earlier report may know more.
    pub(super) is_worse: bool,
}

/// Of a run: all its evaluations, with all results that are there, or that were when it ended. Histograms have so many `bins`.
/// Its files are for this `folder`, or for a bundle.
pub(super) fn of_run(run: &Run, kept: Kept, bins: usize, folder: Option<&Path>) -> Made {
    let plan = &run.plan;
    let speed = plan.shares.speed;
    let samples = read_samples(run.dir.path(), SystemClock.now());
    let is_worse = kept.is_worse();
    let (routed, yaml) = (kept.routed, kept.yaml);
    let mut found = match &samples {
        Ok(samples) => of_evals(run, kept.evals, samples),
        Err(error) => of_evals(run, kept.evals, &unread(error)),
    };
    let times = found.iter_mut().map(|one| std::mem::take(&mut one.times));
    let charts = charts_of::of_run(run, samples.as_ref(), times.collect(), bins);
    let judged = found.iter().filter_map(|one| {
        let evidence = one.evidence.as_ref()?;
        let name = &one.tables.name;
        let analysis = analyse(evidence);
        let (patch, no_patch) = match patches::of(&analysis, yaml.as_ref(), &run.dir.home()) {
            Patched::Made(text) => (Some(text), None),
            Patched::Not(why) => (None, Some(why)),
            Patched::Nothing => (None, None),
        };
        Some(Judgement {
            evaluation: name.clone(),
            speed,
            doubts: one.doubts.clone(),
            patch,
            patch_file: None,
            patch_command: None,
            no_patch,
            command: command(run, name, &analysis),
            analysis,
            followed: predictions::followed(run, name, evidence),
        })
    });
    let mut judgements: Vec<Judgement> = judged.collect();
    patches::name_files(&mut judgements, yaml.as_ref(), folder);
    let at = run.records.last().map(|record| record.at);
    let report = Report {
        subject: Subject::Run {
            run: run.dir.id().to_string(),
            cluster: plan.cluster.to_string(),
            ended: match run.state.phase {
                Phase::Ended(code) => Some(code),
                Phase::New | Phase::Running => None,
            },
            until: at.map(|at: Timestamp| at.to_string()),
        },
        happened: charts
            .course
            .as_ref()
            .map(|course| Happened::of(plan, &run.state, course, &routed)),
        evaluations: found.into_iter().map(|one| one.tables).collect(),
        judgements,
    };
    Made {
        report,
        charts,
        is_worse,
    }
}

/// No samples, and why.
fn unread(error: &StoreError) -> Samples {
    let mut none = Samples::default();
    none.torn.push(error.to_string());
    none
}

/// The command that asks for the advised moves, and so shows how to ask for others.
fn command(run: &Run, evaluation: &str, analysis: &Analysis) -> Option<String> {
    let Advice::Change { prediction, .. } = &analysis.advice else {
        return None;
    };
    let steps = prediction
        .moves
        .iter()
        .map(|step| format!(" --move {step}"));
    let many = run.plan.evals.len() > 1;
    let eval = many.then(|| format!(" --eval {evaluation}"));
    Some(format!(
        "toolorch what-if {}{}{}",
        run.dir.id(),
        steps.collect::<String>(),
        eval.unwrap_or_default()
    ))
}

/// All evaluations of a run. Samples that cannot be read are as good as none: a report says what is missing.
pub(super) fn judgeable(run: &Run, kept: Kept) -> Vec<Judgeable> {
    let samples = read_samples(run.dir.path(), SystemClock.now()).unwrap_or_default();
    of_evals(run, kept.evals, &samples)
}

fn of_evals(run: &Run, evals: Vec<KeptEval>, samples: &Samples) -> Vec<Judgeable> {
    let evals = evals.into_iter().filter_map(|kept| {
        let plan = run.plan.eval(&kept.name)?;
        Some(of_eval(run, plan, kept, samples))
    });
    evals.collect()
}

/// What is known of an evaluation that goes on, as its report would say it; without its results where they cannot be read.
pub(super) fn evidence_now(run: &Run, eval: &EvalPlan, samples: &Samples) -> Option<Evidence> {
    if let Ok(kept) = results_of::of_eval(run, eval) {
        return of_eval(run, eval, kept, samples).evidence;
    }
    evidence(&Known {
        plan: &run.plan,
        eval,
        records: &run.records,
        state: &run.state,
        samples,
        ends: Ends::Counted,
        order: &[],
        tables: None,
    })
}

fn of_eval(run: &Run, eval: &EvalPlan, kept: KeptEval, samples: &Samples) -> Judgeable {
    let expected = results_of::expected(eval, &kept.ids);
    let ends: Vec<(String, Option<Timestamp>)> = (kept.written.iter())
        .filter(|one| results_of::is_done(one, expected.as_ref()))
        .map(|one| (one.id.clone(), one.at))
        .collect();
    let earlier = earlier(run, eval, &ends);
    let order = match &expected {
        Some(set) => set.ids().to_vec(),
        None => Vec::new(),
    };
    let known = Known {
        plan: &run.plan,
        eval,
        records: &run.records,
        state: &run.state,
        samples,
        // Of those that were written again the journal alone knows when they were finished.
        ends: match kept.changed {
            Some(Changed { kept: false, .. }) => Ends::Counted,
            _ => Ends::Written(&ends),
        },
        order: &order,
        tables: None,
    };
    let found = Found {
        name: eval.name.to_string(),
        place: match &eval.results {
            ResultsPlan::Dir { dir, .. } => dir.clone(),
            ResultsPlan::Jsonl { file } => file.clone(),
        },
        expected,
        written: kept.written,
        logged: kept.logged,
        orchestrator: orchestrator(&run.plan, eval),
        server_times: server_times(&known),
        whose: Whose::Run,
        changed: kept.changed,
    }
    .at_speed(run.plan.shares.speed);
    let times = times(&found);
    let mut tables = evaluation(found);
    tables.earlier = earlier;
    let known = Known {
        // Of what is left of results nothing is said that holds for all of them.
        tables: matches!(known.ends, Ends::Written(_)).then_some(&tables),
        ..known
    };
    let (evidence, doubts) = (evidence(&known), doubts(&known));
    Judgeable {
        tables,
        evidence,
        doubts,
        times,
    }
}

/// In a millisecond; marks are as exact as file systems are.
const NANOSECONDS: u64 = 1_000_000;

/// How many of these results, each with when it was written, were there before the run's first client: by that time, or, of lines of
/// a file, by what the journal counted then.
fn earlier(run: &Run, eval: &EvalPlan, ends: &[(String, Option<Timestamp>)]) -> usize {
    let Some(mark) = run.state.books.evals.get(&eval.name) else {
        return 0;
    };
    let times: Option<Vec<Timestamp>> = ends.iter().map(|(_, at)| *at).collect();
    if let Some(times) = times {
        return times
            .iter()
            .filter(|at| at.0 <= mark.results / NANOSECONDS)
            .count();
    }
    let before = run.records.iter().take_while(
        |record| !matches!(&record.event, Event::Started { unit, .. } if *unit == eval.unit),
    );
    let counted = before.filter_map(|record| match &record.event {
        Event::EvalProgress { eval: of, done, .. } if *of == eval.name => Some(*done),
        _ => None,
    });
    counted.last().unwrap_or(0)
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
pub(super) fn of_results(place: &Path, told: &ToldArgs, bins: usize) -> Result<Made, String> {
    let shown = shown(place);
    let fields = ["id".to_owned(), "_id".to_owned()];
    let written = read_answers_at(place, &fields).map_err(|error| format!("error: {error}"))?;
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
        changed: None,
    };
    let charts = charts_of::of_results(times(&found), bins);
    let more = Told {
        concurrency: told.concurrency.map(|count| count as usize),
        gpus: told.gpus.clone(),
    };
    let mut tables = evaluation(found);
    let evidence = evidence_of_results(&tables, &more);
    let unknown = evidence
        .as_ref()
        .and_then(|evidence| strangers(&more, evidence));
    if let Some(why) = unknown.or_else(|| never_asked(told, &tables)) {
        return Err(why);
    }
    if evidence.is_some() && more.concurrency.is_none() {
        let gap = "how many calls were under way at once: name how many questions were with `--concurrency N`";
        tables.unsaid.push(gap.to_owned());
    }
    let judged = evidence.map(|evidence| Judgement {
        evaluation: tables.name.clone(),
        speed: None,
        doubts: Vec::new(),
        analysis: analyse(&evidence),
        command: None,
        patch: None,
        patch_file: None,
        patch_command: None,
        no_patch: None,
        followed: None,
    });
    let report = Report {
        subject: Subject::Results { place: shown },
        happened: None,
        judgements: judged.into_iter().collect(),
        evaluations: vec![tables],
    };
    Ok(Made {
        report,
        charts,
        is_worse: false,
    })
}

/// GPUs of a model to which no call was made.
fn strangers(told: &Told, evidence: &Evidence) -> Option<String> {
    let names: Vec<&str> = evidence
        .classes
        .iter()
        .map(|class| class.name.as_str())
        .collect();
    let (model, count) = told
        .gpus
        .iter()
        .find(|(model, _)| !names.contains(&model.as_str()))?;
    Some(format!(
        "error: --gpus {model}={count}: no call to `{model}` is told of\nhelp: there are calls to {}",
        names.join(", ")
    ))
}

/// An orchestrator of which no call is told.
fn never_asked(told: &ToldArgs, tables: &Evaluation) -> Option<String> {
    let model = told.orchestrator.as_ref()?;
    let own = tables.orchestrator.as_ref();
    if own.is_some_and(|own| own.row.model.as_ref() == Some(model)) {
        return None;
    }
    let servers = tables.servers.iter().chain(&tables.experts);
    let others = servers.chain(own.map(|own| &own.row));
    let names: BTreeSet<&str> = others.filter_map(|row| row.model.as_deref()).collect();
    let help = if names.is_empty() {
        "name a log of its calls with `--call-log FILE` or `--client-log FILE`".to_owned()
    } else {
        let names: Vec<String> = names.into_iter().map(clean).collect();
        format!(
            "there are calls to {}; `--call-log FILE` or `--client-log FILE` names a log of more",
            names.join(", ")
        )
    };
    Some(format!(
        "error: --orchestrator {0}: no call to `{0}` is told of\nhelp: {help}",
        clean(model)
    ))
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
        (Some(path), _) => (path, results_of::call_log(path, 0)),
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
