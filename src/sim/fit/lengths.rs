//! How much lengths differ: a log-normal distribution from a histogram and its mean.

use crate::facts::Histogram;

/// The most that is looked for: the key's own limit.
const MOST: f64 = 3.0;

/// The standard deviation of the logarithm under which the histogram is likeliest; none without two values. The mean is
/// that of the histogram.
pub(super) fn spread(lengths: &Histogram) -> Option<f64> {
    let mean = lengths.mean().filter(|mean| *mean > 0.0)?;
    if lengths.count < 2.0 {
        return None;
    }
    // Golden-section search: the likelihood has one top.
    let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (0.01, MOST);
    while high - low > 1e-4 {
        let (left, right) = (high - golden * (high - low), low + golden * (high - low));
        if likelihood(lengths, mean, left) > likelihood(lengths, mean, right) {
            high = right;
        } else {
            low = left;
        }
    }
    Some(f64::midpoint(low, high))
}

/// The logarithm of the histogram's likelihood.
fn likelihood(lengths: &Histogram, mean: f64, spread: f64) -> f64 {
    let middle = mean.ln() - spread * spread / 2.0;
    // Lengths are whole: one of 100 was drawn from 99.5 to 100.5.
    let below = |limit: f64| match limit {
        limit if limit <= 0.0 => 0.0,
        limit if limit.is_infinite() => 1.0,
        limit => normal(((limit + 0.5).ln() - middle) / spread),
    };
    lengths
        .buckets()
        .map(|(from, to, count)| count * (below(to) - below(from)).max(1e-12).ln())
        .sum()
}

/// The share of a normal distribution below `z` (Abramowitz and Stegun 7.1.26, to seven digits).
fn normal(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let series = [
        1.061_405_429,
        -1.453_152_027,
        1.421_413_741,
        -0.284_496_736,
        0.254_829_592,
    ];
    let sum = series.iter().fold(0.0, |sum, factor| (sum + factor) * t);
    let error = 1.0 - sum * (-x * x).exp();
    if z < 0.0 {
        0.5 * (1.0 - error)
    } else {
        0.5 * (1.0 + error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::float;
    use crate::sim::lengths::drawn;

    fn counted(lengths: &[usize]) -> Histogram {
        let limits = [
            1,
            2,
            5,
            10,
            20,
            50,
            100,
            200,
            500,
            1000,
            2000,
            5000,
            usize::MAX,
        ];
        let mut histogram = Histogram {
            count: float(lengths.len()),
            sum: float(lengths.iter().sum::<usize>()),
            ..Histogram::default()
        };
        for limit in limits {
            let below = lengths.iter().filter(|length| **length <= limit).count();
            let limit = if limit == usize::MAX {
                f64::INFINITY
            } else {
                float(limit)
            };
            histogram.bucket(limit, float(below));
        }
        histogram
    }

    #[test]
    fn the_spread_that_was_drawn_is_found_in_the_buckets() {
        for (mean, truth) in [(300, 0.3), (400, 0.6), (900, 0.9), (120, 1.2)] {
            let lengths: Vec<usize> = (0..2000).map(|n| drawn(n, 3, mean, truth)).collect();
            let found = spread(&counted(&lengths)).unwrap();
            assert!((found / truth - 1.0).abs() < 0.08, "{found} for {truth}");
        }
    }

    #[test]
    fn nothing_is_said_of_too_little() {
        assert_eq!(spread(&Histogram::default()), None);
        assert_eq!(spread(&counted(&[7])), None);
    }

    #[test]
    fn the_normal_distribution_is_known() {
        for (z, share) in [
            (0.0, 0.5),
            (1.0, 0.841_345),
            (-1.96, 0.024_998),
            (3.0, 0.998_65),
        ] {
            assert!((normal(z) - share).abs() < 1e-5, "{z}");
        }
    }
}
