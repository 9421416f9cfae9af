//! How many tokens an answer has where its text does not say: drawn from its question, the same each time. Pure.

use crate::base::{Chance, float, nearest};

/// A length for the question with this hash: log-normal with this mean, and `spread` as the standard deviation of its
/// logarithm.
pub(super) fn drawn(hash: u64, seed: u64, mean: u64, spread: f64) -> usize {
    // The sum of twelve uniform numbers is normal enough for a length, and needs no table.
    let mut row = Chance::new(hash ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let sum: f64 = (0..12).map(|_| row.uniform()).sum();
    let median = float(mean) * (-spread * spread / 2.0).exp();
    let length = median * (spread * (sum - 6.0)).exp();
    nearest::<usize>(length).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_their_mean_and_spread() {
        let lengths: Vec<usize> = (0..20_000).map(|hash| drawn(hash, 0, 600, 0.6)).collect();
        let mean = lengths.iter().sum::<usize>() / lengths.len();
        assert!((580..=620).contains(&mean), "{mean}");
        let over = lengths.iter().filter(|length| **length > 1200).count();
        // P(Z > (ln 2 + 0.18) / 0.6) = 7.3 %
        assert!((1200..=1750).contains(&over), "{over}");
    }

    #[test]
    fn without_a_spread_all_have_the_mean() {
        assert!((0..100).all(|hash| drawn(hash, 0, 600, 0.0) == 600));
    }

    #[test]
    fn the_same_question_has_the_same_length_and_another_seed_another() {
        assert_eq!(drawn(7, 1, 600, 0.6), drawn(7, 1, 600, 0.6));
        assert_ne!(drawn(7, 1, 600, 0.6), drawn(7, 2, 600, 0.6));
        assert_ne!(drawn(7, 1, 600, 0.6), drawn(8, 1, 600, 0.6));
    }
}
