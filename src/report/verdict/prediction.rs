//! What was predicted of a change, and what came of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::evidence::Evidence;
use super::model::{Estimate, Model};
use super::moves::Move;
use super::numbers::ratio;
use super::patch::{Patch, patch};
use super::phases::phases;
use super::sums::Blocks;
use crate::base::{Timestamp, nearest};

/// The form in which predictions are kept.
const VERSION: u32 = 1;
/// Questions below which a measured factor says nothing.
const FEWEST: usize = 30;

/// What was predicted of moves of GPUs: kept with a run, and compared with the next one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Prediction {
    /// The form of this record.
    pub version: u32,
    /// Up to when the run was known from which it was made.
    pub at: Timestamp,
    /// The moves.
    pub moves: Vec<Move>,
    /// The changes of the YAML.
    pub patch: Patch,
    /// Replicas of each class before.
    pub before: BTreeMap<String, usize>,
    /// And after.
    pub after: BTreeMap<String, usize>,
    /// Questions under way at once.
    pub concurrency: Option<usize>,
    /// Questions that were finished in the steady time before: its interval is for a run that is not much shorter.
    pub questions: usize,
    /// Questions per second before, in the steady time.
    pub throughput: f64,
    /// The factor on that.
    pub estimate: Estimate,
}

impl Prediction {
    pub(super) fn new(
        evidence: &Evidence,
        model: &Model<'_>,
        moves: &[Move],
        replicas: &[usize],
        estimate: Estimate,
    ) -> Self {
        let named = |counts: &mut dyn Iterator<Item = usize>| {
            let names = evidence.classes.iter().map(|class| class.name.clone());
            names.zip(counts).collect()
        };
        Self {
            version: VERSION,
            at: evidence.until,
            moves: moves.to_vec(),
            patch: patch(evidence, replicas),
            before: named(&mut evidence.classes.iter().map(|class| class.replicas)),
            after: named(&mut replicas.iter().copied()),
            concurrency: evidence.client.concurrency,
            questions: model.done(),
            throughput: model.throughput(),
            estimate,
        }
    }
}

/// A prediction beside what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Compared {
    /// The cluster is not the one that was predicted, so that nothing follows from it.
    Otherwise {
        /// What is different.
        why: String,
    },
    /// Too little was measured yet.
    TooLittle {
        /// Questions that were finished in the steady time.
        done: usize,
    },
    /// Both are known.
    Measured {
        /// The factor that was measured.
        factor: f64,
        /// The one that was predicted.
        predicted: Estimate,
        /// Whether the measured one is in its interval.
        within: bool,
    },
}

/// Sets a prediction beside the run that followed it.
pub fn compare(prediction: &Prediction, after: &Evidence) -> Compared {
    if let Some(why) = otherwise(prediction, after) {
        return Compared::Otherwise { why };
    }
    let flow = Blocks::of(after, phases(after).steady).all().flow;
    let done = nearest(flow.done);
    let too_little = Compared::TooLittle { done };
    let measured = flow
        .throughput()
        .and_then(|now| ratio(now, prediction.throughput));
    let Some(factor) = measured.filter(|_| done >= FEWEST.max(prediction.questions / 2)) else {
        return too_little;
    };
    let predicted = prediction.estimate;
    Compared::Measured {
        factor,
        predicted,
        within: (predicted.low..=predicted.high).contains(&factor),
    }
}

/// What is not as it was predicted for.
fn otherwise(prediction: &Prediction, after: &Evidence) -> Option<String> {
    if prediction.version != VERSION {
        return Some(format!(
            "it was kept in form {}, and this program reads {VERSION}",
            prediction.version
        ));
    }
    let known =
        |count: Option<usize>| count.map_or("unknown".to_owned(), |count| count.to_string());
    if prediction.concurrency != after.client.concurrency {
        return Some(format!(
            "concurrency was {}, and is {}",
            known(prediction.concurrency),
            known(after.client.concurrency)
        ));
    }
    prediction.after.iter().find_map(|(name, wanted)| {
        let class = after.classes.iter().find(|class| class.name == *name);
        let is = class.map(|class| class.replicas);
        (is != Some(*wanted)).then(|| match is {
            Some(is) => format!("{name} has {is} replicas, and was to have {wanted}"),
            None => format!("{name} is not there any more"),
        })
    })
}
