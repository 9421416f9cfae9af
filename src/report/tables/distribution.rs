//! The columns of the log's latency tables, over one set of times.

use schemars::JsonSchema;
use serde::Serialize;

use crate::base::float;
use crate::report::quantile;

/// Times in seconds, summed up as numpy would: linear percentiles, the population's deviation.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Distribution {
    /// How many times it is over.
    pub count: usize,
    /// All of them together.
    pub total: f64,
    /// The mean.
    pub mean: f64,
    /// The standard deviation of the population (`ddof=0`).
    pub std: f64,
    /// The shortest.
    pub min: f64,
    /// The longest.
    pub max: f64,
    /// The median.
    pub p50: f64,
    /// Nine of ten were not longer.
    pub p90: f64,
    /// All but one in a hundred were not longer.
    pub p99: f64,
    /// The share below five seconds, from 0 to 1.
    pub under_5s: f64,
    /// How many took more than 300 seconds.
    pub over_300s: usize,
}

impl Distribution {
    /// Of times in milliseconds, in any order; none of none.
    pub fn of(milliseconds: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut times: Vec<f64> = milliseconds.into_iter().map(|ms| ms / 1000.0).collect();
        times.sort_unstable_by(f64::total_cmp);
        let (first, last) = (*times.first()?, *times.last()?);
        let count = float(times.len());
        let total: f64 = times.iter().sum();
        let mean = total / count;
        let squares: f64 = times.iter().map(|time| (time - mean).powi(2)).sum();
        let quantile = |q| tidy(quantile(&times, q).unwrap_or_default());
        let under = times.partition_point(|time| *time < 5.0);
        Some(Self {
            count: times.len(),
            total: tidy(total),
            mean: tidy(mean),
            std: tidy((squares / count).sqrt()),
            min: tidy(first),
            max: tidy(last),
            p50: quantile(0.50),
            p90: quantile(0.90),
            p99: quantile(0.99),
            under_5s: tidy(float(under) / count),
            over_300s: times.len() - times.partition_point(|time| *time <= 300.0),
        })
    }
}

/// To a millionth: what stands behind it is noise of the arithmetic, and differs where sums are taken in another order.
pub(super) fn tidy(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

/// `part` of `whole`, from 0 to 1; nothing of nothing.
pub(super) fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| tidy(float(part) / float(whole)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_numpys() {
        // a = numpy.array([1000, 2000, 4000, 301000]) / 1000
        // a.sum(), a.mean(), a.std(), numpy.percentile(a, [50, 90, 99]), (a < 5).mean()
        let found = Distribution::of([4000.0, 301_000.0, 1000.0, 2000.0]).unwrap();
        let expected = Distribution {
            count: 4,
            total: 308.0,
            mean: 77.0,
            std: 129.330_971,
            min: 1.0,
            max: 301.0,
            p50: 3.0,
            p90: 211.9,
            p99: 292.09,
            under_5s: 0.75,
            over_300s: 1,
        };
        assert_eq!(found, expected);
        assert_eq!(Distribution::of([]), None);
        assert!(Distribution::of([5000.0]).unwrap().under_5s < 1e-9);
        assert_eq!(Distribution::of([300_000.0]).unwrap().over_300s, 0);
    }

    proptest! {
        #[test]
        fn its_numbers_stand_in_order_whatever_the_order_of_the_times(
            mut times in prop::collection::vec(0.1_f64..1e7, 1..200),
            at in any::<prop::sample::Index>(),
        ) {
            let found = Distribution::of(times.clone()).unwrap();
            let row = [found.min, found.p50, found.p90, found.p99, found.max];
            prop_assert!(row.is_sorted(), "{row:?}");
            prop_assert!(found.min <= found.mean && found.mean <= found.max + 1e-6);
            prop_assert!(found.std <= found.max - found.min + 1e-6);
            let middle = at.index(times.len());
            times.rotate_left(middle);
            prop_assert_eq!(Distribution::of(times), Some(found));
        }
    }
}
