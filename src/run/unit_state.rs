//! What is recorded of a unit, and how events change it.

use super::RunState;
use super::event::{Event, GaveUp, Handle};
use crate::base::{Generation, LaunchId, Millis, Place, Timestamp, UnitId};
use crate::facts::{Exit, Liveness, ProbeFailure};
use crate::plan::{Endpoint, Group, Plan};

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
    /// Where it was told to listen, if that is not what the plan says.
    pub place: Option<Place>,
    /// What its start waits for in a queue.
    pub queued: Option<InQueue>,
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
    /// When nothing was left of a start that nobody ended.
    pub died: Option<Timestamp>,
    /// The last start of which it was seen that nothing is left.
    pub gone: Generation,
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
        self.queued = None;
        self.place = None;
        self.rung = None;
        self.refuted = None;
        self.ready_after = None;
        self.liveness = None;
        self.died = None;
    }

    /// It came to its end without being asked to.
    fn died_by_itself(&self) -> bool {
        let exit = self.exit.as_ref();
        let died = exit.is_some_and(|exit| exit.generation == self.generation && !exit.requested);
        died || self.liveness.is_some()
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

/// A start that waits in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InQueue {
    /// The job, and what it waits for.
    pub why: String,
    /// When it may begin, as the queue estimates: local time of its machine.
    pub starts: Option<String>,
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

impl UnitState {
    /// Nothing of its last start was ever handed over: the launcher refused it, or the queue does not answer.
    pub fn never_sent(&self) -> bool {
        let failed = (self.exit.as_ref()).is_some_and(|exit| exit.generation == self.generation);
        let unsent = self.phase == UnitPhase::Intended && self.queued.is_some();
        self.handle.is_none() && (unsent || (self.phase == UnitPhase::Stopping && failed))
    }
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

impl RunState {
    pub(super) fn apply_unit(&mut self, at: Timestamp, event: &Event) {
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
                // What waited until the queue answered now waits in it, if at all.
                if state.handle.replace(handle.clone()).is_none() {
                    state.queued = None;
                }
                if state.phase == UnitPhase::Intended {
                    state.phase = UnitPhase::Launched;
                }
            }),
            Event::Queued {
                unit,
                generation,
                why,
                starts,
            } => self.change(unit, *generation, |state| {
                let (why, starts) = (why.clone(), starts.clone());
                state.queued = Some(InQueue { why, starts });
            }),
            Event::Placed {
                unit,
                generation,
                place,
            } => self.change(unit, *generation, |state| {
                state.place = Some(place.clone());
            }),
            Event::LaunchFailed {
                unit,
                generation,
                why,
            } => self.change(unit, *generation, |state| {
                state.phase = UnitPhase::Exited;
                state.died = Some(at);
                state.exit = Some(Exit {
                    reason: Some(why.clone()),
                    ..Exit::of(
                        *generation,
                        state.launch.clone().unwrap_or_else(|| LaunchId::new("")),
                    )
                });
            }),
            Event::Started {
                unit, generation, ..
            } => self.change(unit, *generation, |state| {
                if !matches!(state.phase, UnitPhase::Stopping) {
                    state.phase = UnitPhase::Started;
                }
                state.queued = None;
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
                state.liveness = None;
            }),
            event => self.apply_end(at, event),
        }
    }

    fn apply_end(&mut self, at: Timestamp, event: &Event) {
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
                state.died = (!exit.requested).then_some(at);
                state.gone = exit.generation;
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
                self.change(unit, *generation, |state| {
                    state.phase = UnitPhase::Stopped;
                    state.died = state.died_by_itself().then_some(at);
                    state.gone = *generation;
                });
            }
            Event::Drained { unit } => self.units.entry(unit.clone()).or_default().drained = true,
            Event::Undrained { unit } => self.undrain(unit),
            Event::GaveUp { unit, why } => {
                self.units.entry(unit.clone()).or_default().phase = UnitPhase::GaveUp(why.clone());
            }
            _ => {}
        }
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

    /// Changes a unit's state unless the event speaks of an earlier start.
    fn change(&mut self, unit: &UnitId, generation: Generation, change: impl Fn(&mut UnitState)) {
        let state = self.units.entry(unit.clone()).or_default();
        if generation >= state.generation {
            state.generation = generation;
            change(state);
        }
    }

    /// How many servers of a group an evaluation wants to be ready: drained ones are not missed as long as another is left.
    pub fn wanted_of(&self, group: &Group) -> usize {
        let drained = |end: &&Endpoint| self.units.get(&end.unit).is_some_and(|unit| unit.drained);
        let drained = group.endpoints.iter().filter(drained).count();
        let left = group.endpoints.len() - drained;
        group.min_ready.min(left.max(1))
    }

    /// Moves the units of a plan to where they were told to listen.
    pub fn place_units(&self, plan: &mut Plan) {
        for (unit, state) in &self.units {
            if let Some(place) = &state.place {
                plan.place(unit, place);
            }
        }
    }

    /// Whether it was ever started, as far as the journal can tell: each start is on record before it happens.
    pub fn may_have_started(&self, id: &UnitId) -> bool {
        let unit = self.units.get(id);
        self.rebuilt || unit.is_some_and(|unit| unit.generation > Generation(0))
    }

    /// Whether nothing of it can live: it was never started, or the end of its last start was seen.
    pub fn is_settled(&self, id: &UnitId) -> bool {
        let ended = |unit: &UnitState| unit.gone == unit.generation && unit.gone > Generation(0);
        !self.may_have_started(id) || self.units.get(id).is_some_and(ended)
    }

    /// The unit's state; a unit without records is planned.
    pub fn unit(&self, id: &UnitId) -> UnitState {
        self.units.get(id).cloned().unwrap_or_default()
    }
}
