//! Predictions are kept with the run whose report made them, and found again when the cluster has become what they were made for.

use std::path::{Path, PathBuf};

use super::runs::{self, Found};
use crate::report::verdict::{Advice, Evidence, Prediction, compare};
use crate::report::{Followed, Report};
use crate::run::store::{RunDir, read_regular};

/// The files in which a report's predictions are kept, and their texts.
pub(super) fn kept(report: &Report) -> Vec<(String, String)> {
    let made = report.judgements.iter().filter_map(|judged| {
        let Advice::Change { prediction, .. } = &judged.analysis.advice else {
            return None;
        };
        // Numbers and names always have a JSON form.
        let text = serde_json::to_string_pretty(prediction).unwrap_or_default();
        Some((file_of(&judged.evaluation), text + "\n"))
    });
    made.collect()
}

fn file_of(evaluation: &str) -> String {
    format!("prediction-{evaluation}.json")
}

/// The latest prediction of an earlier run of this cluster whose change has been made, and what came of it.
pub(super) fn followed(run: &Found, evaluation: &str, evidence: &Evidence) -> Option<Followed> {
    let earlier = runs::home().runs_of(run.dir.cluster()).ok()?;
    let mut earlier = earlier.into_iter().rev();
    earlier.find_map(|dir| {
        if dir.number() >= run.dir.number() {
            return None;
        }
        let prediction = read(&place(&dir, evaluation))?;
        is_made(&prediction, evidence).then(|| Followed {
            run: dir.id().to_string(),
            compared: compare(&prediction, evidence),
            prediction,
        })
    })
}

fn place(dir: &RunDir, evaluation: &str) -> PathBuf {
    dir.report().join(file_of(evaluation))
}

/// None where it is not there, or is not to be understood: it can be made again from its run.
fn read(path: &Path) -> Option<Prediction> {
    serde_json::from_slice(&read_regular(path).ok()?).ok()
}

/// Whether every model that was to have more or fewer replicas has as many.
fn is_made(prediction: &Prediction, evidence: &Evidence) -> bool {
    let moved = prediction
        .after
        .iter()
        .filter(|(name, count)| prediction.before.get(*name) != Some(*count));
    let mut moved = moved.peekable();
    moved.peek().is_some()
        && moved.all(|(name, count)| {
            let mut classes = evidence.classes.iter();
            classes.any(|class| class.name == *name && class.replicas == *count)
        })
}
