//! Units: what an owner finds when it comes, when servers start, what is seen of them.

use std::collections::BTreeMap;

use super::brain::Brain;
use super::effect::Effect;
use super::input::LaunchFailure;
use super::stops::{EMERGE, Then};
use super::tasks::Task;
use crate::base::{Generation, LaunchId, NodeName, Timestamp, UnitId};
use crate::facts::{Exit, Observation};
use crate::plan::{Unit, UnitKind};
use crate::run::{Event, GaveUp, Handle, StopWhy, UnitPhase, UnitState};

impl Brain {
    /// The first look at a unit: what runs already is taken over, what is gone is noted.
    pub(super) fn adopt(&mut self, unit: &UnitId, observation: Observation, now: Timestamp) {
        let state = self.state.unit(unit);
        match observation {
            Observation::Unknown { why } => self.not_seen(unit, why, now),
            Observation::Running(running) if state.launch.as_ref() != Some(&running.launch) => {
                self.foreign(unit, &format!("runs as pid {}", running.pid), now);
            }
            Observation::Queued(queued) => self.adopt_queued(unit, &state, &queued, now),
            Observation::Running(running) => {
                self.ask(Effect::Watch { unit: unit.clone() });
                if state.phase == UnitPhase::Stopping {
                    self.stop(unit, StopWhy::Remnants, Then::Anew, now);
                } else if state.drained {
                    self.stop(unit, StopWhy::Drained, Then::Rest, now);
                } else {
                    self.started(unit, &running, true, now);
                }
            }
            Observation::Lost { .. } => {
                self.note_gone(unit, &state, now);
                self.stop(unit, StopWhy::Remnants, Then::Anew, now);
            }
            Observation::Exited(exit) if state.launch.as_ref() == Some(&exit.launch) => {
                let unit = unit.clone();
                if state.phase == UnitPhase::Stopping {
                    let generation = state.generation;
                    self.record(
                        Event::Stopped {
                            unit: unit.clone(),
                            generation,
                        },
                        now,
                    );
                    self.anew(&unit);
                } else if state.phase.may_live() {
                    self.died_unwatched(&unit, exit, now);
                    self.anew(&unit);
                }
            }
            Observation::Exited(_) | Observation::Never => self.adopt_nothing(unit, &state, now),
        }
    }

    /// Nothing is there of the launch that the journal speaks of.
    fn adopt_nothing(&mut self, unit: &UnitId, state: &UnitState, now: Timestamp) {
        match state.phase {
            UnitPhase::Intended | UnitPhase::Launched if state.since + EMERGE > now => {
                self.ask(Effect::Watch { unit: unit.clone() });
                let until = state.since + EMERGE;
                let awaited = Event::StartAwaited {
                    unit: unit.clone(),
                    generation: state.generation,
                    length: until.since(now),
                };
                self.record(awaited, now);
                self.tasks.insert(unit.clone(), Task::Emerging { until });
            }
            UnitPhase::Intended => {
                let why = "the controller ended before it was started".to_owned();
                let (unit, generation) = (unit.clone(), state.generation);
                self.record(
                    Event::LaunchFailed {
                        unit: unit.clone(),
                        generation,
                        why,
                    },
                    now,
                );
                self.anew(&unit);
            }
            UnitPhase::Launched | UnitPhase::Started | UnitPhase::Ready(_) => {
                self.note_gone(unit, state, now);
                self.stop(unit, StopWhy::Remnants, Then::Anew, now);
            }
            UnitPhase::Stopping => self.stop(unit, StopWhy::Remnants, Then::Anew, now),
            UnitPhase::Planned | UnitPhase::Exited | UnitPhase::Stopped | UnitPhase::GaveUp(_) => {}
        }
    }

    /// The journal hears that what it takes for alive is gone.
    fn note_gone(&mut self, unit: &UnitId, state: &UnitState, now: Timestamp) {
        let lives = state.phase.may_live() && state.phase != UnitPhase::Stopping;
        if let (true, Some(launch)) = (lives, state.launch.clone()) {
            self.died_unwatched(unit, Exit::lost(state.generation, launch), now);
        }
    }

