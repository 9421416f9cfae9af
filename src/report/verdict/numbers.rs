//! Counts and lengths of time as numbers to reckon with.

use crate::base::{Timestamp, float};

/// Seconds from `from` to `at`; none if it was earlier.
pub(super) fn between(from: Timestamp, at: Timestamp) -> f64 {
    at.since(from).as_secs_f64()
}

/// One in relation to another; none where that is nothing.
pub(super) fn ratio(one: f64, other: f64) -> Option<f64> {
    (other > 0.0).then(|| one / other)
}

/// The mean; none of nothing.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    ratio(values.iter().sum(), float(values.len()))
}

/// The median; none of nothing.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    crate::report::quantile(&sorted, 0.5)
}
