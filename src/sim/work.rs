//! What an engine has done so far, counted as vLLM counts it: when a token is out, not when its request ends. Pure.

use super::batch::Micros;

/// Microseconds between tokens.
const GAPS: [u64; 19] = [
    10_000, 25_000, 50_000, 75_000, 100_000, 150_000, 200_000, 300_000, 400_000, 500_000, 750_000,
    1_000_000, 2_500_000, 5_000_000, 7_500_000, 10_000_000, 20_000_000, 40_000_000, 80_000_000,
];
/// Tokens of a step.
const STEPS: [u64; 13] = [
    1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384,
];

/// How often a value lay in which bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted<const N: usize> {
    limits: &'static [u64; N],
    counts: [u64; N],
    count: u64,
    sum: u64,
}

impl<const N: usize> Counted<N> {
    const fn new(limits: &'static [u64; N]) -> Self {
        Self {
            limits,
            counts: [0; N],
            count: 0,
            sum: 0,
        }
    }

    fn observe(&mut self, value: u64, times: u64) {
        let bucket = self.limits.partition_point(|limit| *limit < value);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += times;
        }
        self.count += times;
        self.sum += value * times;
    }

    /// Each bucket's upper limit, and how many values are not above it.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        let counts = self.counts.iter().scan(0, |below, count| {
            *below += count;
            Some(*below)
        });
        self.limits.iter().copied().zip(counts)
    }

    /// How many values there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// What they add up to.
    pub(super) fn sum(&self) -> u64 {
        self.sum
    }
}

/// What an engine has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    /// Prompt tokens of the requests that had their first token: each prompt once, whatever was computed again.
    pub(super) prompt: u64,
    /// Tokens generated.
    pub(super) generated: u64,
    /// Tokens computed once more after a preemption.
    pub(super) recomputed: u64,
    /// Preemptions.
    pub(super) preemptions: u64,
    /// Microseconds between two tokens of a request.
    pub(super) gaps: Counted<19>,
    /// Tokens of each step that brought any: those generated, and the prompts that ended in it.
    pub(super) steps: Counted<13>,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            prompt: 0,
            generated: 0,
            recomputed: 0,
            preemptions: 0,
            gaps: Counted::new(&GAPS),
            steps: Counted::new(&STEPS),
        }
    }
}

impl Work {
    /// A sequence had so many more tokens, one every `each`; the first of them `since` after the one before.
    pub(super) fn decoded(&mut self, tokens: u64, since: Micros, each: Micros) {
        self.generated += tokens;
        self.gaps.observe(since, 1);
        self.gaps.observe(each, tokens.saturating_sub(1));
    }

    /// So many steps, with so many tokens together.
    pub(super) fn stepped(&mut self, count: u64, tokens: u64) {
        if tokens > 0 {
            self.steps.observe(tokens / count.max(1), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_in_their_buckets() {
        let mut work = Work::default();
        work.decoded(3, 30_000, 10_000);
        work.decoded(1, 100_000_000, 5);
        let gaps: Vec<_> = work.gaps.cumulative().take(3).collect();
        assert_eq!(gaps, [(10_000, 2), (25_000, 2), (50_000, 3)]);
        assert_eq!(work.gaps.cumulative().last(), Some((80_000_000, 3)));
        assert_eq!((work.gaps.count(), work.gaps.sum()), (4, 100_050_000));
        work.stepped(10, 20);
        work.stepped(1, 0);
        assert_eq!((work.steps.count(), work.steps.sum()), (10, 20));
        assert_eq!(work.steps.cumulative().nth(1), Some((8, 10)));
    }
}
