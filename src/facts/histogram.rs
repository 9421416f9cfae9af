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

    /// Takes one bucket of a page in; each engine has all of them.
    pub fn bucket(&mut self, limit: f64, count: f64) {
        let at = self.place(limit);
        match self.below.get_mut(at) {
            // The same limit again: another engine's.
            Some((same, below)) if same.total_cmp(&limit).is_eq() => *below += count,
            _ => self.below.insert(at, (limit, count)),
        }
    }

    /// What came since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let fresh =
            |(limit, below): &(f64, f64)| (*limit, (below - earlier.up_to(*limit)).max(0.0));
        Self {
            below: self.below.iter().map(fresh).collect(),
            count: self.count - earlier.count,
            sum: self.sum - earlier.sum,
        }
    }

    /// Adds another one. Where that lacks a limit, as one of another release does, its values there are taken to lie in the
    /// next bucket that it has.
    pub fn add(&mut self, other: &Self) {
        for (limit, _) in &other.below {
            self.know(*limit);
        }
        for (limit, below) in &mut self.below {
            *below += other.up_to(*limit);
        }
        self.count += other.count;
        self.sum += other.sum;
    }

    /// Has a bucket up to this limit, if only an empty one.
    pub fn know(&mut self, limit: f64) {
        let at = self.place(limit);
        let known = self
            .below
            .get(at)
            .is_some_and(|(other, _)| other.total_cmp(&limit).is_eq());
        if !known {
            self.below.insert(at, (limit, self.before(at)));
        }
    }

    /// Adds values to the bucket up to this limit; their number and sum are added by whoever knows them.
    pub fn fill(&mut self, limit: f64, values: f64) {
        let at = self.place(limit);
        for (_, below) in &mut self.below[at..] {
            *below += values;
        }
    }

    /// How many values are not above a limit, as far as is known.
    fn up_to(&self, limit: f64) -> f64 {
        self.before(self.below.partition_point(|(other, _)| *other <= limit))
    }

    fn place(&self, limit: f64) -> usize {
        self.below.partition_point(|(other, _)| *other < limit)
    }

    /// How many values the buckets before this place have.
    fn before(&self, at: usize) -> f64 {
        at.checked_sub(1).map_or(0.0, |at| self.below[at].1)
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
    fn limits_may_differ() {
        let mut all = histogram([2.0, 4.0, 5.0]);
        let mut other = Histogram {
            below: vec![(5.0, 1.0), (f64::INFINITY, 3.0)],
            count: 3.0,
            sum: 20.0,
        };
        assert_eq!(all.since(&other).below[0], (1.0, 2.0));
        all.add(&other);
        assert_eq!(
            all.below,
            [(1.0, 2.0), (5.0, 3.0), (10.0, 5.0), (f64::INFINITY, 8.0)]
        );
        other.know(1.0);
        other.fill(1.0, 2.0);
        assert_eq!(other.below, [(1.0, 2.0), (5.0, 3.0), (f64::INFINITY, 5.0)]);
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
