//! The state of a run: the fold of its events, and nothing else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::books::Books;
use super::event::{Event, GaveUp, Handle, OutsideSeen, Record, Verdict, Waits};
use crate::base::{
    ConfigName, Epoch, EvalName, Generation, LaunchId, Millis, RunId, Timestamp, UnitId,
};
use crate::facts::{Degraded, Exit, Liveness, ProbeFailure};

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Phase {
    /// Nothing was recorded.
    #[default]
    New,
    /// It goes on.
    Running,
    /// It is over, with this exit code.
    Ended(u8),
}

/// The state of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunState {
    /// How far it is.
    pub phase: Phase,
    /// Its name.
    pub run: Option<RunId>,
    /// SHA-256 of the plan it follows.
    pub plan_sha256: String,
    /// When it began.
    pub since: Timestamp,
    /// The last line's number.
    pub seq: u64,
    /// The highest epoch seen.
    pub epoch: Epoch,
    /// Who watches, or watched last.
    pub owner: Option<Owner>,
    /// Units that were ever started or judged.
    pub units: BTreeMap<UnitId, UnitState>,
    /// Client configurations by name, as last written.
    pub configs: BTreeMap<ConfigName, ConfigState>,
    /// Evaluations.
    pub evals: BTreeMap<EvalName, EvalState>,
    /// Alarms of the last owner, oldest first.
    pub alarms: Vec<(Timestamp, String)>,
    /// What servers counted while clients ran.
    pub books: Books,
    /// `toolorch down` ended it.
    pub taken_down: bool,
}

/// A controller that took the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its host.
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
    /// That it left, if it said so; a killed one could not.
    pub left: Option<Left>,
}

/// A controller that said that it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: String,
}

/// A client configuration that was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigState {
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Where it says that each server is asked: `host:port`.
    pub named: BTreeMap<UnitId, String>,
}

/// What is recorded of a unit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UnitState {
    /// Its last start.
    pub generation: Generation,
    /// The launch id of its last start.
    pub launch: Option<LaunchId>,
    /// SHA-256 of the script of its last start.
    pub script: Option<String>,
    /// How far it is.
    pub phase: UnitPhase,
    /// Where to find it.
    pub handle: Option<Handle>,
    /// When its last start was intended.
    pub since: Timestamp,
    /// When each of its starts was intended, for the restart budget.
    pub starts: Vec<Timestamp>,
    /// The highest rung proved in this start.
    pub rung: Option<RungState>,
    /// The last rung that was disproved in this start.
    pub refuted: Option<(String, ProbeFailure)>,
    /// How long this start took to be ready for the first time; another owner proves it again.
    pub ready_after: Option<Millis>,
    /// How this start lives, where that is not as it should be, and what speaks for it.
    pub liveness: Option<(Liveness, String)>,
    /// How it last ended.
    pub exit: Option<Exit>,
    /// It is not started, whoever owns the run, until it is undrained.
    pub drained: bool,
}

impl UnitState {
    /// A start is about to happen: nothing of the one before holds for it.
    fn intend(&mut self, generation: Generation, launch: &LaunchId, at: Timestamp) {
        self.generation = generation;
        self.launch = Some(launch.clone());
        self.phase = UnitPhase::Intended;
        self.since = at;
        self.starts.push(at);
        self.handle = None;
        self.rung = None;
        self.refuted = None;
        self.ready_after = None;
        self.liveness = None;
    }
}

/// A rung that was proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RungState {
    /// Its name.
    pub name: String,
    /// What was learnt.
    pub detail: String,
}

/// How far a unit is.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum UnitPhase {
    /// Never started.
    #[default]
    Planned,
    /// A start was intended; whether it happened is not recorded yet.
    Intended,
    /// The launcher did its part.
    Launched,
    /// Its process was seen.
    Started,
    /// All rungs were proved, this long after its start.
    Ready(Millis),
    /// A stop was intended.
    Stopping,
    /// It ended; another start may follow.
    Exited,
    /// Nothing of it is left and it is not wanted.
    Stopped,
    /// It is not started again.
    GaveUp(GaveUp),
}

