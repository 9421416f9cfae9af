//! The decisions of one owner: inputs in, effects out, no clock and no files.

use std::collections::{BTreeMap, BTreeSet};

use super::effect::{Effect, Outcome};
use super::evals::EvalWork;
use super::input::Input;
use super::pulses::Vitals;
use super::reach::Externals;
use super::stops::Then;
use super::tasks::Task;
use super::wishes::Wishes;
use crate::base::{
    ConfigName, Epoch, EvalName, ExitStatus, Generation, NodeName, Place, Timestamp, UnitId,
};
use crate::diag::alarms;
use crate::eval::PastCall;
use crate::facts::{Observation, Served, Signal};
use crate::plan::{Plan, Unit, UnitKind};
use crate::run::{Event, OutsideSeen, Record, RunState, StopWhy, UnitPhase};

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
            UnitKind::Replica { .. } | UnitKind::Service { .. } | UnitKind::Tunnel { .. } => {
                self.start_servers
            }
        }
    }
}

/// How far the owner's own work is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Course {
    /// Servers come up, evaluations run.
    Working,
    /// All is decided; stops come to their end.
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
    /// How many starts may be under way at once on a machine.
    pub(super) starts_at_once: usize,
    /// The other machines on which units are.
    pub(super) elsewhere: BTreeMap<UnitId, NodeName>,
    /// The tunnel of each server that has one.
    pub(super) tunnels: BTreeMap<UnitId, UnitId>,
    /// Units in SLURM jobs.
    pub(super) in_jobs: BTreeSet<UnitId>,
    /// Those of them that their nodes do not show, and why.
    pub(super) unshown: BTreeMap<UnitId, String>,
    /// When a tunnel was begun anew because nobody behind it answered.
    pub(super) suspected: BTreeMap<UnitId, Timestamp>,
    /// What is to become of units that run by another plan.
    pub(super) wishes: Wishes,
    /// What is to be done about units.
    pub(super) tasks: BTreeMap<UnitId, Task>,
    /// Starts that were asked for and of which no launcher has answered.
    pub(super) launching: BTreeMap<UnitId, Generation>,
    pub(super) evals: BTreeMap<EvalName, EvalWork>,
    /// The vital signs of ready servers.
    pub(super) vitals: Vitals,
    /// What is known of externals.
    pub(super) externals: Externals,
    /// Places in the plan of servers that may wait for their first start, or for one anew.
    pub(super) unstarted: BTreeSet<usize>,
    /// Configurations asked for where no evaluation does.
    pub(super) configs_asked: BTreeSet<ConfigName>,
    /// Configurations that were written, or why they could not be.
    pub(super) configs_done: BTreeMap<ConfigName, Result<(), String>>,
    /// What servers had counted when they were last asked.
    pub(super) served: BTreeMap<UnitId, Served>,
    /// What servers had counted before a client that is about to begin.
    pub(super) opening: BTreeMap<EvalName, Event>,
    /// Undeclared places of which this owner has raised an alarm: a call that came through is another matter than one that
    /// was refused.
    pub(super) outside_told: BTreeSet<(EvalName, Place, OutsideSeen)>,
    /// Calls to undeclared places that are held against results of earlier runs.
    pub(super) past_calls: BTreeMap<EvalName, Vec<PastCall>>,
    pub(super) began: Timestamp,
    /// Jobs whose end was told, with that end.
    pub(super) job_ends_told: BTreeSet<(String, Timestamp)>,
    /// That few of our own files are left was said.
    pub(super) few_files_said: bool,
    course: Course,
    out: Vec<Effect>,
}

impl Brain {
    /// An owner with what the journal says so far; nothing happens before [`Input::Begin`].
    pub fn new(mut plan: Plan, goal: Goal, state: RunState, epoch: Epoch) -> Self {
        state.place_units(&mut plan);
        let here: BTreeSet<&UnitId> = plan.units_here().map(|unit| &unit.id).collect();
        let elsewhere = plan.units.iter().filter(|unit| !here.contains(&unit.id));
        let behind = plan.units.iter().filter_map(|unit| {
            let through = unit.through.as_ref()?;
            Some((unit.id.clone(), through.tunnel.clone()))
        });
        let in_jobs = plan.jobs.iter().flat_map(|job| job.units.clone());
        let in_jobs = in_jobs.collect();
        Self {
            elsewhere: elsewhere
                .map(|unit| (unit.id.clone(), unit.node.clone()))
                .collect(),
            tunnels: behind.collect(),
            in_jobs,
            unshown: BTreeMap::new(),
            suspected: BTreeMap::new(),
            unstarted: (0..plan.units.len()).collect(),
            vitals: Vitals::default(),
            externals: Externals::default(),
            plan,
            goal,
            state,
            epoch,
            starts_at_once: usize::MAX,
            wishes: Wishes::default(),
            tasks: BTreeMap::new(),
            launching: BTreeMap::new(),
            evals: BTreeMap::new(),
            configs_asked: BTreeSet::new(),
            configs_done: BTreeMap::new(),
            served: BTreeMap::new(),
            opening: BTreeMap::new(),
            outside_told: BTreeSet::new(),
            past_calls: BTreeMap::new(),
            began: Timestamp::default(),
            job_ends_told: BTreeSet::new(),
            few_files_said: false,
            course: Course::Working,
            out: Vec::new(),
        }
    }

