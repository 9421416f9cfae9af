//! The questions of an evaluation, as they were read.

use crate::base::{EvalName, FieldPath};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::{DatasetProblem, DatasetSummary, Known};
use crate::spec::model::{Eval, Finished};

use super::Ctx;

/// Checks the dataset of an evaluation whose files are on this machine.
pub(super) fn check(ctx: &Ctx<'_>, name: &EvalName, eval: &Eval, report: &mut Report) {
    let origin = FieldPath::root().key("evals").key(name.as_str());
    let place = Place::Value(origin.key("dataset"));
    if eval.dataset.is_none() {
        if matches!(eval.finished, None | Some(Finished::Ids)) {
            report.push(
                Diagnostic::error(
                    Code("E0508"),
                    format!("nothing says when `{name}` is finished"),
                )
                .at(Place::Key(origin), "no `dataset`")
                .help("give its `dataset`, or `finished: { count: N }` or `finished: { file: F }`"),
            );
        }
        return;
    }
    let summary = match ctx.facts.datasets.get(name) {
        Some(Known::Known(summary)) => summary,
        Some(Known::Unknown(why)) => {
            report.push(
                Diagnostic::note(
                    Code("N0507"),
                    format!("the dataset of `{name}` was not read"),
                )
                .at(place, why),
            );
            return;
        }
        None => return,
    };
    let findings = summary.problems.iter();
    report.extend(few_of_each(
        findings.map(|problem| finding(problem, summary, eval, &place)),
    ));
    tasks(summary, eval, &origin, report);
}

/// So many findings of one code are shown.
const SHOWN: usize = 3;

/// What is wrong with one line may be wrong with all: the last that is shown says how many more there are.
fn few_of_each(findings: impl Iterator<Item = Diagnostic>) -> Report {
    let mut shown = Report::new();
    let mut more: Vec<(usize, usize)> = Vec::new();
    for finding in findings {
        let same = |other: &&Diagnostic| other.code == finding.code;
        if shown.iter().filter(same).count() < SHOWN {
            shown.push(finding);
            continue;
        }
        let last = shown.iter().rposition(|other| other.code == finding.code);
        match more.iter_mut().find(|(at, _)| Some(*at) == last) {
            Some((_, count)) => *count += 1,
            None => more.extend(last.map(|at| (at, 1))),
        }
    }
    for (at, count) in more {
        let finding = shown[at].clone();
        shown[at] = finding.help(format!("and {count} more like these"));
    }
    shown
}

fn finding(
    problem: &DatasetProblem,
    summary: &DatasetSummary,
    eval: &Eval,
    place: &Place,
) -> Diagnostic {
    let path = &summary.path;
    let error = |code, title: String, label: String| {
        Diagnostic::error(code, title).at(place.clone(), label)
    };
    match problem {
        DatasetProblem::Missing => error(
            Code("E0501"),
            "the dataset does not exist".to_owned(),
            format!("there is no `{path}`"),
        ),
        DatasetProblem::Unreadable(why) => error(
            Code("E0501"),
            "the dataset cannot be read".to_owned(),
            format!("`{path}`: {why}"),
        ),
        DatasetProblem::LfsPointer => error(
            Code("E0502"),
            "the dataset is a Git-LFS pointer, not the questions".to_owned(),
            format!("`{path}` was not fetched"),
        )
        .help("run `git lfs pull` in its repository"),
        DatasetProblem::Empty => error(
            Code("E0503"),
            "the dataset has no question".to_owned(),
            format!("`{path}` is empty"),
        ),
        DatasetProblem::NotJson { line, why } => error(
            Code("E0503"),
            format!("line {line} of the dataset is not a JSON object"),
            why.clone(),
        )
        .help("one JSON object a line; most clients end at the first that is not"),
        DatasetProblem::NoId { line, keys } => {
            let fields = eval
                .id_fields
                .clone()
                .unwrap_or_else(|| vec!["id".to_owned()]);
            let there = fields.iter().find(|field| keys.contains(field));
            if let Some(field) = there {
                return error(
                    Code("E0504"),
                    format!("line {line} of the dataset has no id"),
                    format!("its `{field}` is neither a text nor a whole number"),
                )
                .help("results are files named after ids: give each question one");
            }
            error(
                Code("E0504"),
                format!("line {line} of the dataset has no id"),
                format!("none of `{}`", fields.join("`, `")),
            )
            .help(format!(
                "its keys are `{}`; name the one that holds the id in `id_fields`",
                keys.join("`, `")
            ))
        }
        DatasetProblem::DuplicateId { id, first, second } => error(
            Code("E0505"),
            format!("two questions have the id `{id}`"),
            format!("lines {first} and {second}"),
        )
        .help("results are files named after ids: one would overwrite the other"),
        DatasetProblem::UnsafeId { id, line } => error(
            Code("E0506"),
            format!("the id `{}` cannot be a file name", id.escape_debug()),
            format!("line {line}"),
        )
        .help("results are files named after ids; the client would fail, or write somewhere else"),
    }
}

/// Ids that `tasks` names and the dataset lacks.
fn tasks(summary: &DatasetSummary, eval: &Eval, origin: &FieldPath, report: &mut Report) {
    let Some(tasks) = &eval.tasks else { return };
    let known: std::collections::HashSet<&str> = summary.ids.iter().map(String::as_str).collect();
    for (index, task) in tasks.iter().enumerate() {
        if !known.contains(task.as_str()) {
            report.push(
                Diagnostic::error(
                    Code("E0509"),
                    format!("the dataset has no question `{task}`"),
                )
                .at(
                    Place::Value(origin.key("tasks").index(index)),
                    format!("not in `{}`", summary.path),
                ),
            );
        }
    }
}
