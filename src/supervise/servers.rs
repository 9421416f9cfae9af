//! Replicas and services: when they start, how they become ready, what follows a death.

use super::brain::Brain;
use super::effect::Effect;
use super::ladder::Ladder;
use super::restart::{Again, again};
use crate::base::{Generation, LaunchId, Timestamp, UnitId};
use crate::facts::{Exit, Observation, ProbeOutcome, RunningUnit};
use crate::knowledge::failures;
use crate::plan::Unit;
use crate::run::{Event, GaveUp, Handle, StopWhy, UnitPhase};

/// What the owner remembers of a server beside the journal.
#[derive(Debug, Default)]
pub(super) struct ServerWork {
    ladder: Option<Ladder>,
    /// Not ready by then: given up.
    deadline: Option<Timestamp>,
    /// Started again at this time.
    restart_at: Option<Timestamp>,
    /// Given up as soon as it is stopped.
    give_up: Option<GaveUp>,
}

impl ServerWork {
    pub(super) fn wakes(&self) -> Option<Timestamp> {
        let ladder = self.ladder.as_ref().and_then(Ladder::wakes);
        [ladder, self.deadline, self.restart_at]
            .into_iter()
            .flatten()
            .min()
    }
}

impl Brain {
    fn work(&mut self, unit: &UnitId) -> &mut ServerWork {
        self.servers.entry(unit.clone()).or_default()
    }

    /// The first look at a unit: what runs already is taken over, what is gone is noted.
    pub(super) fn adopt(&mut self, unit: &UnitId, observation: Observation, now: Timestamp) {
        match observation {
            Observation::Running(running) if !self.knows(unit, &running.launch) => {
                let text = format!(
                    "`{unit}` runs as pid {} and the journal does not know that start: it is left alone",
                    running.pid
                );
                self.record(
                    Event::Alarm {
                        alarm: "unknown-start".to_owned(),
                        unit: Some(unit.clone()),
                        text,
                    },
                    now,
                );
            }
            Observation::Running(running) => {
                self.started(unit, &running, true, now);
                self.ask(Effect::Watch { unit: unit.clone() });
                self.listening(unit, &running, now);
            }
            Observation::Unknown { .. } => self.ask(Effect::Watch { unit: unit.clone() }),
            Observation::Exited(_) | Observation::Lost { .. } | Observation::Never => {
                let state = self.state.unit(unit);
                let (true, Some(launch)) = (state.phase.may_live(), state.launch) else {
                    return;
                };
                let exit = match observation {
                    // An older start's end says nothing about the one that was intended since.
                    Observation::Exited(exit) if exit.launch == launch => exit,
                    _ => lost(state.generation, launch),
                };
                self.exited(unit, exit, now);
            }
        }
    }

    /// Whether this launch is the last one that the journal intended.
    fn knows(&self, unit: &UnitId, launch: &LaunchId) -> bool {
        self.state
            .units
            .get(unit)
            .is_some_and(|state| state.launch.as_ref() == Some(launch))
    }

    /// A unit was looked at.
    pub(super) fn seen(&mut self, unit: &UnitId, observation: Observation, now: Timestamp) {
        let state = self.state.unit(unit);
        let phase = state.phase.clone();
        // What an earlier launch left behind says nothing about this one.
        if observation.launch().is_some() && observation.launch() != state.launch.as_ref() {
            return;
        }
        match observation {
            Observation::Running(running) => {
                if matches!(phase, UnitPhase::Intended | UnitPhase::Launched) {
                    self.started(unit, &running, false, now);
                }
                self.listening(unit, &running, now);
            }
            Observation::Exited(exit) => {
                if phase.may_live() && phase != UnitPhase::Stopping {
                    self.exited(unit, exit, now);
                }
            }
            Observation::Lost { generation, launch } => {
                if phase.may_live() && phase != UnitPhase::Stopping {
                    self.exited(unit, lost(generation, launch), now);
                }
            }
            Observation::Never | Observation::Unknown { .. } => {}
        }
    }

