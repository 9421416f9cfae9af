//! The decisions of one owner: inputs in, effects out, no clock and no files.

use std::collections::{BTreeMap, BTreeSet};

use super::effect::{Effect, Outcome};
use super::evals::EvalWork;
use super::input::Input;
use super::servers::ServerWork;
use crate::base::{ConfigName, Epoch, EvalName, Timestamp, UnitId};
use crate::facts::Signal;
use crate::plan::{Plan, Unit, UnitKind};
use crate::run::{Event, Phase, Record, RunState, StopWhy, UnitPhase};
use crate::spec::model::WhenDone;

/// What an owner is to achieve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    /// Servers that are not there may be started.
    pub start_servers: bool,
    /// Evaluations to run, in the plan's order.
    pub evals: Vec<EvalName>,
}

impl Goal {
    /// Whether reaching it may start this unit.
    pub fn starts(&self, unit: &Unit) -> bool {
        match &unit.kind {
            UnitKind::Eval { name } => self.evals.contains(name),
            UnitKind::Replica { .. } | UnitKind::Service { .. } => self.start_servers,
        }
    }
}

/// How far the owner's own work is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Course {
    /// Servers come up, evaluations run.
    Working,
    /// All is decided, the servers go down.
    Stopping(Outcome),
    /// Nothing more will be said.
    Over,
}

/// The owner of a run.
#[derive(Debug)]
pub struct Brain {
    pub(super) plan: Plan,
    pub(super) goal: Goal,
    pub(super) state: RunState,
    epoch: Epoch,
    pub(super) servers: BTreeMap<UnitId, ServerWork>,
    pub(super) evals: BTreeMap<EvalName, EvalWork>,
    /// Configurations asked for where no evaluation does.
    pub(super) configs_asked: BTreeSet<ConfigName>,
    /// Configurations that were written, or could not be.
    pub(super) configs_done: BTreeSet<ConfigName>,
    pub(super) began: Timestamp,
    course: Course,
    out: Vec<Effect>,
}

impl Brain {
    /// An owner with what the journal says so far; nothing happens before [`Input::Begin`].
    pub fn new(plan: Plan, goal: Goal, state: RunState, epoch: Epoch) -> Self {
        Self {
            plan,
            goal,
            state,
            epoch,
            servers: BTreeMap::new(),
            evals: BTreeMap::new(),
            configs_asked: BTreeSet::new(),
            configs_done: BTreeSet::new(),
            began: Timestamp::default(),
            course: Course::Working,
            out: Vec::new(),
        }
    }

    /// The state that follows from all records so far, the owner's own included.
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// The plan that is followed.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Takes one input and says what is to be done, in order.
    #[must_use]
    pub fn step(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        if self.course == Course::Over {
            return Vec::new();
        }
        match input {
            Input::Begin { seen, counted } => self.begin(seen, counted, now),
            Input::Tick => {}
            Input::LaunchDone {
                unit,
                generation,
                result,
            } => self.launch_done(unit, generation, result, now),
            Input::Seen { unit, observation } => self.seen(&unit, observation, now),
            Input::Probed {
                unit,
                generation,
                rung,
                outcome,
            } => self.probed(&unit, generation, rung, outcome, now),
            Input::Prepared { eval, result } => self.prepared(&eval, result, now),
            Input::Counted {
                eval,
                counts,
                signs,
            } => self.counted(&eval, counts, signs, now),
            Input::ConfigDone { config, result } => self.config_done(&config, result, now),
            Input::StopDone {
                unit,
                generation,
                result,
            } => self.stop_done(unit, generation, result, now),
            Input::Leave(signal) => {
                self.leave(signal, now);
                return std::mem::take(&mut self.out);
            }
        }
        self.advance(now);
        std::mem::take(&mut self.out)
    }

