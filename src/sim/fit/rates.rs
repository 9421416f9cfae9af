//! Rates from what an engine did between moments: `seconds = step × steps + sequence × tokens + prompt tokens / prefill`,
//! solved by weighted least squares over all moments.
//!
//! The sum holds exactly in an engine whose step costs `step + sequence × n + prompt / prefill`, whatever the load does
//! in between: of the steps of an interval the first term takes their number, the second the tokens that came out of
//! them, the third the prompts read.

use super::estimate::{Estimate, Prior};
use super::least_squares::{Row, Solution, solve};
use super::observed::{Interval, Observed};

/// Below this the running sequences vary too little to tell their cost from that of the step.
const LEAST_VARIATION: f64 = 0.05;
/// Above this share of a step its cost for sequences is too unsure to use.
const MOST_DOUBT: f64 = 0.2;
/// The error of an interval's time, as a share of it.
const OWN_ERROR: f64 = 0.004;
/// The same where a part of it was idle.
const IDLE_ERROR: f64 = 0.07;
/// An engine whose steps took at least this share of the time was busy all of it.
const LEAST_BUSY: f64 = 0.8;
/// By how much the slowdown differs from what is usual, as a share of it.
const USUAL_ERROR: f64 = 2.0;
/// Prompts below this share of the time leave their rate unknown, and matter as little.
const LEAST_PROMPTS: f64 = 0.01;

/// The three rates.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rates {
    /// Prompt tokens read per second.
    pub(super) prefill: Estimate,
    /// Tokens written per second for a request that is alone.
    pub(super) decode: Estimate,
    /// What each further request adds to a step, as a share of the step of one.
    pub(super) slowdown: Estimate,
}

/// An interval that says something: seconds of computing, and what was computed in them.
#[derive(Debug, Clone, Copy)]
struct Usable {
    seconds: f64,
    steps: f64,
    generated: f64,
    prompt: f64,
    /// Sequences in the batch at both ends, on average.
    running: f64,
    /// Seconds that one prompt takes, roughly: it is counted when all of it is read.
    edge: f64,
    /// Seconds that all of its prompts take, roughly.
    prompts: f64,
    /// It was busy all the time.
    full: bool,
    /// It began when the one before it in the list ended.
    follows: bool,
}

impl Usable {
    /// Those that say something. A first pass takes prompts for free, and only guesses which intervals were busy all the time; the second knows what
    /// prompts cost, roughly.
    fn all(observed: &Observed, recomputed: f64) -> Vec<Self> {
        let first = Self::pass(observed, recomputed, 0.0);
        let tokens = observed.prompts.mean().unwrap_or_default();
        let Some(rough) = solve(&rows(&first), [true; 3]) else {
            return first;
        };
        let cost = rough.coefficients[2];
        let second = Self::pass(observed, recomputed, cost).into_iter();
        let known = |one: Self| Self {
            edge: cost * tokens,
            prompts: cost * one.prompt,
            ..one
        };
        second.map(known).collect()
    }

    fn pass(observed: &Observed, recomputed: f64, cost: f64) -> Vec<Self> {
        let mut usable = Vec::new();
        let mut together = false;
        for interval in &observed.intervals {
            let one = Self::of(interval, recomputed, cost);
            usable.extend(one.map(|one| Self {
                follows: together && interval.follows && one.full,
                ..one
            }));
            together = one.is_some_and(|one| one.full);
        }
        usable
    }

    fn of(interval: &Interval, recomputed: f64, cost: f64) -> Option<Self> {
        let Interval {
            seconds,
            generated,
            gaps: (gaps, gap_seconds),
            ..
        } = *interval;
        if seconds <= 0.0 || generated <= 0.0 || gaps <= 0.0 || gap_seconds <= 0.0 {
            return None;
        }
        let gap = gap_seconds / gaps;
        let prompt = interval.prompt + interval.preemptions * recomputed;
        let (steps, seconds, prompt, full) = match interval.steps {
            Some(steps) if interval.busy && steps * gap + prompt * cost >= LEAST_BUSY * seconds => {
                (steps, seconds, prompt, true)
            }
            // An engine that had nothing to do for a part of the time was busy for as long as its steps took. The gaps
            // tell how long; of the prompts they know those that were read while others had tokens written.
            Some(steps) => {
                let busy = (steps * gap / seconds).min(1.0);
                (steps, (steps * gap).min(seconds), prompt * busy, false)
            }
            // Without their number, steps are as many as mean gaps fit into the time; not where most wait for their
            // first token, since steps that only read prompts leave no gap.
            None if interval.busy
                && gap_seconds >= f64::max(1.0, LEAST_BUSY * interval.running) * seconds =>
            {
                (seconds / gap, seconds, prompt, true)
            }
            None => return None,
        };
        (steps >= 1.0).then_some(Self {
            seconds,
            steps,
            generated,
            prompt,
            running: interval.running,
            edge: 0.0,
            prompts: 0.0,
            full,
            follows: false,
        })
    }

