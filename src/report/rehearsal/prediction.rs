//! How long the cluster will take.

use serde::Serialize;

use super::evidence::{EvalEvidence, Evidence};
use crate::base::{Millis, float};

/// How long the end of an evaluation is, in mean times of a question: of times that differ by a factor of two either way the
/// slowest of dozens is some three times the mean, and half of that is waited for.
const END: f64 = 1.5;

/// How long the cluster will take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Prediction {
    /// Of all evaluations, from the first start of a server.
    pub wall: Millis,
    /// The least and the most that is likely.
    pub likely: (Millis, Millis),
    /// GPUs times hours.
    pub gpu_hours: f64,
    /// The share of the client's time that its calls to the simulated servers account for; what is missing is the client, the
    /// stand-ins, and this machine. None where nothing was counted.
    pub accounted: Option<f64>,
}

/// What the cluster will take; none where nothing ran, or where this machine was most of what was waited for.
pub fn predict(evidence: &Evidence) -> Option<Prediction> {
    let mut wall = 0.0;
    for eval in &evidence.evals {
        if eval.total == 0 || eval.done < eval.total {
            return None;
        }
        wall += eval.ran.as_secs_f64() * evidence.speed * longer(eval);
    }
    wall *= overlap(&evidence.evals);
    if wall <= 0.0 {
        return None;
    }
    let assumed = evidence.models.iter().any(|model| model.assumed);
    // Rates from a roofline are right within a factor of two; fitted ones were within 15 %.
    let rates = if assumed { 2.0 } else { 1.15 };
    // The end, when fewer and fewer questions are under way, says little about the middle.
    let few = |eval: &EvalEvidence| {
        eval.real_total > eval.total && ratio(eval.total, workers(eval)) < 10.0
    };
    let part = if evidence.evals.iter().any(few) {
        1.3
    } else {
        1.0
    };
    let (least, most) = (1.0 / (rates * part), rates * part);
    let whole = wall + evidence.startup.as_secs_f64();
    let accounted = accounted(evidence);
    // At the cluster's own speed client and machine take what they take; here that counts `speed` times.
    let least = least * accounted.unwrap_or(1.0);
    let likely = [least, most]
        .map(|factor| Millis::from_secs_f64(wall * factor + evidence.startup.as_secs_f64()));
    Some(Prediction {
        wall: Millis::from_secs_f64(whole),
        likely: (likely[0], likely[1]),
        gpu_hours: ratio(evidence.gpus, 1) * whole / 3600.0,
        accounted,
    })
}

/// The share of their own times that evaluations take together: those that run at once share it.
fn overlap(evals: &[EvalEvidence]) -> f64 {
    let mut spans: Vec<(u64, u64)> = evals
        .iter()
        .map(|eval| (eval.began.0, eval.ended.0))
        .collect();
    spans.sort_unstable();
    let alone: u64 = spans
        .iter()
        .map(|(began, ended)| ended.saturating_sub(*began))
        .sum();
    let (mut together, mut until) = (0, 0);
    for (began, ended) in spans {
        together += ended.saturating_sub(began.max(until));
        until = until.max(ended);
    }
    if alone == 0 {
        return 1.0;
    }
    Millis(together).as_secs_f64() / Millis(alone).as_secs_f64()
}

/// How many times longer all questions take than those that were rehearsed: a run is as many rounds as each worker has
/// questions, and an end in which the slowest one is waited for.
fn longer(eval: &EvalEvidence) -> f64 {
    let rounds = |questions| ratio(questions, workers(eval)) + END;
    (rounds(eval.real_total.max(1)) / rounds(eval.done)).max(1.0)
}

fn workers(eval: &EvalEvidence) -> usize {
    eval.concurrency.map_or(1, |number| number as usize)
}

/// What calls to the servers take of the time that the clients' workers have.
fn accounted(evidence: &Evidence) -> Option<f64> {
    let mut worked = 0.0;
    for eval in &evidence.evals {
        worked += eval.ran.as_secs_f64() * evidence.speed * f64::from(eval.concurrency?);
    }
    let served: f64 = evidence.models.iter().map(|model| model.seconds).sum();
    (worked > 0.0 && served > 0.0).then(|| (served / worked).min(1.0))
}

fn ratio(one: usize, other: usize) -> f64 {
    float(one) / float(other.max(1))
}
