//! What to change, where the evidence carries it.

use schemars::JsonSchema;
use serde::Serialize;

use super::evidence::Evidence;
use super::judge::{Judged, Limit, Verdict, waiting};
use super::measured::Measured;
use super::model::Model;
use super::moves::{Move, UNUSED, moved};
use super::patch::{patch, unused};
use super::phases::Phases;
use super::prediction::Prediction;
use super::text_moves::said;
use super::words::who_waits;
use crate::base::ceil;

/// A change is worth its work from this factor, at the lower end of its interval.
const WORTH: f64 = 1.05;
/// The smallest move with this share of the best one's gain is as good.
const NEARLY: f64 = 0.8;
/// A class that gives GPUs has, by what was seen, no more than so many calls on each replica that it keeps.
const KEPT: f64 = 1.0;

/// What to change, or why nothing is advised.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Advice {
    /// This.
    Change {
        /// What it will bring, and how the YAML changes.
        prediction: Box<Prediction>,
        /// Why, in half a sentence.
        because: String,
    },
    /// Nothing.
    Nothing {
        /// Why.
        why: String,
    },
}

/// The advice for this run.
pub(super) fn advice(
    evidence: &Evidence,
    phases: &Phases,
    classes: &[Judged],
    limit: &Limit,
) -> Advice {
    match receiver(evidence, classes, limit).and_then(|to| best(evidence, phases, classes, to)) {
        Ok(advice) => advice,
        Err(why) => Advice::Nothing { why },
    }
}

/// The class that would have GPUs if there were any, or why none would.
fn receiver(evidence: &Evidence, classes: &[Judged], limit: &Limit) -> Result<usize, String> {
    let why = match limit {
        Limit::Class {
            class,
            verdict: Verdict::QueueLimited,
        } => {
            let (index, one) = (evidence.classes.iter().enumerate())
                .find(|(_, one)| one.name == *class)
                .ok_or_else(|| format!("{class} is not known"))?;
            return if one.gpus_per_replica == 0 {
                Err(format!(
                    "{class} has no GPUs of its own"
                ))
            } else if one.fixed {
                Err(format!(
                    "{class} is not made of independent replicas, of which there could be more"
                ))
            } else {
                Ok(index)
            };
        }
        Limit::Class {
            class,
            verdict: Verdict::KvLimited,
        } => format!(
            "the KV cache of {class} is full, and how much more replicas would bring cannot be told from that; fewer questions at once or shorter contexts relieve it"
        ),
        Limit::Class { class, .. } => {
            let own = classes.iter().filter(|one| one.measured.class == *class);
            let who = who_waits(waiting(own));
            format!("{who} at {class}; shorter answers or fewer rounds make questions faster, and a higher `concurrency` makes more of them at once")
        }
        Limit::Client => "servers have room for more calls; a higher `concurrency` of the evaluation uses it".to_owned(),
        Limit::Tail => {
            "few questions are left and servers have room; start the longest questions first, or cap their rounds"
                .to_owned()
        }
        Limit::Balanced => "no class has GPUs to spare for one that lacks them".to_owned(),
        // The limit says why.
        Limit::Unknown { .. } => "it is not known whether more replicas would help".to_owned(),
    };
    Err(why)
}

/// A move, and the factor that it brings.
struct Candidate {
    step: Move,
    replicas: Vec<usize>,
    factor: f64,
}

fn best(
    evidence: &Evidence,
    phases: &Phases,
    classes: &[Judged],
    to: usize,
) -> Result<Advice, String> {
    let model = Model::of(evidence, phases, &[to])?;
    let all = candidates(evidence, &model, classes, to);
    let all: Vec<&Candidate> = all.iter().collect();
    let spare: Vec<&Candidate> = (all.iter().copied())
        .filter(|one| one.step.from == UNUSED)
        .collect();
    // What nobody has is missed by nobody.
    let spare = chosen(evidence, &model, classes, to, &spare);
    spare.or_else(|_| chosen(evidence, &model, classes, to, &all))
}