    fn started(&mut self, unit: &UnitId, running: &RunningUnit, adopted: bool, now: Timestamp) {
        self.record(
            Event::Started {
                unit: unit.clone(),
                generation: running.generation,
                pid: running.pid,
                start: running.start,
                adopted,
            },
            now,
        );
        let Some(timeout) = self.server(unit).map(|server| server.ready.timeout) else {
            self.client_started(unit, now);
            return;
        };
        let work = self.work(unit);
        work.ladder = Some(Ladder::new(now));
        work.deadline = Some(now + timeout);
        work.restart_at = None;
    }

    /// The bottom rung: the port's listener is ours.
    fn listening(&mut self, unit: &UnitId, running: &RunningUnit, now: Timestamp) {
        let Some(server) = self.server(unit) else {
            return;
        };
        let rungs = server.ready.rungs.len();
        let ours = server
            .port
            .is_none_or(|port| running.listening.contains(&port));
        let waits = self.work(unit).ladder.as_ref();
        if ours && waits.is_some_and(Ladder::waits_for_port) {
            self.climb(unit, running.generation, 0, String::new(), rungs, now);
        }
    }

    fn climb(
        &mut self,
        unit: &UnitId,
        generation: Generation,
        rung: usize,
        detail: String,
        rungs: usize,
        now: Timestamp,
    ) {
        let after = now.since(self.state.unit(unit).since);
        let name = self.rung_name(unit, rung);
        self.record(
            Event::Climbed {
                unit: unit.clone(),
                generation,
                rung: name,
                detail,
                after,
            },
            now,
        );
        if let Some(ladder) = self.work(unit).ladder.as_mut() {
            ladder.climb(now);
        }
        if rung + 1 >= rungs {
            let work = self.work(unit);
            work.ladder = None;
            work.deadline = None;
            self.record(
                Event::Ready {
                    unit: unit.clone(),
                    generation,
                    after,
                },
                now,
            );
        }
    }

    fn rung_name(&self, unit: &UnitId, rung: usize) -> String {
        self.server(unit)
            .and_then(|server| server.ready.rungs.get(rung))
            .map_or("listening", |rung| rung.name())
            .to_owned()
    }

    /// A probe came back.
    pub(super) fn probed(
        &mut self,
        unit: &UnitId,
        generation: Generation,
        rung: usize,
        outcome: ProbeOutcome,
        now: Timestamp,
    ) {
        let Some(server) = self.server(unit) else {
            return;
        };
        let rungs = server.ready.rungs.len();
        let state = self.state.unit(unit);
        let current = state.generation == generation && state.phase == UnitPhase::Started;
        let at_rung = self.work(unit).ladder.as_ref().map(|ladder| ladder.rung) == Some(rung);
        if !current || !at_rung {
            return;
        }
        match outcome {
            ProbeOutcome::Passed { detail } => {
                self.climb(unit, generation, rung, detail, rungs, now);
            }
            ProbeOutcome::NotYet { .. } => self.retry(unit, now),
            ProbeOutcome::Failed(failure) => {
                let name = self.rung_name(unit, rung);
                if state.refuted.as_ref() != Some(&(name.clone(), failure.clone())) {
                    self.record(
                        Event::Refuted {
                            unit: unit.clone(),
                            generation,
                            rung: name.clone(),
                            failure: failure.clone(),
                        },
                        now,
                    );
                }
                if failure.permanent {
                    let why = format!("{name}: {}; {}", failure.why, failure.fix);
                    self.give_up_after_stop(unit, GaveUp::NotReady { why }, now);
                } else {
                    self.retry(unit, now);
                }
            }
        }
    }

    fn retry(&mut self, unit: &UnitId, now: Timestamp) {
        if let Some(ladder) = self.work(unit).ladder.as_mut() {
            ladder.retry(now);
        }
    }

    fn give_up_after_stop(&mut self, unit: &UnitId, why: GaveUp, now: Timestamp) {
        *self.work(unit) = ServerWork {
            give_up: Some(why),
            ..ServerWork::default()
        };
        self.stop(unit.clone(), StopWhy::NotReady, now);
    }

