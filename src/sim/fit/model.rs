//! All parameters of one model, from what its engines counted; and how well they predict what was measured.

use super::estimate::{Estimate, Prior};
use super::lengths::spread;
use super::observed::{Observed, Series};
use super::rates::{self, Rates};
use crate::base::{float, nearest};
use crate::sim::batch;
use crate::sim::closed_loop::{Lengths, Setting};
use crate::sim::predict::{Prediction, predict};

/// Requests of a run that only checks: enough for a P90, and done in an instant.
const CHECKED: f64 = 1500.0;
/// A seed whose first 1,500 lengths have nearly the mean that they should have.
const SEED: u64 = 9;
/// How often the cost of preemptions is estimated anew.
const ROUNDS: usize = 3;

/// The parameters of a model's engines and requests.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fitted {
    /// Prompt tokens read per second.
    pub(super) prefill: Estimate,
    /// Tokens written per second for a request that is alone.
    pub(super) decode: Estimate,
    /// What each further request adds to a step, as a share of the step of one.
    pub(super) slowdown: Estimate,
    /// Tokens that the KV cache holds; none where it was not said.
    pub(super) cache: Option<Estimate>,
    /// Requests in a batch; none where no more came than fit.
    pub(super) max_num_seqs: Option<Estimate>,
    /// Tokens of an answer on average.
    pub(super) answer: Estimate,
    /// The standard deviation of the logarithm of answers' lengths.
    pub(super) spread: Estimate,
    /// Tokens of a prompt: what the clients send, and no parameter.
    pub(super) prompt: Lengths,
    /// Engines, and requests under way at all of them together.
    pub(super) load: (usize, f64),
    /// What was measured, and what these parameters predict for the same load.
    pub(super) check: Check,
    /// What a reader should know beside.
    pub(super) remarks: Vec<String>,
}

/// Seconds of latency, measured and predicted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Check {
    /// Requests measured.
    pub(super) requests: f64,
    /// The mean, measured.
    pub(super) mean: f64,
    /// The P90, measured; none where it lies above the last bucket.
    pub(super) p90: Option<f64>,
    /// What is predicted.
    pub(super) predicted: Prediction,
}

impl Fitted {
    /// The run with these parameters that stands for so many clients.
    pub(super) fn setting(
        &self,
        replicas: usize,
        concurrency: usize,
        requests: u64,
        prior: &Prior,
    ) -> Setting {
        let value =
            |estimate: &Option<Estimate>, or: f64| estimate.as_ref().map_or(or, |e| e.value);
        let rates = batch::Rates::of(self.prefill.value, self.decode.value, self.slowdown.value);
        Setting {
            rates: batch::Rates {
                cache: nearest(value(&self.cache, prior.cache_tokens)),
                sequences: nearest(value(&self.max_num_seqs, prior.max_num_seqs)),
                ..rates
            },
            replicas,
            concurrency,
            requests,
            prompt: self.prompt,
            answer: Lengths {
                mean: nearest::<u64>(self.answer.value).max(1),
                spread: self.spread.value,
            },
            seed: SEED,
        }
    }
}

/// Fits what the series of a model's engines say.
///
/// # Errors
/// What they do not say, and what to do about it.
pub(super) fn fit<'a>(
    series: impl IntoIterator<Item = &'a Series>,
    prior: &Prior,
) -> Result<Fitted, String> {
    let observed = Observed::of(series);
    if observed.latency.count < 1.0 {
        return Err(
            "no request ended between the first moment and the last: capture while requests are answered, every 10 s or so".to_owned(),
        );
    }
    let mut recomputed = 0.0;
    let mut found = None;
    // A preemption costs tokens that no counter shows: how many, the engine of the last round tells.
    for _ in 0..ROUNDS {
        let rates = rates::fit(&observed, recomputed, prior).ok_or_else(|| {
            "between no two moments tokens were written: capture at least two moments while requests are computed".to_owned()
        })?;
        let fitted = assemble(&observed, rates, prior);
        let Prediction {
            recomputed: tokens,
            preemptions,
            ..
        } = fitted.check.predicted;
        found = Some(fitted);
        if observed.preemptions == 0.0 || preemptions == 0 {
            break;
        }
        recomputed = float(tokens) / float(preemptions);
    }
    found.ok_or_else(|| "nothing was fitted".to_owned())
}