fn chosen(
    evidence: &Evidence,
    model: &Model<'_>,
    classes: &[Judged],
    to: usize,
    candidates: &[&Candidate],
) -> Result<Advice, String> {
    let name = &evidence.classes[to].name;
    let most = candidates
        .iter()
        .map(|one| one.factor)
        .fold(f64::NEG_INFINITY, f64::max);
    if candidates.is_empty() {
        return Err(format!(
            "calls wait at {name}, and no model has GPUs to spare; only more GPUs would help"
        ));
    }
    let good = |one: &&&Candidate| one.factor - 1.0 >= NEARLY * (most - 1.0);
    let Some(chosen) = candidates
        .iter()
        .filter(good)
        .min_by_key(|one| one.step.gpus)
    else {
        return Err(format!("more replicas of {name} would bring nothing"));
    };
    let estimate = model
        .estimate(&chosen.replicas)
        .ok_or("its numbers do not add up")?;
    if estimate.low < WORTH {
        return Err(format!(
            "the best one, to {}, would bring {:.2}× ({:.2}–{:.2}), which may be nothing",
            said(&chosen.step),
            estimate.factor,
            estimate.low,
            estimate.high
        ));
    }
    Ok(Advice::Change {
        because: because(&classes[to].measured, &chosen.step, classes),
        prediction: Box::new(Prediction::new(
            evidence,
            model,
            std::slice::from_ref(&chosen.step),
            &chosen.replicas,
            estimate,
        )),
    })
}

/// Every move to this class that can be made and written down, unused GPUs first.
fn candidates(
    evidence: &Evidence,
    model: &Model<'_>,
    classes: &[Judged],
    to: usize,
) -> Vec<Candidate> {
    let receiver = &evidence.classes[to];
    let idle = classes.iter().zip(&evidence.classes);
    let idle = idle
        .filter(|(judged, class)| judged.verdict == Verdict::Idle && class.gpus_per_replica > 0)
        .map(|(judged, class)| (class.name.as_str(), given(&judged.measured)));
    let donors = [(UNUSED, unused(evidence))].into_iter().chain(idle);
    let mut found = Vec::new();
    for (from, most) in donors {
        for gpus in (receiver.gpus_per_replica..=most).step_by(receiver.gpus_per_replica) {
            let step = Move {
                gpus,
                from: from.to_owned(),
                to: receiver.name.clone(),
            };
            let Ok(replicas) = moved(evidence, std::slice::from_ref(&step)) else {
                continue;
            };
            if patch(evidence, &replicas).by_hand.is_some() {
                continue;
            }
            if let Some(factor) = model.factor(&replicas) {
                found.push(Candidate {
                    step,
                    replicas,
                    factor,
                });
            }
        }
    }
    found
}

/// GPUs that an idle class can give without becoming the next that is waited for.
fn given(class: &Measured) -> usize {
    let Some(running) = class.running.filter(|_| class.replicas > 0) else {
        return 0;
    };
    let kept = ceil::<usize>(running / KEPT).max(1);
    let each = class.gpus / class.replicas;
    class.replicas.saturating_sub(kept) * each
}

fn because(class: &Measured, step: &Move, classes: &[Judged]) -> String {
    let waits = class.queue_share().map_or(String::new(), |share| {
        format!(
            "calls to {} wait {:.0} % of their time",
            class.class,
            share * 100.0
        )
    });
    let donor = classes.iter().find(|one| one.measured.class == step.from);
    let gives = donor.and_then(|donor| {
        let one = &donor.measured;
        let each = one.running_each()?;
        Some(format!(
            "each replica of {} has {:.1} calls at a time",
            one.class, each
        ))
    });
    let gives = gives.unwrap_or_else(|| "those GPUs are not used".to_owned());
    format!("{waits} and {gives}")
}
