//! vLLM releases: their order, and what "seen in these releases" proves about another one.

use std::fmt;
use std::str::FromStr;

use super::tables;

/// A vLLM release, ordered by number: `0.9.2 < 0.10.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    /// The first number (0 so far).
    pub major: u16,
    /// The second number.
    pub minor: u16,
    /// The third number; 0 where it was not written.
    pub patch: u16,
}

impl Release {
    /// What a recipe that asks for a nightly build needs: newer than every numbered release.
    pub const NIGHTLY: Self = Self::new(u16::MAX, 0, 0);

    /// The release `major.minor.patch`.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// The releases whose command line was read; flags are exact there.
    pub fn flags_sampled() -> &'static [Self] {
        tables::releases::FLAGS_SAMPLED
    }

    /// The releases whose parser registries were read; parsers are exact there.
    pub fn parsers_sampled() -> &'static [Self] {
        tables::releases::PARSERS_SAMPLED
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A text that is no release number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a vLLM release such as 0.12.0")]
pub struct NotARelease(String);

impl FromStr for Release {
    type Err = NotARelease;

    /// Reads `0.12.0`, `v0.12`, `0.32.0+cpu`, `0.12.0.post2`, `0.11.1rc1`; what follows the third number
    /// (builds, release candidates) does not change which flags exist and is dropped.
    fn from_str(text: &str) -> Result<Self, NotARelease> {
        let refuse = || NotARelease(text.to_owned());
        let trimmed = text.trim();
        let trimmed = trimmed.strip_prefix('v').unwrap_or(trimmed);
        let public = trimmed.split('+').next().unwrap_or_default();
        let mut parts = public.splitn(3, '.');
        let major = whole(parts.next()).ok_or_else(refuse)?;
        let minor = whole(parts.next()).ok_or_else(refuse)?;
        let patch = match parts.next() {
            None => 0,
            Some(rest) => {
                let digits = rest
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(rest.len());
                rest[..digits].parse().map_err(|_| refuse())?
            }
        };
        Ok(Self {
            major,
            minor,
            patch,
        })
    }
}

fn whole(part: Option<&str>) -> Option<u16> {
    let part = part?;
    part.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| part.parse().ok())?
}

/// Whether a release has something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Seen there, or both before and after it.
    Yes,
    /// Absent from a sampled release on the near side of the gap.
    No,
    /// Between two samples, or outside all of them: nobody looked.
    Unknown,
}

/// The outermost sampled releases in which a name was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The earliest sampled release that had it.
    pub first: Release,
    /// The latest sampled release that had it.
    pub last: Release,
}

impl Seen {
    /// What these sightings prove about `release`, given all `samples` (ascending).
    ///
    /// Names do not come back once they are gone, so everything between the first and the last sighting counts as
    /// seen. The gap between a sighting and the neighbouring sample that lacked it proves nothing.
    pub fn at(self, release: Release, samples: &[Release]) -> Support {
        if self.first <= release && release <= self.last {
            return Support::Yes;
        }
        let lacking = if release < self.first {
            samples
                .iter()
                .rev()
                .find(|&&s| s < self.first)
                .is_some_and(|&s| release <= s)
        } else {
            samples
                .iter()
                .find(|&&s| s > self.last)
                .is_some_and(|&s| release >= s)
        };
        if lacking {
            Support::No
        } else {
            Support::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn r(text: &str) -> Release {
        text.parse().unwrap()
    }

    #[test]
    fn reads_what_people_and_wheels_write() {
        for text in [
            "0.12.0",
            "v0.12.0",
            "0.12",
            "0.12.0.post2",
            "0.12.0+cpu",
            "0.12.0rc1",
            " 0.12.0 ",
        ] {
            assert_eq!(r(text), Release::new(0, 12, 0), "{text}");
        }
        for text in ["", "0", "latest", "0.x", "0.12.x", "-1.2.3", "0.99999999.0"] {
            assert!(text.parse::<Release>().is_err(), "{text}");
        }
    }

    #[test]
    fn orders_by_number_not_by_text() {
        assert!(r("0.9.2") < r("0.10.0"));
        assert_eq!(r("0.10").to_string(), "0.10.0");
    }

    #[test]
    fn a_gap_between_samples_proves_nothing() {
        let samples = [
            r("0.8.5"),
            r("0.9.2"),
            r("0.10.2"),
            r("0.16.0"),
            r("0.32.0"),
        ];
        let seen = Seen {
            first: r("0.10.2"),
            last: r("0.16.0"),
        };
        let at = |text| seen.at(r(text), &samples);
        assert_eq!(at("0.9.2"), Support::No);
        assert_eq!(at("0.10.0"), Support::Unknown);
        assert_eq!(at("0.12.0"), Support::Yes);
        assert_eq!(at("0.20.2"), Support::Unknown);
        assert_eq!(at("0.32.0"), Support::No);
        let still = Seen {
            first: r("0.8.5"),
            last: r("0.32.0"),
        };
        assert_eq!(still.at(r("0.40.0"), &samples), Support::Unknown);
        assert_eq!(still.at(r("0.8.0"), &samples), Support::Unknown);
    }
}
