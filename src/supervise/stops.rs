//! Stopping a unit: intended, asked for, proved by its script, tried again where that fails.

use super::brain::Brain;
use super::effect::Effect;
use super::tasks::Task;
use crate::base::{Generation, Millis, Timestamp, UnitId};
use crate::run::{Event, GaveUp, StopWhy, UnitPhase};

/// A stop that failed is tried this often in all.
const TRIES: u32 = 3;
/// The pause before the next try.
const PAUSE: Millis = Millis(5_000);
/// A start of which nothing was seen yet is waited for this long since its intent: a stop that
/// comes before its script holds the unit's lock finds nothing, and the start outlives it.
pub(super) const EMERGE: Millis = Millis(10_000);

/// A stop that is under way.
#[derive(Debug)]
pub(super) struct Stop {
    generation: Generation,
    then: Then,
    failures: u32,
    stage: Stage,
}

/// What follows when nothing of the unit is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Then {
    /// It is not started again.
    GiveUp(GaveUp),
    /// It had ended without a record; now it may be started again, within its budget.
    Again,
    /// An earlier owner's affairs are settled: it is started like one that never was.
    Anew,
    /// Nothing more.
    Rest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its launcher has not answered yet.
    Launching,
    /// It was launched and not seen yet; stopped when it is seen, at this time at the latest.
    Emerging(Timestamp),
    /// The stop is under way.
    Asked,
    /// The stop failed and is tried again at this time.
    Pause(Timestamp),
    /// Every try failed.
    Stuck,
}

impl Stop {
    pub(super) fn is_stuck(&self) -> bool {
        self.stage == Stage::Stuck
    }

    /// Gives back the time in which nobody looked.
    pub(super) fn shift(&mut self, length: Millis) {
        if let Stage::Pause(at) | Stage::Emerging(at) = &mut self.stage {
            *at = *at + length;
        }
    }

    pub(super) fn wakes(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Pause(at) | Stage::Emerging(at) => Some(at),
            Stage::Launching | Stage::Asked | Stage::Stuck => None,
        }
    }
}

impl Brain {
    fn stop_of(&mut self, unit: &UnitId) -> Option<&mut Stop> {
        match self.tasks.get_mut(unit)? {
            Task::Stopping(stop) => Some(stop),
            _ => None,
        }
    }

    /// Something else follows a stop that is under way.
    pub(super) fn then_after_stop(&mut self, unit: &UnitId, then: Then) {
        if let Some(stop) = self.stop_of(unit) {
            stop.then = then;
        }
    }

    /// A stop is under way, or will be tried again.
    pub(super) fn is_stopping(&self, unit: &UnitId) -> bool {
        matches!(self.tasks.get(unit), Some(Task::Stopping(stop)) if !stop.is_stuck())
    }

    /// Stops of any unit are under way.
    pub(super) fn stops_pending(&self) -> bool {
        self.tasks.keys().any(|unit| self.is_stopping(unit))
    }

    /// Intends to stop a unit, and asks for it; a start that was not seen yet may show first.
    pub(super) fn stop(&mut self, unit: &UnitId, why: StopWhy, then: Then, now: Timestamp) {
        let unseen = matches!(self.phase(unit), UnitPhase::Intended | UnitPhase::Launched);
        // A start that waits in a queue is taken back before anything of it begins.
        let unseen = unseen && self.state.unit(unit).queued.is_none();
        self.intend_stop(unit, why, then, now);
        if unseen {
            self.stop_after_launch(unit, now);
        } else {
            self.ask_stop(unit);
        }
    }

    /// Clears away what a failed launch may have started all the same, once that had time to show; at once where it was
    /// refused for good.
    pub(super) fn stop_unlaunched(&mut self, unit: &UnitId, then: Then, now: Timestamp) {
        let refused = matches!(then, Then::GiveUp(_));
        self.intend_stop(unit, StopWhy::Remnants, then, now);
        if refused {
            self.ask_stop(unit);
        } else {
            self.stop_after_launch(unit, now);
        }
    }

