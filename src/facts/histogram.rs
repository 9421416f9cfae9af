//! A histogram as `/metrics` exposes it: how many values were not above each limit, their number and their sum.

use super::exposition::Line;

/// A histogram, or the difference of two.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    /// `(limit, values not above it)`, with rising limits; the last limit is infinite.
    pub below: Vec<(f64, f64)>,
    /// How many values.
    pub count: f64,
    /// What they add up to.
    pub sum: f64,
}

impl Histogram {
    /// Takes one sample of the page in: what follows the histogram's name, and its value.
    pub fn take(&mut self, part: &str, line: &Line<'_>, value: f64) {
        match part {
            "count" => self.count += value,
            "sum" => self.sum += value,
            "bucket" => {
                if let Some(limit) = line.limit() {
                    self.bucket(limit, value);
                }
            }
            _ => {}
        }
    }

    /// Takes one bucket in.
    pub fn bucket(&mut self, limit: f64, count: f64) {
        let at = self.below.partition_point(|(other, _)| *other < limit);
        match self.below.get_mut(at) {
            // The same limit again: another engine's.
            Some((same, below)) if same.total_cmp(&limit).is_eq() => *below += count,
            _ => self.below.insert(at, (limit, count)),
        }
    }

    /// What came since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |limit: f64| {
            let mut known = earlier.below.iter();
            known
                .find(|(other, _)| other.total_cmp(&limit).is_eq())
                .map_or(0.0, |(_, count)| *count)
        };
        Self {
            below: self
                .below
                .iter()
                .map(|(limit, count)| (*limit, (count - before(*limit)).max(0.0)))
                .collect(),
            count: self.count - earlier.count,
            sum: self.sum - earlier.sum,
        }
    }

    /// Adds another one with the same limits.
    pub fn add(&mut self, other: &Self) {
        for (limit, count) in &other.below {
            self.bucket(*limit, *count);
        }
        self.count += other.count;
        self.sum += other.sum;
    }

    /// The mean; none without a value.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }

    /// `(above, up to, how many)` of each bucket that has values.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, f64, f64)> {
        let starts = std::iter::once((0.0, 0.0)).chain(self.below.iter().copied());
        let pairs = starts.zip(self.below.iter());
        pairs
            .map(|((from, before), (to, below))| (from, *to, below - before))
            .filter(|(_, _, count)| *count > 0.0)
    }

    /// The value that so large a share does not exceed, as if the values of a bucket were spread evenly over it, which
    /// is what Prometheus takes too; none where it lies above the last limit.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = self.count * share;
        let mut before = 0.0;
        for (from, to, count) in self.buckets() {
            if before + count >= wanted {
                let part = ((wanted - before) / count).clamp(0.0, 1.0);
                return to.is_finite().then_some(from + (to - from) * part);
            }
            before += count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(counts: [f64; 3]) -> Histogram {
        let mut made = Histogram {
            count: counts[2],
            sum: counts[2] * 2.0,
            ..Histogram::default()
        };
        for (limit, count) in [f64::INFINITY, 1.0, 10.0]
            .into_iter()
            .zip([counts[2], counts[0], counts[1]])
        {
            made.bucket(limit, count);
        }
        made
    }

    #[test]
    fn differences_and_sums_go_by_limit() {
        let mut all = histogram([3.0, 5.0, 6.0]).since(&histogram([1.0, 2.0, 2.0]));
        assert_eq!(all.below, [(1.0, 2.0), (10.0, 3.0), (f64::INFINITY, 4.0)]);
        assert_eq!(all.mean(), Some(2.0));
        all.add(&histogram([1.0, 1.0, 1.0]));
        assert_eq!(all.below, [(1.0, 3.0), (10.0, 4.0), (f64::INFINITY, 5.0)]);
        let buckets: Vec<_> = all.buckets().collect();
        assert_eq!(
            buckets,
            [
                (0.0, 1.0, 3.0),
                (1.0, 10.0, 1.0),
                (10.0, f64::INFINITY, 1.0)
            ]
        );
    }

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let some = histogram([2.0, 4.0, 5.0]);
        assert_eq!(some.quantile(0.2), Some(0.5));
        assert_eq!(some.quantile(0.6), Some(5.5));
        assert_eq!(some.quantile(0.99), None);
        assert_eq!(Histogram::default().quantile(0.5), None);
        assert_eq!(Histogram::default().mean(), None);
    }
}