    /// It could not be looked at: it is waited for, and never taken for dead.
    fn not_seen(&mut self, unit: &UnitId, why: String, now: Timestamp) {
        let patience = match self.plan.unit(unit).map(|unit| &unit.kind) {
            Some(UnitKind::Eval { name }) => self.plan.eval(name).map(|eval| eval.first_result),
            _ => self.server(unit).map(|server| server.ready.timeout),
        };
        self.ask(Effect::Watch { unit: unit.clone() });
        let until = Some(now + patience.unwrap_or_default());
        self.tasks.insert(unit.clone(), Task::Unseen { until, why });
    }

    /// Something runs under its name that the journal does not know.
    pub(super) fn foreign(&mut self, unit: &UnitId, does: &str, now: Timestamp) {
        let text =
            format!("`{unit}` {does} and the journal does not know that start: it is left alone");
        self.alarm("unknown-start", Some(unit), text, now);
        self.tasks.insert(unit.clone(), Task::Foreign);
    }

    /// What was gone when this owner came is started in its turn, with a budget of its own.
    pub(super) fn anew(&mut self, unit: &UnitId) {
        self.tasks.remove(unit);
        if self.goal.start_servers && self.server(unit).is_some() && !self.is_drained(unit) {
            self.tasks.insert(unit.clone(), Task::Anew);
            self.awaits_start(unit);
        }
    }

    /// Looks from now on whether it is a server's turn to start.
    pub(super) fn awaits_start(&mut self, unit: &UnitId) {
        let place = self.plan.units.iter().position(|other| &other.id == unit);
        self.unstarted.extend(place);
    }

    /// A unit was looked at.
    pub(super) fn seen(&mut self, unit: &UnitId, observation: Observation, now: Timestamp) {
        self.note_shown(unit, &observation);
        if let Some(task @ (Task::Unseen { .. } | Task::Emerging { .. })) = self.tasks.get(unit) {
            let launch = self.state.unit(unit).launch;
            let nothing = matches!(observation, Observation::Never | Observation::Exited(_))
                && observation.launch() != launch.as_ref();
            // It is waited for already.
            if nothing && matches!(task, Task::Emerging { .. }) {
                return;
            }
            if !matches!(observation, Observation::Unknown { .. }) {
                self.tasks.remove(unit);
                self.adopt(unit, observation, now);
            }
            return;
        }
        let state = self.state.unit(unit);
        // What an earlier launch left behind says nothing about this one.
        if observation.launch().is_some() && observation.launch() != state.launch.as_ref() {
            return;
        }
        if let Observation::Running(running) = &observation {
            self.note_job_end(unit, running, now);
        }
        let lives = state.phase.may_live() && state.phase != UnitPhase::Stopping;
        match observation {
            Observation::Running(running) => match state.phase {
                UnitPhase::Intended | UnitPhase::Launched => {
                    self.started(unit, &running, false, now);
                }
                // A start that was on its way while it was stopped.
                UnitPhase::Stopped => {
                    let then = match self.tasks.get(unit) {
                        Some(Task::Backoff { .. } | Task::Clearing(_)) => Then::Again,
                        Some(Task::Anew) => Then::Anew,
                        _ => Then::Rest,
                    };
                    self.stop(unit, StopWhy::Remnants, then, now);
                }
                UnitPhase::GaveUp(why @ GaveUp::NotReady { .. }) => {
                    self.stop(unit, StopWhy::Remnants, Then::GiveUp(why), now);
                }
                UnitPhase::Stopping => self.stop_emerged(unit),
                _ => self.listening(unit, &running, now),
            },
            Observation::Queued(queued)
                if matches!(state.phase, UnitPhase::Intended | UnitPhase::Launched) =>
            {
                self.queued(unit, &queued, now);
            }
            Observation::Exited(exit) if lives => self.exited(unit, exit, now),
            Observation::Exited(_) => self.ended_while_stopping(unit, now),
            Observation::Lost { generation, launch } if lives => {
                self.exited(unit, Exit::lost(generation, launch), now);
            }
            Observation::Queued(_)
            | Observation::Lost { .. }
            | Observation::Never
            | Observation::Unknown { .. } => {}
        }
    }

