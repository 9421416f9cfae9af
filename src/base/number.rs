//! Counts as floats to reckon with, and back: the one home of these casts.

/// A count that can become a float, and be made of one.
pub(crate) trait Count {
    /// As a float: exact below 2^53.
    fn float(self) -> f64;
    /// What is left without the digits behind the point.
    fn cut(number: f64) -> Self;
}

macro_rules! counts {
    ($($count:ty),*) => {$(
        impl Count for $count {
            #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
            fn float(self) -> f64 {
                self as f64
            }

            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a cast saturates, and of no number makes zero"
            )]
            fn cut(number: f64) -> Self {
                number as Self
            }
        }
    )*};
}

counts!(u64, usize);

/// A count to reckon with, exact below 2^53.
pub(crate) fn float(count: impl Count) -> f64 {
    count.float()
}

/// The largest count that is not above `number`. What is below zero or no number is zero, what is too large the largest there is.
pub(crate) fn floor<N: Count>(number: f64) -> N {
    N::cut(number)
}

/// The count next to `number`, of two the larger; its ends are those of [`floor`].
pub(crate) fn nearest<N: Count>(number: f64) -> N {
    N::cut(number.round())
}

/// The smallest count that is not below `number`; its ends are those of [`floor`].
pub(crate) fn ceil<N: Count>(number: f64) -> N {
    N::cut(number.ceil())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXACT: u64 = 1 << 53;

    #[test]
    fn ends() {
        let of = |number| [floor::<u64>(number), nearest(number), ceil(number)];
        for none in [f64::NAN, f64::NEG_INFINITY, -1e300, -1.0, -0.6, -0.0] {
            assert_eq!(of(none), [0; 3], "{none}");
        }
        for all in [f64::INFINITY, 1e300, float(u64::MAX)] {
            assert_eq!(of(all), [u64::MAX; 3], "{all}");
        }
        assert_eq!(of(0.4), [0, 0, 1]);
        assert_eq!(of(2.5), [2, 3, 3]);
        assert_eq!(of(float(EXACT)), [EXACT; 3]);
        let beyond = [float(EXACT + 1), float(usize::MAX)].map(f64::log2);
        assert_eq!(beyond.map(f64::to_bits), [53.0, 64.0].map(f64::to_bits));
    }

    proptest! {
        /// Below 2^53 nothing is lost on the way there and back.
        #[test]
        fn there_and_back(count in 0..=EXACT) {
            prop_assert_eq!(floor::<u64>(float(count)), count);
            prop_assert_eq!(nearest::<u64>(float(count)), count);
            prop_assert_eq!(ceil::<u64>(float(count)), count);
        }

        /// Where a float can hold the whole number, it is that of std.
        #[test]
        fn as_std_rounds(number in 0.0..9e15_f64) {
            let here = [floor::<u64>(number), nearest(number), ceil(number)];
            let there = [number.floor(), number.round(), number.ceil()];
            prop_assert_eq!(here.map(|count| float(count).to_bits()), there.map(f64::to_bits));
        }
    }
}