fn assemble(observed: &Observed, rates: Rates, prior: &Prior) -> Fitted {
    let requests = observed.latency.count;
    let mut fitted = Fitted {
        prefill: rates.prefill,
        decode: rates.decode,
        slowdown: rates.slowdown,
        cache: observed
            .cache
            .map(|tokens| Estimate::new(float(tokens), "exact: as the server says it")),
        max_num_seqs: observed.waited.then(|| seats(observed)).flatten(),
        answer: answer(observed, prior),
        spread: answer_spread(observed, prior),
        prompt: prompt(observed, prior),
        load: (observed.replicas.max(1), observed.in_flight),
        check: Check {
            requests,
            mean: observed.latency.mean().unwrap_or_default(),
            p90: observed.latency.quantile(0.9),
            predicted: Prediction::default(),
        },
        remarks: remarks(observed),
    };
    let concurrency = nearest::<usize>(observed.in_flight.round()).max(1);
    let setting = fitted.setting(
        observed.replicas.max(1),
        concurrency,
        nearest(requests.clamp(100.0, CHECKED)),
        prior,
    );
    fitted.check.predicted = predict(setting);
    fitted
}

/// The places of a batch: as many as ran while others waited, unless the cache was what they waited for.
fn seats(observed: &Observed) -> Option<Estimate> {
    let for_cache = observed.preemptions > 0.0;
    (!for_cache).then(|| {
        Estimate::new(
            observed.most_running,
            "the most that ran while others waited",
        )
    })
}

fn answer(observed: &Observed, prior: &Prior) -> Estimate {
    match observed.answers.mean() {
        Some(mean) => {
            let spread = spread(&observed.answers).unwrap_or_default();
            // The standard error of a log-normal mean.
            let doubt = (spread.powi(2).exp_m1() / observed.answers.count).sqrt();
            Estimate::new(
                mean,
                format!(
                    "±{:.0} %, the mean of {:.0} answers",
                    (200.0 * doubt).ceil(),
                    observed.answers.count
                ),
            )
        }
        None => Estimate::new(prior.answer_tokens, "assumed: no answer was counted"),
    }
}

fn answer_spread(observed: &Observed, prior: &Prior) -> Estimate {
    match spread(&observed.answers) {
        Some(spread) => {
            let buckets = observed.answers.buckets().count();
            let sure = if buckets < 3 {
                "unsure, from"
            } else {
                "from the lengths in"
            };
            Estimate::new(spread, format!("{sure} {buckets} buckets"))
        }
        None => Estimate::new(prior.answer_spread, "assumed: too few answers were counted"),
    }
}

fn prompt(observed: &Observed, prior: &Prior) -> Lengths {
    Lengths {
        mean: nearest::<u64>(observed.prompts.mean().unwrap_or(prior.prompt_tokens)).max(1),
        spread: spread(&observed.prompts).unwrap_or_default(),
    }
}

fn remarks(observed: &Observed) -> Vec<String> {
    let mut remarks = Vec::new();
    if observed.restarts > 0 {
        remarks.push(format!(
            "counters began anew {} times: a server was started again, and nothing was compared across",
            observed.restarts
        ));
    }
    if observed.cached > 0.01 {
        remarks.push(format!(
            "{:.0} % of prompt tokens were found in the prefix cache; prefill_rate counts them as read",
            observed.cached * 100.0
        ));
    }
    if observed.preemptions > 0.0 {
        remarks.push(format!(
            "{:.0} preemptions: the KV cache was full, so rates are less sure",
            observed.preemptions
        ));
    }
    remarks
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