    /// When the brain wants a [`Input::Tick`] at the latest.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let servers = self.servers.values().filter_map(ServerWork::wakes);
        let starts = self.pending_starts();
        let evals = self.evals.values().filter_map(EvalWork::wakes);
        servers.chain(starts).chain(evals).min()
    }

    /// Records an event: the state changes at once, the journal follows.
    pub(super) fn record(&mut self, event: Event, now: Timestamp) {
        let record = Record {
            v: Record::FORMAT,
            seq: self.state.seq + 1,
            at: now,
            epoch: self.epoch,
            event,
        };
        self.state.apply(&record);
        self.out.push(Effect::Record(record));
    }

    /// Asks for something to be done.
    pub(super) fn ask(&mut self, effect: Effect) {
        self.out.push(effect);
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn working(&self) -> bool {
        self.course == Course::Working
    }

    /// How far a unit is.
    pub(super) fn phase(&self, unit: &UnitId) -> &UnitPhase {
        self.state
            .units
            .get(unit)
            .map_or(&UnitPhase::Planned, |state| &state.phase)
    }

    /// Everything that may happen because of the input or because time passed.
    fn advance(&mut self, now: Timestamp) {
        if self.working() {
            self.advance_servers(now);
            self.advance_evals(now);
            if let Some(outcome) = self.decided() {
                self.wind_up(outcome, now);
            }
        }
        if let Course::Stopping(outcome) = self.course.clone()
            && self.all_stopped()
        {
            self.end(outcome, now);
        }
    }

    /// The servers stay or go, as the YAML says.
    fn wind_up(&mut self, mut outcome: Outcome, now: Timestamp) {
        if self.plan.when_done == WhenDone::Keep || self.goal.evals.is_empty() {
            outcome.kept = self
                .plan
                .servers()
                .any(|unit| self.phase(&unit.id).may_live());
        }
        if outcome.kept {
            self.course = Course::Over;
            let why = outcome.summary.clone();
            self.record(Event::OwnerLeft { why }, now);
            self.ask(Effect::Finish(outcome));
            return;
        }
        self.course = Course::Stopping(outcome);
        let live: Vec<UnitId> = self
            .plan
            .units
            .iter()
            .filter(|unit| self.phase(&unit.id).may_live())
            .map(|unit| unit.id.clone())
            .collect();
        for unit in live {
            self.stop(unit, StopWhy::Done, now);
        }
    }

    fn all_stopped(&self) -> bool {
        !self
            .plan
            .units
            .iter()
            .any(|unit| self.phase(&unit.id).may_live())
    }

    fn end(&mut self, outcome: Outcome, now: Timestamp) {
        self.course = Course::Over;
        let (code, summary) = (outcome.code, outcome.summary.clone());
        self.record(Event::RunEnded { code, summary }, now);
        self.ask(Effect::Finish(outcome));
    }

    /// Intends to stop a unit, and asks for it.
    pub(super) fn stop(&mut self, unit: UnitId, why: StopWhy, now: Timestamp) {
        let generation = self.state.unit(&unit).generation;
        self.record(
            Event::StopIntended {
                unit: unit.clone(),
                generation,
                why,
            },
            now,
        );
        self.ask(Effect::Stop { unit, generation });
    }

    /// The controller goes; servers and clients stay.
    fn leave(&mut self, signal: Signal, now: Timestamp) {
        let (code, why) = match signal {
            Signal::Interrupt => (130, "interrupted"),
            Signal::Terminate => (143, "terminated"),
        };
        self.course = Course::Over;
        let kept = self
            .plan
            .units
            .iter()
            .any(|unit| self.phase(&unit.id).may_live());
        self.record(
            Event::OwnerLeft {
                why: why.to_owned(),
            },
            now,
        );
        self.ask(Effect::Finish(Outcome {
            code,
            summary: why.to_owned(),
            kept,
        }));
    }

    /// The run's first look around.
    fn begin(
        &mut self,
        seen: Vec<(UnitId, crate::facts::Observation)>,
        counted: Vec<(EvalName, super::Counts)>,
        now: Timestamp,
    ) {
        self.began = now;
        if self.state.phase == Phase::New {
            self.state.since = now;
        }
        for (eval, counts) in counted {
            self.note_counts(&eval, counts, now);
        }
        for (unit, observation) in seen {
            self.adopt(&unit, observation, now);
        }
    }

    /// The unit of this name in the plan, if it is a server.
    pub(super) fn server(&self, id: &UnitId) -> Option<&Unit> {
        self.plan
            .unit(id)
            .filter(|unit| !matches!(unit.kind, UnitKind::Eval { .. }))
    }
}
