//! Chance that can be repeated: the same seed, the same numbers. Pure.

use super::float;

/// A row of numbers that its seed decides (`SplitMix64`).
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The row of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next one from 0 to 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        float(self.next() >> 11) / float(1_u64 << 53)
    }

    /// The next one from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        // That some come up more often is not to be seen in ranges this small.
        low + self.next() % high.saturating_sub(low).saturating_add(1).max(1)
    }

    /// Brings a row of things into an order by chance.
    pub(crate) fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            let other = self.next() % (last as u64 + 1);
            things.swap(last, usize::try_from(other).unwrap_or(last));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_is_splitmix64() {
        // The first numbers of the reference implementation for the seed 1234567.
        let mut row = Chance::new(1_234_567);
        let first = [row.next(), row.next(), row.next()];
        let known = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(first, known);
    }

    #[test]
    fn what_is_drawn_stays_in_its_range() {
        let mut row = Chance::new(7);
        assert!((0..1000).all(|_| (3..=5).contains(&row.between(3, 5))));
        assert_eq!(row.between(4, 4), 4);
        let mut things: Vec<u32> = (0..50).collect();
        row.shuffle(&mut things);
        assert!(!things.is_sorted());
        things.sort_unstable();
        assert_eq!(things, (0..50).collect::<Vec<_>>());
    }
}
