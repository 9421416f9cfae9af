//! What is recorded of an evaluation, and how events change it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::RunState;
use super::event::{Event, OutsideSeen, Verdict, Waits};
use crate::base::{EvalName, Generation, Millis, Timestamp, UnitId};
use crate::facts::Degraded;

/// What is recorded of an evaluation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EvalState {
    /// Ids with a complete result.
    pub done: usize,
    /// Of these, in error.
    pub errors: usize,
    /// Of these, right, where results say so.
    pub correct: Option<usize>,
    /// Torn files set aside.
    pub torn: usize,
    /// All ids.
    pub total: usize,
    /// When `done` last grew.
    pub moved: Timestamp,
    /// Counts of `done` since this owner came, oldest first: the recent pace is read from them.
    pub recent: VecDeque<(Timestamp, usize)>,
    /// What its client waits for, for longer than usual.
    pub waits: Option<Waits>,
    /// What the logs of its client tell of answers that are worse than they look, by its starts.
    pub degraded: BTreeMap<Generation, Degraded>,
    /// How far the one retry of results in error is.
    pub retry: Retry,
    /// Its client died or stalled, and fewer questions are in flight since.
    pub slowed: Option<Slowed>,
    /// Its client is stopped until what it requires is there again.
    pub held: Option<Held>,
    /// How it ended.
    pub verdict: Option<Verdict>,
    /// Calls to places that are not declared: how often each, and how that was noticed.
    pub outside: BTreeMap<(String, OutsideSeen), u64>,
    /// How closely its clients' calls were watched.
    pub routing: Routing,
}

/// How closely the calls of an evaluation's clients were watched, all starts together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Routing {
    /// Clients of which that is recorded.
    pub clients: u32,
    /// Of these, those at whose sockets nobody looked.
    pub unseen: u32,
    /// Looks at sockets.
    pub looks: u64,
    /// The longest time between two of them.
    pub longest: Millis,
    /// Of these, those whose environment is not recorded.
    pub unscrubbed: u32,
    /// Credentials, endpoints and proxies that were kept from them.
    pub dropped: BTreeSet<String>,
    /// Such names that reached one although nobody asked for them.
    pub slipped: BTreeSet<String>,
}

impl Routing {
    fn add(&mut self, looks: u64, longest: Millis, dropped: Option<&[String]>, slipped: &[String]) {
        self.clients += 1;
        self.unseen += u32::from(looks == 0);
        self.looks += looks;
        self.longest = self.longest.max(longest);
        self.unscrubbed += u32::from(dropped.is_none());
        self.dropped.extend(dropped.into_iter().flatten().cloned());
        self.slipped.extend(slipped.iter().cloned());
    }
}

/// The retry of results in error, which a run makes once for each evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retry {
    /// Nothing was asked again.
    #[default]
    None,
    /// So many results are set aside, or some of them are; no client was started on that.
    Intended(usize),
    /// A client was started to ask so many questions again.
    Begun(usize),
}

impl Retry {
    /// How many questions are asked again, or were.
    pub fn ids(self) -> usize {
        match self {
            Self::None => 0,
            Self::Intended(ids) | Self::Begun(ids) => ids,
        }
    }
}

/// Fewer questions in flight than the YAML names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowed {
    /// How many.
    pub concurrency: u32,
    /// How many the YAML named when that began; none where that was not recorded.
    pub instead_of: Option<u32>,
}

/// An outage for which an evaluation is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What failed from then on is asked again.
    pub since: Timestamp,
    /// What is not there.
    pub why: String,
}

impl EvalState {
    /// What all logs of its client tell of answers that are worse than they look.
    pub fn degraded(&self) -> Degraded {
        let mut all = Degraded::default();
        self.degraded.values().for_each(|one| all.add(one));
        all
    }

    /// The time that [`Self::recent`] looks back, unless that leaves fewer than `FEWEST` counts.
    const WINDOW: Millis = Millis::from_secs(600);
    const FEWEST: usize = 8;

    /// Keeps a count for the pace; one below the last (results were set aside) begins anew.
    fn remember(&mut self, at: Timestamp, done: usize) {
        if done < self.done {
            self.recent.clear();
        }
        self.recent.push_back((at, done));
        while self.recent.len() > Self::FEWEST
            && self
                .recent
                .front()
                .is_some_and(|(first, _)| at.since(*first) > Self::WINDOW)
        {
            self.recent.pop_front();
        }
    }
}

impl RunState {
    pub(super) fn apply_eval(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::EvalProgress {
                eval,
                done,
                errors,
                correct,
                torn,
                total,
            } => {
                let state = self.evals.entry(eval.clone()).or_default();
                if *done > state.done || state.total == 0 {
                    state.moved = at;
                }
                state.remember(at, *done);
                state.done = *done;
                state.errors = *errors;
                state.correct = *correct;
                state.torn = *torn;
                state.total = *total;
            }
            Event::RetryIntended { eval, ids } => {
                // A retry that an earlier owner began to make ready has set some of them aside.
                let retry = &mut self.evals.entry(eval.clone()).or_default().retry;
                *retry = Retry::Intended(retry.ids().max(*ids));
            }
            Event::EvalWaits { eval, waits } => {
                let state = self.evals.entry(eval.clone()).or_default();
                state.waits.clone_from(waits);
            }
            Event::EvalDegraded {
                eval,
                generation,
                degraded,
            } => {
                let state = self.evals.entry(eval.clone()).or_default();
                state.degraded.insert(*generation, degraded.clone());
            }
            Event::EvalSlowed {
                eval,
                concurrency,
                instead_of,
            } => {
                self.evals.entry(eval.clone()).or_default().slowed = Some(Slowed {
                    concurrency: *concurrency,
                    instead_of: *instead_of,
                });
            }
            Event::EvalHeld {
                eval,
                unit,
                since,
                why,
            } => {
                self.evals.entry(eval.clone()).or_default().held = Some(Held {
                    since: *since,
                    why: why.clone(),
                });
                self.units.entry(unit.clone()).or_default().starts.pop();
            }
            Event::EvalResumed { eval, .. } => {
                self.evals.entry(eval.clone()).or_default().held = None;
            }
            Event::OutsideCall {
                eval,
                place,
                seen,
                times,
            } => {
                let state = self.evals.entry(eval.clone()).or_default();
                state.outside.insert((place.clone(), *seen), *times);
            }
            Event::Routed {
                eval,
                looks,
                longest,
                dropped,
                slipped,
            } => {
                let state = self.evals.entry(eval.clone()).or_default();
                let dropped = dropped.as_deref();
                state.routing.add(*looks, *longest, dropped, slipped);
            }
            Event::EvalEnded { eval, verdict } => {
                let state = self.evals.entry(eval.clone()).or_default();
                state.verdict = Some(verdict.clone());
                state.waits = None;
                state.held = None;
                // Whoever starts it anew has changed something, or wants to see.
                state.slowed = None;
            }
            _ => {}
        }
    }

    /// Whether this start of a client is the one that asks results in error again.
    pub(super) fn retry_begins(&mut self, unit: &UnitId) -> bool {
        let evals = self.evals.iter_mut();
        let of_unit = |(name, _): &(&EvalName, _)| UnitId::eval(name) == *unit;
        let Some((_, eval)) = evals.into_iter().find(of_unit) else {
            return false;
        };
        let Retry::Intended(ids) = eval.retry else {
            return false;
        };
        eval.retry = Retry::Begun(ids);
        true
    }
}