    /// The mean number of sequences in a step.
    fn sequences(self) -> f64 {
        self.generated / self.steps
    }
}

/// Finds the rates; `recomputed` is how many tokens a preemption costs. None where nothing was computed.
pub(super) fn fit(observed: &Observed, recomputed: f64, prior: &Prior) -> Option<Rates> {
    let usable = Usable::all(observed, recomputed);
    let varied = Varied::of(&usable)?;
    let (prefill, usable) = prefill(observed, &usable, &varied, prior);
    let fixed = prefill.is_some();
    let solution = slope(&usable, &varied, fixed, prior);
    let (decode, slowdown, free_prefill) = match &solution {
        Some(solution) => measured(solution, &varied),
        None => assumed(&usable, &varied, fixed, prior)?,
    };
    Some(Rates {
        prefill: prefill.or(free_prefill)?,
        decode,
        slowdown,
    })
}

/// How much the load varied.
#[derive(Debug, Clone, Copy)]
struct Varied {
    intervals: usize,
    least: f64,
    most: f64,
    mean: f64,
    /// The standard deviation as a share of the mean.
    variation: f64,
}

impl Varied {
    fn of(usable: &[Usable]) -> Option<Self> {
        let seconds: f64 = usable.iter().map(|one| one.seconds).sum();
        let mean = |of: &dyn Fn(f64) -> f64| -> f64 {
            let terms = usable.iter().map(|one| one.seconds * of(one.sequences()));
            terms.sum::<f64>() / seconds
        };
        let middle = mean(&|n| n);
        let variation = mean(&|n| (n - middle).powi(2)).sqrt() / middle;
        let all = || usable.iter().map(|one| one.sequences());
        (!usable.is_empty()).then_some(Self {
            intervals: usable.len(),
            least: all().fold(f64::INFINITY, f64::min),
            most: all().fold(0.0, f64::max),
            mean: middle,
            variation,
        })
    }

    fn words(&self) -> String {
        let moments = if self.intervals == 1 {
            "interval"
        } else {
            "intervals"
        };
        format!(
            "{} {moments} with {:.0} to {:.0} running",
            self.intervals, self.least, self.most
        )
    }
}

/// The equations, whitened. What a step under way at a look has done is counted in the next interval: that error has the
/// opposite sign there, so that a chain of intervals knows more than its links alone. Beside it each link has an error
/// of its own, since no engine is as simple as the sum.
fn rows(usable: &[Usable]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut before: Option<(Row, f64, f64)> = None;
    for one in usable {
        let own = if one.full {
            OWN_ERROR * one.seconds
        } else {
            IDLE_ERROR * one.seconds + one.prompts * (2.0 * one.running / one.sequences()).max(1.0)
        };
        let own = own.powi(2);
        let edge = (one.seconds / one.steps + one.edge).powi(2);
        let row = Row {
            x: [one.steps, one.generated, one.prompt],
            y: one.seconds,
        };
        // A Cholesky factor of the chain's covariance: `own + 2 edge` for a link, `-edge` between neighbours.
        let linked = before.filter(|_| one.follows);
        let (last, part) = linked.map_or((Row::default(), 0.0), |(last, root, edges)| {
            (last, -f64::min(edge, edges) / root)
        });
        let root = (own + 2.0 * edge - part * part).sqrt();
        let white = |value: f64, last: f64| (value - part * last) / root;
        let row = Row {
            x: std::array::from_fn(|at| white(row.x[at], last.x[at])),
            y: white(row.y, last.y),
        };
        rows.push(row);
        before = Some((row, root, edge));
    }
    rows
}

/// The prefill rate where the intervals do not decide it, and what then is left of their time.
fn prefill(
    observed: &Observed,
    usable: &[Usable],
    varied: &Varied,
    prior: &Prior,
) -> (Option<Estimate>, Vec<Usable>) {
    let seconds: f64 = usable.iter().map(|one| one.seconds).sum();
    let prompts: f64 = usable.iter().map(|one| one.prompt).sum();
    let decided = solve(&rows(usable), [true; 3])
        .filter(|_| usable.len() >= 4)
        .filter(|found| {
            let cost = found.coefficients[2];
            cost * prompts > LEAST_PROMPTS * seconds && deviation(found, 2) < 0.25 * cost
        });
    if decided.is_some() {
        return (None, usable.to_vec());
    }
    let estimate = from_first_tokens(observed, usable, varied).unwrap_or_else(|| {
        Estimate::new(
            prior.prefill_rate,
            "assumed: prompts took too little of the time to be told apart",
        )
    });
    let left = usable.iter().map(|one| Usable {
        // Never less than a tenth: an assumption must not eat the measurement.
        seconds: (one.seconds - one.prompt / estimate.value).max(one.seconds / 10.0),
        prompt: 0.0,
        ..*one
    });
    let left = left.collect();
    (Some(estimate), left)
}

