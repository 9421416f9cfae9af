//! Exit codes: a promise to scripts, so each has a name, a number and words.

use std::fmt;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitStatus {
    /// Everything that was asked for is done.
    Done = 0,
    /// A fault of this program.
    Internal = 1,
    /// The arguments or the YAML are wrong; nothing was touched.
    Usage = 2,
    /// A node or the look before the start refused, or something could not be proved.
    Refused = 3,
    /// Servers did not become ready.
    NotReady = 4,
    /// Ids of the evaluation are missing, invalid or in error.
    Incomplete = 5,
    /// The restart budget is spent, or nothing moved any more.
    GaveUp = 6,
    /// The client talked to an address that is no endpoint of the cluster.
    Misrouted = 7,
    /// The journal is damaged in the middle.
    JournalDamaged = 65,
    /// Another toolorch owns this run.
    OwnedElsewhere = 75,
    /// Interrupted by the user; servers and evaluation keep running.
    Interrupted = 130,
    /// Terminated; servers and evaluation keep running.
    Terminated = 143,
}

impl ExitStatus {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Done,
        Self::Internal,
        Self::Usage,
        Self::Refused,
        Self::NotReady,
        Self::Incomplete,
        Self::GaveUp,
        Self::Misrouted,
        Self::JournalDamaged,
        Self::OwnedElsewhere,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number that the shell sees.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The status of this number, if it is one of ours.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// What it means, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Internal => "internal error",
            Self::Usage => "usage or invalid YAML",
            Self::Refused => "a node or a check before the start refused",
            Self::NotReady => "servers did not become ready",
            Self::Incomplete => "evaluation incomplete",
            Self::GaveUp => "gave up: restart budget spent, or stalled",
            Self::Misrouted => "routing violation",
            Self::JournalDamaged => "journal damaged",
            Self::OwnedElsewhere => "another toolorch owns this run",
            Self::Interrupted => "interrupted; what was started keeps running",
            Self::Terminated => "terminated; what was started keeps running",
        }
    }

    /// The one to report when both hold: the graver of 7 > 65 > 6 > 5 > 4 > 0.
    ///
    /// The others end a command at once and meet no second one; they outrank these.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if other.rank() > self.rank() {
            other
        } else {
            self
        }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::NotReady => 1,
            Self::Incomplete => 2,
            Self::GaveUp => 3,
            Self::JournalDamaged => 4,
            Self::Misrouted => 5,
            Self::Interrupted | Self::Terminated => 6,
            Self::Refused => 7,
            Self::Usage => 8,
            Self::OwnedElsewhere => 9,
            Self::Internal => 10,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code(), self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_found_again() {
        for status in ExitStatus::ALL {
            assert_eq!(ExitStatus::from_code(status.code()), Some(status));
        }
        assert_eq!(ExitStatus::from_code(42), None);
    }

    #[test]
    fn the_gravest_is_reported() {
        use ExitStatus::{Done, GaveUp, Incomplete, JournalDamaged, Misrouted, NotReady};
        let graver = [
            Misrouted,
            JournalDamaged,
            GaveUp,
            Incomplete,
            NotReady,
            Done,
        ];
        for pair in graver.windows(2) {
            assert_eq!(pair[0].worse(pair[1]), pair[0]);
            assert_eq!(pair[1].worse(pair[0]), pair[0]);
        }
    }
}