    /// Does what is due about servers, and starts those whose turn it is.
    pub(super) fn advance_servers(&mut self, now: Timestamp) {
        let due: Vec<UnitId> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.wakes().is_some_and(|at| at <= now))
            .map(|(unit, _)| unit.clone())
            .collect();
        for unit in due {
            match self.tasks.get_mut(&unit) {
                Some(Task::Backoff { .. }) => self.start(&unit, now),
                Some(Task::Clearing(_)) => self.look_at_gpus(&unit),
                Some(Task::Rising { .. }) => self.rise(&unit, now),
                Some(Task::Unsent { .. }) => self.ask_again(&unit, now),
                Some(Task::Emerging { .. }) => {
                    let state = self.state.unit(&unit);
                    self.adopt_nothing(&unit, &state, now);
                }
                Some(Task::Unseen { until, why }) => {
                    *until = None;
                    let text = format!(
                        "`{unit}` cannot be looked at: {why}; it is neither started nor stopped"
                    );
                    self.alarm("unseen", Some(&unit), text, now);
                }
                _ => {}
            }
        }
        // Most of a thousand servers have been started for hours.
        let mut unstarted = std::mem::take(&mut self.unstarted);
        unstarted.retain(|place| {
            let unit = &self.plan.units[*place].id;
            let anew = matches!(self.tasks.get(unit), Some(Task::Anew));
            anew || *self.phase(unit) == UnitPhase::Planned
        });
        self.unstarted = unstarted;
        let mut under_way: BTreeMap<Option<&NodeName>, usize> = BTreeMap::new();
        for (machine, _) in self.under_way().filter(|(_, until)| *until > now) {
            *under_way.entry(machine).or_default() += 1;
        }
        let mut has_room = |unit: &Unit| {
            let count = under_way.entry(self.elsewhere.get(&unit.id)).or_default();
            *count += 1;
            *count <= self.starts_at_once
        };
        let starts: Vec<UnitId> = self
            .startable()
            .filter(|(unit, at)| *at <= now && has_room(unit))
            .map(|(unit, _)| unit.id.clone())
            .collect();
        for unit in starts {
            self.start(&unit, now);
        }
    }

    /// Servers that wait for their turn, with the time of it where it is known.
    fn startable(&self) -> impl Iterator<Item = (&Unit, Timestamp)> {
        let none = self.unstarted.is_empty() || self.changing();
        let units = self.unstarted.iter().map(|place| &self.plan.units[*place]);
        units
            .filter(move |unit| !none && self.may_be_started(unit))
            .filter_map(|unit| Some((unit, self.may_start(unit)?)))
    }

    /// Whether a server waits for its first start, or for one anew.
    fn may_be_started(&self, unit: &Unit) -> bool {
        let waits = match self.tasks.get(&unit.id) {
            Some(Task::Anew) => true,
            Some(_) => false,
            None => *self.phase(&unit.id) == UnitPhase::Planned,
        };
        let is_server = !matches!(unit.kind, UnitKind::Eval { .. });
        waits && self.goal.start_servers && is_server && !self.is_drained(&unit.id)
    }

    /// The times at which servers start in their turn.
    pub(super) fn pending_starts(&self) -> impl Iterator<Item = Timestamp> {
        let mut until: BTreeMap<Option<&NodeName>, Vec<Timestamp>> = BTreeMap::new();
        for (machine, at) in self.under_way() {
            until.entry(machine).or_default().push(at);
        }
        for times in until.values_mut() {
            times.sort_unstable_by(|a, b| b.cmp(a));
        }
        // Until so many of them count no longer, there is no room.
        let room = move |unit| {
            let times = until.get(&self.elsewhere.get(unit))?;
            times.get(self.starts_at_once - 1).copied()
        };
        self.startable()
            .map(move |(unit, at)| at.max(room(&unit.id).unwrap_or_default()))
    }

    /// Starts that cost processor time on a machine, this one or another. Here they do until their process is seen; elsewhere
    /// that comes with the next look, long after their launcher has answered. Until when each counts: one that hangs must not
    /// keep the others back for ever.
    fn under_way(&self) -> impl Iterator<Item = (Option<&NodeName>, Timestamp)> {
        let since = |machine: Option<&NodeName>, unit: &UnitId, task: &Task| match task {
            Task::Rising { ladder: None, .. }
                if machine.is_none() || self.launching.contains_key(unit) =>
            {
                Some(self.state.unit(unit).since)
            }
            Task::Clearing(clearing) => Some(clearing.since()),
            _ => None,
        };
        (self.tasks.iter()).filter_map(move |(unit, task)| {
            let machine = self.elsewhere.get(unit);
            Some((machine, since(machine, unit, task)? + EMERGE))
        })
    }

    /// When a server may start; none while others must be ready first.
    fn may_start(&self, unit: &Unit) -> Option<Timestamp> {
        let mut base = self.began;
        for other in &unit.start.after_ready {
            let ready = self.settled(other)?;
            if let (true, UnitPhase::Ready(after)) = (ready, self.phase(other)) {
                base = base.max(self.state.unit(other).since + *after);
            }
        }
        Some(base + unit.start.delay)
    }

    /// Intends a start, and asks for it.
    pub(super) fn launch(&mut self, unit: &UnitId, now: Timestamp) {
        let generation = self.state.unit(unit).generation.next();
        let launch = LaunchId::new(format!("{}-{}-{:x}", self.epoch(), generation, now.0));
        self.record(
            Event::LaunchIntended {
                unit: unit.clone(),
                generation,
                launch: launch.clone(),
                script: self.wishes.scripts.get(unit).cloned(),
            },
            now,
        );
        let concurrency = self.slowed(unit);
        self.launching.insert(unit.clone(), generation);
        self.tasks.remove(unit);
        if let Some(timeout) = self.server(unit).map(|server| server.ready.timeout) {
            // A script that hangs before its program starts is given up too.
            let rising = Task::Rising {
                ladder: None,
                deadline: now + timeout,
            };
            self.tasks.insert(unit.clone(), rising);
        }
        self.ask(Effect::Launch {
            unit: unit.clone(),
            generation,
            launch,
            concurrency,
        });
    }

    /// A launcher did its part, or could not.  An error is no proof that nothing started: what
    /// there may be goes before another start.
    pub(super) fn launch_done(
        &mut self,
        unit: &UnitId,
        generation: Generation,
        result: Result<Handle, LaunchFailure>,
        now: Timestamp,
    ) {
        if self.launching.get(unit) != Some(&generation) {
            return;
        }
        self.launching.remove(unit);
        let timeout = self.server(unit).map(|server| server.ready.timeout);
        if let Some(Task::Rising { deadline, .. }) = self.tasks.get_mut(unit) {
            // The start may have waited, for a disk maybe.
            *deadline = now + timeout.unwrap_or_default();
        }
        let unit = unit.clone();
        match result {
            Ok(handle) => self.record(
                Event::Launched {
                    unit: unit.clone(),
                    generation,
                    handle,
                },
                now,
            ),
            Err(failure) => self.launch_failed(&unit, generation, failure, now),
        }
        self.stop_after_launch(&unit, now);
    }

    /// One that was asked for once more, from the queue, is launched already.
    fn launch_failed(
        &mut self,
        unit: &UnitId,
        generation: Generation,
        failure: LaunchFailure,
        now: Timestamp,
    ) {
        let rises = matches!(
            self.tasks.get(unit),
            Some(Task::Rising { ladder: None, .. })
        );
        let waits = matches!(self.phase(unit), UnitPhase::Intended | UnitPhase::Launched);
        let (why, then) = match failure {
            LaunchFailure::Later(why) if rises => return self.put_off(unit, &why, now),
            LaunchFailure::Permanent(why) if waits => {
                let gave_up = GaveUp::Permanent { why: why.clone() };
                (why, Then::GiveUp(gave_up))
            }
            LaunchFailure::Passing(why) if waits => (why, Then::Again),
            _ => return,
        };
        self.record(
            Event::LaunchFailed {
                unit: unit.clone(),
                generation,
                why,
            },
            now,
        );
        self.stop_unlaunched(unit, then, now);
    }
}
