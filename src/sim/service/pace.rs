//! How long an answer of a stand-in takes. Pure.

use std::time::Duration;

/// The pace of a stand-in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// How long an answer takes on average.
    pub(super) latency: Duration,
    /// How long the first answer takes.
    pub(super) cold: Duration,
    /// How many answers are slow.
    pub(super) cold_requests: u32,
    /// Virtual seconds in a second; above 0.
    pub(super) speed: f64,
}

impl Pace {
    /// How long answer `number` takes; the first is 0.
    ///
    /// Between three quarters and five quarters of the latency, the same after each start. The first ones after the
    /// start take the cold time, less by the same step each time, and never less than when warm.
    pub(super) fn wait(&self, number: u64) -> Duration {
        /// Multiples of the golden ratio spread evenly, wherever one stops.
        const GOLDEN: f64 = 0.618_033_988_749_895;
        let place = u32::try_from(number % 4096).unwrap_or_default();
        let spread = 0.75 + (f64::from(place) * GOLDEN).fract() / 2.0;
        let warm = self.latency.as_secs_f64() * spread;
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let left = f64::from(self.cold_requests.saturating_sub(number));
        let cold = self.cold.as_secs_f64() * left / f64::from(self.cold_requests.max(1));
        Duration::try_from_secs_f64(warm.max(cold) / self.speed).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        latency: Duration::from_millis(200),
        cold: Duration::from_secs(8),
        cold_requests: 100,
        speed: 1.0,
    };

    #[test]
    fn the_cold_start_wears_off() {
        assert_eq!(PACE.wait(0), Duration::from_secs(8));
        assert_eq!(PACE.wait(50), Duration::from_secs(4));
        for number in 1..97 {
            assert!(PACE.wait(number) < PACE.wait(number - 1), "{number}");
        }
        assert!(PACE.wait(100) <= Duration::from_millis(250));
    }

    #[test]
    fn speed_divides_and_no_cold_start_is_none() {
        let fast = Pace {
            speed: 60.0,
            ..PACE
        };
        assert_eq!(fast.wait(50), Duration::from_secs_f64(4.0 / 60.0));
        let warm = Pace {
            cold_requests: 0,
            ..PACE
        };
        assert!(warm.wait(0) <= Duration::from_millis(250));
        let slow = Pace {
            speed: 1e-300,
            ..PACE
        };
        assert_eq!(slow.wait(0), Duration::MAX);
    }

    proptest::proptest! {
        #[test]
        fn the_spread_is_half_the_latency(number in 100_u64..) {
            let wait = PACE.wait(number);
            let (least, most) = (Duration::from_millis(150), Duration::from_millis(250));
            proptest::prop_assert!(least <= wait && wait <= most, "{:?}", wait);
        }
    }

    #[test]
    fn the_mean_is_the_latency() {
        let sum: Duration = (100..1100).map(|number| PACE.wait(number)).sum();
        let mean = (sum / 1000).as_secs_f64();
        assert!((mean - 0.2).abs() < 0.001, "{mean}");
    }
}
