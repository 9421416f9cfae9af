//! Whose the results are that are there already: what `up` would refuse is said by `check`.

use std::path::Path;

use super::load::Cluster;
use crate::base::Timestamp;
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::eval::{Judgement, Stamp};
use crate::plan::{EvalPlan, ResultsPlan};
use crate::world;

/// Evaluations whose results on this machine were made by another one.
pub(super) fn of_others(cluster: &Cluster) -> Report {
    let evals = cluster.plan.evals.iter();
    evals.filter_map(|eval| of_another(cluster, eval)).collect()
}

fn of_another(cluster: &Cluster, eval: &EvalPlan) -> Option<Diagnostic> {
    let path = match &eval.results {
        ResultsPlan::Dir { dir, .. } => dir,
        ResultsPlan::Jsonl { file } => file,
    };
    if !Path::new(path).is_absolute() {
        return None;
    }
    // One that cannot be read is `up`'s to refuse.
    let found = world::read_identity(&eval.results).ok()??;
    let ours = Stamp::new(&cluster.plan, eval, Timestamp(0));
    let some = usize::from(has_results(&eval.results));
    let Judgement::Other { differences } = ours.judge(Some(found), some) else {
        return None;
    };
    let finding = Diagnostic::error(
        Code("E0537"),
        format!(
            "the results of `{}` belong to another evaluation",
            eval.name
        ),
    )
    .at(
        Place::Value(eval.origin.key("results")),
        format!("`{path}`"),
    )
    .help("name another `results`, or bring the old values back");
    Some(
        differences
            .iter()
            .take(5)
            .fold(finding, |finding, difference| {
                finding.help(difference.to_string())
            }),
    )
}

/// Whether there is any file that can be a result.
fn has_results(results: &ResultsPlan) -> bool {
    match results {
        ResultsPlan::Jsonl { file } => std::fs::metadata(file).is_ok_and(|found| found.len() > 0),
        ResultsPlan::Dir { dir, pattern, .. } => {
            let end = pattern.rsplit_once("{id}").map_or("", |(_, end)| end);
            let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
            files
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
                .any(|entry| entry.file_name().to_string_lossy().ends_with(end))
        }
    }
}