    /// A launcher did its part, or could not.
    pub(super) fn launch_done(
        &mut self,
        unit: UnitId,
        generation: Generation,
        result: Result<Handle, String>,
        now: Timestamp,
    ) {
        match result {
            Ok(handle) => self.record(
                Event::Launched {
                    unit,
                    generation,
                    handle,
                },
                now,
            ),
            Err(why) => {
                self.record(
                    Event::LaunchFailed {
                        unit: unit.clone(),
                        generation,
                        why: why.clone(),
                    },
                    now,
                );
                self.after_death(&unit, Some(why), now);
            }
        }
    }

    /// A unit ended and nobody asked for it.
    fn exited(&mut self, unit: &UnitId, exit: Exit, now: Timestamp) {
        let permanent = permanent_cause(&exit);
        self.record(
            Event::Exited {
                unit: unit.clone(),
                exit,
            },
            now,
        );
        self.after_death(unit, permanent, now);
    }

    fn after_death(&mut self, unit: &UnitId, permanent: Option<String>, now: Timestamp) {
        let Some(server) = self.server(unit) else {
            self.client_ended(unit, permanent, now);
            return;
        };
        let rule = server.restart;
        if let Some(why) = permanent {
            *self.work(unit) = ServerWork::default();
            let why = GaveUp::Permanent { why };
            self.record(
                Event::GaveUp {
                    unit: unit.clone(),
                    why,
                },
                now,
            );
            return;
        }
        let starts = self.state.unit(unit).starts;
        let mut next = ServerWork::default();
        match again(rule, &starts, now) {
            Again::At(at) => next.restart_at = Some(at),
            Again::Spent(starts) => {
                let why = GaveUp::Budget { starts };
                self.record(
                    Event::GaveUp {
                        unit: unit.clone(),
                        why,
                    },
                    now,
                );
            }
        }
        *self.work(unit) = next;
    }

    /// A stop came to its end.
    pub(super) fn stop_done(
        &mut self,
        unit: UnitId,
        generation: Generation,
        result: Result<(), String>,
        now: Timestamp,
    ) {
        if let Err(why) = result {
            let text = format!("`{unit}` could not be stopped: {why}");
            self.record(
                Event::Alarm {
                    alarm: "stop-failed".to_owned(),
                    unit: Some(unit.clone()),
                    text,
                },
                now,
            );
        }
        self.record(
            Event::Stopped {
                unit: unit.clone(),
                generation,
            },
            now,
        );
        let give_up = self
            .servers
            .get_mut(&unit)
            .and_then(|work| work.give_up.take());
        if let Some(why) = give_up {
            self.record(Event::GaveUp { unit, why }, now);
        } else if self.server(&unit).is_none() {
            self.client_stopped(&unit, now);
        }
    }

    /// Starts what may start, tries the rungs whose time has come, gives up what is too late.
    pub(super) fn advance_servers(&mut self, now: Timestamp) {
        let due: Vec<UnitId> = self
            .servers
            .iter()
            .filter(|(_, work)| work.wakes().is_some_and(|at| at <= now))
            .map(|(unit, _)| unit.clone())
            .collect();
        for unit in due {
            self.wake_server(&unit, now);
        }
        if self.goal.start_servers {
            let starts: Vec<UnitId> = self
                .plan
                .servers()
                .filter(|unit| *self.phase(&unit.id) == UnitPhase::Planned)
                .filter(|unit| self.may_start(unit).is_some_and(|at| at <= now))
                .map(|unit| unit.id.clone())
                .collect();
            for unit in starts {
                self.launch(unit, now);
            }
        }
    }

