//! What moves of GPUs would bring.

use schemars::JsonSchema;
use serde::Serialize;

use super::evidence::Evidence;
use super::measured::attributed;
use super::model::{Estimate, Model};
use super::moves::{Move, moved};
use super::numbers::ratio;
use super::patch::{Patch, patch};
use super::phases::phases;
use super::prediction::Prediction;
use crate::base::float;

/// What moves of GPUs would bring.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Outcome {
    /// So much.
    Predicted {
        /// To be kept, and compared with what comes of it.
        prediction: Prediction,
        /// What is fullest then, and the share of its seats that is taken; none where nobody waited for seats.
        fullest: Option<(String, f64)>,
    },
    /// No more than so much; how much of it nobody can tell.
    Bounded {
        /// The factor that it would be if all of the receivers' time were waiting; none where not even their times are known.
        most: Option<f64>,
        /// What is missing.
        why: String,
        /// The changes of the YAML.
        patch: Patch,
    },
    /// They cannot be made.
    Refused {
        /// Why.
        why: String,
    },
}

/// What these moves would bring.
pub fn what_if(evidence: &Evidence, moves: &[Move]) -> Outcome {
    let replicas = match moved(evidence, moves) {
        Ok(replicas) => replicas,
        Err(why) => return Outcome::Refused { why },
    };
    let changed = changed(evidence, &replicas);
    let predicted = Model::of(evidence, &phases(evidence), &changed).and_then(|model| {
        let estimate = model
            .estimate(&replicas)
            .ok_or("its numbers do not add up")?;
        Ok(predicted(evidence, &model, moves, &replicas, estimate))
    });
    predicted.unwrap_or_else(|why| Outcome::Bounded {
        most: bound(evidence, &replicas),
        why,
        patch: patch(evidence, &replicas),
    })
}

fn changed(evidence: &Evidence, replicas: &[usize]) -> Vec<usize> {
    let classes = evidence.classes.iter().zip(replicas).enumerate();
    classes
        .filter(|(_, (class, count))| class.replicas != **count)
        .map(|(index, _)| index)
        .collect()
}

fn predicted(
    evidence: &Evidence,
    model: &Model<'_>,
    moves: &[Move],
    replicas: &[usize],
    estimate: Estimate,
) -> Outcome {
    let fullest = model.fullest(replicas);
    Outcome::Predicted {
        prediction: Prediction::new(evidence, model, moves, replicas, estimate),
        fullest: fullest.map(|(name, share)| (name.to_owned(), share)),
    }
}

/// Amdahl's law on the time that is known to be spent with each class: what gets more replicas takes that much less time at best.
pub(super) fn bound(evidence: &Evidence, replicas: &[usize]) -> Option<f64> {
    let all = attributed(evidence);
    let mut left = 1.0;
    for (class, &count) in evidence.classes.iter().zip(replicas) {
        if count > class.replicas {
            let share = ratio(class.calls?.seconds(), all)?;
            left -= share * (1.0 - float(class.replicas) / float(count));
        }
    }
    ratio(1.0, left)
}