    /// Lets so many starts be under way at once on each machine, at least one.
    ///
    /// A unit script costs some 30 ms of processor time before its program runs. All at once, the scripts of thirty
    /// units keep each other from their first program for a second; in turn, the first runs at once and the last no
    /// later.
    #[must_use]
    pub fn starting(mut self, at_once: usize) -> Self {
        self.starts_at_once = at_once.max(1);
        self
    }

    /// Lets units that run become those of the plan.
    #[must_use]
    pub fn wishing(mut self, wishes: Wishes) -> Self {
        self.wishes = wishes;
        self
    }

    /// Goes on with results against which calls of earlier runs are held.
    #[must_use]
    pub fn with_past_calls(mut self, held: BTreeMap<EvalName, Vec<PastCall>>) -> Self {
        self.past_calls = held;
        self
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
    ///
    /// Each [`Effect`] that asks for something is answered by one input, whatever came of it;
    /// answers to starts and stops that are past are ignored.
    #[must_use]
    pub fn step(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        if self.course == Course::Over {
            return Vec::new();
        }
        let pulse = matches!(input, Input::Pulsed { .. });
        self.take(input, now);
        // Most pulses say that all is well, and a thousand servers have two hundred of them in a second.
        let news = !pulse || !self.out.is_empty() || self.next_wake().is_some_and(|at| at <= now);
        if news {
            self.advance(now);
        }
        std::mem::take(&mut self.out)
    }

    fn take(&mut self, input: Input, now: Timestamp) {
        match input {
            Input::Begin { seen, counted } => self.begin(seen, counted, now),
            Input::Tick => {}
            Input::Away { length } => self.away(length, now),
            Input::Alarm { alarm, text } => self.alarm(alarm, None, text, now),
            Input::LaunchDone {
                unit,
                generation,
                result,
            } => self.launch_done(&unit, generation, result, now),
            Input::Seen { unit, observation } => self.seen(&unit, observation, now),
            Input::Stranger { unit, port } => {
                let ready = matches!(self.state.unit(&unit).phase, UnitPhase::Ready(_));
                let effect = if ready {
                    "too and takes part of its requests"
                } else {
                    "and keeps it from being ready"
                };
                let text = format!(
                    "another process listens on port {port} of `{unit}` {effect}: \
                     find it with `ss -ltnp` and end it"
                );
                self.alarm("shared-port", Some(&unit), text, now);
            }
            Input::Probed {
                unit,
                generation,
                rung,
                outcome,
            } => self.probed(&unit, generation, rung, outcome, now),
            Input::Pulsed {
                unit,
                generation,
                pulse,
                served,
            } => {
                if let Some(served) = served {
                    self.counted_so_far(served);
                }
                self.pulsed(&unit, generation, pulse, now);
            }
            Input::GpusSeen { unit, seen } => self.gpus_seen(&unit, &seen, now),
            Input::Reached { external, result } => self.reached(&external, result, now),
            Input::Requeued { eval, result } => self.requeued(&eval, result, now),
            Input::Prepared { eval, result } => self.prepared(&eval, result, now),
            Input::BroughtBack { eval, result } => self.brought_back(&eval, result, now),
            Input::Counted {
                eval,
                counts,
                signs,
            } => self.counted(&eval, counts, signs, now),
            Input::FilesSeen {
                unit,
                generation,
                seen,
            } => self.files_seen(&unit, generation, seen, now),
            Input::FilesRaised {
                unit,
                generation,
                seen,
                result,
            } => self.files_raised(&unit, generation, seen, result, now),
            Input::ConfigDone { config, result } => self.config_done(&config, result, now),
            Input::StopDone {
                unit,
                generation,
                result,
            } => self.stop_done(&unit, generation, result, now),
            Input::OwnFiles { open, limit } => self.own_files(open, limit, now),
            Input::Drain { units } => self.drain(&units, now),
            Input::Undrain { units } => self.undrain(&units, now),
            Input::Metered(metered) => self.metered(metered, now),
            Input::Routed(news) => self.routed(news, now),
            Input::Watched { client, watched } => self.watched(&client, watched, now),
            Input::Leave(signal) => self.leave(signal, now),
        }
    }

    /// When the brain wants an [`Input::Tick`] at the latest; always after the last step.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let tasks = self.tasks.values();
        match self.course {
            Course::Working => {
                let evals = self.evals.values().filter_map(EvalWork::wakes);
                let tasks = tasks.filter_map(Task::wakes);
                let pulses = [self.vitals.wakes(), self.externals.wakes()];
                tasks
                    .chain(self.pending_starts())
                    .chain(evals)
                    .chain(pulses.into_iter().flatten())
                    .min()
            }
            Course::Stopping(_) => tasks
                .filter(|task| matches!(task, Task::Stopping(_)))
                .filter_map(Task::wakes)
                .min(),
            Course::Over => None,
        }
    }

