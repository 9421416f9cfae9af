//! Points in time and lengths of time; the clock itself is a trait, read only at the edge.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{float, floor};

/// Milliseconds since the Unix epoch, UTC.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The time that passed from `earlier` to this point; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Millis> for Timestamp {
    type Output = Self;

    fn add(self, length: Millis) -> Self {
        Self(self.0.saturating_add(length.0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 with milliseconds, UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(millis) {
            Ok(stamp) => write!(f, "{stamp:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// Why a text is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a duration: write a number and a unit, such as `90s`, `60m`, `1h30m` or `500ms`"
)]
pub struct InvalidDuration {
    /// The text as given.
    pub text: String,
}

/// A length of time in milliseconds.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// `seconds` seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// Whole seconds, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// Seconds, with the milliseconds behind the point.
    pub(crate) fn as_secs_f64(self) -> f64 {
        float(self.0) / 1000.0
    }

    /// So many seconds, cut to a millisecond; no time where that is no length of time.
    pub(crate) fn from_secs_f64(seconds: f64) -> Self {
        Self(floor(seconds * 1000.0))
    }

    /// Reads `250ms`, `30s`, `60m`, `1h30m`, `2d`; a number without a unit is refused.
    ///
    /// # Errors
    /// The text as given, with the forms that are read.
    pub fn parse(text: &str) -> Result<Self, InvalidDuration> {
        let invalid = || InvalidDuration {
            text: text.to_owned(),
        };
        let mut total: u64 = 0;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(invalid());
        }
        while !rest.is_empty() {
            let digits = rest
                .find(|c: char| !c.is_ascii_digit())
                .ok_or_else(invalid)?;
            let number: u64 = rest[..digits].parse().map_err(|_| invalid())?;
            rest = &rest[digits..];
            let letters = rest
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(rest.len());
            let unit = match &rest[..letters] {
                "ms" => 1,
                "s" => 1000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(invalid()),
            };
            rest = &rest[letters..];
            total = number
                .checked_mul(unit)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(invalid)?;
        }
        Ok(Self(total))
    }
}

impl Sub for Millis {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl From<Millis> for Duration {
    fn from(length: Millis) -> Self {
        Self::from_millis(length.0)
    }
}

impl From<Duration> for Millis {
    /// What is shorter than a millisecond is cut off.
    fn from(length: Duration) -> Self {
        Self(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Millis {
    /// The two largest units that matter: `1h 02m`, `3m 20s`, `4.2s`, `250ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1000;
        if self.0 < 1000 {
            write!(f, "{}ms", self.0)
        } else if seconds < 60 {
            write!(f, "{}.{}s", seconds, self.0 % 1000 / 100)
        } else if seconds < 3600 {
            write!(f, "{}m {:02}s", seconds / 60, seconds % 60)
        } else if seconds < 86_400 {
            write!(f, "{}h {:02}m", seconds / 3600, seconds / 60 % 60)
        } else {
            write!(f, "{}d {:02}h", seconds / 86_400, seconds / 3600 % 24)
        }
    }
}

/// Where the time comes from; only `world` has one that reads the machine's.
pub trait Clock {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(Millis::parse("60m"), Ok(Millis(3_600_000)));
        assert_eq!(Millis::parse("1h30m"), Ok(Millis(5_400_000)));
        assert_eq!(Millis::parse("250ms"), Ok(Millis(250)));
        for bad in ["", "60", "m", "5 minutes", "-3s", "99999999999999999d"] {
            assert!(Millis::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn seconds_are_cut_to_milliseconds() {
        let of = |seconds| Millis::from_secs_f64(seconds).0;
        assert_eq!([1.5, 0.0019, -1.0, f64::NAN].map(of), [1500, 1, 0, 0]);
        assert_eq!(of(f64::INFINITY), u64::MAX);
        assert_eq!(of(Millis(1500).as_secs_f64()), 1500);
        assert_eq!(Millis::from(Duration::from_micros(1999)), Millis(1));
        assert_eq!(Millis::from(Duration::MAX), Millis(u64::MAX));
    }

    #[test]
    fn durations_are_shown_for_people() {
        let shown: Vec<String> = [250, 4_200, 200_000, 3_720_000, 90_000_000]
            .map(|millis| Millis(millis).to_string())
            .to_vec();
        assert_eq!(shown, ["250ms", "4.2s", "3m 20s", "1h 02m", "1d 01h"]);
    }

    #[test]
    fn timestamps_are_rfc_3339() {
        assert_eq!(
            Timestamp(1_767_139_200_123).to_string(),
            "2025-12-31T00:00:00.123Z"
        );
    }
}
