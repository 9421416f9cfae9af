//! Who watches a run, in one line.

use jiff::tz::TimeZone;
use serde::Serialize;

use super::status::Iso;
use super::wall;
use crate::base::{Millis, Timestamp, UnitId, clean};
use crate::run::RunState;

/// Who watches a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Watcher {
    /// Nobody ever did.
    Nobody,
    /// This process, as far as the journal says.
    Watching {
        /// Its host.
        host: String,
        /// Its process id.
        pid: u32,
        /// Since when.
        since: Iso,
    },
    /// It watches, and cannot write down what it sees: its disk is full, or fails.
    Unrecorded {
        /// Its host.
        host: String,
        /// Its process id.
        pid: u32,
        /// Since when.
        since: Iso,
    },
    /// Its process is there, and is stopped: by Ctrl-Z, SIGSTOP, a debugger.
    Stopped {
        /// Its host.
        host: String,
        /// Its process id.
        pid: u32,
        /// When it was last heard of.
        since: Iso,
        /// In how long another may take its place.
        left_ms: Millis,
    },
    /// Its process is there, but it has said nothing for longer than it should: it hangs.
    Silent {
        /// Its host.
        host: String,
        /// Its process id.
        pid: u32,
        /// For how long.
        silent_ms: Millis,
    },
    /// `toolorch down` stops it.
    GoingDown {
        /// Its host.
        host: String,
        /// Its process id.
        pid: u32,
        /// Since when.
        since: Iso,
    },
    /// A `toolorch down` was cut short, or could not stop everything.
    CutShort {
        /// Its host.
        host: String,
        /// Its process id.
        pid: u32,
        /// When it was last heard of.
        since: Iso,
    },
    /// It said that it leaves.
    Left {
        /// Its host.
        host: String,
        /// Its process id.
        pid: u32,
        /// Why.
        why: String,
        /// When.
        since: Iso,
    },
    /// It is gone without a word.
    Gone {
        /// Its host.
        host: String,
        /// Its process id.
        pid: u32,
        /// When it was last heard of.
        since: Iso,
    },
}

/// What one look at a watcher found that the journal does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It cannot write its journal.
    Unrecorded {
        /// Since when.
        since: Timestamp,
    },
    /// Its process is stopped.
    Stopped {
        /// When it was last heard of.
        heard: Timestamp,
        /// In how long another may take its place.
        left_ms: Millis,
    },
    /// Its process is there, and has not been heard.
    Silent {
        /// For how long.
        silent_ms: Millis,
    },
    /// Its process is not there.
    Gone {
        /// When it was last heard of.
        heard: Timestamp,
    },
}

/// The unit that stops itself next, if nothing moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdleStop {
    /// Which.
    pub unit: UnitId,
    /// In how long.
    pub left_ms: Millis,
}

impl Watcher {
    /// What the journal says.
    pub(super) fn of(run: &RunState) -> Self {
        if let Some(down) = &run.down {
            return Self::GoingDown {
                host: clean(&down.host),
                pid: down.pid,
                since: Iso(down.since),
            };
        }
        let Some(owner) = &run.owner else {
            return Self::Nobody;
        };
        let (host, pid) = (clean(&owner.host), owner.pid);
        match &owner.left {
            Some(left) => Self::Left {
                host,
                pid,
                why: clean(&left.why),
                since: Iso(left.at),
            },
            None => Self::Watching {
                host,
                pid,
                since: Iso(owner.since),
            },
        }
    }

    /// Nobody is there who would start anything.
    pub(super) fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::Nobody | Self::CutShort { .. } | Self::Left { .. } | Self::Gone { .. }
        )
    }

    /// What one look found, where the journal says that it is at work.
    pub(super) fn seen(self, seen: Seen) -> Self {
        let (host, pid) = match (self, seen) {
            (Self::Watching { host, pid, .. }, _) => (host, pid),
            (Self::GoingDown { host, pid, .. }, Seen::Gone { heard }) => {
                let since = Iso(heard);
                return Self::CutShort { host, pid, since };
            }
            (other, _) => return other,
        };
        match seen {
            Seen::Unrecorded { since } => Self::Unrecorded {
                host,
                pid,
                since: Iso(since),
            },
            Seen::Stopped { heard, left_ms } => Self::Stopped {
                host,
                pid,
                since: Iso(heard),
                left_ms,
            },
            Seen::Silent { silent_ms } => Self::Silent {
                host,
                pid,
                silent_ms,
            },
            Seen::Gone { heard } => Self::Gone {
                host,
                pid,
                since: Iso(heard),
            },
        }
    }

    /// In words, at this moment, with so many units that run or may.
    pub(super) fn text(&self, living: usize, now: Timestamp, zone: &TimeZone) -> String {
        let goes_on = match living {
            0 => "`toolorch up` goes on with it, `toolorch down` ends the run",
            _ => "what was started goes on; watch again: `toolorch up`",
        };
        let moment = |at: &Iso| wall::moment(at.0, now, zone);
        match self {
            Self::Nobody => "nobody watches".to_owned(),
            Self::Watching { host, pid, since } => {
                format!("watched by pid {pid} on {host} since {}", moment(since))
            }
            Self::Unrecorded { host, pid, since } => format!(
                "watched by pid {pid} on {host}, which cannot write its journal since {}: its disk is full or fails; this is what can be seen without it",
                moment(since)
            ),
            Self::Stopped {
                host,
                pid,
                since,
                left_ms,
            } => {
                let when = match left_ms {
                    Millis(0) => String::new(),
                    left => format!(" in {left}"),
                };
                format!(
                    "its controller, pid {pid} on {host}, is stopped since about {}: let it go on (kill -CONT {pid}), or `toolorch up` takes over{when}",
                    moment(since)
                )
            }
            Self::Silent {
                host,
                pid,
                silent_ms,
            } => format!(
                "pid {pid} on {host} should watch, but has said nothing for {silent_ms}: does it hang, or is it on another machine?"
            ),
            Self::GoingDown { host, pid, since } => format!(
                "`toolorch down` stops it, pid {pid} on {host} since {}",
                moment(since)
            ),
            Self::CutShort { host, pid, since } => format!(
                "`toolorch down` did not come to its end: pid {pid} on {host} is gone since about {}; `toolorch down` once more stops what is left, `toolorch up` goes on with it",
                moment(since)
            ),
            Self::Left {
                host,
                pid,
                why,
                since,
            } => format!(
                "nobody watches since {}: pid {pid} on {host} left ({why}); {goes_on}",
                moment(since)
            ),
            Self::Gone { host, pid, since } => format!(
                "nobody watches since about {}: pid {pid} on {host} is gone; {goes_on}",
                moment(since)
            ),
        }
    }
}
