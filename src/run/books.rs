//! The routing books of a run: what servers counted while clients ran. The fold of their events.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::base::{EvalName, Timestamp, UnitId};
use crate::facts::Served;

/// Where the reports of an evaluation's clients begin: what was there before is not of this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BooksMark {
    /// When the newest result was written, in nanoseconds, or the length of the file of results.
    pub results: u64,
    /// The length of its call log.
    pub call_log: u64,
}

/// What servers counted while clients ran, all starts together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Books {
    /// Evaluations whose clients ran, and where their reports begin.
    pub evals: BTreeMap<EvalName, BooksMark>,
    /// What each server counted.
    pub servers: BTreeMap<UnitId, Sum>,
    /// Servers that ended while clients ran: what they finished in their last seconds is not known.
    pub ended: BTreeSet<UnitId>,
    /// Servers that could not be asked at the begin or at the end.
    pub unread: BTreeSet<UnitId>,
    /// Another controller took the run while clients ran: probes of the one before are not known.
    pub gap: bool,
    /// The books of the clients that run now.
    open: Option<Open>,
}

/// Books of clients that run.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Open {
    /// When the first of them began.
    since: Timestamp,
    /// What each server had counted then.
    base: BTreeMap<UnitId, Served>,
}

/// Requests, added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sum {
    /// Finished.
    pub finished: u64,
    /// Of these, probes and canaries.
    pub ours: u64,
    /// Probes that brought no answer.
    pub unsure: u64,
}

impl Sum {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            finished: self.finished + other.finished,
            ours: self.ours + other.ours,
            unsure: self.unsure + other.unsure,
        }
    }
}

impl Books {
    /// Clients run, as far as is recorded.
    pub fn are_open(&self) -> bool {
        self.open.is_some()
    }

    /// Since when clients run, as far as is recorded.
    pub fn open_since(&self) -> Option<Timestamp> {
        Some(self.open.as_ref()?.since)
    }

    /// What the probes of this start had counted when the books were opened.
    pub fn base(&self, unit: &UnitId) -> Option<&Served> {
        self.open.as_ref()?.base.get(unit)
    }

    /// A client is about to begin.
    pub(super) fn open(
        &mut self,
        since: Timestamp,
        eval: &EvalName,
        mark: BooksMark,
        servers: &[Served],
        unread: &[UnitId],
    ) {
        self.evals.entry(eval.clone()).or_insert(mark);
        if self.open.is_none() {
            let of = |served: &Served| (served.unit.clone(), served.clone());
            let base = servers.iter().map(of).collect();
            self.open = Some(Open { since, base });
            self.unread.extend(unread.iter().cloned());
        }
    }

    /// A server ended while clients ran.
    pub(super) fn server_ended(&mut self, served: &Served) {
        self.add(served);
        self.ended.insert(served.unit.clone());
        if let Some(open) = &mut self.open {
            // Its next start counts from nothing.
            open.base.remove(&served.unit);
        }
    }

    /// The last client has ended.
    pub(super) fn close(&mut self, servers: &[Served], unread: &[UnitId]) {
        for served in servers {
            self.add(served);
        }
        self.unread.extend(unread.iter().cloned());
        self.open = None;
    }

    /// Another controller takes the run.
    pub(super) fn taken(&mut self) {
        self.gap |= self.open.is_some();
    }

    fn add(&mut self, served: &Served) {
        let base = self.base(&served.unit);
        let base = base.filter(|base| base.generation == served.generation);
        let since = |now: u64, then: fn(&Served) -> u64| now.saturating_sub(base.map_or(0, then));
        let (finished, ours, unsure) = (
            since(served.finished, |base| base.finished),
            since(served.ours, |base| base.ours),
            since(served.unsure, |base| base.unsure),
        );
        let sum = self.servers.entry(served.unit.clone()).or_default();
        sum.finished += finished;
        sum.ours += ours;
        sum.unsure += unsure;
    }
}
