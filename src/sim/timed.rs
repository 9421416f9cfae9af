//! What goes wrong when and for how long, as people write it: `90s hang 30s, 2m crash`. Pure.

use std::fmt;
use std::time::Duration;

use crate::base::Millis;

/// A sort of thing that can stand on a timeline.
pub trait Happens: Copy + PartialEq {
    /// The kind of this name.
    fn named(name: &str) -> Option<Self>;

    /// Its name.
    fn name(self) -> &'static str;

    /// The names of all.
    fn names() -> Vec<&'static str>;

    /// Whether it lasts.
    fn length(self) -> Length;

    /// It happens at the start of a process, and at no other time.
    fn at_start(self) -> bool {
        false
    }
}

/// How long a kind lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// It is a moment: no length can be said.
    Moment,
    /// As long as is said, else until it is ended.
    Open,
    /// As long as is said, else this long.
    Else(Duration),
}

/// Something of a kind, at a time, for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timed<K> {
    /// When it begins; of what happens at a start, nothing.
    pub after: Duration,
    /// What it is.
    pub kind: K,
    /// How long it lasts; none where it is a moment, or for ever.
    pub lasts: Option<Duration>,
}

impl<K: Happens> Timed<K> {
    /// The same, checked: a moment has no length, and some last a time of their own where none is said.
    ///
    /// # Errors
    /// In words.
    pub fn new(after: Duration, kind: K, lasts: Option<Duration>) -> Result<Self, String> {
        let lasts = match (kind.length(), lasts) {
            (Length::Moment, Some(_)) => {
                return Err(format!("`{}` is a moment and has no length", kind.name()));
            }
            (Length::Else(usual), None) => Some(usual),
            (_, lasts) => lasts,
        };
        Ok(Self { after, kind, lasts })
    }

    /// Whether it is so at this time.
    pub fn is_on(&self, now: Duration) -> bool {
        now >= self.after
            && self
                .lasts
                .is_none_or(|lasts| now < self.after.saturating_add(lasts))
    }
}

impl<K: Happens> fmt::Display for Timed<K> {
    /// As it is read: `90s hang 30s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind.at_start() {
            return write!(f, "start {}", self.kind.name());
        }
        write!(f, "{} {}", written(self.after), self.kind.name())?;
        match self.lasts {
            Some(lasts) => write!(f, " {}", written(lasts)),
            None => Ok(()),
        }
    }
}

/// A length of time as [`Millis::parse`] reads it: `42s`, `1m30s`, `2h`, `250ms`.
pub fn written(length: Duration) -> String {
    let millis = length.as_millis();
    let seconds = length.as_secs();
    if !millis.is_multiple_of(1000) {
        return format!("{millis}ms");
    }
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let said = parts.iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> = said.map(|(count, unit)| format!("{count}{unit}")).collect();
    if words.is_empty() {
        "0s".to_owned()
    } else {
        words.concat()
    }
}

/// Reads `90s hang 30s, 2m crash, start oom`: when, what, and for how long.
///
/// # Errors
/// What cannot be read, in words.
pub(super) fn parse<K: Happens>(text: &str) -> Result<Vec<Timed<K>>, String> {
    let parts = text.split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(one).collect()
}

/// The kind of this name, or which there are.
///
/// # Errors
/// In words.
pub fn kind<K: Happens>(name: &str) -> Result<K, String> {
    K::named(name)
        .ok_or_else(|| format!("`{name}` is no fault; there are {}", K::names().join(", ")))
}

fn one<K: Happens>(text: &str) -> Result<Timed<K>, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (after, name, lasts) = match words[..] {
        [after, name] => (after, name, None),
        [after, name, lasts] => (after, name, Some(lasts)),
        _ => {
            return Err(format!(
                "`{text}` is not `AT KIND [FOR]`, such as `90s hang 30s`"
            ));
        }
    };
    let time = |text: &str| {
        let length = Millis::parse(text).map_err(|error| error.to_string());
        length.map(Duration::from)
    };
    let kind: K = kind(name)?;
    let after = match (after == "start", kind.at_start()) {
        (true, true) => Duration::ZERO,
        (false, false) => time(after)?,
        (true, false) => return Err(format!("`{name}` cannot be at `start` here: say when")),
        (false, true) => {
            return Err(format!(
                "`{name}` happens at a start alone: write `start {name}`"
            ));
        }
    };
    Timed::new(after, kind, lasts.map(time).transpose()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_length_is_read_as_it_is_written(millis in 0_u64..400_000_000) {
            let length = Duration::from_millis(millis);
            prop_assert_eq!(Millis::parse(&written(length)).map(Duration::from), Ok(length));
        }
    }

    #[test]
    fn lengths_are_short() {
        let texts = [0, 250, 42_000, 90_000, 7_200_000, 3_661_000]
            .map(|millis| written(Duration::from_millis(millis)));
        assert_eq!(texts, ["0s", "250ms", "42s", "1m30s", "2h", "1h1m1s"]);
    }
}