    /// Records an event: the state changes at once, the journal follows.
    pub(super) fn record(&mut self, event: Event, now: Timestamp) {
        if let Event::Exited { unit, .. } | Event::Stopped { unit, .. } = &event {
            self.server_counted(unit, now);
        }
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

    /// Records something that a person should know; `alarm` is its stable word.
    pub(super) fn alarm(
        &mut self,
        alarm: &str,
        unit: Option<&UnitId>,
        text: String,
        now: Timestamp,
    ) {
        debug_assert!(alarms::find(alarm).is_some(), "`{alarm}` is not explained");
        let (alarm, unit) = (alarm.to_owned(), unit.cloned());
        self.record(Event::Alarm { alarm, unit, text }, now);
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

    /// Everything that may happen because of the input or because time passed.
    fn advance(&mut self, now: Timestamp) {
        if self.course == Course::Over {
            return;
        }
        self.advance_stops(now);
        if self.working() {
            // What is complete needs no server.
            self.end_finished(now);
            if self.decided().is_none() {
                self.advance_servers(now);
                self.advance_pulses(now);
                self.advance_holds(now);
                self.advance_evals(now);
                self.advance_reach(now);
            }
            if let Some(outcome) = self.decided() {
                self.wind_up(outcome, now);
            }
        }
        if let Course::Stopping(outcome) = &self.course
            && self.launching.is_empty()
            && !self.stops_pending()
        {
            let outcome = outcome.clone();
            self.end(outcome, now);
        }
    }

    /// The servers stay or go, as the YAML says; they stay where a client may need them that is
    /// not of this owner's goal, or that nobody could look at.
    fn wind_up(&mut self, outcome: Outcome, now: Timestamp) {
        self.course = Course::Stopping(outcome);
        let in_use = self.plan.units.iter().any(|unit| {
            matches!(unit.kind, UnitKind::Eval { .. })
                && self.may_live(&unit.id)
                && !matches!(self.tasks.get(&unit.id), Some(Task::Stopping(_)))
        });
        if self.goal.evals.is_empty() || in_use {
            return;
        }
        let live: Vec<UnitId> = self
            .looks()
            .filter(|unit| self.plan.goes_when_done(unit))
            .filter(|unit| match self.tasks.get(*unit) {
                Some(Task::Foreign | Task::Unseen { .. }) => false,
                Some(Task::Stopping(stop)) => stop.is_stuck(),
                _ => true,
            })
            .cloned()
            .collect();
        for unit in live {
            self.stop(&unit, StopWhy::Done, Then::Rest, now);
        }
    }

    /// The last word: the run is over only where nothing of it may live.
    fn end(&mut self, mut outcome: Outcome, now: Timestamp) {
        self.course = Course::Over;
        let stuck: Vec<&str> = self
            .tasks
            .iter()
            .filter(|(_, task)| matches!(task, Task::Stopping(stop) if stop.is_stuck()))
            .map(|(unit, _)| unit.as_str())
            .collect();
        if !stuck.is_empty() {
            let said = format!("could not be stopped: {}", stuck.join(", "));
            outcome.code = ExitStatus::Refused.worse(outcome.code);
            outcome.summary = format!("{}; {said}", outcome.summary);
        }
        outcome.kept = self.looks().next().is_some();
        let summary = outcome.summary.clone();
        if outcome.kept {
            let (why, to_down) = (summary, false);
            self.record(Event::OwnerLeft { why, to_down }, now);
        } else {
            let code = outcome.code.code();
            self.record(Event::RunEnded { code, summary }, now);
        }
        self.ask(Effect::Finish(outcome));
    }

    /// The controller goes; servers and clients stay.
    fn leave(&mut self, signal: Signal, now: Timestamp) {
        let (code, why) = match signal {
            Signal::Interrupt => (ExitStatus::Interrupted, "interrupted"),
            Signal::Terminate => (ExitStatus::Terminated, "terminated"),
            Signal::Down => (ExitStatus::Terminated, "`toolorch down` ends the run"),
        };
        self.course = Course::Over;
        let (summary, kept) = (why.to_owned(), self.looks().next().is_some());
        let (why, to_down) = (summary.clone(), signal == Signal::Down);
        self.record(Event::OwnerLeft { why, to_down }, now);
        self.ask(Effect::Finish(Outcome {
            code,
            summary,
            kept,
        }));
    }

    /// The run's first look around.
    fn begin(
        &mut self,
        seen: Vec<(UnitId, Observation)>,
        counted: Vec<(EvalName, super::Counts)>,
        now: Timestamp,
    ) {
        self.began = now;
        for (eval, counts) in counted {
            self.note_counts(&eval, counts, now);
        }
        for (unit, observation) in seen {
            self.adopt(&unit, observation, now);
        }
        self.fulfil_wishes(now);
    }

    /// The unit of this name in the plan, if it is a server.
    pub(super) fn server(&self, id: &UnitId) -> Option<&Unit> {
        self.plan
            .unit(id)
            .filter(|unit| !matches!(unit.kind, UnitKind::Eval { .. }))
    }
}