    fn wake_server(&mut self, unit: &UnitId, now: Timestamp) {
        let generation = self.state.unit(unit).generation;
        let work = self.work(unit);
        if work.restart_at.is_some_and(|at| at <= now) {
            work.restart_at = None;
            self.launch(unit.clone(), now);
            return;
        }
        if work.deadline.is_some_and(|at| at <= now) {
            let why = self.why_not_ready(unit);
            self.give_up_after_stop(unit, GaveUp::NotReady { why }, now);
            return;
        }
        if let Some(ladder) = work.ladder.as_mut()
            && ladder.take_turn(now)
        {
            let rung = ladder.rung;
            self.ask(Effect::Probe {
                unit: unit.clone(),
                generation,
                rung,
            });
        }
    }

    fn why_not_ready(&mut self, unit: &UnitId) -> String {
        let rung = self.work(unit).ladder.as_ref().map_or(0, |l| l.rung);
        let name = self.rung_name(unit, rung);
        let seen = match self.state.unit(unit).refuted {
            Some((_, failure)) => format!("{}; {}", failure.why, failure.fix),
            None => "it has not answered".to_owned(),
        };
        format!("not ready in time, it stands at `{name}`: {seen}")
    }

    /// When a planned unit may start; none while others must be ready first.
    fn may_start(&self, unit: &Unit) -> Option<Timestamp> {
        let mut base = self.began;
        for other in &unit.start.after_ready {
            let state = self.state.units.get(other)?;
            match state.phase {
                UnitPhase::Ready(after) => base = base.max(state.since + after),
                UnitPhase::GaveUp(_) => {}
                _ => return None,
            }
        }
        Some(base + unit.start.delay)
    }

    /// The times at which planned units may start.
    pub(super) fn pending_starts(&self) -> impl Iterator<Item = Timestamp> {
        self.plan
            .servers()
            .filter(|_| self.goal.start_servers && self.working())
            .filter(|unit| *self.phase(&unit.id) == UnitPhase::Planned)
            .filter_map(|unit| self.may_start(unit))
    }

    /// Intends a start, and asks for it.
    pub(super) fn launch(&mut self, unit: UnitId, now: Timestamp) {
        let generation = self.state.unit(&unit).generation.next();
        let launch = LaunchId::new(format!("{}-{}-{:x}", self.epoch(), generation, now.0));
        self.record(
            Event::LaunchIntended {
                unit: unit.clone(),
                generation,
                launch: launch.clone(),
            },
            now,
        );
        self.ask(Effect::Launch {
            unit,
            generation,
            launch,
        });
    }

    /// Servers that live and whose port does not listen yet.
    pub fn port_waits(&self) -> impl Iterator<Item = &Unit> {
        self.servers
            .iter()
            .filter(|(_, work)| work.ladder.as_ref().is_some_and(Ladder::waits_for_port))
            .filter_map(|(unit, _)| self.plan.unit(unit))
    }

    /// Whether a server is ready, or will never be; none while it is on its way.
    pub(super) fn settled(&self, unit: &UnitId) -> Option<bool> {
        match self.phase(unit) {
            UnitPhase::Ready(_) => Some(true),
            UnitPhase::GaveUp(_) | UnitPhase::Stopped => Some(false),
            UnitPhase::Planned if !self.goal.start_servers => Some(false),
            _ => None,
        }
    }
}

fn lost(generation: Generation, launch: LaunchId) -> Exit {
    Exit {
        generation,
        launch,
        code: None,
        signal: None,
        requested: false,
        reason: Some("its process is gone and nothing recorded how".to_owned()),
        tail: Vec::new(),
    }
}

/// Exit codes with which the unit script itself refuses a start: usage, missing configuration.
const REFUSALS: [i32; 2] = [64, 78];

/// Why starting it again would end the same way, if it would.
fn permanent_cause(exit: &Exit) -> Option<String> {
    if let (Some(code), Some(reason)) = (exit.code, &exit.reason)
        && REFUSALS.contains(&code)
    {
        return Some(reason.clone());
    }
    let found = failures::classify(exit.tail.iter().map(String::as_str))?;
    let failure = found.failure;
    failure
        .permanent
        .then(|| format!("{}; {}", failure.cause, failure.fix))
}