/// From the time to first tokens: a prompt's, beside one step.
fn from_first_tokens(observed: &Observed, usable: &[Usable], varied: &Varied) -> Option<Estimate> {
    let time = observed.prefill.mean()?;
    let tokens = observed.prompts.mean()?;
    let seconds: f64 = usable.iter().map(|one| one.seconds).sum();
    let steps: f64 = usable.iter().map(|one| one.steps).sum();
    let left = time - seconds / steps;
    // With many running others' prompts are read in the same step.
    (left > 0.1 * time && varied.mean < 32.0).then(|| {
        Estimate::new(
            tokens / left,
            "rough: from the mean time to first tokens, as prompts took little of all time",
        )
    })
}

/// The solution in which the cost of sequences is known; none where they varied too little.
fn slope(usable: &[Usable], varied: &Varied, fixed: bool, prior: &Prior) -> Option<Solution> {
    if varied.intervals < 4 || varied.variation < LEAST_VARIATION {
        return None;
    }
    let mut rows = rows(usable);
    rows.extend(pull(usable, varied, prior));
    let found = solve(&rows, [true, true, !fixed])?;
    let [step, sequence, _] = found.coefficients;
    let whole = step + sequence * varied.mean;
    let doubt = deviation(&found, 1) * varied.mean / whole;
    (doubt < MOST_DOUBT && step > 0.0).then_some(found)
}

/// What is usual, as one equation more: it decides where the intervals say little, and nothing where they say much.
fn pull(usable: &[Usable], varied: &Varied, prior: &Prior) -> Option<Row> {
    let share = prior.batch_slowdown;
    let seconds: f64 = usable.iter().map(|one| one.seconds - one.prompts).sum();
    let steps: f64 = usable.iter().map(|one| one.steps).sum();
    let alone = seconds / steps / (1.0 + share * (varied.mean - 1.0));
    let weight = 1.0 / (USUAL_ERROR * share * alone);
    (weight.is_finite() && weight > 0.0).then_some(Row {
        x: [-share * weight, (1.0 - share) * weight, 0.0],
        y: 0.0,
    })
}

fn deviation(found: &Solution, column: usize) -> f64 {
    found.covariance[column][column].max(0.0).sqrt()
}

fn measured(found: &Solution, varied: &Varied) -> (Estimate, Estimate, Option<Estimate>) {
    let [step, sequence, prompt] = found.coefficients;
    let [[steps, both, _], [_, sequences, _], _] = found.covariance;
    let alone = step + sequence;
    let doubt = (steps + sequences + 2.0 * both).max(0.0).sqrt() / alone;
    let words = varied.words();
    let decode = Estimate::new(1.0 / alone, format!("{} from {words}", within(doubt)));
    let share = sequence / alone;
    // Of sequence / (step + sequence), to the first order.
    let [by_step, by_sequence] = [-sequence, step].map(|part| part / alone.powi(2));
    let variance = by_step.powi(2) * steps
        + by_sequence.powi(2) * sequences
        + 2.0 * by_step * by_sequence * both;
    let slowdown = Estimate::new(
        share,
        format!("{} from the same", within(variance.max(0.0).sqrt() / share)),
    );
    (decode, slowdown, from_prompts(found, prompt))
}

fn from_prompts(found: &Solution, cost: f64) -> Option<Estimate> {
    (cost > 0.0).then(|| {
        let doubt = deviation(found, 2) / cost;
        Estimate::new(1.0 / cost, format!("{} from the same", within(doubt)))
    })
}

/// Twice the standard error, for people.
fn within(doubt: f64) -> String {
    let percent = (200.0 * doubt).ceil();
    if percent.is_finite() && percent < 100.0 {
        format!("±{percent:.0} %,")
    } else {
        "unsure,".to_owned()
    }
}

/// With the slowdown assumed, the rest follows from the same sum.
fn assumed(
    usable: &[Usable],
    varied: &Varied,
    fixed: bool,
    prior: &Prior,
) -> Option<(Estimate, Estimate, Option<Estimate>)> {
    let share = prior.batch_slowdown;
    let alone: Vec<Row> = rows(usable)
        .into_iter()
        .map(|row| Row {
            // A step of n costs (1 + share × (n - 1)) steps of one.
            x: [row.x[0] * (1.0 - share) + row.x[1] * share, 0.0, row.x[2]],
            ..row
        })
        .collect();
    let found = solve(&alone, [true, false, !fixed])?;
    let [step, _, prompt] = found.coefficients;
    if step <= 0.0 {
        return None;
    }
    let words = varied.words();
    let doubt = deviation(&found, 0) / step;
    let decode = Estimate::new(
        1.0 / step,
        format!("{} from {words}, if batch_slowdown is right", within(doubt)),
    );
    let slowdown = Estimate::new(
        share,
        format!("assumed: {words} say too little; measure at more than one load"),
    );
    Some((decode, slowdown, from_prompts(&found, prompt)))
}

#[cfg(test)]
#[path = "rates_tests.rs"]
mod tests;
