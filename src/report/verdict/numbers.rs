//! Counts and lengths of time as numbers to reckon with.

use crate::base::{Millis, Timestamp};

/// A count.
pub(super) fn number(count: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let number = count as f64;
    number
}

/// A length of time in seconds.
pub(super) fn seconds(length: Millis) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of years")]
    let seconds = length.0 as f64 / 1000.0;
    seconds
}

/// So many seconds; nothing where that is no length of time.
pub(super) fn millis(seconds: f64) -> Millis {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and a cast saturates"
    )]
    let millis = (seconds.max(0.0) * 1000.0) as u64;
    Millis(millis)
}

/// Seconds from `from` to `at`; none if it was earlier.
pub(super) fn between(from: Timestamp, at: Timestamp) -> f64 {
    seconds(at.since(from))
}

/// The nearest whole number, none below zero.
pub(super) fn whole(number: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and a cast saturates"
    )]
    let whole = number.max(0.0).round() as usize;
    whole
}

/// One in relation to another; none where that is nothing.
pub(super) fn ratio(one: f64, other: f64) -> Option<f64> {
    (other > 0.0).then(|| one / other)
}

/// The mean; none of nothing.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    ratio(values.iter().sum(), number(values.len()))
}

/// The median; none of nothing.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    crate::report::quantile(&sorted, 0.5)
}
