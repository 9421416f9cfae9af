//! What the samples of a model's engines add up to: differences between moments, and totals.

use super::sample::Sample;
use crate::facts::Histogram;

/// One engine's samples, in the order of their times.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Series(pub(super) Vec<Sample>);

/// What one engine did between two moments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    /// Its length.
    pub(super) seconds: f64,
    /// Steps; none where the release does not count them.
    pub(super) steps: Option<f64>,
    /// Tokens generated.
    pub(super) generated: f64,
    /// Prompt tokens read.
    pub(super) prompt: f64,
    /// Preemptions.
    pub(super) preemptions: f64,
    /// How many tokens followed another, and how many seconds after it in sum.
    pub(super) gaps: (f64, f64),
    /// It computed something at both ends.
    pub(super) busy: bool,
    /// Sequences in the batch, as the mean of both ends.
    pub(super) running: f64,
    /// It began when the one before it in the list ended.
    pub(super) follows: bool,
}

/// All that was seen of a model.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Observed {
    /// Engines that did something.
    pub(super) replicas: usize,
    /// By engine and moment.
    pub(super) intervals: Vec<Interval>,
    /// Tokens of answers.
    pub(super) answers: Histogram,
    /// Tokens of prompts.
    pub(super) prompts: Histogram,
    /// Seconds from arrival to the last token.
    pub(super) latency: Histogram,
    /// Seconds from the computation's start to the first token.
    pub(super) prefill: Histogram,
    /// Requests under way at all engines together, on average while there were any.
    pub(super) in_flight: f64,
    /// The most that ran in one engine.
    pub(super) most_running: f64,
    /// Others waited while so many ran.
    pub(super) waited: bool,
    /// Preemptions.
    pub(super) preemptions: f64,
    /// Tokens that one engine's KV cache holds; the least of them, where they differ.
    pub(super) cache: Option<u64>,
    /// The share of prompt tokens that the prefix cache had.
    pub(super) cached: f64,
    /// How often counters began anew.
    pub(super) restarts: usize,
}

impl Observed {
    /// Adds the series of a model's engines up.
    pub(super) fn of<'a>(all: impl IntoIterator<Item = &'a Series>) -> Self {
        let mut observed = Self::default();
        let (mut looked_up, mut found) = (0.0, 0.0);
        for Series(samples) in all {
            let lives: Vec<&[Sample]> = samples
                .chunk_by(|earlier, later| !later.is_of_another_process(earlier))
                .collect();
            let mut generated = 0.0;
            for (number, life) in lives.iter().enumerate() {
                // Where we saw the one before end, all that this one counts was done before our eyes.
                let zero = Sample::default();
                let first = if number == 0 {
                    life.first()
                } else {
                    Some(&zero)
                };
                let (Some(first), Some(last)) = (first, life.last()) else {
                    continue;
                };
                observed.add(first, last);
                generated += last.generated - first.generated;
                looked_up += last.looked_up - first.looked_up;
                found += last.found - first.found;
                let pairs = life.windows(2).enumerate();
                observed.intervals.extend(pairs.map(|(at, pair)| Interval {
                    follows: at > 0,
                    ..Interval::between(&pair[0], &pair[1])
                }));
            }
            observed.restarts += lives.len().saturating_sub(1);
            if generated > 0.0 {
                observed.replicas += 1;
                observed.loads(samples);
            }
        }
        observed.cached = if looked_up > 0.0 {
            found / looked_up
        } else {
            0.0
        };
        observed
    }

    fn add(&mut self, first: &Sample, last: &Sample) {
        self.answers.add(&last.answers.since(&first.answers));
        self.prompts.add(&last.prompts.since(&first.prompts));
        self.latency.add(&last.latency.since(&first.latency));
        self.prefill.add(&last.prefill.since(&first.prefill));
        self.preemptions += last.preemptions - first.preemptions;
        self.cache = match (self.cache, last.cache) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    fn loads(&mut self, samples: &[Sample]) {
        let busy = || {
            samples
                .iter()
                .filter(|sample| sample.running + sample.waiting > 0.0)
        };
        let sum: f64 = busy().map(|sample| sample.running + sample.waiting).sum();
        let moments: f64 = busy().map(|_| 1.0).sum();
        self.in_flight += sum / moments.max(1.0);
        for sample in samples {
            if sample.running > self.most_running {
                self.most_running = sample.running;
                self.waited = false;
            }
            self.waited |= sample.running >= self.most_running && sample.waiting > 0.0;
        }
    }
}

impl Interval {
    fn between(first: &Sample, last: &Sample) -> Self {
        let steps = last.steps.count - first.steps.count;
        Self {
            seconds: last.at - first.at,
            steps: (last.steps.count > 0.0).then_some(steps),
            generated: last.generated - first.generated,
            prompt: last.prompt - first.prompt,
            preemptions: last.preemptions - first.preemptions,
            gaps: (
                last.gaps.count - first.gaps.count,
                last.gaps.sum - first.gaps.sum,
            ),
            busy: first.running > 0.0 && last.running > 0.0,
            running: f64::midpoint(first.running, last.running),
            follows: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: f64, generated: f64, running: f64) -> Sample {
        Sample {
            at,
            generated,
            running,
            latency: Histogram {
                count: generated / 100.0,
                ..Histogram::default()
            },
            ..Sample::default()
        }
    }

    #[test]
    fn a_restart_splits_and_loses_nothing_that_was_seen() {
        let series = Series(vec![
            sample(0.0, 1000.0, 4.0),
            sample(10.0, 1500.0, 6.0),
            sample(20.0, 200.0, 2.0),
            sample(30.0, 900.0, 4.0),
        ]);
        let observed = Observed::of([&series]);
        assert_eq!((observed.restarts, observed.replicas), (1, 1));
        let generated: Vec<f64> = observed.intervals.iter().map(|i| i.generated).collect();
        assert_eq!(generated, [500.0, 700.0]);
        assert!((observed.latency.count - 14.0).abs() < 1e-9);
        assert!((observed.in_flight - 4.0).abs() < 1e-9);
        assert_eq!((observed.most_running, observed.waited), (6.0, false));
    }

    #[test]
    fn an_engine_that_did_nothing_is_no_replica() {
        let idle = Series(vec![sample(0.0, 5.0, 0.0), sample(10.0, 5.0, 0.0)]);
        assert_eq!(Observed::of([&idle]).replicas, 0);
    }
}