    fn intend_stop(&mut self, unit: &UnitId, why: StopWhy, then: Then, now: Timestamp) {
        let generation = self.state.unit(unit).generation;
        self.record(
            Event::StopIntended {
                unit: unit.clone(),
                generation,
                why,
            },
            now,
        );
        let stop = Stop {
            generation,
            then,
            failures: 0,
            stage: Stage::Launching,
        };
        self.tasks.insert(unit.clone(), Task::Stopping(stop));
    }

    /// A stop that waited for the launcher now waits for the unit to be seen.
    pub(super) fn stop_after_launch(&mut self, unit: &UnitId, now: Timestamp) {
        let until = self.state.unit(unit).since + EMERGE;
        let launching = self.launching.contains_key(unit);
        match self.stop_of(unit) {
            Some(stop) if stop.stage == Stage::Launching && !launching => {
                stop.stage = Stage::Emerging(until);
                if until <= now {
                    self.ask_stop(unit);
                }
            }
            _ => {}
        }
    }

    /// It was seen: a stop that waited for that is asked for.
    pub(super) fn stop_emerged(&mut self, unit: &UnitId) {
        let emerged = self
            .stop_of(unit)
            .is_some_and(|stop| matches!(stop.stage, Stage::Emerging(_)));
        if emerged {
            self.ask_stop(unit);
        }
    }

    fn ask_stop(&mut self, unit: &UnitId) {
        if let Some(stop) = self.stop_of(unit) {
            stop.stage = Stage::Asked;
            let generation = stop.generation;
            let unit = unit.clone();
            self.ask(Effect::Stop { unit, generation });
        }
    }

    /// Tries again what failed.
    pub(super) fn advance_stops(&mut self, now: Timestamp) {
        let due: Vec<UnitId> = self
            .tasks
            .iter()
            .filter(|(_, task)| matches!(task, Task::Stopping(_)))
            .filter(|(_, task)| task.wakes().is_some_and(|at| at <= now))
            .map(|(unit, _)| unit.clone())
            .collect();
        for unit in due {
            self.ask_stop(&unit);
        }
    }

    /// A stop came to its end.
    pub(super) fn stop_done(
        &mut self,
        unit: &UnitId,
        generation: Generation,
        result: Result<(), String>,
        now: Timestamp,
    ) {
        let Some(stop) = self.stop_of(unit) else {
            return;
        };
        if stop.generation != generation || stop.stage != Stage::Asked {
            return;
        }
        let Err(why) = result else {
            return self.stopped(unit, now);
        };
        stop.failures += 1;
        let failures = stop.failures;
        stop.stage = if failures < TRIES {
            Stage::Pause(now + PAUSE)
        } else {
            Stage::Stuck
        };
        if failures == 1 {
            let text = format!("`{unit}` could not be stopped: {why}");
            self.alarm("stop-failed", Some(unit), text, now);
        }
        if failures == TRIES && self.server(unit).is_none() {
            self.client_stuck(unit, &why, now);
        }
    }

    /// The unit's script recorded its end while no stop is under way.
    pub(super) fn ended_while_stopping(&mut self, unit: &UnitId, now: Timestamp) {
        let waits = self.stop_of(unit).is_some_and(|stop| {
            matches!(
                stop.stage,
                Stage::Emerging(_) | Stage::Pause(_) | Stage::Stuck
            )
        });
        if waits {
            self.stopped(unit, now);
        }
    }

    /// Nothing of it is left.
    fn stopped(&mut self, unit: &UnitId, now: Timestamp) {
        let Some(Task::Stopping(stop)) = self.tasks.remove(unit) else {
            return;
        };
        self.record(
            Event::Stopped {
                unit: unit.clone(),
                generation: stop.generation,
            },
            now,
        );
        match stop.then {
            Then::GiveUp(why) => self.give_up(unit, why, now),
            Then::Again => self.after_death(unit, None, now),
            Then::Anew => self.anew(unit),
            Then::Rest => self.client_stopped(unit),
        }
    }
}
