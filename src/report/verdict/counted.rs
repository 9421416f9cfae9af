//! Calls under way: as servers counted them, checked by looks at them.
//!
//! What a server counts between two looks, in seconds of calls, is by Little's law the mean of its calls under way, and nothing of it
//! is missed. A look is a moment: few of them say little, and those of a short run are taken when its client begins and ends, when
//! nothing is under way. But looks see calls that never end, and counters of ended ones do not. So what was counted counts,
//! unless enough looks found more than chance explains.

use super::numbers::ratio;
use super::sums::{Sums, Total};

/// Fewer looks at a server tell nothing of the time between them.
pub(super) const ENOUGH: f64 = 6.0;
/// Looks have found more than was counted from so many standard errors on.
const ERRORS: f64 = 3.0;

/// What looks found of a gauge of one class.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Looks {
    mean: Total,
    /// The square of it: what requests see, as opposed to looks.
    squared: Total,
    count: f64,
}

impl Looks {
    /// A look, which stands for so many seconds.
    pub(super) fn add(&mut self, value: Option<f64>, length: f64) {
        self.mean.add(value.map(|value| value * length), length);
        self.squared
            .add(value.map(|value| value * value * length), length);
        self.count += f64::from(u8::from(value.is_some()));
    }

    pub(super) fn join(&mut self, other: Self) {
        self.mean.join(other.mean);
        self.squared.join(other.squared);
        self.count += other.count;
    }

    /// The mean of a replica; none where nobody looked.
    pub(super) fn rate(self) -> Option<f64> {
        self.mean.rate()
    }

    /// The mean of its square.
    pub(super) fn square(self) -> Option<f64> {
        self.squared.rate()
    }

    /// How often each of so many servers was looked at.
    pub(super) fn each(self, servers: f64) -> f64 {
        ratio(self.count, servers).unwrap_or(0.0)
    }

    /// The standard error of the mean, as if all servers were alike at each look.
    fn error(self, servers: f64) -> Option<f64> {
        let (mean, square) = (self.rate()?, self.square()?);
        ratio((square - mean * mean).max(0.0), self.each(servers)).map(f64::sqrt)
    }
}

/// Calls of a replica on average: those that were counted, or those that looks at so many servers found. None where only few looks
/// tell.
pub(super) fn calls(counted: Option<f64>, looks: Looks, servers: f64) -> Option<f64> {
    let seen = looks
        .rate()
        .filter(|_| looks.each(servers) >= ENOUGH)
        .zip(looks.error(servers));
    match (counted, seen) {
        (Some(counted), Some((seen, error))) if seen <= counted + ERRORS * error => Some(counted),
        (Some(counted), None) => Some(counted),
        (_, seen) => seen.map(|(seen, _)| seen),
    }
}

impl Sums {
    /// Calls that one of so many servers computes, on average.
    pub(super) fn computing(&self, servers: f64) -> Option<f64> {
        calls(self.computed(), self.running, servers)
    }

    /// Calls that wait for a place at one of them.
    pub(super) fn queueing(&self, servers: f64) -> Option<f64> {
        calls(self.queue.rate(), self.waiting, servers)
    }

    /// The share of time in which one of them had nothing to do: of looks, where they are many and agree with what was counted; else as
    /// if calls came by chance.
    pub(super) fn idling(&self, servers: f64) -> Option<f64> {
        let calls = self.computing(servers)?;
        let seen = self.running.rate().zip(self.running.error(servers));
        let agrees = seen.is_some_and(|(seen, error)| seen >= calls - ERRORS * error);
        if agrees && self.running.each(servers) >= ENOUGH {
            return self.idle.rate();
        }
        Some((-calls).exp())
    }

    fn computed(&self) -> Option<f64> {
        self.computed.rate().or_else(|| self.inference.rate())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(values: &[f64]) -> Looks {
        let mut looks = Looks::default();
        for value in values {
            looks.add(Some(*value), 15.0);
        }
        looks
    }

    #[test]
    fn what_was_counted_counts_unless_many_looks_found_more() {
        let many = looks(&[3.0, 5.0, 4.0, 4.0, 3.0, 5.0, 4.0, 4.0]);
        // No look, looks at the begin and the end alone, and looks that chance explains.
        for looks in [Looks::default(), looks(&[0.0, 0.0, 0.0]), many] {
            assert_eq!(calls(Some(3.8), looks, 1.0), Some(3.8));
        }
        // As many looks, which found less.
        assert_eq!(calls(Some(8.0), many, 1.0), Some(8.0));
        // Calls that never end are not counted, and looks see them.
        assert_eq!(calls(Some(1.0), many, 1.0), Some(4.0));
        assert_eq!(calls(Some(1.0), looks(&[4.0; 3]), 1.0), Some(1.0));
        // Eight looks at two servers are four at each.
        assert_eq!(calls(Some(1.0), many, 2.0), Some(1.0));
    }

    #[test]
    fn few_looks_alone_tell_nothing() {
        assert_eq!(calls(None, looks(&[0.0; 5]), 1.0), None);
        assert_eq!(calls(None, looks(&[4.0; 6]), 1.0), Some(4.0));
        assert_eq!(calls(None, Looks::default(), 1.0), None);
    }
}