impl UnitPhase {
    /// Something of it may be running.
    pub fn may_live(&self) -> bool {
        matches!(
            self,
            Self::Intended | Self::Launched | Self::Started | Self::Ready(_) | Self::Stopping
        )
    }
}

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
    /// The state after all these records.
    pub fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut state = Self::default();
        for record in records {
            state.apply(record);
        }
        state
    }

    /// Takes one more record. Records of a superseded epoch change nothing.
    pub fn apply(&mut self, record: &Record) {
        if record.epoch < self.epoch {
            return;
        }
        self.epoch = record.epoch;
        self.seq = record.seq;
        let at = record.at;
        match &record.event {
            Event::RunStarted {
                run, plan_sha256, ..
            } => {
                self.phase = Phase::Running;
                self.run = Some(run.clone());
                self.plan_sha256.clone_from(plan_sha256);
                self.since = at;
            }
            Event::OwnerTook { host, pid } => {
                self.phase = Phase::Running;
                // What an earlier owner was alarmed of may be mended; who still sees it says it again.
                self.alarms.clear();
                self.taken_down = false;
                self.books.taken();
                self.owner = Some(Owner {
                    host: host.clone(),
                    pid: *pid,
                    since: at,
                    left: None,
                });
                // The time without an owner says nothing about the pace.
                self.evals.values_mut().for_each(|eval| eval.recent.clear());
                self.judge_afresh();
            }
            Event::DownBegan { .. } => self.taken_down = true,
            Event::ConfigWritten {
                config,
                sha256,
                named,
                ..
            } => {
                let (sha256, named) = (sha256.clone(), named.clone());
                self.configs
                    .insert(config.clone(), ConfigState { sha256, named });
            }
            Event::EvalProgress { .. }
            | Event::OutsideCall { .. }
            | Event::Routed { .. }
            | Event::EvalHeld { .. }
            | Event::EvalResumed { .. }
            | Event::EvalEnded { .. }
            | Event::EvalWaits { .. }
            | Event::EvalDegraded { .. }
            | Event::RetryIntended { .. } => {
                self.apply_eval(at, &record.event);
            }
            Event::BooksOpened {
                eval,
                mark,
                servers,
                unread,
            } => self.books.open(eval, *mark, servers, unread),
            Event::ServerCounted { served } => self.books.server_ended(served),
            Event::BooksClosed { servers, unread } => self.books.close(servers, unread),
            Event::Alarm { text, .. } => self.alarms.push((at, text.clone())),
            Event::OwnerLeft { why } => {
                if let Some(owner) = &mut self.owner {
                    let why = why.clone();
                    owner.left = Some(Left { at, why });
                }
            }
            Event::RunEnded { code, .. } => self.phase = Phase::Ended(*code),
            event => self.apply_unit(at, event),
        }
    }

    fn apply_eval(&mut self, at: Timestamp, event: &Event) {
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
            }
            _ => {}
        }
    }

    fn apply_unit(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::LaunchIntended {
                unit,
                generation,
                launch,
                script,
            } => {
                let retries = self.retry_begins(unit);
                let state = self.units.entry(unit.clone()).or_default();
                if retries {
                    // It has a budget of its own.
                    state.starts.clear();
                }
                state.intend(*generation, launch, at);
                state.script.clone_from(script);
            }
            Event::Launched {
                unit,
                generation,
                handle,
            } => self.change(unit, *generation, |state| {
                state.handle = Some(handle.clone());
                if state.phase == UnitPhase::Intended {
                    state.phase = UnitPhase::Launched;
                }
            }),
            Event::LaunchFailed {
                unit,
                generation,
                why,
            } => self.change(unit, *generation, |state| {
                state.phase = UnitPhase::Exited;
                state.exit = Some(Exit {
                    generation: *generation,
                    launch: state.launch.clone().unwrap_or_else(|| LaunchId::new("")),
                    code: None,
                    signal: None,
                    requested: false,
                    reason: Some(why.clone()),
                    tail: Vec::new(),
                    cause: None,
                });
            }),
            Event::Started {
                unit, generation, ..
            } => self.change(unit, *generation, |state| {
                if !matches!(state.phase, UnitPhase::Stopping) {
                    state.phase = UnitPhase::Started;
                }
                state.rung = None;
            }),
            Event::Climbed {
                unit,
                generation,
                rung,
                detail,
                ..
            } => self.change(unit, *generation, |state| {
                state.rung = Some(RungState {
                    name: rung.clone(),
                    detail: detail.clone(),
                });
                state.refuted = None;
            }),
            Event::Refuted {
                unit,
                generation,
                rung,
                failure,
            } => self.change(unit, *generation, |state| {
                state.refuted = Some((rung.clone(), failure.clone()));
            }),
            Event::Ready {
                unit,
                generation,
                after,
            } => self.change(unit, *generation, |state| {
                let first = *state.ready_after.get_or_insert(*after);
                state.phase = UnitPhase::Ready(first);
            }),
            event => self.apply_end(event),
        }
    }

    fn apply_end(&mut self, event: &Event) {
        match event {
            Event::Judged {
                unit,
                generation,
                liveness,
                why,
            } => self.change(unit, *generation, |state| {
                let bad = *liveness != Liveness::Well;
                state.liveness = bad.then(|| (*liveness, why.clone()));
            }),
            Event::Exited { unit, exit } => self.change(unit, exit.generation, |state| {
                state.phase = UnitPhase::Exited;
                state.exit = Some(exit.clone());
            }),
            Event::StopIntended {
                unit,
                generation,
                why,
            } => self.change(unit, *generation, |state| {
                state.phase = UnitPhase::Stopping;
                if why.is_nobodys_fault() {
                    // It did its work: its next start is no restart after a failure.
                    state.starts.pop();
                }
            }),
            Event::Stopped { unit, generation } => {
                self.change(unit, *generation, |state| state.phase = UnitPhase::Stopped);
            }
            Event::Drained { unit } => self.units.entry(unit.clone()).or_default().drained = true,
            Event::Undrained { unit } => self.undrain(unit),
            Event::GaveUp { unit, why } => {
                self.units.entry(unit.clone()).or_default().phase = UnitPhase::GaveUp(why.clone());
            }
            _ => {}
        }
    }

    /// Whether this start of a client is the one that asks results in error again.
    fn retry_begins(&mut self, unit: &UnitId) -> bool {
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

    /// It is like one that was never started, with a budget of its own.
    fn undrain(&mut self, unit: &UnitId) {
        let state = self.units.entry(unit.clone()).or_default();
        state.drained = false;
        if !state.phase.may_live() {
            state.phase = UnitPhase::Planned;
            state.starts.clear();
        }
    }

    /// A new owner tries again what an earlier one gave up, with a budget of its own.
    fn judge_afresh(&mut self) {
        for unit in self.units.values_mut() {
            if !unit.phase.may_live() {
                unit.phase = UnitPhase::Planned;
                unit.starts.clear();
            }
        }
        for eval in self.evals.values_mut() {
            eval.verdict = None;
        }
    }

    /// Changes a unit's state unless the event speaks of an earlier start.
    fn change(&mut self, unit: &UnitId, generation: Generation, change: impl Fn(&mut UnitState)) {
        let state = self.units.entry(unit.clone()).or_default();
        if generation >= state.generation {
            state.generation = generation;
            change(state);
        }
    }

    /// The unit's state; a unit without records is planned.
    pub fn unit(&self, id: &UnitId) -> UnitState {
        self.units.get(id).cloned().unwrap_or_default()
    }
}
