//! Where a value lies on an axis.

/// An axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::report) enum Scale {
    /// Even steps.
    Linear {
        /// Its begin.
        from: f64,
        /// Its end.
        to: f64,
    },
    /// Even factors; both ends are above zero.
    Log {
        /// Its begin.
        from: f64,
        /// Its end.
        to: f64,
    },
}

impl Scale {
    /// From 0 to 1; what lies outside is at an end, and so is what is no number.
    pub(in crate::report) fn place(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear { from, to } => (value - from) / (to - from),
            Self::Log { from, to } => (value.max(from) / from).ln() / (to / from).ln(),
        };
        if share.is_nan() {
            0.0
        } else {
            share.clamp(0.0, 1.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ends_are_ends() {
        let linear = Scale::Linear { from: 0.0, to: 8.0 };
        let log = Scale::Log {
            from: 0.1,
            to: 1000.0,
        };
        let near = |one: f64, other: f64| (one - other).abs() < 1e-12;
        for (value, place) in [(0.0, 0.0), (2.0, 0.25), (8.0, 1.0), (9.0, 1.0)] {
            assert!(near(linear.place(value), place), "{value}");
        }
        for (value, place) in [
            (0.0, 0.0),
            (-3.0, 0.0),
            (f64::NAN, 0.0),
            (0.1, 0.0),
            (10.0, 0.5),
        ] {
            assert!(near(log.place(value), place), "{value}");
        }
        let nothing = Scale::Linear { from: 1.0, to: 1.0 };
        assert!((0.0..=1.0).contains(&nothing.place(1.0)));
    }

    proptest! {
        #[test]
        fn what_is_more_lies_higher(
            from in 1e-6_f64..1e3, factor in 1.001_f64..1e6, a in 0.0_f64..1e9, b in 0.0_f64..1e9,
        ) {
            let to = from * factor;
            for scale in [Scale::Linear { from, to }, Scale::Log { from, to }] {
                let (low, high) = (scale.place(a.min(b)), scale.place(a.max(b)));
                prop_assert!((0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high) && low <= high);
            }
        }
    }
}
