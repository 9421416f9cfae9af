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
    /// Its process is there, but it has said nothing for longer than it should: stopped, or hanging.
    Silent {
        /// Its host.
        host: String,
        /// Its process id.
        pid: u32,
        /// For how long.
        silent_ms: Millis,
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

    /// The process was looked for and is not there; it was last heard of then.
    pub(super) fn gone(self, heard: Timestamp) -> Self {
        match self {
            Self::Watching { host, pid, .. } => Self::Gone {
                host,
                pid,
                since: Iso(heard),
            },
            other => other,
        }
    }

    /// The process is there, and has not been heard for so long.
    pub(super) fn silent(self, silent_ms: Millis) -> Self {
        match self {
            Self::Watching { host, pid, .. } => Self::Silent {
                host,
                pid,
                silent_ms,
            },
            other => other,
        }
    }

    /// In words, at this moment.
    pub(super) fn text(&self, now: Timestamp, zone: &TimeZone) -> String {
        const GOES_ON: &str = "what was started goes on; watch again: `toolorch up`";
        let moment = |at: &Iso| wall::moment(at.0, now, zone);
        match self {
            Self::Nobody => "nobody watches".to_owned(),
            Self::Watching { host, pid, since } => {
                format!("watched by pid {pid} on {host} since {}", moment(since))
            }
            Self::Silent {
                host,
                pid,
                silent_ms,
            } => format!(
                "pid {pid} on {host} should watch, but has said nothing for {silent_ms}: is it stopped, or its disk full?"
            ),
            Self::Left {
                host,
                pid,
                why,
                since,
            } => format!(
                "nobody watches since {}: pid {pid} on {host} left ({why}); {GOES_ON}",
                moment(since)
            ),
            Self::Gone { host, pid, since } => format!(
                "nobody watches since {}: pid {pid} on {host} is gone; {GOES_ON}",
                moment(since)
            ),
        }
    }
}
