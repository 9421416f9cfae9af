//! Predictions are kept with the run whose report made them, and found again when the cluster has become what they were made for.

use std::fs;
use std::path::{Path, PathBuf};

use super::runs::Found;
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
    format!("{BEGIN}{evaluation}{END}")
}

const BEGIN: &str = "prediction-";
const END: &str = ".json";

/// Predictions that a folder still has and its report does not make any more: they would be taken for its own.
pub(super) fn stale(folder: &Path, files: &[(String, String)]) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let stale = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_one = name.starts_with(BEGIN) && name.ends_with(END);
        is_one && files.iter().all(|(kept, _)| *kept != *name)
    });
    let mut stale: Vec<PathBuf> = stale.map(|entry| entry.path()).collect();
    stale.sort_unstable();
    stale
}

/// The latest prediction of an earlier run of this cluster whose change has been made, and what came of it.
pub(super) fn followed(run: &Found, evaluation: &str, evidence: &Evidence) -> Option<Followed> {
    let earlier = run.dir.home().runs_of(run.dir.cluster()).ok()?;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::base::Timestamp;
    use crate::report::verdict::{Class, Estimate, Patch};

    #[test]
    fn a_prediction_that_is_not_made_any_more_is_stale() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "prediction-a.json",
            "prediction-b.json",
            "report.json",
            "notes",
        ] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let files = [("prediction-b.json".to_owned(), String::new())];
        assert_eq!(
            stale(dir.path(), &files),
            [dir.path().join("prediction-a.json")]
        );
        assert_eq!(
            stale(&dir.path().join("nowhere"), &files),
            [""; 0].map(PathBuf::from)
        );
    }

    #[test]
    fn a_change_is_made_when_every_model_of_it_has_its_replicas() {
        let counts = |all: &[(&str, usize)]| -> BTreeMap<String, usize> {
            all.iter()
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect()
        };
        let prediction = Prediction {
            version: 1,
            at: Timestamp(0),
            moves: Vec::new(),
            patch: Patch::default(),
            before: counts(&[("a", 4), ("b", 8), ("c", 2)]),
            after: counts(&[("a", 6), ("b", 6), ("c", 2)]),
            concurrency: None,
            questions: 100,
            throughput: 1.0,
            estimate: Estimate {
                factor: 1.5,
                low: 1.2,
                high: 1.8,
            },
        };
        let now = |all: &[(&str, usize)]| Evidence {
            classes: (all.iter())
                .map(|(name, count)| Class {
                    name: (*name).to_owned(),
                    replicas: *count,
                    ..Class::default()
                })
                .collect(),
            ..Evidence::default()
        };
        let made = |all: &[(&str, usize)]| is_made(&prediction, &now(all));
        assert!(made(&[("a", 6), ("b", 6), ("c", 2)]));
        // What it did not move may be otherwise: the comparison says so.
        assert!(made(&[("a", 6), ("b", 6), ("c", 3)]));
        assert!(!made(&[("a", 6), ("b", 8), ("c", 2)]));
        assert!(!made(&[("a", 6)]));
        let nothing = Prediction {
            after: prediction.before.clone(),
            ..prediction.clone()
        };
        assert!(!is_made(&nothing, &now(&[("a", 4), ("b", 8), ("c", 2)])));
    }
}
