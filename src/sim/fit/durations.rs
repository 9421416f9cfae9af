//! Parameters from nothing but how long calls took: what is assumed, in another tempo.
//!
//! If an engine reads and writes k times as fast, a run of the same requests takes a k-th of the time, preemptions and
//! all. So one run in virtual time at the run's concurrency says by how much both rates are off, and the P90 over the
//! mean says how much lengths differ.

use super::estimate::{Estimate, Prior};
use super::model::{Check, Fitted};
use crate::base::{float, nearest};
use crate::facts::Histogram;
use crate::sim::closed_loop::Lengths;
use crate::sim::predict::{Prediction, predict};

/// Calls whose P90 means something.
const LEAST_CALLS: usize = 20;
/// The most that lengths are taken to differ.
const MOST_SPREAD: f64 = 2.0;

/// The calls of a model.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Calls {
    /// How long those that succeeded took, in seconds.
    pub(super) seconds: Vec<f64>,
    /// How many failed.
    pub(super) failed: usize,
    /// Tokens of prompt and answer, of the calls that say it.
    pub(super) tokens: Vec<(f64, f64)>,
    /// When each began, of the calls that say it, with its length: seconds.
    pub(super) spans: Vec<(f64, f64)>,
    /// The servers that were asked.
    pub(super) servers: std::collections::BTreeSet<String>,
}

impl Calls {
    /// Calls under way on average, where their times are known.
    pub(super) fn in_flight(&self) -> Option<f64> {
        let first = self.spans.iter().map(|(began, _)| *began);
        let last = self.spans.iter().map(|(began, took)| began + took);
        let whole = last.fold(f64::MIN, f64::max) - first.fold(f64::MAX, f64::min);
        let sum: f64 = self.spans.iter().map(|(_, took)| took).sum();
        (self.spans.len() >= LEAST_CALLS && whole > 0.0).then(|| sum / whole)
    }
}

/// What the user says of the run.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Load {
    /// Requests under way at once.
    pub(crate) concurrency: Option<u32>,
    /// Servers of the model.
    pub(crate) replicas: Option<u32>,
}

/// Fits the calls.
///
/// # Errors
/// What they do not say, and what to do about it.
pub(super) fn fit(calls: &Calls, load: Load, prior: &Prior) -> Result<Fitted, String> {
    let number = calls.seconds.len();
    if number < LEAST_CALLS {
        return Err(format!(
            "calls that succeeded: {number}; at least {LEAST_CALLS} are needed"
        ));
    }
    let concurrency = load
        .concurrency
        .map(f64::from)
        .or_else(|| calls.in_flight())
        .ok_or("the calls do not say when they began: give the requests under way at once with `--concurrency N`")?;
    let replicas = load
        .replicas
        .map_or(calls.servers.len().max(1), |replicas| {
            replicas.max(1) as usize
        });
    let (mean, p90) = statistics(&calls.seconds);
    let mut fitted = assumed(calls, prior);
    fitted.load = (replicas, concurrency);
    let clients = nearest::<usize>(concurrency).max(1);
    let simulated = |fitted: &Fitted| -> Prediction {
        let requests = nearest(float(number).clamp(300.0, 1500.0));
        predict(fitted.setting(replicas, clients, requests, prior))
    };
    if calls.tokens.is_empty() {
        fitted.spread = spread(&fitted, p90 / mean, &simulated);
    }
    let faster = simulated(&fitted).mean / mean;
    let note = |rest: &str| {
        format!("rough: scaled by {faster:.2} so that the mean of {number} calls fits{rest}")
    };
    fitted.decode = Estimate::new(prior.decode_rate * faster, note(""));
    fitted.prefill = Estimate::new(
        prior.prefill_rate * faster,
        note("; times cannot tell reading from writing"),
    );
    fitted.check = Check {
        requests: float(number),
        mean,
        p90: Some(p90),
        predicted: simulated(&fitted),
    };
    Ok(fitted)
}

/// What is assumed, with the tokens that are known.
fn assumed(calls: &Calls, prior: &Prior) -> Fitted {
    let mut fitted = Fitted {
        prefill: Estimate::new(prior.prefill_rate, ""),
        decode: Estimate::new(prior.decode_rate, ""),
        slowdown: Estimate::new(prior.batch_slowdown, "assumed: times do not tell it"),
        cache: None,
        max_num_seqs: None,
        answer: Estimate::new(
            prior.answer_tokens,
            "assumed: the calls do not say their tokens; rates are wrong by the factor that this is",
        ),
        spread: Estimate::new(prior.answer_spread, ""),
        prompt: Lengths {
            mean: nearest(prior.prompt_tokens),
            spread: 0.5,
        },
        load: (1, 1.0),
        check: Check {
            requests: 0.0,
            mean: 0.0,
            p90: None,
            predicted: Prediction::default(),
        },
        remarks: Vec::new(),
    };
    if calls.failed > 0 {
        fitted
            .remarks
            .push(format!("{} calls failed and are left out", calls.failed));
    }
    let of = |pick: fn(&(f64, f64)) -> f64| {
        let mut counted = Histogram::default();
        let logarithms: Vec<f64> = calls
            .tokens
            .iter()
            .map(|pair| pick(pair).max(1.0).ln())
            .collect();
        counted.count = float(calls.tokens.len());
        counted.sum = calls.tokens.iter().map(pick).sum();
        let middle = logarithms.iter().sum::<f64>() / counted.count;
        let squares: f64 = logarithms.iter().map(|log| (log - middle).powi(2)).sum();
        Some((counted.mean()?, (squares / counted.count).sqrt()))
    };
    if let (Some((prompt, differ)), Some((answer, spread))) = (of(|pair| pair.0), of(|pair| pair.1))
    {
        let number = calls.tokens.len();
        fitted.answer = Estimate::new(answer, format!("the mean of {number} answers"));
        fitted.spread = Estimate::new(spread, "from the same");
        fitted.prompt = Lengths {
            mean: nearest::<u64>(prompt).max(1),
            spread: differ,
        };
    }
    fitted
}

/// The spread under which the P90 is so many times the mean: by bisection, since one rises with the other.
fn spread(fitted: &Fitted, wanted: f64, simulated: &dyn Fn(&Fitted) -> Prediction) -> Estimate {
    let ratio = |spread: f64| {
        let mut other = fitted.clone();
        other.spread.value = spread;
        let predicted = simulated(&other);
        predicted.p90 / predicted.mean
    };
    let (mut low, mut high) = (0.0, MOST_SPREAD);
    for _ in 0..12 {
        let middle = f64::midpoint(low, high);
        if ratio(middle) < wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    Estimate::new(
        f64::midpoint(low, high),
        format!("rough: the P90 is {wanted:.2} times the mean"),
    )
}

/// Mean and P90.
fn statistics(seconds: &[f64]) -> (f64, f64) {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * 9).div_ceil(10).max(1);
    let number = float(sorted.len());
    let mean = sorted.iter().sum::<f64>() / number.max(1.0);
    (mean, sorted.get(rank - 1).copied().unwrap_or_default())
}

#[cfg(test)]
#[path = "durations_tests.rs"]
mod tests;
