//! From the first sight of a server to ready, rung by rung, in bounded time.

use super::brain::Brain;
use super::effect::Effect;
use super::ladder::Ladder;
use super::stops::Then;
use super::tasks::Task;
use crate::base::{Generation, Timestamp, UnitId};
use crate::facts::{ProbeFailure, ProbeOutcome, RunningUnit};
use crate::plan::Unit;
use crate::run::{Event, GaveUp, StopWhy, UnitPhase};

impl Brain {
    fn ladder(&mut self, unit: &UnitId) -> Option<&mut Ladder> {
        match self.tasks.get_mut(unit)? {
            Task::Rising { ladder, .. } => ladder.as_mut(),
            _ => None,
        }
    }

    /// Servers that live and whose port does not listen yet.
    pub fn port_waits(&self) -> impl Iterator<Item = &Unit> {
        self.tasks
            .iter()
            .filter(|(_, task)| {
                matches!(task, Task::Rising { ladder: Some(ladder), .. } if ladder.waits_for_port())
            })
            .filter_map(|(unit, _)| self.plan.unit(unit))
    }

    /// Its process was seen.
    pub(super) fn started(
        &mut self,
        unit: &UnitId,
        running: &RunningUnit,
        adopted: bool,
        now: Timestamp,
    ) {
        self.placed(unit, running, now);
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
        let rising = Task::Rising {
            ladder: Some(Ladder::new(now)),
            deadline: now + timeout,
        };
        self.tasks.insert(unit.clone(), rising);
        self.listening(unit, running, now);
    }

    /// The bottom rung: the port's listener is ours.
    pub(super) fn listening(&mut self, unit: &UnitId, running: &RunningUnit, now: Timestamp) {
        let Some(server) = self.server(unit) else {
            return;
        };
        let port = server.port;
        let ours = port.is_none_or(|port| running.listening.contains(&port));
        let Some(ladder) = self.ladder(unit).filter(|ladder| ladder.waits_for_port()) else {
            return;
        };
        if ours {
            return self.climb(unit, running.generation, String::new(), now);
        }
        if let (Some(port), false) = (port, running.listening.is_empty()) {
            let others: Vec<String> = running.listening.iter().map(ToString::to_string).collect();
            ladder.said = Some(format!(
                "port {port} does not listen; it listens on {}",
                others.join(", ")
            ));
        }
    }

    /// Up one rung; after the last the server is ready.
    fn climb(&mut self, unit: &UnitId, generation: Generation, detail: String, now: Timestamp) {
        let Some(ladder) = self.ladder(unit) else {
            return;
        };
        let rung = ladder.rung;
        ladder.climb(now);
        let after = now.since(self.state.unit(unit).since);
        let climbed = Event::Climbed {
            unit: unit.clone(),
            generation,
            rung: self.rung_name(unit, rung),
            detail,
            after,
        };
        self.record(climbed, now);
        let rungs = self.server(unit).map_or(0, |unit| unit.ready.rungs.len());
        if rung + 1 >= rungs {
            self.tasks.remove(unit);
            let first = self.state.unit(unit).ready_after;
            self.record(
                Event::Ready {
                    unit: unit.clone(),
                    generation,
                    after: first.unwrap_or(after),
                },
                now,
            );
            self.watch_life(unit, generation, now);
            if self.is_tunnel(unit) {
                self.tunnel_stands(unit, now);
            }
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
        let state = self.state.unit(unit);
        let current = state.generation == generation && state.phase == UnitPhase::Started;
        let Some(ladder) = self.ladder(unit) else {
            return;
        };
        if !current || ladder.rung != rung {
            return;
        }
        match outcome {
            ProbeOutcome::Passed { detail } => self.climb(unit, generation, detail, now),
            ProbeOutcome::NotYet { why } => ladder.retry(why, now),
            ProbeOutcome::Failed(failure) => {
                ladder.retry(said(&failure), now);
                self.refuted(unit, generation, rung, failure, now);
            }
        }
    }

    /// A rung was disproved; what waiting cannot mend ends the climb.
    fn refuted(
        &mut self,
        unit: &UnitId,
        generation: Generation,
        rung: usize,
        failure: ProbeFailure,
        now: Timestamp,
    ) {
        let name = self.rung_name(unit, rung);
        let refuted = Some((name.clone(), failure.clone()));
        let (permanent, why) = (failure.permanent, said(&failure));
        if self.state.unit(unit).refuted != refuted {
            self.record(
                Event::Refuted {
                    unit: unit.clone(),
                    generation,
                    rung: name.clone(),
                    failure,
                },
                now,
            );
        }
        if permanent {
            let why = format!("{name}: {why}");
            let then = Then::GiveUp(GaveUp::NotReady { why });
            self.stop(unit, StopWhy::NotReady, then, now);
        }
    }

    /// Tries the rung whose time has come; gives up a server that is too late.
    pub(super) fn rise(&mut self, unit: &UnitId, now: Timestamp) {
        let timeout = self.server(unit).map(|server| server.ready.timeout);
        // Who cannot be asked is not late; and a tunnel is tried for as long as it takes.
        let (no_way, is_tunnel) = (self.no_way_to(unit).is_some(), self.is_tunnel(unit));
        let Some(Task::Rising { ladder, deadline }) = self.tasks.get_mut(unit) else {
            return;
        };
        // Its launcher has not answered: its start may wait for a disk, and its time begins with that.
        if *deadline <= now && (self.launching.contains_key(unit) || no_way) {
            *deadline = now + timeout.unwrap_or_default();
        }
        if *deadline <= now && is_tunnel {
            return self.stop(unit, StopWhy::NotReady, Then::Again, now);
        }
        if *deadline <= now {
            let why = self.why_not_ready(unit);
            let then = Then::GiveUp(GaveUp::NotReady { why });
            return self.stop(unit, StopWhy::NotReady, then, now);
        }
        if let Some(ladder) = ladder
            && ladder.take_turn(now)
        {
            let rung = ladder.rung;
            let generation = self.state.unit(unit).generation;
            let unit = unit.clone();
            self.ask(Effect::Probe {
                unit,
                generation,
                rung,
            });
        }
    }

    fn why_not_ready(&mut self, unit: &UnitId) -> String {
        let Some(ladder) = self.ladder(unit) else {
            return "its process was never seen; its log and `supervisor.log` may say why"
                .to_owned();
        };
        let seen = match (&ladder.said, ladder.waits_for_port()) {
            (Some(said), _) => said.clone(),
            (None, true) => "its port does not listen".to_owned(),
            (None, false) => "it has not answered".to_owned(),
        };
        let rung = ladder.rung;
        format!("it stands at `{}`: {seen}", self.rung_name(unit, rung))
    }
}

fn said(failure: &ProbeFailure) -> String {
    format!("{}; {}", failure.why, failure.fix)
}
