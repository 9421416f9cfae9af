//! Numbers as people read them: two digits that count, in the unit that fits.

/// Calls under way, on average.
pub(super) fn few(calls: f64) -> String {
    if calls <= 0.0 {
        "0".to_owned()
    } else if calls < 0.095 {
        "under 0.1".to_owned()
    } else if calls < 99.5 {
        format!("{calls:.1}")
    } else {
        format!("{calls:.0}")
    }
}

/// How many wait where that is what is said first: `no call waits`. It is beside the number that `few` tells.
pub(super) fn who_waits(calls: f64) -> &'static str {
    if calls <= 0.0 {
        "no call waits"
    } else if calls < 0.095 {
        "hardly any call waits"
    } else {
        "few calls wait"
    }
}

/// A number of which three digits count.
pub(super) fn about(number: f64) -> String {
    let size = number.abs().max(1.0).log10().floor();
    let step = 10_f64.powf((size - 2.0).max(0.0));
    format!("{:.0}", (number / step).round() * step)
}

/// A share: `35 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// With two digits that count.
fn two(number: f64) -> String {
    if number >= 9.95 {
        format!("{number:.0}")
    } else if number >= 0.995 {
        format!("{number:.1}")
    } else {
        format!("{number:.2}")
    }
}

/// A length of time in seconds: `25 ms`, `0.74 s`, `3.4 min`, `1.96 h`.
pub(super) fn lasting(seconds: f64) -> String {
    if seconds < 0.0995 {
        format!("{} ms", two(seconds * 1000.0))
    } else if seconds < 99.5 {
        format!("{} s", two(seconds))
    } else if seconds < 3600.0 {
        format!("{} min", two(seconds / 60.0))
    } else {
        format!("{:.2} h", seconds / 3600.0)
    }
}

/// How often something happens, in the unit of another number of its kind, per second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    by: f64,
    unit: &'static str,
}

impl Pace {
    /// A rate as fast as this one is told by the second from ten of them on, else by the hour.
    pub(super) fn of(rate: f64) -> Self {
        if rate >= 10.0 {
            Self {
                by: 1.0,
                unit: "second",
            }
        } else {
            Self {
                by: 3600.0,
                unit: "hour",
            }
        }
    }

    /// The number alone.
    pub(super) fn number(self, rate: f64) -> String {
        about(rate * self.by)
    }

    /// `60 questions an hour`.
    pub(super) fn questions(self, rate: f64) -> String {
        let article = if self.unit == "hour" { "an" } else { "a" };
        format!("{} questions {article} {}", self.number(rate), self.unit)
    }
}

/// Hours of GPUs in the unit that fits the sum of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct GpuTime(f64);

impl GpuTime {
    /// Tells others as parts of so many hours.
    pub(super) fn of(hours: f64) -> Self {
        Self(hours)
    }

    /// `hours`, `minutes` or `seconds`.
    pub(super) fn unit(self) -> &'static str {
        if self.0 >= 0.995 {
            "hours"
        } else if self.0 * 60.0 >= 1.7 {
            "minutes"
        } else {
            "seconds"
        }
    }

    /// So many hours in that unit.
    pub(super) fn number(self, hours: f64) -> String {
        match self.unit() {
            "hours" => format!("{hours:.1}"),
            "minutes" => two(hours * 60.0),
            _ => two(hours * 3600.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_two_digits_that_count() {
        let times = [
            0.0004, 0.0251, 0.098, 0.7349, 1.0, 61.3, 99.4, 204.0, 3599.0, 7056.0,
        ];
        assert_eq!(
            times.map(lasting).join(", "),
            "0.40 ms, 25 ms, 98 ms, 0.73 s, 1.0 s, 61 s, 99 s, 3.4 min, 60 min, 1.96 h"
        );
    }

    #[test]
    fn a_fast_run_is_told_by_the_second() {
        let said = |rate: f64| Pace::of(rate).questions(rate);
        assert_eq!(said(0.5), "1800 questions an hour");
        assert_eq!(said(251.35), "251 questions a second");
        assert_eq!(said(5.878), "21200 questions an hour");
    }

    #[test]
    fn little_time_of_gpus_is_told_in_small_units() {
        let said = |hours: f64| {
            let time = GpuTime::of(hours);
            format!("{} GPU {}", time.number(hours), time.unit())
        };
        let all = [0.0011, 0.02, 0.07, 0.9, 1.0, 52.9].map(said);
        assert_eq!(
            all.join(", "),
            "4.0 GPU seconds, 72 GPU seconds, 4.2 GPU minutes, 54 GPU minutes, 1.0 GPU hours, 52.9 GPU hours"
        );
    }
}
